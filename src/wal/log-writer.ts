// Appending to a log, whichever files it lies in: ids, flush policy, backpressure, and the life cycle
// open → closing → closed, or failed for good. Staging encodes, the commit loop writes; this decides when.

import { randomBytes } from 'node:crypto';
import { BackpressureError, ClosedError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Codec } from '../codec/index.js';
import type { Directory, Lock, RandomBytes } from '../storage/index.js';
import { CommitLoop } from './commit-loop.js';
import { checkFlushPolicy, every, type FlushPolicy } from './flush-policy.js';
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from './format.js';
import type { LogLayout } from './layout.js';
import { notify, type WalObserver } from './observer.js';
import { prepareLog, type OpenedLog, type OpenLogOptions, type OpenReport, type PreparedLog } from './open-log.js';
import type { SpareSegments } from './spare-segments.js';
import { Staging } from './staging.js';
import { watchForUnflushed, type UnflushedWatch } from './unflushed-warning.js';

/** Options of a log writer. All sizes are bytes. */
export interface LogWriterOptions<E> {
  /** Turns entries into bytes; readers need the same one. */
  readonly codec: Codec<E>;
  /** When staged entries are written without being asked. Default `every(64)`. */
  readonly flushPolicy?: FlushPolicy | undefined;
  /** Staged entries are written once they take this much, whatever the policy. Default 64 KiB. */
  readonly bufferBytes?: number | undefined;
  /** Appends are refused with `BackpressureError` while this much is staged. Default 64 MiB. */
  readonly highWaterMarkBytes?: number | undefined;
  /** Zeros are written ahead up to this size in a new segment, so that appends need not grow the file. Default 0. */
  readonly preallocateBytes?: number | undefined;
  readonly observer?: WalObserver | undefined;
  /**
   * Entries up to here are known to be durable, from checkpoints: fewer in the log is corruption. A function is given
   * the log's id, so that checkpoints of another log can be left out. Default 0.
   */
  readonly durableId?: number | ((logId: number | undefined) => number) | undefined;
  /** Id that the log must have, from checkpoints; an empty log gets it. */
  readonly logId?: number | undefined;
  /** Milliseconds since 1970, for the age of segments only. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Source of log ids and salts. Default `crypto.randomBytes`. */
  readonly random?: RandomBytes | undefined;
}

/** {@link LogWriterOptions} for logs of many segments. */
export interface SegmentedOptions {
  /** A segment that would grow past this is followed by a new one. Default 10 MiB, at least 56 bytes. */
  readonly segmentBytes?: number | undefined;
  /** An append after this many milliseconds begins a new segment. Default: no limit. */
  readonly segmentMaxAgeMs?: number | undefined;
  /**
   * So many segments that are truncated are not removed but used again for new ones, which saves writing zeros ahead or
   * growing a file. They take room on the disk meanwhile. Default 0.
   */
  readonly recycleSegments?: number | undefined;
}

const DEFAULT_SEGMENT_BYTES = 10 * 1024 * 1024;
const DEFAULT_BUFFER_BYTES = 64 * 1024;
const DEFAULT_HIGH_WATER_MARK_BYTES = 64 * 1024 * 1024;

/** Base of `WalWriter` and `RecordLog`. */
export class LogWriter<E> implements AsyncDisposable {
  /** What opening found and did. */
  readonly opened: OpenReport;
  /** Drawn when the log was made; segments and checkpoints of another log have another. */
  readonly logId: number;
  readonly directory: Directory;
  /** Truncated segments that this writer will use again; for {@link WalMaintenance}. */
  readonly spares: SpareSegments | undefined;

