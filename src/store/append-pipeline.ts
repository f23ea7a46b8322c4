// From decided to acknowledged: entries are encoded and numbered in the tick of the call, gathered into a block while
// the one before is on its way, handed to the log one block at a time, and acknowledged in the order of their positions.
// Where a block mixes durabilities, all of it is as durable as its strongest part, so none overtakes another.

import { ByteWriter } from '../bytes/byte-writer.js';
import { ClosedError, EncodeError, FencedError, PoisonedError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { covers, stronger, type Durability } from './durability.js';
import { encodeEntry, tooLarge, type StoreEntry } from './entry.js';
import { ENTRY_OVERHEAD_BYTES, type AppendOutcome, type Block, type EventLog } from './event-log.js';

/** Entries on their way into the log, and who is told what becomes of them. One object all the way. */
export abstract class Append {
  readonly durability: Durability;
  entries: readonly { readonly entry: StoreEntry }[];
  /** Set when the entries are staged, as is what they take in the log. */
  firstPosition = 0;
  bytes = 0;
  /** May be so before it was written: where it asked for nothing, and nothing before it did. */
  isCommitted = false;
  /** Whether a user of the store is told when it fails. */
  tells = true;

  constructor(entries: readonly { readonly entry: StoreEntry }[], durability: Durability) {
    this.entries = entries;
    this.durability = durability;
  }

  get lastPosition(): number {
    return this.firstPosition + this.entries.length - 1;
  }

  /** All entries are encoded and have their positions. */
  onStaged(): void {}

  /** They are acknowledged; called in order of positions, at durability `memory` maybe by {@link AppendPipeline.add}. */
  abstract onCommitted(): void;

  /** They will not be. */
  abstract onFailed(error: Error): void;
}

/** An append with a promise. */
class Promised extends Append {
  readonly promise: Promise<void>;
  readonly #commit: (firstPosition: number, bytes: number) => void;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  constructor(
    entries: readonly StoreEntry[],
    durability: Durability,
    commit: (firstPosition: number, bytes: number) => void,
  ) {
    super(
      entries.map((entry) => ({ entry })),
      durability,
    );
    this.#commit = commit;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  override onCommitted(): void {
    this.#commit(this.firstPosition, this.bytes);
    this.#resolve();
  }

  override onFailed(error: Error): void {
    this.#reject(error);
  }
}

interface Batch {
  readonly writer: ByteWriter;
  readonly appends: Append[];
  /** Where the entries of all appends begin and end in the writer, one after the other. */
  readonly starts: number[];
  readonly ends: number[];
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
  /** Whether somebody has been told of it. */
  #failureTold = false;

  readonly #options: PipelineOptions;
  #gathering: Batch = batchIn(new ByteWriter(BUFFER_BYTES));
  #spare: ByteWriter | undefined;
  #inFlightBytes = 0;
  /** Appends that are not acknowledged yet. */
  #uncommitted = 0;
  #running: Promise<void> | undefined;
  /** Everything up to here was written by the log; less than `committedPosition` where nothing more was asked for. */
  #writtenPosition: number;
  #writeWatchers: (() => void)[] = [];
  /** For each durability that blocks were written with, how far it reaches. */
  readonly #reached: { readonly durability: Durability; position: number }[] = [];
  #roomWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #closed = false;

  constructor(options: PipelineOptions, lastPosition: number) {
    this.#options = options;
    this.lastPosition = lastPosition;
    this.committedPosition = lastPosition;
    this.#writtenPosition = lastPosition;
    // Opening a log makes all that it holds as durable as the log can.
    this.#note(options.log.strongest, lastPosition);
  }

  /** Whether somebody waits to be acknowledged. */
  get isBusy(): boolean {
    return this.#uncommitted > 0;
  }

