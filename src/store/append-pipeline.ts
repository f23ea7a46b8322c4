// From decided to acknowledged: entries are encoded and numbered in the tick of the call, gathered into a block while
// the one before is on its way, handed to the log one block at a time, and acknowledged in the order of their positions.
// Where a block mixes durabilities, all of it is as durable as its strongest part, so none overtakes another.

import { ByteWriter } from '../bytes/byte-writer.js';
import { ClosedError, EncodeError, PoisonedError } from '../errors/index.js';
import { FRAME_HEADER_BYTES } from '../wal/format.js';
import { MAX_BATCH_BYTES } from '../wal/staging.js';
import { stronger, type Durability } from './durability.js';
import { encodeEntry, type StoreEntry } from './entry.js';
import type { EventLog } from './event-log.js';

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
  readonly onFailure: (error: PoisonedError) => void;
}

export class AppendPipeline {
  /** Last position that was given out. */
  lastPosition: number;
  /** Everything up to here is acknowledged. */
  committedPosition: number;
  failure: PoisonedError | undefined;

  readonly #options: PipelineOptions;
  #gathering: Batch = { writer: new ByteWriter(BUFFER_BYTES), appends: [] };
  #spare: ByteWriter | undefined;
  #inFlightBytes = 0;
  /** Appends that are not acknowledged yet. */
  #uncommitted = 0;
  #running: Promise<void> | undefined;
  /** Everything up to here was written by the log; less than `committedPosition` where nothing more was asked for. */
  #writtenPosition: number;
  #writeWatchers: (() => void)[] = [];
  #roomWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #closed = false;

  constructor(options: PipelineOptions, lastPosition: number) {
    this.#options = options;
    this.lastPosition = lastPosition;
    this.committedPosition = lastPosition;
    this.#writtenPosition = lastPosition;
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
        encodeEntry(entry, writer);
        ends.push(writer.length);
        if (writer.length - start + ends.length * FRAME_HEADER_BYTES > MAX_BATCH_BYTES) throw tooMuch();
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

  /** Resolves once everything staged so far is acknowledged, and as durable as asked for now. */
  settled(durability: Durability): Promise<void> {
    return this.stage([], durability, { commit: () => undefined }).settled;
  }

  /** Resolves once the log can be read up to a position: what is acknowledged from memory may not be written yet. */
  async written(position: number): Promise<void> {
    while (this.#writtenPosition < position) {
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => this.#writeWatchers.push(resolve));
    }
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
    const { log } = this.#options;
    const entries: Uint8Array[] = [];
    let durability: Durability = 'flush';
    let start = 0;
    for (const append of appends) {
      durability = stronger(durability, append.durability);
      for (const end of append.ends) {
        entries.push(writer.bytes.subarray(start, end));
        start = end;
      }
    }
    const firstPosition = appends[0]!.firstPosition;
    const groups = appends.map((append) => append.ends.length);
    const outcome = await log
      .append({ firstPosition, epoch: log.epoch, entries, groups, durability })
      .catch((cause: unknown) => ({ kind: 'unknown', cause }) as const);
    this.#inFlightBytes = 0;
    if (outcome.kind !== 'done') {
      this.#fail(appends, outcome.kind === 'unknown' ? outcome.cause : new Error(outcome.reason));
      return;
    }
    if (writer.bytes.length <= KEEP_BYTES) {
      writer.length = 0;
      this.#spare = writer;
    }
    this.#writtenPosition = appends.at(-1)!.lastPosition;
    for (const append of appends) if (!append.committed) this.#acknowledge(append);
    // Those that asked for nothing were only waiting for their turn.
    for (const append of this.#gathering.appends) {
      if (append.durability !== 'memory') break;
      if (!append.committed) this.#acknowledge(append);
    }
    for (const tell of this.#writeWatchers.splice(0)) tell();
    if (!this.full) for (const waiter of this.#roomWaiters.splice(0)) waiter.resolve();
  }

  #acknowledge(append: Waiting): void {
    append.committed = true;
    this.#uncommitted--;
    this.committedPosition = append.lastPosition;
    append.commit();
    append.resolve();
  }

  #fail(appends: readonly Waiting[], cause: unknown): void {
    const waiting = [...appends, ...this.#gathering.appends];
    this.#gathering = { writer: new ByteWriter(BUFFER_BYTES), appends: [] };
    const first = this.committedPosition + 1;
    this.failure = new PoisonedError(
      `The store cannot append any more: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        `Whether positions ${first} to ${this.lastPosition} are stored is unknown. Close the store and open it again`,
      { entryId: first, cause },
    );
    for (const append of waiting) if (!append.committed) append.reject(this.failure);
    for (const tell of this.#writeWatchers.splice(0)) tell();
    for (const waiter of this.#roomWaiters.splice(0)) waiter.reject(this.failure);
    this.#options.onFailure(this.failure);
  }
}

function tooMuch(): EncodeError {
  return new EncodeError(`What is appended together may take ${MAX_BATCH_BYTES} bytes; append it in several parts`);
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
