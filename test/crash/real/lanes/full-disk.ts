// A disk that fills up under a writer, at every stage of its work, and one that has no more room for new names. Whoever
// opens it then is told so, and once there is room again everything acknowledged is there.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { randomOf } from '../../../support/seed.js';
import type { Tally } from '../../lanes/lane.js';
import { makeFolder, mountedAt } from '../cleanup.js';
import { expectTyped, Promised } from '../evidence.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { needRoot, runProgram, twoAtATime, type RealLane } from '../real-lane.js';
import { Writer } from '../writer.js';

const DISKS = 32;

export const fullDisk: RealLane = {
  name: 'full disks',
  needs: [
    'disks that filled up',
    'disks without room for names',
    'faults fired',
    'checkpoints failed',
    'opened while it was full',
    'refused while it was full',
    'acknowledged units checked',
    'recoveries',
  ],
  processes: 2,
  async run(tally): Promise<void> {
    needRoot();
    const { path: folder, remove } = makeFolder('full');
    await twoAtATime(Array(DISKS).keys(), async (disk) => {
      const at = path.join(folder, `${disk}`);
      fs.mkdirSync(at);
      await tally.hold(
        () => `disk ${disk}`,
        () => fill(at, disk, tally),
      );
    });
    remove();
  },
};

async function fill(at: string, disk: number, tally: Tally): Promise<void> {
  const random = randomOf(`full disk ${disk}`);
  const byNames = disk % 4 === 3;
  const size = byNames ? `size=4m,nr_inodes=${8 + random.integer(12)}` : `size=${40 + 4 * random.integer(60)}k`;
  await runProgram('mount', '-t', 'tmpfs', '-o', size, 'tmpfs', at);
  const mounted = mountedAt(at);
  try {
    const options: NumberedOptions = {
      level: disk % 3 === 0 ? 'log' : 'store',
      durability: disk % 2 === 0 ? 'fsync' : 'flush',
      segmentBytes: random.pick(byNames ? [700] : [3000, 20_000, 10_000_000]),
      preallocateBytes: random.pick([0, 0, 10_000]),
      recycleSegments: random.pick([0, 2]),
      // Writes that reach over several pages, so that one of them ends in the middle.
      textBytes: random.pick([500, 2500, 9000]),
    };
    const promised = new Promised(path.join(at, 'data'), tally);
    const writing = { ...options, folder: promised.folder, units: 5000, atOnce: random.pick([1, 4]), every: 7 };
    const writer = new Writer(writing, { folder: path.dirname(at) });
    await writer.ended;
    expectTyped(writer);
    if (!writer.outcome.endsWith('ENOSPC')) throw new Error(`The writer said: ${writer.lines.slice(-3).join(', ')}`);
    promised.add(writer);
    promised.examine(options);
    tally.add('faults fired');
    tally.add(byNames ? 'disks without room for names' : 'disks that filled up');
    tally.add('checkpoints failed', writer.lines.filter((line) => line.startsWith('checkpoint failed')).length);

    const next = new Writer({ ...writing, units: 0 }, { folder: path.dirname(at) });
    await next.ended;
    expectTyped(next);
    promised.add(next);
    promised.examine(options);
    if (next.outcome !== 'closed' && !next.outcome.endsWith('ENOSPC')) throw new Error(`It said: ${next.outcome}`);
    tally.add(next.outcome === 'closed' ? 'opened while it was full' : 'refused while it was full');

    await runProgram('mount', '-o', 'remount,size=16m,nr_inodes=1000', at);
    await promised.recover(options);
  } finally {
    await runProgram('umount', at);
    mounted.forget();
  }
}