  /** Throws unless entries can be staged. */
  checkOpen(): void {
    if (this.#closed) throw new ClosedError('The store is closed; open it again');
    if (this.failure !== undefined) throw this.#tell(this.failure);
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
   * {@link add}, for entries of the store itself. `settled` resolves once they are acknowledged; whoever lets a user know
   * that it rejected calls {@link told}.
   */
  stage(
    entries: readonly StoreEntry[],
    durability: Durability,
    told: { readonly commit: (firstPosition: number, bytes: number) => void },
  ): { readonly firstPosition: number; readonly lastPosition: number; readonly settled: Promise<void> } {
    const append = new Promised(entries, durability, told.commit);
    append.tells = false;
    this.add(append);
    return { firstPosition: append.firstPosition, lastPosition: append.lastPosition, settled: append.promise };
  }

  /**
   * Stages entries at the next positions, which are given out whether they are acknowledged or not. If an entry cannot be
   * encoded it throws, and nothing was staged.
   */
  add(append: Append): void {
    if (append.tells || this.failure === undefined) this.checkOpen();
    else throw this.failure;
    const { writer, appends, starts, ends } = this.#gathering;
    const { entries, durability } = append;
    const start = writer.length;
    const before = ends.length;
    try {
      let from = start;
      for (const { entry } of entries) {
        encodeEntry(entry, writer);
        starts.push(from);
        ends.push(writer.length);
        this.#checkSize(
          entry,
          writer.length - from,
          writer.length - start + (ends.length - before) * ENTRY_OVERHEAD_BYTES,
        );
        from = writer.length;
      }
    } catch (error) {
      writer.length = start;
      starts.length = before;
      ends.length = before;
      throw error;
    }
    append.firstPosition = this.lastPosition + 1;
    append.bytes = writer.length - start;
    this.lastPosition += entries.length;
    append.onStaged();
    // Nothing was asked for and nobody before waits for more: visible at once, written in the background. Not where
    // the log itself promises no more: then its answer is what was asked for.
    const atOnce = durability === 'memory' && this.#uncommitted === 0 && this.#options.log.strongest !== 'memory';
    appends.push(append);
    this.#uncommitted++;
    if (atOnce) this.#acknowledge(append);
    this.#run();
  }

  /** Throws {@link EncodeError} unless the log can take an entry, and the group that it is part of. */
  #checkSize(entry: StoreEntry, entryBytes: number, groupBytes: number): void {
    const { limits } = this.#options.log;
    if (entryBytes > limits.entryBytes) throw tooLarge(entry, entryBytes, limits.entryBytes);
    if (groupBytes > limits.blockBytes)
      throw new EncodeError(
        `What is appended together takes ${groupBytes} bytes, at most ${limits.blockBytes} are allowed; append it in parts`,
      );
  }

  /** Resolves once everything staged so far is acknowledged. */
  async acknowledged(): Promise<void> {
    if (this.failure !== undefined) throw this.#tell(this.failure);
    if (this.#uncommitted > 0) await this.settled('memory');
  }

  /** Whether everything up to a position is acknowledged, and as durable as that. */
  isDurable(position: number, durability: Durability): boolean {
    if (durability === 'memory') return position <= this.committedPosition;
    return this.#reached.some((reached) => reached.position >= position && covers(reached.durability, durability));
  }

  /** Resolves once everything staged so far is acknowledged, and as durable as asked for now. */
  settled(durability: Durability): Promise<void> {
    if (this.failure === undefined && this.isDurable(this.lastPosition, durability)) return Promise.resolve();
    const asked = new Promised([], durability, () => undefined);
    this.add(asked);
    return asked.promise;
  }

  /** Resolves once the log can be read up to a position: what is acknowledged from memory may not be written yet. */
  async written(position: number): Promise<void> {
    while (this.#writtenPosition < position) {
      if (this.failure !== undefined) throw this.#tell(this.failure);
      await new Promise<void>((resolve) => this.#writeWatchers.push(resolve));
    }
  }

  /**
   * Waits for what is in flight, and for those who wait for room: they have asked before. Then refuses what comes. Rejects
   * with the store's failure if nobody was told of it yet, as when everybody was acknowledged at once.
   */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#closed = true;
    if (this.failure !== undefined && !this.#failureTold) throw this.#tell(this.failure);
  }

  /** A user of the store was told of this; if it is why nothing can be appended, {@link close} need not say it. */
  told(error: unknown): void {
    if (error === this.failure) this.#failureTold = true;
  }

  #tell<E extends Error>(failure: E): E {
    this.#failureTold = true;
    return failure;
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
      this.#gathering = batchIn(this.#spare ?? new ByteWriter(BUFFER_BYTES));
      this.#spare = undefined;
      await this.#write(batch);
    }
  }

