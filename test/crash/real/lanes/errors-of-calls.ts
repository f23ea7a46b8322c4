// The system refuses the first, second, third … call of one kind, once or from then on, until there are no more: while a
// writer opens what a crash has left, writes, rolls, takes checkpoints, truncates and closes. Whatever was acknowledged
// is there afterwards, and what was not says so.

import { randomOf } from '../../../support/seed.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped } from '../evidence.js';
import { needInjection, runInjected, type Injection } from '../injection.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { twoAtATime, type RealLane } from '../real-lane.js';
import { StartingPoints, type StartingPoint } from '../starting-points.js';

interface CallFault extends Pick<Injection, 'call' | 'fault' | 'persistent'> {
  readonly name: string;
  /** Tried at every so many-th call. Default 1. */
  readonly step?: number;
  /** Nothing may be refused because of it. */
  readonly isHarmless?: boolean;
  readonly start?: StartingPoint;
}

const FAULTS: readonly CallFault[] = [
  { name: 'EIO, write', call: 'pwrite64', fault: 'error=EIO' },
  { name: 'ENOSPC from then on, write', call: 'pwrite64', fault: 'error=ENOSPC', persistent: true },
  {
    name: 'ENOSPC from then on, write of a new log',
    call: 'pwrite64',
    fault: 'error=ENOSPC',
    persistent: true,
    start: 'nothing',
    step: 2,
  },
  { name: 'a write of no bytes', call: 'pwrite64', fault: 'retval=0', step: 2 },
  { name: 'EINTR, write', call: 'pwrite64', fault: 'error=EINTR', isHarmless: true, step: 3 },
  { name: 'EIO, sync', call: 'fdatasync', fault: 'error=EIO' },
  { name: 'EIO, sync of a new log', call: 'fdatasync', fault: 'error=EIO', start: 'nothing' },
  { name: 'EIO, sync of a folder', call: 'fsync', fault: 'error=EIO' },
  { name: 'EIO, rename', call: 'rename', fault: 'error=EIO' },
  { name: 'EBUSY, removal', call: 'unlink', fault: 'error=EBUSY' },
  { name: 'EIO, truncation', call: 'ftruncate', fault: 'error=EIO' },
  { name: 'ENOSPC, making a folder', call: 'mkdir', fault: 'error=ENOSPC', start: 'nothing' },
  { name: 'EMFILE, opening', call: 'openat', fault: 'error=EMFILE', step: 6 },
  { name: 'EROFS from then on, opening', call: 'openat', fault: 'error=EROFS', persistent: true, step: 15 },
  { name: 'EIO, read', call: 'pread64', fault: 'error=EIO', step: 5 },
  { name: 'EIO, listing', call: 'getdents64', fault: 'error=EIO', step: 5 },
  { name: 'EIO, close', call: 'close', fault: 'error=EIO', step: 12 },
];

export const errorsOfCalls: RealLane = {
  name: 'errors of system calls',
  needs: [
    'faults fired',
    'writers refused',
    'checkpoints failed',
    'acknowledged units checked',
    'recoveries',
    ...FAULTS.map(({ name }) => `faults: ${name}`),
  ],
  processes: 2,
  async run(tally): Promise<void> {
    const { path: folder, remove } = makeFolder('errors');
    await needInjection(folder);
    const points = new StartingPoints(folder);
    const random = randomOf('errors of system calls');
    const jobs = (['store', 'log'] as const).flatMap((level) => FAULTS.map((kind) => ({ level, kind })));
    await twoAtATime(jobs, async ({ level, kind }) => {
      const { call, fault, persistent = false, step = 1, start = 'after a crash', isHarmless } = kind;
      const options: NumberedOptions = { level, durability: 'fsync', segmentBytes: 500 };
      for (let at = 1, more = true; more && !tally.isBroken; at += step) {
        more = false;
        await tally.hold(
          () => `${level}, ${kind.name} number ${at}`,
          async () => {
            const promised = await points.make(start, options, tally);
            const { writer, fired } = await runInjected(
              { ...options, folder: promised.folder, units: 7, atOnce: random.pick([1, 3]), every: 3 },
              { call, fault, at, persistent },
              folder,
            );
            more = fired > 0;
            expectTyped(writer);
            const { code, signal } = await writer.ended;
            if (signal !== null) throw new Error(`The writer was ended by ${signal}`);
            if (code !== (writer.outcome === 'closed' ? 0 : 1))
              throw new Error(`The writer ended with ${String(code)}`);
            const failed = writer.lines.filter((line) => line.startsWith('checkpoint failed')).length;
            if ((fired === 0 || isHarmless === true) && (writer.outcome !== 'closed' || failed > 0))
              throw new Error(`Nothing should be refused, and it said: ${writer.lines.join(', ')}`);
            tally.add('faults fired', fired);
            tally.add(`faults: ${kind.name}`, fired);
            tally.add('writers refused', Number(writer.outcome !== 'closed'));
            tally.add('checkpoints failed', failed);
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
