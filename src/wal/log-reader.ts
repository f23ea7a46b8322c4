// Replay of a log, whichever files it lies in: entries in order, decoded, in memory that does not grow with the log.

import { ByteReader } from '../bytes/byte-reader.js';
import { checkId } from '../bytes/u64.js';
import { decodeWhole, type Codec } from '../codec/index.js';
import { CairnError, DecodeError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Directory } from '../storage/index.js';
import type { FrameBlock } from './frame-scanner.js';
import type { LogLayout } from './layout.js';
import { checkReplayMode, LogScan, type ReplayMode, type ScanRange } from './log-scan.js';
import type { TornTail } from './tail.js';

/** An entry and the id that the log gave it. */
export interface WalRecord<E> {
  readonly entryId: number;
  readonly entry: E;
}

export interface ReplayOptions {
  /** Default `strict`. */
  readonly mode?: ReplayMode | undefined;
  /** First entry to replay. `TruncatedError` if the log begins later. Default: the first there is. */
  readonly from?: number | undefined;
  /** Last entry to replay; damage behind it goes unnoticed. Default: the last there is. */
  readonly upTo?: number | undefined;
  /** Entries up to here are known to be durable, from checkpoints: fewer in the log is corruption. Default 0. */
  readonly durableId?: number | undefined;
}

/** What a replay came to. */
export interface ReplayReport {
  /** Entries handed out. */
  readonly count: number;
  /** Last entry handed out or passed over; for an empty log the id before its first. */
  readonly lastEntryId: number;
  /** Bytes of frames that were read. */
  readonly bytes: number;
  /** The interrupted write at which a `bestEffort` replay ended. */
  readonly tornTail: TornTail | undefined;
}

/** Base of `WalReader` and `RecordLogReader`. Needs no lock; sees what was in the log when it began. */
export class LogReader<E> {
  readonly #directory: Directory;
  readonly #layout: LogLayout;
  readonly #codec: Codec<E>;

  /** Use the constructors of the subclasses. */
  protected constructor(directory: Directory, layout: LogLayout, codec: Codec<E>) {
    this.#directory = directory;
    this.#layout = layout;
    this.#codec = codec;
  }

  /**
   * All entries. Throws `TornTailError` if the log ends in an interrupted write, `CorruptionError` on damage,
   * `DecodeError` for an entry that the codec cannot read. For logs that fit into memory; else {@link replayEach}.
   */
  async replay(options: ReplayOptions = {}): Promise<WalRecord<E>[]> {
    const records: WalRecord<E>[] = [];
    await this.replayEach((record) => void records.push(record), options);
    return records;
  }

  /** All entries before an interrupted write at the end, if there is one. Damage still throws `CorruptionError`. */
  replayBestEffort(options: Omit<ReplayOptions, 'mode'> = {}): Promise<WalRecord<E>[]> {
    return this.replay({ ...options, mode: 'bestEffort' });
  }

  /**
   * Calls `visit` with each entry in order; if it returns a promise, waits for it. What `visit` throws ends the replay
   * and is thrown on, as it is.
   *
   * @example
   * const { lastEntryId } = await reader.replayEach(({ entryId, entry }) => index.apply(entry), { mode: 'bestEffort' });
   */
  async replayEach(visit: (record: WalRecord<E>) => unknown, options: ReplayOptions = {}): Promise<ReplayReport> {
    const scan = this.#scan(options);
    const visiting = new Visiting(visit);
    let count = 0;
    for await (const block of scan.blocks()) {
      for (let index = 0; index < block.count;) {
        index = this.#visitFrom(block, index, visiting);
        if (visiting.pending !== undefined) await visiting.pending;
      }
      count += block.count;
    }
    return { count, lastEntryId: scan.lastEntryId, bytes: scan.bytesRead, tornTail: scan.tornTail };
  }

  /**
   * The entries as an async iterable; what is not pulled is not read.
   *
   * @example for await (const { entryId, entry } of reader.entries({ from: 100 })) console.log(entryId, entry);
   */
  async *entries(options: ReplayOptions = {}): AsyncGenerator<WalRecord<E>, ReplayReport, undefined> {
    const scan = this.#scan(options);
    const reader = new ByteReader();
    let count = 0;
    for await (const block of scan.blocks()) {
      for (let index = 0; index < block.count; index++) {
        yield { entryId: block.firstId + index, entry: this.#decode(block, index, reader) };
        count++;
      }
    }
    return { count, lastEntryId: scan.lastEntryId, bytes: scan.bytesRead, tornTail: scan.tornTail };
  }

  [Symbol.asyncIterator](): AsyncGenerator<WalRecord<E>, ReplayReport, undefined> {
    return this.entries();
  }

  /** Number of entries; checks every frame and decodes none. */
  async entryCount(options: ReplayOptions = {}): Promise<number> {
    let count = 0;
    for await (const block of this.#scan(options).blocks()) count += block.count;
    return count;
  }

  /** Visits entries until the visitor has something to wait for. Returns the index behind the last one visited. */
  #visitFrom(block: FrameBlock, begin: number, visiting: Visiting<E>): number {
    const { reader, visit } = visiting;
    const { firstId, count } = block;
    visiting.pending = undefined;
    for (let index = begin; index < count; index++) {
      const pending = visit({ entryId: firstId + index, entry: this.#decode(block, index, reader) });
      if (pending instanceof Promise) {
        visiting.pending = pending;
        return index + 1;
      }
    }
    return count;
  }

  #scan({ mode = 'strict', from, upTo, durableId }: ReplayOptions): LogScan {
    checkReplayMode(mode);
    if (from !== undefined) checkId(from, 'from', 1);
    if (upTo !== undefined) checkId(upTo, 'upTo');
    if (durableId !== undefined) checkId(durableId, 'durableId');
    const range: ScanRange = { mode, from, upTo, durableId };
    return new LogScan(this.#directory, this.#layout, range);
  }

  #decode(block: FrameBlock, index: number, reader: ByteReader): E {
    try {
      return decodeWhole(this.#codec, reader.reset(block.bytes, block.starts[index]!, block.ends[index]!));
    } catch (cause) {
      const entryId = block.firstId + index;
      const what = cause instanceof CairnError ? cause.message : `The codec failed: ${shown(cause)}`;
      throw new DecodeError(what, { path: this.#layout.folder, entryId, cause });
    }
  }
}

/** State of a replay between the entries that it visits in one go. */
class Visiting<E> {
  readonly reader: ByteReader = new ByteReader();
  readonly visit: (record: WalRecord<E>) => unknown;
  pending: Promise<unknown> | undefined;

  constructor(visit: (record: WalRecord<E>) => unknown) {
    this.visit = visit;
  }
}
