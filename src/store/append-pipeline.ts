// From decided to acknowledged: entries are encoded and numbered in the tick of the call, gathered into a block while
// the one before is on its way, handed to the log one block at a time, and acknowledged in the order of their positions.
// Where a block mixes durabilities, all of it is as durable as its strongest part, so none overtakes another.

import { ByteWriter } from '../bytes/byte-writer.js';
import { ClosedError, FencedError, FormatError, PoisonedError } from '../errors/index.js';
import { covers, stronger, type Durability } from './durability.js';
import { encodeEntry, type StoreEntry } from './entry.js';
import { ENTRY_OVERHEAD_BYTES, type AppendOutcome, type EventLog } from './event-log.js';

/** An append between the call and its acknowledgement. */
interface Waiting {
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly durability: Durability;
  /** Where its entries end in the block's buffer. */
  readonly ends: readonly number[];
  readonly commit: () => void;
  /** Acknowledged before it was written, because it asked for nothing and nothing before it did. */
  committed: boolean;
  readonly settled: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Batch {
  readonly writer: ByteWriter;
  readonly appends: Waiting[];
}

const BUFFER_BYTES = 64 * 1024;
/** Buffers up to this size are used again. */
const KEEP_BYTES = 4 * 1024 * 1024;

export interface PipelineOptions {
  readonly log: EventLog;
  /** Bytes that may be staged before {@link AppendPipeline.room} makes callers wait. */
  readonly highWaterMarkBytes: number;
  readonly onFailure: (error: PoisonedError | FencedError) => void;
}

export class AppendPipeline {
  /** Last position that was given out. */
  lastPosition: number;
  /** Everything up to here is acknowledged. */
  committedPosition: number;
  /** Why nothing can be appended any more: the outcome is unknown, or another writer has taken over. */
  failure: PoisonedError | FencedError | undefined;

  readonly #options: PipelineOptions;
  #gathering: Batch = { writer: new ByteWriter(BUFFER_BYTES), appends: [] };
  #spare: ByteWriter | undefined;
  #inFlight: readonly Waiting[] = [];
  #inFlightBytes = 0;
  /** Appends that are not acknowledged yet. */
  #uncommitted = 0;
  #running: Promise<void> | undefined;
  #roomWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #closed = false;

  constructor(options: PipelineOptions, lastPosition: number) {
    this.#options = options;
    this.lastPosition = lastPosition;
    this.committedPosition = lastPosition;
  }

  /** Throws unless entries can be staged. */
  checkOpen(): void {
    if (this.#closed) throw new ClosedError('The store is closed; open it again');
    if (this.failure !== undefined) throw this.failure;
  }

  /** Whether the high-water mark is reached: then await {@link room} first. */
  get full(): boolean {
    return this.#stagedBytes() >= this.#options.highWaterMarkBytes;
  }

  /** Resolves once there is room below the high-water mark. */
  room(): Promise<void> {
    this.checkOpen();
    if (!this.full) return Promise.resolve();
    return new Promise((resolve, reject) => this.#roomWaiters.push({ resolve, reject }));
  }

  /**
   * Stages entries at the next positions. `settled` resolves once they are acknowledged; the positions are given out
   * either way. If an entry cannot be encoded it throws, and nothing was staged.
   */
  stage(
    entries: readonly StoreEntry[],
    durability: Durability,
    told: {
      /** All entries are encoded and have their positions. */
      readonly staged?: () => void;
      /** They are acknowledged; called in order of positions. */
      readonly commit: (firstPosition: number) => void;
    },
  ): { readonly firstPosition: number; readonly lastPosition: number; readonly settled: Promise<void> } {
    this.checkOpen();
    const { writer, appends } = this.#gathering;
    const start = writer.length;
    const ends: number[] = [];
    try {
      for (const entry of entries) {
        const before = writer.length;
        encodeEntry(entry, writer);
        ends.push(writer.length);
        this.#checkSize(writer.length - before, writer.length - start + ends.length * ENTRY_OVERHEAD_BYTES);
      }
    } catch (error) {
      writer.length = start;
      throw error;
    }
    const firstPosition = this.lastPosition + 1;
    const lastPosition = this.lastPosition + entries.length;
    this.lastPosition = lastPosition;
    told.staged?.();
    // Nothing was asked for and nobody before waits for more: visible at once, written in the background.
    const atOnce = durability === 'memory' && this.#uncommitted === 0;
    const { promise, resolve, reject } = deferred();
    const append: Waiting = {
      firstPosition,
      lastPosition,
      durability,
      ends,
      commit: () => told.commit(firstPosition),
      committed: false,
      settled: promise,
      resolve,
      reject,
    };
    appends.push(append);
    this.#uncommitted++;
    if (atOnce) this.#acknowledge(append);
    this.#run();
    return { firstPosition, lastPosition, settled: promise };
  }

  /** Throws unless the log can take an entry, and the group that it is part of. */
  #checkSize(entryBytes: number, groupBytes: number): void {
    const { limits } = this.#options.log;
    if (entryBytes > limits.entryBytes)
      throw new FormatError(`A record takes ${entryBytes} bytes, at most ${limits.entryBytes} are allowed; split it`);
    if (groupBytes > limits.blockBytes)
      throw new FormatError(
        `What is appended together takes ${groupBytes} bytes, at most ${limits.blockBytes} are allowed; append it in parts`,
      );
  }

  /** Resolves once everything staged so far is acknowledged. */
  async acknowledged(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    const last = this.#gathering.appends.at(-1) ?? this.#inFlight.at(-1);
    if (last !== undefined && !last.committed) await last.settled;
  }

  /** Refuses what comes from now on, and waits for what is in flight. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#roomWaiters.splice(0)) waiter.reject(new ClosedError('The store is closed'));
    while (this.#running !== undefined) await this.#running;
  }

  #stagedBytes(): number {
    return this.#gathering.writer.length + this.#inFlightBytes;
  }

  #run(): void {
    this.#running ??= this.#loop().finally(() => {
      this.#running = undefined;
    });
  }

  async #loop(): Promise<void> {
    while (this.failure === undefined) {
      // Whoever was answered may append again at once: let them, so that their entries are in the next block.
      await callersHaveRun();
      if (this.#gathering.appends.length === 0) return;
      const batch = this.#gathering;
      this.#gathering = { writer: this.#spare ?? new ByteWriter(BUFFER_BYTES), appends: [] };
      this.#spare = undefined;
      await this.#write(batch);
    }
  }

  async #write({ writer, appends }: Batch): Promise<void> {
    this.#inFlightBytes = writer.length;
    this.#inFlight = appends;
    let first = 0;
    let start = 0;
    while (first < appends.length) {
      const end = this.#blockEnd(appends, first, start);
      const block = first === 0 && end === appends.length ? appends : appends.slice(first, end);
      const outcome = await this.#append(block, writer, start);
      if (outcome.kind !== 'done') {
        this.#inFlightBytes = 0;
        this.#inFlight = [];
        this.#fail(appends.slice(first), outcome);
        return;
      }
      // Before the last acknowledgement, as those who hear it look at what is staged.
      if (end === appends.length) {
        this.#inFlightBytes = 0;
        this.#inFlight = [];
        this.#recycle(writer);
      }
      for (const append of block) if (!append.committed) this.#acknowledge(append);
      start = block.at(-1)!.ends.at(-1) ?? start;
      first = end;
    }
    if (!this.full) for (const waiter of this.#roomWaiters.splice(0)) waiter.resolve();
  }

  /** Index behind the last append that fits into a block with `appends[first]`. */
  #blockEnd(appends: readonly Waiting[], first: number, start: number): number {
    const { blockBytes } = this.#options.log.limits;
    let entries = 0;
    let end = first;
    for (; end < appends.length; end++) {
      const { ends } = appends[end]!;
      entries += ends.length;
      if (end > first && (ends.at(-1) ?? start) - start + entries * ENTRY_OVERHEAD_BYTES > blockBytes) break;
    }
    return end;
  }

