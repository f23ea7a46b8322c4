// A disk that fails while a writer is at work: the writer is told, what it wrote stays in the page cache as if it had got
// to the disk, and a next process reads it there, goes on, and is acknowledged more. Then the power goes.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomOf, type Random } from '../../../support/seed.js';
import type { Tally } from '../../lanes/lane.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped, Promised } from '../evidence.js';
import { FailingDisk } from '../failing-disk.js';
import { LoopMount, PowerSwitch, type FileSystem } from '../loop-mount.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { needPrograms, needRoot, type RealLane } from '../real-lane.js';
import { Writer } from '../writer.js';

const ROUNDS = 20;

export const failingDisks: readonly RealLane[] = (['ext4', 'xfs'] as const).map((fileSystem): RealLane => ({
  name: `disks that fail under ${fileSystem}`,
  needs: [
    'faults fired',
    'writers refused',
    'next processes that went on',
    'power cuts',
    'acknowledged units checked',
    'recoveries',
  ],
  processes: 1,
  run: (tally) => failUnder(fileSystem, tally),
}));

async function failUnder(fileSystem: FileSystem, tally: Tally): Promise<void> {
  needRoot();
  needPrograms('python3');
  const { path: folder, remove } = makeFolder('failing');
  const power = new PowerSwitch();
  const disk = await FailingDisk.start(folder);
  try {
    const mount = await LoopMount.make(folder, { fileSystem, image: disk.image });
    try {
      for (let round = 0; round < ROUNDS && !tally.isBroken; round++)
        await tally.hold(
          () => `round ${round}`,
          () => fail({ disk, mount, power }, round, tally),
        );
    } finally {
      await mount.unmount();
    }
  } finally {
    await disk.end();
    power.end();
    remove();
  }
}

interface Machine {
  readonly disk: FailingDisk;
  readonly mount: LoopMount;
  readonly power: PowerSwitch;
}

async function fail({ disk, mount, power }: Machine, round: number, tally: Tally): Promise<void> {
  const random: Random = randomOf(`failing disk ${round}`);
  const options: NumberedOptions = {
    level: round % 2 === 0 ? 'log' : 'store',
    durability: 'fsync',
    segmentBytes: random.pick([30_000, 1_000_000]),
    preallocateBytes: random.pick([0, 0, 100_000]),
    recycleSegments: random.pick([0, 2]),
    // Pages of their own: one that is written again with what comes next would be saved by it.
    textBytes: random.pick([5000, 9000]),
  };
  const promised = new Promised(path.join(mount.path, `data-${round}`), tally);
  const outside = path.dirname(mount.path);
  const writing = {
    ...options,
    folder: promised.folder,
    units: 20_000,
    atOnce: random.pick([1, 2, 4]),
    every: 1000,
  };
  const first = new Writer(writing, { folder: outside });
  await first.line('open ');
  await sleep(random.integer(40));
  disk.fail();
  // As soon as it noticed: what the file system writes for itself should not be met as well.
  await first.line('refused ');
  disk.heal();
  await first.ended;
  expectTyped(first);
  if (!/ (EIO|EROFS)$/.test(first.outcome)) throw new Error(`The writer said: ${first.lines.slice(-3).join(', ')}`);
  tally.add('faults fired');
  tally.add('writers refused');
  promised.add(first);
  if (hasShutDown(mount)) {
    // As xfs does when its own log cannot be written.
    tally.add('file systems that gave up');
    await mount.again();
    promised.examine(options);
    await promised.recover(options);
    promised.remove();
    return;
  }
  promised.examine(options);

  const { units } = promised;
  const next = new Writer(writing, { folder: outside });
  await next.line('open ');
  await sleep(20 + random.integer(40));
  const noted = next.noted();
  await power.cut(mount, 'nothing');
  tally.add('power cuts');
  next.kill();
  await next.ended;
  expectTyped(next);
  if (noted.acknowledged === undefined) {
    // The file system itself may have failed because of it: then it takes nothing more, which is as good.
    if (next.outcome !== '' && !/ (EIO|EROFS)$/.test(next.outcome))
      throw new Error(`The next writer said: ${next.lines.join(', ')}`);
    tally.add(next.outcome === '' ? 'next processes that were too slow' : 'file systems that gave up');
  } else {
    tally.add('next processes that went on');
    tally.add('units shown that were never acknowledged', noted.opened!.units - units);
  }
  promised.add(next, noted);
  await mount.again();
  promised.examine(options);
  await promised.recover(options);
  promised.remove();
}

/** Then not even what is there can be read. */
function hasShutDown(mount: LoopMount): boolean {
  try {
    fs.readdirSync(mount.path);
    return false;
  } catch {
    return true;
  }
}