  readonly #staging: Staging<E>;
  readonly #loop: CommitLoop;
  readonly #lock: Lock;
  readonly #policy: FlushPolicy;
  readonly #bufferBytes: number;
  readonly #highWaterMark: number;
  readonly #observer: WalObserver | undefined;
  readonly #watch: UnflushedWatch;
  #sinceRequest = 0;
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  /** Use the static methods of the subclasses. */
  protected constructor(
    directory: Directory,
    layout: LogLayout,
    options: LogWriterOptions<E> & SegmentedOptions,
    opened: OpenedLog,
  ) {
    this.directory = directory;
    this.opened = opened.report;
    this.logId = opened.fill.plan.logId;
    this.spares = opened.spares;
    this.#lock = opened.lock;
    this.#policy = options.flushPolicy ?? every(64);
    this.#bufferBytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES;
    this.#highWaterMark = options.highWaterMarkBytes ?? DEFAULT_HIGH_WATER_MARK_BYTES;
    this.#observer = options.observer;
    this.#staging = new Staging(
      {
        codec: options.codec,
        segmentBytes: options.segmentBytes ?? DEFAULT_SEGMENT_BYTES,
        segmentMaxAgeMs: options.segmentMaxAgeMs ?? Infinity,
        bufferBytes: Math.min(this.#bufferBytes, DEFAULT_BUFFER_BYTES),
        highWaterMarkBytes: this.#highWaterMark,
        rolls: layout.rolls,
        now: options.now ?? Date.now,
        random: options.random ?? randomBytes,
      },
      opened.fill,
      opened.lastId,
    );
    this.#loop = new CommitLoop(
      this.#staging as Staging<unknown>,
      {
        directory,
        layout,
        observer: options.observer,
        preallocateBytes: options.preallocateBytes ?? 0,
        spares: opened.spares,
      },
      opened,
    );
    this.#watch = watchForUnflushed(this, layout.folder, this.#staging, this.#loop);
  }

  /** Last id that was given out; 0 before the first. */
  get lastEntryId(): number {
    return this.#staging.lastId;
  }

  get nextEntryId(): number {
    return this.#staging.lastId + 1;
  }

  /** Entries up to here are on stable storage. */
  get durableId(): number {
    return this.#loop.durableId;
  }

  /** Entries up to here were handed to the operating system. */
  get flushedId(): number {
    return this.#loop.flushedId;
  }

  /** The segment that the next entry goes to, unless it is full. */
  get currentSegmentId(): number {
    return this.#staging.fill.plan.segmentId;
  }

  /** Bytes of that segment, staged ones included. */
  get currentSegmentBytes(): number {
    return this.#staging.fill.bytes;
  }

  /** Bytes appended and not yet handed to the operating system. */
  get stagedBytes(): number {
    return this.#staging.bytes;
  }

  /**
   * Encodes an entry and gives it the next id, at once; it is written as the flush policy says.
   *
   * Throws `EncodeError` or `FormatError` for an entry that cannot be stored as it is, `BackpressureError` past the
   * high-water mark, `ClosedError`, `PoisonedError`; then nothing was appended.
   */
  append(entry: E): number {
    this.#checkReady();
    const before = this.#staging.bytes;
    const id = this.#staging.stage(entry);
    if (this.#observer?.onAppend !== undefined) {
      const bytes = this.#staging.bytes - before;
      notify(() => this.#observer!.onAppend!(id, bytes));
    }
    this.#afterAppend(1);
    return id;
  }

  /**
   * Appends entries that are recovered all together or not at all, and returns their ids. At most 64 MiB together.
   * If one of them cannot be stored, none is.
   */
  appendBatch(entries: readonly E[]): number[] {
    this.#checkReady();
    if (entries.length === 0) return [];
    const { firstId, sizes } = this.#staging.stageBatch(entries);
    const ids = sizes.map((_, index) => firstId + index);
    if (this.#observer?.onAppend !== undefined)
      for (const [index, id] of ids.entries()) notify(() => this.#observer!.onAppend!(id, sizes[index]!));
    this.#afterAppend(entries.length);
    return ids;
  }

  /**
   * Appends an entry and resolves to its id once it is on stable storage. Callers that wait at the same time share one
   * sync. Rejects as {@link append} throws, and with `PoisonedError` when the disk fails: then it is unknown whether
   * the entry is there.
   */
  async appendDurable(entry: E): Promise<number> {
    const id = this.append(entry);
    await this.#loop.settled(id, true);
    return id;
  }

  /** {@link appendBatch}, and resolves once the batch is on stable storage. */
  async appendBatchDurable(entries: readonly E[]): Promise<number[]> {
    const ids = this.appendBatch(entries);
    await this.#loop.settled(this.#staging.lastId, true);
    return ids;
  }

  /** Resolves once everything appended so far was handed to the operating system: it survives this process. */
  async flush(): Promise<void> {
    await this.#settle(false);
  }

  /** Resolves once everything appended so far is on stable storage: it survives a power cut. */
  async flushAndSync(): Promise<void> {
    await this.#settle(true);
  }

  /** Whether an append would be refused now, with `BackpressureError`: {@link drain} first. */
  get needsDrain(): boolean {
    return this.#staging.bytes >= this.#highWaterMark;
  }

  /**
   * Resolves once there is room again below the high-water mark, at once if there is. What else is staged is written
   * meanwhile, so a producer that waits here goes on while the disk is busy.
   *
   * @example
   * for await (const entry of source) {
   *   if (wal.needsDrain) await wal.drain();
   *   wal.append(entry);
   * }
   */
  async drain(): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    await this.#loop.drained(this.#highWaterMark);
  }

  /**
   * Writes and syncs everything, seals the log and gives up the lock. Entries appended before are durable when it
   * resolves; it rejects if they could not be made so and nobody was told yet. Later calls return the same promise.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#watch.stop();
    try {
      await this.#end();
    } finally {
      await this.#lock.release();
    }
  }

  async #end(): Promise<void> {
    const loop = this.#loop;
    try {
      if (loop.failure === undefined) await loop.finish();
    } catch (error) {
      // After a failure the file's state is unknown anyway, and has been reported: what close says adds nothing.
      await loop.close().catch(() => undefined);
      throw error;
    }
    if (loop.failure === undefined) return loop.close();
    await loop.close().catch(() => undefined);
    if (!loop.failureTold) throw loop.tell(loop.failure);
  }

  /** The callers await it, as the durable appends do: a promise handed through would answer before earlier ones. */
  #settle(sync: boolean): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    this.#sinceRequest = 0;
    return this.#loop.settled(this.#staging.lastId, sync);
  }

  #checkReady(): void {
    if (this.#closing !== undefined) throw closed();
    if (this.#loop.failure !== undefined) throw this.#loop.tell(this.#loop.failure);
    if (this.#staging.bytes >= this.#highWaterMark)
      throw new BackpressureError(
        `${this.#staging.bytes} bytes are staged, the high-water mark is ${this.#highWaterMark}: ` +
          'await drain() and append again',
      );
  }

  #afterAppend(count: number): void {
    this.#sinceRequest += count;
    const policy = this.#policy;
    if (
      this.#staging.bytes >= this.#bufferBytes ||
      policy.kind === 'perAppend' ||
      (policy.kind === 'every' && this.#sinceRequest >= policy.appends)
    ) {
      this.#sinceRequest = 0;
      this.#loop.request();
    } else if (policy.kind === 'interval' && this.#timer === undefined) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#loop.request();
      }, policy.milliseconds);
    }
  }
}

