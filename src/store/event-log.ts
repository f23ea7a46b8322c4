// The seam below the store: a log of opaque entries, and a place for checkpoints. The file engine is one
// implementation; whatever passes `engineConformance` in `cairnlog/testing` is another. The store above says everything
// that any engine needs to know and asks for nothing that only files can do.

import type { Durability } from './durability.js';

/** Entries that are appended together. */
export interface Block {
  /** Position of the first entry: one more than the last of the block before. The engine stores it with the block. */
  readonly firstPosition: number;
  /** Epoch of the writer, as it was opened; the engine refuses blocks of an older one. */
  readonly epoch: number;
  /** Encoded entries; none to make those before as durable as this block asks. The engine copies what it keeps before `append` returns its promise. */
  readonly entries: readonly Uint8Array[];
  /** Sizes of the groups of entries that are recovered whole or not at all; they add up to the entries. 0 is possible. */
  readonly groups: readonly number[];
  /** What `done` has to mean at least. */
  readonly durability: Durability;
}

/**
 * `done`: the block is there, as durable as asked. `conflict`: it is not, another writer has taken over. `unknown`: it
 * may or may not be there; the store takes no more appends, and finds out when it is opened again.
 */
export type AppendOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'conflict'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly cause: unknown };

/** One entry as it is stored. */
export interface LogEntry {
  readonly position: number;
  /** Valid until the next entry is asked for. */
  readonly payload: Uint8Array;
}

/** Part of a log that can be dropped as a whole: a WAL segment, a partition, a run of blocks. */
export interface LogPart {
  readonly name: string;
  readonly firstPosition: number;
  /** `undefined` while entries are added to it. */
  readonly lastPosition: number | undefined;
}

export interface EventLog {
  /** Drawn when the log was made; a checkpoint says which log it is of. */
  readonly logId: number;
  readonly epoch: number;
  /** First position that can still be read; one more than `lastPosition` for an empty log. */
  readonly firstPosition: number;
  /** Last position when the log was opened. */
  readonly openedAt: number;
  /** The strongest durability that it can acknowledge. */
  readonly strongest: Durability;
  /** One call is in flight at a time. */
  append(block: Block): Promise<AppendOutcome>;
  /** Entries from `from` to `upTo`, both included, in order and without gaps; rejects with `TruncatedError`. */
  read(from: number, upTo: number): AsyncIterable<LogEntry>;
  /** The parts of the log, oldest first. */
  parts(): Promise<readonly LogPart[]>;
  /** A hint: parts that lie wholly at or below `position` may go. Returns those that went. May be repeated. */
  truncate(position: number): Promise<readonly LogPart[]>;
  close(): Promise<void>;
}

/** What a checkpoint is, without its contents. */
export interface CheckpointDescription {
  readonly position: number;
  readonly logId: number | undefined;
  readonly bytes: number;
  /** Where it is, for messages. */
  readonly name: string;
  /** Why it cannot be read, if that is known already. */
  readonly problem?: string | undefined;
  /** A newer version of the library wrote it: not damage, and no reason to begin with an older one. */
  readonly isNewer?: boolean;
}

export interface CheckpointStorage {
  /** All checkpoints, newest first. */
  list(): Promise<readonly CheckpointDescription[]>;
  /** Writes a checkpoint, durable and whole or not at all, and checks that it reads back. */
  write(position: number, logId: number, items: AsyncIterable<Uint8Array>): Promise<CheckpointDescription>;
  /** Its items in order; rejects with `CorruptionError` if any byte is wrong, maybe after some items. */
  read(position: number, visit: (item: Uint8Array) => void): Promise<void>;
  remove(position: number): Promise<void>;
}

/** What opening found at the end of the log. */
export interface OpenedEnd {
  readonly tornTail:
    { readonly path: string; readonly offset: number; readonly bytes: number; readonly reason: string } | undefined;
}

/** Log and checkpoints of one store, held for writing. */
export interface Engine {
  readonly log: EventLog;
  readonly checkpoints: CheckpointStorage;
  readonly opened: OpenedEnd;
  /**
   * Called once, when the state is recovered and before anything is written. An engine that has it can be read until
   * then, and changes nothing: a store that cannot be opened is left as it was, and only closed.
   */
  readonly start?: () => Promise<void>;
}
