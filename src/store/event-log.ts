// The seam below the store: a log of opaque entries, and a place for checkpoints. The file engine is one
// implementation; whatever passes `engineConformance` in `cairnlog/testing` is another. The store above says everything
// that any engine needs to know and asks for nothing that only files can do.
//
// Positions are the store's, dense from 1, and travel in the blocks: whatever an engine numbers its own things by stays
// inside it. One block is in flight; gathering many callers into one block is done above.

import type { Durability } from './durability.js';

/** Entries that are appended together. */
export interface Block {
  /** Position of the first entry: one more than the last of the block before. The engine stores it with the block. */
  readonly firstPosition: number;
  /** {@link EventLog.epoch} of the writer. The engine refuses blocks of any other than the newest, empty ones too. */
  readonly epoch: number;
  /** How many entries; 0 to make those before as durable as this block asks. */
  readonly count: number;
  /**
   * Entry `index` is the bytes from `starts[index]` to before `ends[index]`. The engine copies what it keeps before
   * `append` returns its promise: bytes and lists are used again.
   */
  readonly bytes: Uint8Array;
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
  /** Sizes of the groups of entries that are recovered whole or not at all; they add up to the entries. 0 is possible. */
  readonly groups: readonly number[];
  /** What `done` has to mean at least; never more than {@link EventLog.strongest}. */
  readonly durability: Durability;
}

/**
 * `done`: the block is there, as durable as asked. `conflict`: it is not and will not be, because another writer has
 * taken over or the log continues elsewhere. `unknown`: it may be there, or the first groups of it; the log takes no
 * more appends, and the next `open` shows what is there. An engine that can find out itself (by sending the same block
 * again, by reading the end) does so before it answers `unknown`.
 */
export type AppendOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'conflict'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly cause: unknown };

/**
 * Entries that follow one another, as they are stored: entry `index` is at position `firstPosition + index`, its bytes
 * are those from `starts[index]` to before `ends[index]`. As many as lie together, so that reading takes one promise for
 * all of them; a block of one entry is as good.
 */
export interface LogEntries {
  readonly firstPosition: number;
  /** At least 1. */
  readonly count: number;
  /** Valid until the next entries are asked for, and so are `starts` and `ends`. */
  readonly bytes: Uint8Array;
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
}

/** Part of a log that can be dropped as a whole: a WAL segment, a partition, a run of blocks. */
export interface LogPart {
  readonly name: string;
  readonly firstPosition: number;
  /** `undefined` while entries are added to it: then it does not go. */
  readonly lastPosition: number | undefined;
}

/** What an engine takes. The store refuses what is larger with `FormatError`, before it has a position. */
export interface LogLimits {
  /** Largest entry. */
  readonly entryBytes: number;
  /** Largest block, and so largest group: the bytes of its entries, and {@link ENTRY_OVERHEAD_BYTES} for each. */
  readonly blockBytes: number;
}

/** What every entry counts beyond its own bytes. */
export const ENTRY_OVERHEAD_BYTES = 16;

export interface EventLog {
  /** From 1. Drawn when the log was made; a checkpoint says which log it is of. */
  readonly logId: number;
  /**
   * Drawn when the log was opened for writing: higher than that of any writer that may still believe it has the log.
   * An engine whose lock cannot be held by two (as that of files) may use the same one always.
   */
  readonly epoch: number;
  /** First position that can still be read; one more than the last one for a log that holds nothing. */
  readonly firstPosition: number;
  /** Last position when the log was opened; 0 if there was never any. Truncation does not change it. */
  readonly openedAt: number;
  /** The strongest durability that it can acknowledge: what its `done` means. */
  readonly strongest: Durability;
  readonly limits: LogLimits;
  /**
   * Appends a block behind the last one. Never rejects. One call is in flight at a time, but reads and truncations run
   * beside it. After anything but `done`, no later call answers `done`.
   */
  append(block: Block): Promise<AppendOutcome>;
  /**
   * Entries from `from` to `upTo`, both included, in order and without gaps. `upTo` is at most the last position that
   * was acknowledged. Rejects with `TruncatedError` if what is to come next has left the log, maybe after some entries.
   */
  read(from: number, upTo: number): AsyncIterable<LogEntries>;
  /** The parts of the log, oldest first, without gaps. */
  parts(): Promise<readonly LogPart[]>;
  /**
   * A hint: parts that lie wholly at or below `position` may go, oldest first, none after one that stays. The newest
   * entry stays, or its position is kept otherwise. `firstPosition` has moved behind what goes in the tick of the call, so
   * that nobody begins to read there. Returns those that went. May be repeated, and name any position.
   */
  truncate(position: number): Promise<readonly LogPart[]>;
  /** Gives up the hold on log and checkpoints. Later calls do nothing; appends answer `conflict` or `unknown`. */
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
  /**
   * Writes a checkpoint in the place of any at this position, durable and whole or not at all, and checks that it reads
   * back. An item is valid until the next one is asked for. Rejects with what the items throw; then nothing has changed.
   */
  write(position: number, logId: number, items: AsyncIterable<Uint8Array>): Promise<CheckpointDescription>;
  /**
   * Its items in order, each valid during the call of `visit`. Rejects with `CorruptionError` if any byte is wrong,
   * maybe after some items, with `NotFoundError` if it is not there, and with what `visit` throws.
   */
  read(position: number, visit: (item: Uint8Array) => void): Promise<void>;
  /** Does nothing if it is not there. */
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

/**
 * Where a store keeps its log and checkpoints: what `openStore({ engine })` takes.
 *
 * Check an engine of your own with `engineConformance` of `cairnlog/testing`.
 */
export interface EngineSource {
  /**
   * Takes hold of the log for writing: whoever had it before is fenced, or keeps it and this rejects with `LockError`.
   * What is found is what later opens will find, too: an unfinished end is cut, or made durable, before this resolves,
   * or before `start` does where there is one.
   */
  open(): Promise<Engine>;
}
