// A durable subscription: a handler that gets every record once it is committed, one at a time, across restarts. How far
// it has come is kept in the log itself, so it is recovered with everything else. At least once: a record whose handling
// was not noted before a crash is handled again.

import { CairnError, InvalidArgumentError } from '../errors/index.js';
import type { StoreEntry } from './entry.js';
import type { StoredRecord } from './record.js';
import type { SubscriptionState } from './store-state.js';
import { Tail, type TailSource } from './tail.js';
import type { After } from './timers.js';

/** What becomes of a record whose handler keeps failing. */
export type AfterRetries =
  /** Set aside, listed by `parked`, and the subscription goes on. */
  | 'park'
  /** The subscription ends with the error; started again, it begins with that record. */
  | 'stop'
  /** Forgotten, and the subscription goes on. */
  | 'skip';

export interface SubscriptionOptions {
  /** Where a new subscription begins; one that is known goes on where it was. Default `start`. */
  readonly from?: number | 'start' | 'now';
  /** Handles a record; the next one waits for the promise. */
  readonly handle: (record: StoredRecord) => unknown;
  readonly filter?: (record: StoredRecord) => boolean;
  readonly onError?: {
    /** How often to try again. Default 0. */
    readonly retry?: number;
    /** Milliseconds before the first retry, doubled for each further one. Default 100. */
    readonly delayMs?: number;
    /** Default `stop`. */
    readonly then?: AfterRetries;
  };
}

/** A record that was set aside. */
export interface ParkedRecord {
  readonly position: number;
  /** What its handler failed with. */
  readonly error: string;
}

/** A subscription ended because its handler failed. */
export class SubscriptionError extends CairnError {
  readonly code = 'CAIRN_SUBSCRIPTION';
}

export interface SubscriptionHost {
  readonly tails: TailSource;
  /** What is known of the subscription, as of the newest committed entry. */
  state(): SubscriptionState;
  /** Appends an entry; resolves once it is acknowledged. */
  note(entry: StoreEntry): Promise<void>;
  readonly after: After;
}

/** Records that are handled between two notes of how far it has come, while it is catching up. */
const NOTE_EVERY = 256;

export class Subscription {
  readonly name: string;
  readonly #host: SubscriptionHost;
  readonly #options: SubscriptionOptions;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #noted: number;
  #handled: number;
  #failure: SubscriptionError | undefined;

  constructor(name: string, host: SubscriptionHost, options: SubscriptionOptions, position: number) {
    this.name = name;
    this.#host = host;
    this.#options = options;
    this.#noted = position;
    this.#handled = position;
    this.#done = this.#run();
    // Whoever is interested awaits `done`; nobody has to be.
    this.#done.catch(() => undefined);
  }

  /** Everything up to here was handled, parked or skipped. */
  get position(): number {
    return this.#handled;
  }

  /** Why it ended; `undefined` while it runs, and after `stop`. */
  get failure(): SubscriptionError | undefined {
    return this.#failure;
  }

  /** Resolves once it has been stopped or the store was closed; rejects with `SubscriptionError` if it failed. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Records that were set aside, oldest first. */
  parked(): ParkedRecord[] {
    return [...this.#host.state().parked]
      .map(([position, error]) => ({ position, error }))
      .sort((a, b) => a.position - b.position);
  }

  /** Handles a parked record again. Resolves once it is handled and noted; rejects with what the handler throws. */
  async replay(position: number): Promise<void> {
    if (!this.#host.state().parked.has(position))
      throw new InvalidArgumentError(`Position ${position} is not parked in the subscription '${this.name}'`);
    for await (const record of this.#host.tails.read(position, position)) await this.#options.handle(record);
    await this.#host.note({ kind: 'unparked', subscription: this.name, position });
  }

  /** Gives a parked record up. */
  discard(position: number): Promise<void> {
    return this.#host.note({ kind: 'unparked', subscription: this.name, position });
  }

  /** Waits for the record that is being handled, notes how far it has come, and ends. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { filter } = this.#options;
    const tail = new Tail(this.#host.tails, {
      from: this.#handled + 1,
      filter,
      signal: this.#abort.signal,
      name: `subscription '${this.name}'`,
    });
    try {
      for await (const record of tail.records()) {
        if (!(await this.#handle(record))) break;
        this.#handled = record.position;
        const caughtUp = tail.status.lag === 0;
        if (caughtUp || this.#handled - this.#noted >= NOTE_EVERY) await this.#note();
        if (this.#abort.signal.aborted) break;
      }
    } finally {
      await this.#note().catch(() => undefined);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #note(): Promise<void> {
    if (this.#handled <= this.#noted) return;
    const position = this.#handled;
    await this.#host.note({ kind: 'cursor', subscription: this.name, position });
    this.#noted = position;
  }

  /** Whether the subscription goes on after this record. */
  async #handle(record: StoredRecord): Promise<boolean> {
    const { retry = 0, delayMs = 100, then = 'stop' } = this.#options.onError ?? {};
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#options.handle(record);
        return true;
      } catch (cause) {
        if (attempt < retry && !this.#abort.signal.aborted) {
          await pause(this.#host.after, delayMs * 2 ** attempt, this.#abort.signal);
          continue;
        }
        const error = cause instanceof Error ? cause.message : String(cause);
        if (then === 'skip') return true;
        if (then === 'park') {
          await this.#host.note({ kind: 'parked', subscription: this.name, position: record.position, error });
          return true;
        }
        this.#failure = new SubscriptionError(
          `The subscription '${this.name}' stopped: its handler failed with: ${error}. Mend it and start it again`,
          { entryId: record.position, cause },
        );
        return false;
      }
    }
  }
}

function pause(after: After, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = after(milliseconds, resolve);
    signal.addEventListener(
      'abort',
      () => {
        cancel();
        resolve();
      },
      { once: true },
    );
  });
}
