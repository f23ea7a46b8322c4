// A writer that is killed as it makes the first, second, third … call of one kind to the system, until there are no
// more: while it opens what a crash has left, writes, rolls, takes checkpoints, truncates and closes.

import { randomOf } from '../../../support/seed.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped } from '../evidence.js';
import { needInjection, runInjected } from '../injection.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { twoAtATime, type RealLane } from '../real-lane.js';
import { StartingPoints, startingPoints } from '../starting-points.js';

const CALLS = ['pwrite64', 'fdatasync', 'fsync', 'openat', 'rename', 'unlink', 'ftruncate', 'mkdir'];
/** Most openings come between two that change nothing. */
const OPENINGS_STEP = 4;

export const killsAtCalls: RealLane = {
  name: 'kills at every system call',
  needs: ['kills', ...CALLS.map((call) => `kills at ${call}`), 'acknowledged units checked', 'recoveries'],
  processes: 2,
  async run(tally): Promise<void> {
    const { path: folder, remove } = makeFolder('calls');
    await needInjection(folder);
    const points = new StartingPoints(folder);
    const random = randomOf('kills at every system call');
    const jobs = (['store', 'log'] as const).flatMap((level) =>
      CALLS.flatMap((call) => startingPoints.map((start) => ({ level, call, start }))),
    );
    await twoAtATime(jobs, async ({ level, call, start }) => {
      const options: NumberedOptions = { level, durability: 'fsync', segmentBytes: 500 };
      for (let at = 1, more = true; more && !tally.isBroken; at += call === 'openat' ? OPENINGS_STEP : 1) {
        more = false;
        await tally.hold(
          () => `${level}, ${start}, ${call} number ${at}`,
          async () => {
            const promised = await points.make(start, options, tally);
            const { writer, fired } = await runInjected(
              { ...options, folder: promised.folder, units: 7, atOnce: random.pick([1, 2]), every: 3 },
              { call, fault: 'signal=SIGKILL', at },
              folder,
            );
            expectTyped(writer);
            more = fired > 0;
            if (!more && writer.outcome !== 'closed') throw new Error(`It ended by itself: ${writer.lines.join(', ')}`);
            tally.add('kills', fired);
            tally.add(`kills at ${call}`, fired);
            promised.add(writer);
            promised.examine(options);
            await promised.recover(options);
            promised.remove();
          },
        );
      }
    });
    remove();
  },
};
