// What a recovery did, as a value: for logs, for dashboards, and for the person who wonders.

import type { TornTail } from '../wal/index.js';

/** A checkpoint that was not used. */
export interface SkippedCheckpoint {
  readonly path: string;
  readonly lastAppliedId: number | undefined;
  readonly reason: string;
}

export interface RecoveryReport {
  /** The checkpoint that state began with; `undefined` if the whole log was replayed. */
  readonly checkpoint: { readonly path: string; readonly lastAppliedId: number; readonly bytes: number } | undefined;
  /** Newer checkpoints that could not be used, newest first. */
  readonly skippedCheckpoints: readonly SkippedCheckpoint[];
  /** Log entries that were applied after the checkpoint. */
  readonly entriesReplayed: number;
  readonly bytesReplayed: number;
  /** State holds every entry up to this one. */
  readonly lastEntryId: number;
  /** The interrupted write at the end of the log, which was left out. */
  readonly tornTail: TornTail | undefined;
  readonly milliseconds: number;
}