  async #write(batch: Batch): Promise<void> {
    const { writer, appends } = batch;
    this.#inFlightBytes = writer.length;
    let first = 0;
    let firstEntry = 0;
    while (first < appends.length) {
      const { end, endEntry } = this.#blockEnd(batch, first, firstEntry);
      const block = first === 0 && end === appends.length ? appends : appends.slice(first, end);
      const outcome = await this.#append(block, batch, firstEntry, endEntry);
      if (outcome.kind !== 'done') {
        this.#inFlightBytes = 0;
        this.#fail(appends.slice(first), outcome);
        return;
      }
      // Before the last acknowledgement, as those who hear it look at what is staged.
      if (end === appends.length) {
        this.#inFlightBytes = 0;
        this.#recycle(writer);
      }
      this.#writtenPosition = block.at(-1)!.lastPosition;
      for (const append of block) if (!append.isCommitted) this.#acknowledge(append);
      for (const tell of this.#writeWatchers.splice(0)) tell();
      first = end;
      firstEntry = endEntry;
    }
    this.#acknowledgeWhatAskedForNothing();
    if (!this.full) for (const waiter of this.#roomWaiters.splice(0)) waiter.resolve();
  }

  /** Those at durability `memory` that were only waiting for their turn. */
  #acknowledgeWhatAskedForNothing(): void {
    if (this.#options.log.strongest === 'memory') return;
    for (const append of this.#gathering.appends) {
      if (append.durability !== 'memory') return;
      if (!append.isCommitted) this.#acknowledge(append);
    }
  }

  /** Indexes behind the last append, and its last entry, that fit into a block with `appends[first]`. */
  #blockEnd({ appends, ends }: Batch, first: number, firstEntry: number): { end: number; endEntry: number } {
    const { blockBytes } = this.#options.log.limits;
    const start = ends[firstEntry - 1] ?? 0;
    let endEntry = firstEntry;
    let end = first;
    for (; end < appends.length; end++) {
      const next = endEntry + appends[end]!.entries.length;
      const bytes = (ends[next - 1] ?? 0) - start + (next - firstEntry) * ENTRY_OVERHEAD_BYTES;
      if (end > first && bytes > blockBytes) break;
      endEntry = next;
    }
    return { end, endEntry };
  }

  async #append(
    appends: readonly Append[],
    { writer: { bytes }, starts, ends }: Batch,
    firstEntry: number,
    endEntry: number,
  ): Promise<AppendOutcome> {
    const { log } = this.#options;
    let durability: Durability = covers(log.strongest, 'flush') ? 'flush' : log.strongest;
    for (const append of appends)
      if (append.durability !== durability && covers(log.strongest, append.durability))
        durability = stronger(durability, append.durability);
    const isAll = endEntry - firstEntry === ends.length;
    const block: Block = {
      firstPosition: appends[0]!.firstPosition,
      epoch: log.epoch,
      count: endEntry - firstEntry,
      bytes,
      starts: isAll ? starts : starts.slice(firstEntry, endEntry),
      ends: isAll ? ends : ends.slice(firstEntry, endEntry),
      groups: appends.map(({ entries: { length } }) => length),
      durability,
    };
    try {
      const outcome = await log.append(block);
      if (outcome.kind === 'done') this.#note(durability, appends.at(-1)!.lastPosition);
      return outcome;
    } catch (cause) {
      return { kind: 'unknown', cause };
    }
  }

  /** Everything up to a position is now as durable as that. */
  #note(durability: Durability, position: number): void {
    const reached = this.#reached.find((known) => known.durability === durability);
    if (reached === undefined) this.#reached.push({ durability, position });
    else reached.position = position;
  }

  #recycle(writer: ByteWriter): void {
    if (writer.bytes.length > KEEP_BYTES) return;
    writer.length = 0;
    this.#spare = writer;
  }

  #acknowledge(append: Append): void {
    append.isCommitted = true;
    this.#uncommitted--;
    this.committedPosition = append.lastPosition;
    append.onCommitted();
  }

  #fail(appends: readonly Append[], outcome: Exclude<AppendOutcome, { kind: 'done' }>): void {
    const waiting = [...appends, ...this.#gathering.appends];
    this.#gathering = batchIn(new ByteWriter(BUFFER_BYTES));
    this.failure = this.#failureOf(outcome, appends[0]!.firstPosition);
    for (const append of waiting)
      if (!append.isCommitted) append.onFailed(append.tells ? this.#tell(this.failure) : this.failure);
    for (const tell of this.#writeWatchers.splice(0)) tell();
    for (const waiter of this.#roomWaiters.splice(0)) waiter.reject(this.#tell(this.failure));
    this.#options.onFailure(this.failure);
  }

  /** `entryId`: first position of the block that was refused. */
  #failureOf(outcome: Exclude<AppendOutcome, { kind: 'done' }>, entryId: number): PoisonedError | FencedError {
    const asked = entryId > this.lastPosition;
    const which = asked ? 'Nothing' : `Of positions ${entryId} to ${this.lastPosition} nothing`;
    if (outcome.kind === 'conflict')
      return new FencedError(
        `Another writer has taken over the log: ${outcome.reason}. ${which} was stored. ` +
          'Close this store, and go on with the one that has the log now',
        { entryId },
      );
    const unknown = asked
      ? 'Whether everything that was acknowledged without a sync is on stable storage is unknown'
      : `Whether positions ${entryId} to ${this.lastPosition} are stored is unknown`;
    return new PoisonedError(
      `The store cannot append any more: ${messageOf(outcome.cause)}. ${unknown}. Close the store and open it again`,
      { entryId: asked ? undefined : entryId, cause: outcome.cause },
    );
  }
}

function batchIn(writer: ByteWriter): Batch {
  return { writer, appends: [], starts: [], ends: [] };
}

/** Resolves after all microtasks that are due now, and those they lead to. */
function callersHaveRun(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
