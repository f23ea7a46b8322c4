// History, then live: records from a position on, first from the log, then as they are committed, each once and in
// order. Pulled, so that memory stays bounded: a consumer that falls behind its buffer reads from the log again.
//
// While history is read, what is committed meanwhile is gathered already; history ends where gathering began, so there
// is neither a gap nor a reason to meet a moment in which nothing is appended.

import { TruncatedError } from '../errors/index.js';
import type { Commit } from './commit.js';
import type { Feed } from './feed.js';
import type { Hold, Holds } from './holds.js';
import type { StoredRecord } from './record.js';

export interface TailSource {
  readonly feed: Feed<Commit>;
  readonly holds: Holds;
  /** Everything up to here is committed. */
  committedPosition(): number;
  /** First position that the log still has. */
  firstPosition(): number;
  /** Committed records of the log, both ends included. */
  read(from: number, upTo: number): AsyncGenerator<StoredRecord, void, undefined>;
}

export interface TailOptions {
  readonly from: number;
  readonly filter?: ((record: StoredRecord) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For whoever asks what holds the log; without it this holds nothing, somebody else does. */
  readonly name?: string | undefined;
}

/** Where a reader of a store is. */
export interface WatchStatus {
  /** `catching-up`: it reads the log. `live`: it gets records as they are committed. `ended`: it gets no more. */
  readonly state: 'catching-up' | 'live' | 'ended';
  /** Everything up to here was handed out, as far as it passed the filter. */
  readonly position: number;
  /**
   * Records that are committed and were not handed out. While catching up it counts positions, of which a few are not
   * records, so it is at most too high.
   */
  readonly lag: number;
}

/** Records that wait in memory for a live consumer. */
const BUFFER_RECORDS = 1024;
/** Milliseconds of handing out after which others get a turn of the event loop. */
const SLICE_MS = 5;

export class Tail {
  readonly #source: TailSource;
  readonly #options: TailOptions;
  /** Next position to hand out. */
  #cursor: number;
  #live = false;
  /** Whether `#batches` has everything that was committed since history's end. */
  #gathering = false;
  #batches: (readonly StoredRecord[])[] = [];
  /** Records in `#batches`. */
  #buffered = 0;
  /** Records of the batch that is being handed out. */
  #inHand = 0;
  /** Everything up to here is handed out or gathered. */
  #seen = 0;
  #ended: { readonly error: Error | undefined; readonly atOnce: boolean } | undefined;
  #history: AsyncGenerator<StoredRecord, void, undefined> | undefined;
  #wake: (() => void) | undefined;
  #release: (() => void) | undefined;
  #sliceEnds = 0;
  /** Told whenever {@link status} may have changed. */
  onStatus: (() => void) | undefined;
  /** Called in a tick in which everything that is committed was handed out, and taken in by the consumer. */
  onIdle: (() => void) | undefined;

  constructor(source: TailSource, options: TailOptions) {
    this.#source = source;
    this.#options = options;
    this.#cursor = options.from;
  }

  get status(): WatchStatus {
    return {
      state: this.#ended !== undefined && !this.reading ? 'ended' : this.#live ? 'live' : 'catching-up',
      position: this.#cursor - 1,
      lag: this.lag,
    };
  }

  /** Whether it has begun and may still hand something out. */
  get reading(): boolean {
    return this.#release !== undefined;
  }