  async #append(appends: readonly Waiting[], writer: ByteWriter, from: number): Promise<AppendOutcome> {
    const { log } = this.#options;
    const entries: Uint8Array[] = [];
    let durability: Durability = covers(log.strongest, 'flush') ? 'flush' : log.strongest;
    let start = from;
    for (const append of appends) {
      if (covers(log.strongest, append.durability)) durability = stronger(durability, append.durability);
      for (const end of append.ends) {
        entries.push(writer.bytes.subarray(start, end));
        start = end;
      }
    }
    const firstPosition = appends[0]!.firstPosition;
    const groups = appends.map((append) => append.ends.length);
    try {
      return await log.append({ firstPosition, epoch: log.epoch, entries, groups, durability });
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
  }

  #recycle(writer: ByteWriter): void {
    if (writer.bytes.length > KEEP_BYTES) return;
    writer.length = 0;
    this.#spare = writer;
  }

  #acknowledge(append: Waiting): void {
    append.committed = true;
    this.#uncommitted--;
    this.committedPosition = append.lastPosition;
    append.commit();
    append.resolve();
  }

  #fail(appends: readonly Waiting[], outcome: Exclude<AppendOutcome, { kind: 'done' }>): void {
    const waiting = [...appends, ...this.#gathering.appends];
    this.#gathering = { writer: new ByteWriter(BUFFER_BYTES), appends: [] };
    this.failure = this.#failureOf(outcome, appends[0]!.firstPosition);
    for (const append of waiting) if (!append.committed) append.reject(this.failure);
    for (const waiter of this.#roomWaiters.splice(0)) waiter.reject(this.failure);
    this.#options.onFailure(this.failure);
  }

  /** `entryId`: first position of the block that was refused. */
  #failureOf(outcome: Exclude<AppendOutcome, { kind: 'done' }>, entryId: number): PoisonedError | FencedError {
    const which = entryId > this.lastPosition ? 'Nothing' : `Of positions ${entryId} to ${this.lastPosition} nothing`;
    if (outcome.kind === 'conflict')
      return new FencedError(
        `Another writer has taken over the log: ${outcome.reason}. ${which} was stored. ` +
          'Close this store, and go on with the one that has the log now',
        { entryId },
      );
    return new PoisonedError(
      `The store cannot append any more: ${messageOf(outcome.cause)}. ` +
        `Whether positions ${entryId} to ${this.lastPosition} are stored is unknown. Close the store and open it again`,
      { entryId, cause: outcome.cause },
    );
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Resolves after all microtasks that are due now, and those they lead to. */
function callersHaveRun(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
