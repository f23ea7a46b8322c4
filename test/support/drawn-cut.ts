// Power cuts drawn at random, within what disks do. A sector is written whole or not at all: one that holds bytes which
// were on the platter before keeps them, whether the write to it arrives or not. Only where nothing was yet, a file that
// grew may read as zeros or as what other files left there.

import { loseEverything, type PowerCut, type SimulatedDisk } from 'cairnlog/testing';
import type { Random } from './seed.js';

export function drawnCut(disk: SimulatedDisk, random: Random): PowerCut {
  // Bytes can be on the platter although the name that leads to them is not.
  const platter = disk.afterPowerCut({ ...loseEverything, name: () => true });
  const sizes = new Map(platter.files().map((path) => [path, platter.peek(path)!.length]));
  const pageBytes = random.chance(75) ? 512 : 4096;
  // Some cuts lose little, some much.
  const arrives = random.pick([10, 50, 50, 90]);
  const grew = random.chance(60);
  const named = random.pick([0, 50, 50, 100]);
  return {
    pageBytes,
    page: (path, page) => {
      if (random.chance(arrives)) return 'new';
      const wasThere = page * pageBytes < (sizes.get(path) ?? 0);
      return wasThere ? 'old' : random.pick(['old', 'zero', 'garbage'] as const);
    },
    size: () => grew || random.chance(30),
    name: () => random.chance(named),
  };
}