  /** Records that are committed and were not handed out. */
  get lag(): number {
    if (this.#live) return this.#buffered + this.#inHand;
    return Math.max(0, this.#source.committedPosition() - this.#cursor + 1);
  }

  /** To be called once. What was gathered is still handed out if the store is closed or fails. */
  async *records(): AsyncGenerator<StoredRecord, void, undefined> {
    const { signal } = this.#options;
    if (signal?.aborted === true) return;
    this.#begin();
    try {
      this.#checkReaches();
      while (!this.#over()) {
        if (!this.#gathering) yield* this.#fromLog();
        else if (this.#buffered > 0) yield* this.#fromMemory();
        else await this.#idle();
      }
    } catch (error) {
      // Nobody waits for what goes wrong with a read after the end.
      if (this.#ended === undefined) throw error;
    } finally {
      this.#end(undefined, true);
      this.#letGo();
    }
    if (this.#ended?.error !== undefined) throw this.#ended.error;
  }

  /**
   * {@link records}, for a consumer that may leave while it waits for the next one. A generator by itself hears of that
   * only when there is one.
   */
  leavable(): AsyncGenerator<StoredRecord, void, undefined> {
    const records = this.records();
    const leave = records.return.bind(records);
    records.return = () => {
      this.#end(undefined, true);
      return leave();
    };
    return records;
  }

  #begin(): void {
    const { feed, holds } = this.#source;
    const { signal, name } = this.#options;
    const abort = (): void => this.#end(undefined, true);
    const hold = name === undefined ? undefined : holds.add((): Hold => ({ name, position: this.#cursor - 1 }));
    signal?.addEventListener('abort', abort, { once: true });
    this.#sliceEnds = performance.now() + SLICE_MS;
    let stop: (() => void) | undefined;
    this.#release = () => {
      stop?.();
      hold?.();
      signal?.removeEventListener('abort', abort);
    };
    stop = feed.watch({ next: (commit) => this.#take(commit), end: (error) => this.#end(error, false) });
  }

  /**
   * Throws if the log begins later. In the tick in which the hold was added: a truncation that did not know of it has
   * moved the log's beginning already, so what is there stays.
   */
  #checkReaches(): void {
    const first = this.#source.firstPosition();
    if (this.#cursor < first) throw truncated(this.#cursor, first);
  }

  #over(): boolean {
    if (this.#ended === undefined) return false;
    // The store has ended: what is here already is handed out, for the rest nobody is left to ask.
    return this.#ended.atOnce || !this.#live || this.#buffered === 0;
  }

  #aborted(): boolean {
    return this.#ended?.atOnce === true;
  }

  async *#fromLog(): AsyncGenerator<StoredRecord, void, undefined> {
    const { filter } = this.#options;
    const target = this.#source.committedPosition();
    this.#gathering = true;
    this.#seen = target;
    if (this.#cursor <= target) {
      const history = this.#source.read(this.#cursor, target);
      this.#history = history;
      try {
        for (;;) {
          const { done, value } = await history.next();
          if (this.#ended !== undefined) return;
          if (done === true) break;
          this.#cursor = value.position + 1;
          if (filter === undefined || filter(value)) yield value;
          if (this.#ended !== undefined) return;
          if (this.#sliceIsOver()) await this.#breathe();
        }
      } finally {
        this.#history = undefined;
        await history.return();
      }
      this.#cursor = target + 1;
    }
    this.#live = this.#gathering;
    this.onStatus?.();
  }

  async *#fromMemory(): AsyncGenerator<StoredRecord, void, undefined> {
    const { filter } = this.#options;
    while (this.#batches.length > 0) {
      const records = this.#batches.shift()!;
      this.#buffered -= records.length;
      this.#inHand = records.length;
      for (const record of records) {
        this.#inHand--;
        // Before `from`, which lay ahead when this began.
        if (record.position < this.#cursor) continue;
        this.#cursor = record.position + 1;
        if (filter === undefined || filter(record)) yield record;
        if (this.#aborted()) return;
        if (this.#sliceIsOver()) await this.#breathe();
      }
    }
  }

  async #idle(): Promise<void> {
    // Positions that are no records, behind the last one.
    this.#cursor = Math.max(this.#cursor, this.#seen + 1);
    this.onStatus?.();
    this.onIdle?.();
    // Either of them may have ended this, or appended something.
    if (this.#ended !== undefined || this.#buffered > 0 || !this.#gathering) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#sliceEnds = performance.now() + SLICE_MS;
  }

  #take({ position, records }: Commit): void {
    if (this.#gathering) {
      this.#seen = position;
      if (this.#buffered + records.length > BUFFER_RECORDS) {
        // Too slow: the log has it all.
        this.#batches = [];
        this.#buffered = 0;
        this.#gathering = false;
        this.#live = false;
        this.#wakeUp();
      } else if (records.length > 0) {
        this.#batches.push(records);
        this.#buffered += records.length;
        this.#wakeUp();
      } else if (this.#wake !== undefined) {
        this.#cursor = Math.max(this.#cursor, position + 1);
      }
    }
    this.onStatus?.();
  }

  /** `atOnce`: the consumer wants no more, not even what waits for it. */
  #end(error: Error | undefined, atOnce: boolean): void {
    if (this.#ended === undefined || (atOnce && !this.#ended.atOnce))
      this.#ended = { error: this.#ended?.error ?? error, atOnce };
    // The consumer may never ask again: files are closed and the log is let go without it.
    this.#history?.return().catch(() => undefined);
    if (atOnce || !this.#live) this.#letGo();
    this.#wakeUp();
  }

  #letGo(): void {
    const release = this.#release;
    if (release === undefined) return;
    this.#release = undefined;
    this.#gathering = false;
    this.#live = false;
    this.#batches = [];
    this.#buffered = 0;
    this.#inHand = 0;
    release();
    this.onStatus?.();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #sliceIsOver(): boolean {
    return performance.now() > this.#sliceEnds;
  }

  async #breathe(): Promise<void> {
    this.onStatus?.();
    await new Promise((resolve) => setImmediate(resolve));
    this.#sliceEnds = performance.now() + SLICE_MS;
  }
}

/** Somebody asked for positions that are gone. */
export function truncated(from: number, first: number): TruncatedError {
  return new TruncatedError(
    `Position ${from} has left the log: the oldest one that is left is ${first}. Begin with from: ${first}`,
    { entryId: first },
  );
}