function closed(): ClosedError {
  return new ClosedError('The writer is closed; open another one');
}

/** Checks options and opens; what the static methods of the subclasses share. */
export async function openForWriting<E>(
  directory: Directory,
  layout: LogLayout,
  options: LogWriterOptions<E> & SegmentedOptions,
  intent: OpenLogOptions['intent'],
): Promise<OpenedLog> {
  return (await prepareForWriting(directory, layout, options, intent)).start();
}

/** Checks options, takes the lock and reads how the log ends. */
export function prepareForWriting<E>(
  directory: Directory,
  layout: LogLayout,
  options: LogWriterOptions<E> & SegmentedOptions,
  intent: OpenLogOptions['intent'],
): Promise<PreparedLog> {
  atLeast(options.segmentBytes, SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES, 'segmentBytes');
  atLeast(options.bufferBytes, 0, 'bufferBytes');
  atLeast(options.highWaterMarkBytes, 1, 'highWaterMarkBytes');
  atLeast(options.preallocateBytes, 0, 'preallocateBytes');
  const { recycleSegments, segmentMaxAgeMs } = options;
  if (recycleSegments !== undefined && !(Number.isSafeInteger(recycleSegments) && recycleSegments >= 0))
    throw new InvalidArgumentError(`recycleSegments must be a whole number from 0, got ${shown(recycleSegments)}`);
  if (segmentMaxAgeMs !== undefined && !(typeof segmentMaxAgeMs === 'number' && segmentMaxAgeMs > 0))
    throw new InvalidArgumentError(`segmentMaxAgeMs must be above 0, got ${shown(segmentMaxAgeMs)}`);
  if (options.flushPolicy !== undefined) checkFlushPolicy(options.flushPolicy);
  if (typeof options.codec?.encode !== 'function' || typeof options.codec.decode !== 'function')
    throw new InvalidArgumentError('codec must have encode and decode, as walEntryCodec or messagePackCodec() do');
  return prepareLog(directory, layout, {
    intent,
    durableId: options.durableId ?? 0,
    logId: options.logId,
    preallocateBytes: options.preallocateBytes ?? 0,
    segmentBytes: options.segmentBytes ?? DEFAULT_SEGMENT_BYTES,
    recycleSegments: recycleSegments ?? 0,
    now: options.now ?? Date.now,
    random: options.random ?? randomBytes,
  });
}

function atLeast(value: number | undefined, least: number, name: string): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least))
    throw new InvalidArgumentError(`${name} must be a whole number of bytes from ${least}, got ${shown(value)}`);
}
