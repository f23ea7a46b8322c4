// A ledger: the state of the tests. Its entries are texts, its state is the list of all of them with their ids, so what
// was recovered can be compared entry by entry with what was appended, marks of checkpoints included.

import { CheckpointPublisher, recoverWithWal, type Directory, type Recovery, type WalWriter } from 'cairnlog';
import type { RecoverOptions } from 'cairnlog';
import type { TruncateOptions } from 'cairnlog/wal';
import { textCodec } from './text-codec.js';

/** Entries by id: `ledger[0]` is entry 1. */
export type Ledger = string[];

export const markOf = (lastAppliedId: number): string => `mark of ${lastAppliedId}`;

export function publisherOf(
  wal: WalWriter<string>,
  retain = 2,
  makeEntry: (path: string, lastAppliedId: number) => string = (_, lastAppliedId) => markOf(lastAppliedId),
  truncate: TruncateOptions = {},
): CheckpointPublisher<string, string> {
  return new CheckpointPublisher<string, string>({ wal, codec: textCodec, retain, makeEntry, truncate });
}

/** Recovers the ledger; fails if an entry is applied that does not follow the one before. */
export function recoverLedger(
  directory: Directory,
  options: Partial<RecoverOptions<string, string, Ledger>> = {},
): Promise<Recovery<Ledger>> {
  return recoverWithWal<string, string, Ledger>(directory, {
    walCodec: textCodec,
    checkpointCodec: textCodec,
    init: () => [],
    restore: (ledger, item) => {
      ledger.push(item);
      return ledger;
    },
    apply: (ledger, { entryId, entry }) => {
      if (entryId !== ledger.length + 1) throw new Error(`entry ${entryId} applied after entry ${ledger.length}`);
      ledger.push(entry);
      return ledger;
    },
    ...options,
  });
}
