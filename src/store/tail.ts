// History, then live: records from a position on, first from the log, then as they are committed, each once and in
// order. Pulled, so that memory stays bounded: a consumer that falls behind its buffer reads from the log again.

import type { Feed } from './feed.js';
import type { Hold, Holds } from './holds.js';
import type { StoredRecord } from './record.js';

export interface TailSource {
  readonly feed: Feed<StoredRecord>;
  readonly holds: Holds;
  /** Everything up to here is committed. */
  committedPosition(): number;
  /** Committed records of the log, both ends included. */
  read(from: number, upTo: number): AsyncIterable<StoredRecord>;
}

export interface TailOptions {
  readonly from: number;
  readonly filter?: ((record: StoredRecord) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For whoever asks what holds the log. */
  readonly name: string;
}

/** Where a tail is. */
export interface TailStatus {
  readonly state: 'catching-up' | 'live' | 'ended';
  /** Everything before this position was handed out. */
  readonly position: number;
  /** Committed positions that were not. */
  readonly lag: number;
}

const BUFFER_RECORDS = 1024;

export class Tail {
  readonly #source: TailSource;
  readonly #options: TailOptions;
  /** Next position to hand out. */
  #cursor: number;
  #live = false;
  #buffer: StoredRecord[] = [];
  #ended: { readonly error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;
  /** Told whenever {@link status} may have changed. */
  onStatus: ((status: TailStatus) => void) | undefined;

  constructor(source: TailSource, options: TailOptions) {
    this.#source = source;
    this.#options = options;
    this.#cursor = options.from;
  }

  get status(): TailStatus {
    return {
      state: this.#ended !== undefined ? 'ended' : this.#live ? 'live' : 'catching-up',
      position: this.#cursor - 1,
      lag: Math.max(0, this.#source.committedPosition() - this.#cursor + 1),
    };
  }

  async *records(): AsyncGenerator<StoredRecord, void, undefined> {
    const { feed, holds } = this.#source;
    const { signal, filter } = this.#options;
    const release = holds.add((): Hold => ({ name: this.#options.name, position: this.#cursor - 1 }));
    const abort = (): void => this.#end(undefined);
    const stop = feed.watch({ next: (records) => this.#take(records), end: (error) => this.#end(error) });
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      for (;;) {
        if (!this.#live) {
          const target = this.#source.committedPosition();
          for await (const record of this.#source.read(this.#cursor, target)) {
            if (this.#ended !== undefined) break;
            this.#cursor = record.position + 1;
            if (filter === undefined || filter(record)) yield record;
          }
          if (this.#ended === undefined) this.#cursor = Math.max(this.#cursor, target + 1);
          // Nothing is awaited between this look and going live, so nothing is committed unseen in between.
          this.#live = this.#source.committedPosition() < this.#cursor;
          this.onStatus?.(this.status);
        }
        while (this.#live && this.#buffer.length > 0) {
          const buffer = this.#buffer;
          this.#buffer = [];
          for (const record of buffer) {
            // Published late, by a queue that was behind when we went live: handed out from the log already.
            if (record.position < this.#cursor) continue;
            this.#cursor = record.position + 1;
            if (filter === undefined || filter(record)) yield record;
            // Fell behind while the consumer was busy: the rest comes from the log.
            if (!this.#live) break;
          }
          this.onStatus?.(this.status);
        }
        if (!this.#live && this.#ended === undefined) continue;
        if (this.#ended !== undefined) {
          if (this.#ended.error !== undefined) throw this.#ended.error;
          return;
        }
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      stop();
      release();
      signal?.removeEventListener('abort', abort);
      this.#end(undefined);
    }
  }

  #take(records: readonly StoredRecord[]): void {
    if (!this.#live) return;
    if (this.#buffer.length + records.length > BUFFER_RECORDS) {
      this.#buffer = [];
      this.#live = false;
    } else {
      this.#buffer.push(...records);
    }
    this.#wakeUp();
  }

  #end(error: Error | undefined): void {
    this.#ended ??= { error };
    this.#wakeUp();
    this.onStatus?.(this.status);
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
