// A writer that is killed at any moment, also while it recovers, again and again: at both levels, and with both kinds of
// durability, since what the system was handed survives the process.

import { setTimeout as sleep } from 'node:timers/promises';
import * as path from 'node:path';
import { randomOf } from '../../../support/seed.js';
import type { Tally } from '../../lanes/lane.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped, Promised } from '../evidence.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { twoAtATime, type RealLane } from '../real-lane.js';
import { Writer } from '../writer.js';

const HISTORIES = 18;
const KILLS_OF_ONE = 12;

export const randomKills: RealLane = {
  name: 'random kills',
  needs: ['kills', 'kills while it opened', 'kills while it wrote', 'acknowledged units checked', 'recoveries'],
  processes: 2,
  async run(tally): Promise<void> {
    await twoAtATime(Array(HISTORIES).keys(), async (history) => {
      const { path: folder, remove } = makeFolder('kills');
      await tally.hold(
        () => `history ${history}`,
        () => live(folder, history, tally),
      );
      remove();
    });
  },
};

async function live(folder: string, history: number, tally: Tally): Promise<void> {
  const random = randomOf(`random kills ${history}`);
  const options: NumberedOptions = {
    level: history % 3 === 0 ? 'store' : 'log',
    durability: history % 2 === 0 ? 'fsync' : 'flush',
    segmentBytes: random.pick([700, 3000, 40_000]),
    preallocateBytes: random.pick([0, 0, 700]),
    recycleSegments: random.pick([0, 2]),
  };
  const promised = new Promised(path.join(folder, 'data'), tally);
  for (let kill = 0; kill < KILLS_OF_ONE; kill++) {
    const writer = new Writer(
      {
        ...options,
        folder: promised.folder,
        units: 20_000,
        atOnce: random.pick([1, 3, 8]),
        every: random.pick([3, 10, 40]),
      },
      { folder },
    );
    await writer.line('ready');
    if (random.chance(60)) await writer.line('open ');
    await sleep(random.integer(random.pick([5, 30, 120])));
    writer.kill();
    const { signal } = await writer.ended;
    expectTyped(writer);
    if (signal !== 'SIGKILL') throw new Error(`The writer ended by itself: ${writer.lines.join(', ')}`);
    promised.add(writer);
    promised.examine(options);
    tally.add('kills');
    tally.add(writer.noted().opened === undefined ? 'kills while it opened' : 'kills while it wrote');
  }
  await promised.recover(options);
}
