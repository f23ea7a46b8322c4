// What one acknowledged append came to: what everybody who watches a store is told.

import type { Cell, Snapshot } from './cells.js';
import type { StoredRecord } from './record.js';

/** A record of an aggregate and the state that it led to. */
export interface Change {
  readonly cell: Cell;
  readonly snapshot: Snapshot;
  readonly record: StoredRecord;
}

export interface Commit {
  /** Everything up to here is committed. Not every position is a record: there may be none in a commit. */
  readonly position: number;
  /** In order of positions. */
  readonly records: readonly StoredRecord[];
  readonly changes: readonly Change[];
}
