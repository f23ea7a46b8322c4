// Explores a script of the log or of the store on files: every crash state of it, and which situations they are.

import type { DiskOperation, SimulatedDisk } from 'cairnlog/testing';
import { explore as exploreAny, type Exploration } from '#src/testing/explore-script.js';
import type { Random } from '../../support/seed.js';
import type { LaneOptions, Tally } from './lane.js';

export type { Left, Oracle } from '#src/testing/explore-script.js';

type OnFiles<S extends string, P> = Omit<Exploration<S, P>, 'random' | 'states'> & {
  readonly random: Random;
  readonly effort: LaneOptions['effort'];
};

export function explore<S extends string, P>({ random, effort, ...exploration }: OnFiles<S, P>): Promise<void> {
  const { tally, script } = exploration;
  const last = script.at(-1) ?? 'open';
  return exploreAny({
    ...exploration,
    random: random.integer,
    states:
      effort === 'short'
        ? { everyByteUpTo: 24, exhaustiveUpTo: 24, draws: 4 }
        : { everyByteUpTo: 256, exhaustiveUpTo: 48, draws: 8 },
    onMoment: (operation) => markPart(operation, last, tally),
    onState: (what) => {
      if (/unlink of wal\S* false/.test(what)) tally.mark('resurrected unlink');
      if (/page [1-9] of wal\/wal_([2-9]|\d\d)\.log: garbage/.test(what)) tally.mark('stale frame');
    },
    garbage: (disk) => (path, offset) => staleBytes(disk, path, offset),
  });
}

/**
 * What a page that was never written may show: here, frames that lie at the same place of the segment before. Not its
 * header: a segment that begins with another one's is refused as misplaced, which nothing can tell from a stale block.
 */
function staleBytes(disk: SimulatedDisk, path: string, offset: number): Uint8Array | undefined {
  const segment = Number(/^wal\/wal_(\d+)\.log$/.exec(path)?.[1] ?? 0);
  return segment < 2 || offset === 0 ? undefined : disk.peek(`wal/wal_${segment - 1}.log`)?.subarray(offset);
}

/** Which part of its work an operation interrupts. */
function markPart(operation: DiskOperation | undefined, step: string, tally: Tally): void {
  if (operation === undefined) return;
  const segment = /^wal\/wal_(\d+)\.log$/.exec(operation.path)?.[1];
  if ((operation.kind === 'remove' || operation.kind === 'rename') && segment !== undefined)
    tally.mark('crash in truncate');
  if (operation.path.endsWith('.spare')) tally.mark('crash in using a segment again');
  if (operation.path.startsWith('checkpoints')) tally.mark('crash in checkpoint');
  const makes = operation.kind === 'create' || (operation.kind === 'write' && operation.offset === 0);
  if (segment !== undefined && segment !== '1' && makes) tally.mark('crash in roll');
  if (step === 'open' || step === 'reopen') tally.mark('crash in open or close');
}
