// A file system that becomes read-only in the middle of a writer's work, as ext4 does when it meets an error in itself.
// The writer fails; who reads then sees everything acknowledged; who wants to write is refused; and mounted anew,
// everything is there.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomOf } from '../../../support/seed.js';
import type { Tally } from '../../lanes/lane.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped, Promised } from '../evidence.js';
import { LoopMount } from '../loop-mount.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { CannotRun, needRoot, runProgram, type RealLane } from '../real-lane.js';
import { Writer } from '../writer.js';

const ROUNDS = 14;

export const readOnly: RealLane = {
  name: 'file systems that become read-only',
  needs: [
    'faults fired',
    'writers refused',
    'refused while it was read-only',
    'acknowledged units checked',
    'recoveries',
  ],
  processes: 1,
  async run(tally): Promise<void> {
    needRoot();
    const { path: folder, remove } = makeFolder('read-only');
    const mount = await LoopMount.make(folder, { fileSystem: 'ext4', options: 'errors=remount-ro' });
    try {
      if (!fs.existsSync(trigger(mount))) throw new CannotRun(`there is no ${trigger(mount)}`);
      for (let round = 0; round < ROUNDS && !tally.isBroken; round++)
        await tally.hold(
          () => `round ${round}`,
          () => interrupt(mount, round, tally),
        );
    } finally {
      await mount.unmount();
      remove();
    }
  },
};

async function interrupt(mount: LoopMount, round: number, tally: Tally): Promise<void> {
  const random = randomOf(`read-only ${round}`);
  const options: NumberedOptions = {
    level: round % 3 === 0 ? 'log' : 'store',
    durability: 'fsync',
    segmentBytes: random.pick([700, 100_000]),
  };
  const promised = new Promised(path.join(mount.path, `data-${round}`), tally);
  const outside = path.dirname(mount.path);
  const writing = { ...options, folder: promised.folder, units: 20_000, atOnce: random.pick([1, 4]), every: 5 };
  const writer = new Writer(writing, { folder: outside });
  await writer.line(random.chance(80) ? 'open ' : 'ready');
  await sleep(random.integer(80));
  // What is acknowledged from now on may be on either side of it.
  const noted = writer.noted();
  // Only a loop device has this name: see LoopMount.
  fs.writeFileSync(trigger(mount), 'an error, to see what happens');
  await writer.ended;
  expectTyped(writer);
  tally.add('faults fired');
  tally.add('writers refused', Number(writer.outcome.startsWith('refused')));
  expect(writer.outcome).to.match(/ (EROFS|EIO)$/);
  promised.add(writer, noted);
  promised.examine(options);

  const next = new Writer(writing, { folder: outside });
  await next.ended;
  expectTyped(next);
  expect(next.outcome).to.match(/ EROFS$/);
  tally.add('refused while it was read-only');
  promised.examine(options);

  await mount.unmount();
  await runProgram('e2fsck', '-p', mount.image).catch((error: { code?: unknown }) => {
    // It has mended what the error may have left.
    if (error.code !== 1) throw error;
  });
  await mount.mount();
  promised.examine(options);
  await promised.recover(options);
}

function trigger(mount: LoopMount): string {
  return `/sys/fs/ext4/${mount.device}/trigger_fs_error`;
}
