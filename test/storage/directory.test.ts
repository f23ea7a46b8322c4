import { MemoryDirectory } from 'cairnlog';
import { directoryConformance, FaultyDirectory, SimulatedDisk } from 'cairnlog/testing';
import { temporaryDirectory } from '../support/temporary-folder.js';

const directories = {
  FsDirectory: () => temporaryDirectory(),
  MemoryDirectory: async () => new MemoryDirectory(),
  SimulatedDisk: async () => new SimulatedDisk(),
  'FaultyDirectory without faults': async () => new FaultyDirectory(new MemoryDirectory()),
};

for (const [name, make] of Object.entries(directories))
  describe(`${name} does what a Directory must`, () => {
    for (const { name: case_, run } of directoryConformance(make)) it(case_, run);
  });
