// A durable subscription: a handler that gets every record once it is committed, one at a time, across restarts. How far
// it has come is kept in the log itself, so it is recovered with everything else. At least once: the cursor is never
// ahead of what was handled, and a record whose handling was not noted before a crash is handled again.

import type { Observable } from 'rxjs';
import { CairnError, ClosedError, InvalidArgumentError, PoisonedError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { shown } from '../errors/shown.js';
import { checkOptions } from './arguments.js';
import type { StoreEntry } from './entry.js';
import { Feed } from './feed.js';
import { currentAndChanges, sameFields } from './observables.js';
import type { RecordFilter } from './record-filter.js';
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

/** What a handler is told besides the record. */
export interface HandleContext {
  /** Aborted once the subscription is being stopped or the store is being closed. */
  readonly signal: AbortSignal;
  /** From 1; more for a record that was tried before in this run. */
  readonly attempt: number;
}

export interface OnErrorOptions {
  /** How often to try again. Default 0. */
  readonly retry?: number | undefined;
  /** Milliseconds before the first retry, doubled for each further one. Default 100. */
  readonly delayMs?: number | undefined;
  /** Longest delay, in milliseconds. Default 30,000. */
  readonly maxDelayMs?: number | undefined;
  /** Default `stop`. */
  readonly then?: AfterRetries | undefined;
  /** Records that may be parked at a time; the next one that fails stops the subscription. Default 10,000. */
  readonly maxParked?: number | undefined;
}

export interface SubscriptionOptions {
  /**
   * Where a new subscription begins; one that is known goes on where it was, whatever is said here. `start`: position
   * 1, which has to be in the log still. Default `start`.
   */
  readonly from?: number | 'start' | 'now' | undefined;
  /** Handles a record; the next one waits for the promise. */
  readonly handle: (record: StoredRecord, context: HandleContext) => unknown;
  /** Records that are handled; the cursor goes on past the others. Default: all. */
  readonly filter?: RecordFilter | undefined;
  readonly onError?: OnErrorOptions | undefined;
  /**
   * Milliseconds that `stop` and `close` wait for a handler that is running. After that its record counts as not
   * handled, and comes again. Default 10,000.
   */
  readonly stopMs?: number | undefined;
}

/** A record that was set aside. */
export interface ParkedRecord {
  readonly position: number;
  /** What its handler failed with, the last time. */
  readonly error: string;
  /** How often it was tried. */
  readonly attempts: number;
}

export interface SubscriptionStatus {
  /**
   * `catching-up`: it reads the log. `live`: it gets records as they are committed. `retrying`: it waits before it tries
   * a record again. `stopped`: by `stop`, `unsubscribe` or `close`. `failed`: see `failure`.
   */
  readonly state: 'catching-up' | 'live' | 'retrying' | 'stopped' | 'failed';
  /** Everything up to here was handled, parked or skipped. */
  readonly position: number;
  /** Records that are committed and not handled; unless it is live, positions, a few of which are no records. */
  readonly lag: number;
  /** Records that are parked. */
  readonly parked: number;
}

/** A subscription ended because its handler failed; `entryId` is the position of the record. */
export class SubscriptionError extends CairnError {
  readonly code = 'CAIRN_SUBSCRIPTION';
}

export interface SubscriptionHost {
  readonly tails: TailSource;
  readonly after: After;
  /** Milliseconds since some moment, for pacing. */
  readonly elapsed: () => number;
  /** What is known of the subscription, as of the newest committed entry; `undefined` once it was given up. */
  state(): SubscriptionState | undefined;
  /** Appends an entry; resolves once it is acknowledged. */
  note(entry: StoreEntry): Promise<void>;
  report(error: unknown): void;
  /** The name is free again. */
  ended(): void;
}

const DEFAULT_STOP_MS = 10_000;
const DEFAULT_MAX_PARKED = 10_000;
/** The cursor is written when there is nothing left to handle, or after so many records, or so many milliseconds. */
const NOTE_RECORDS = 256;
const NOTE_MS = 200;

export class Subscription {
  readonly name: string;
  readonly #host: SubscriptionHost;
  readonly #options: SubscriptionOptions;
  readonly #wanted: ((record: StoredRecord) => boolean) | undefined;
  readonly #tail: Tail;
  readonly #abort = new AbortController();
  readonly #changed: Feed<undefined>;
  readonly #turns = new Turns();
  readonly #done: Promise<void>;
  #noted: number;
  #notedAt: number;
  #noting: Promise<void> | undefined;
  #handled: number;
  /** Whether a record is in the handler. */
  #handling = false;
  #retrying = false;
  #ended = false;
  /** Gives up waiting for the handler that runs now. */
  #abandon: (() => void) | undefined;
  /** Ends the delay before a retry. */
  #hurry: (() => void) | undefined;
  #failure: Error | undefined;

  /** `wanted`: the filter. `position`: the cursor. */
  constructor(
    name: string,
    host: SubscriptionHost,
    options: SubscriptionOptions,
    wanted: ((record: StoredRecord) => boolean) | undefined,
    position: number,
  ) {
    this.name = name;
    this.#host = host;
    this.#options = options;
    this.#wanted = wanted;
    this.#noted = position;
    this.#notedAt = host.elapsed();
    this.#handled = position;
    this.#changed = new Feed((error) => host.report(error));
    // The cursor holds the log already.
    this.#tail = new Tail(host.tails, { from: position + 1, signal: this.#abort.signal });
    this.#tail.onStatus = () => this.#changed.publish(undefined);
    this.#tail.onIdle = () => {
      if (this.#noteIsDue()) this.#note();
    };
    this.#done = this.#run();
    // Whoever is interested awaits `done`; nobody has to be.
    this.#done.catch(() => undefined);
  }

  /** Everything up to here was handled, parked or skipped. A crash may set it back to what was noted in the log. */
  get position(): number {
    return this.#handled;
  }

  /** Why it ended: `SubscriptionError`, or what the store failed with. `undefined` while it runs, and after `stop`. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Where it is now. */
  get status(): SubscriptionStatus {
    const { state } = this.#tail.status;
    return {
      state: this.#ended
        ? this.#failure === undefined
          ? 'stopped'
          : 'failed'
        : this.#retrying
          ? 'retrying'
          : state === 'live'
            ? 'live'
            : 'catching-up',
      position: this.#handled,
      lag: this.#ended
        ? Math.max(0, this.#host.tails.committedPosition() - this.#handled)
        : this.#tail.lag + (this.#handling ? 1 : 0),
      parked: this.#host.state()?.parked.size ?? 0,
    };
  }

  /**
   * Where it is: at once, and whenever that changes. Completes once it has ended.
   *
   * @example mailer.status$.subscribe(({ state, lag }) => gauge.set(lag, { state }));
   */
  get status$(): Observable<SubscriptionStatus> {
    return currentAndChanges(
      {
        value: () => this.status,
        same: sameFields,
        over: () => (this.#ended ? { error: undefined } : undefined),
      },
      [this.#changed],
      (error) => this.#host.report(error),
    );
  }

  /** Resolves once it has been stopped or the store was closed; rejects with {@link failure} if it failed. */
  get done(): Promise<void> {
    return this.#done;
  }

  /** Records that were set aside, oldest first. They hold the log until they are replayed or discarded. */
  parked(): ParkedRecord[] {
    return [...(this.#host.state()?.parked ?? [])]
      .map(([position, { error, attempts }]) => ({ position, error, attempts }))
      .sort((a, b) => a.position - b.position);
  }

  /**
   * Handles a parked record again, between two others, also after the subscription has ended. Resolves once it is
   * handled and noted; rejects with what the handler throws, and then it stays parked. Not to be awaited by the handler
   * itself, which would wait for its own end.
   *
   * @example for (const { position } of mailer.parked()) await mailer.replay(position);
   */
  async replay(position: number): Promise<void> {
    const turn = this.#turns.take();
    if (turn !== undefined) await turn;
    try {
      const parked = this.#parked(position);
      const attempt = parked.attempts + 1;
      const record = await this.#read(position);
      try {
        const { signal } = this.#ended ? new AbortController() : this.#abort;
        await this.#options.handle(record, { signal, attempt });
      } catch (cause) {
        await this.#host.note({
          kind: 'parked',
          subscription: this.name,
          position,
          // Half of a surrogate pair could not be stored.
          error: messageOf(cause).toWellFormed(),
          attempts: attempt,
        });
        throw cause;
      }
      await this.#host.note({ kind: 'unparked', subscription: this.name, position });
    } finally {
      this.#turns.give();
      this.#changed.publish(undefined);
    }
  }

  /** Gives a parked record up. Rejects with `InvalidArgumentError` if it is not parked. */
  async discard(position: number): Promise<void> {
    this.#parked(position);
    await this.#host.note({ kind: 'unparked', subscription: this.name, position });
    this.#changed.publish(undefined);
  }

  /**
   * Waits for the record that is being handled (`stopMs` at most), notes how far it has come, and ends. Start it again
   * with `store.subscription`. Not to be awaited by the handler itself.
   */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#hurry?.();
    const cancel = this.#host.after(this.#options.stopMs ?? DEFAULT_STOP_MS, () => this.#abandon?.());
    await this.#done.catch(() => undefined);
    cancel();
  }

  async #run(): Promise<void> {
    try {
      for await (const record of this.#tail.records()) {
        const turn = this.#turns.take();
        if (turn !== undefined) await turn;
        this.#handling = true;
        let goesOn: boolean;
        try {
          goesOn = !this.#abort.signal.aborted && (await this.#handle(record));
        } finally {
          this.#handling = false;
          this.#turns.give();
        }
        if (!goesOn) break;
        this.#handled = record.position;
        if (this.#noteIsDue()) this.#note();
        this.#changed.publish(undefined);
      }
    } catch (error) {
      // The store has failed, or the log cannot be read.
      this.#failure = error as Error;
    }
    // What came before the failure is not to be handled again.
    for (let tries = 0; tries < 2 && this.#handled > this.#noted; tries++) {
      this.#note();
      await this.#noting;
    }
    this.#ended = true;
    this.#host.ended();
    this.#changed.publish(undefined);
    this.#changed.end(undefined);
    if (this.#failure === undefined) return;
    if (!(this.#failure instanceof PoisonedError)) this.#host.report(this.#failure);
    throw this.#failure;
  }

  #noteIsDue(): boolean {
    const behind = this.#handled - this.#noted;
    return (
      behind > 0 && (behind >= NOTE_RECORDS || this.#tail.lag === 0 || this.#host.elapsed() - this.#notedAt >= NOTE_MS)
    );
  }

  /** Notes the cursor, unless that is being done: then afterwards, if it is due again. Nobody waits for it. */
  #note(): void {
    if (this.#noting !== undefined) return;
    const position = this.#handled;
    this.#notedAt = this.#host.elapsed();
    this.#noting = this.#host
      .note({ kind: 'cursor', subscription: this.name, position })
      .then(
        () => {
          this.#noted = Math.max(this.#noted, position);
        },
        // The store takes no more; what follows from that comes by way of the tail.
        () => undefined,
      )
      .then(() => {
        this.#noting = undefined;
        if (this.#noted >= position && this.#noteIsDue()) this.#note();
      });
  }

  /** Whether the subscription goes on after this record. */
  async #handle(record: StoredRecord): Promise<boolean> {
    const { retry = 0, then = 'stop', maxParked = DEFAULT_MAX_PARKED } = this.#options.onError ?? {};
    const { signal } = this.#abort;
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#wanted !== undefined && !this.#wanted(record)) return true;
        const result = this.#options.handle(record, { signal, attempt });
        return isPromise(result) ? await this.#unlessAbandoned(result) : true;
      } catch (cause) {
        // Most likely it failed because it was told to stop; the record comes again.
        if (signal.aborted) return false;
        if (attempt <= retry) {
          await this.#pause(attempt);
          if (signal.aborted) return false;
          continue;
        }
        if (then === 'skip') return true;
        const { name } = this;
        const error = messageOf(cause).toWellFormed();
        const parked = this.#host.state()?.parked;
        if (then === 'park' && parked !== undefined && (parked.size < maxParked || parked.has(record.position))) {
          await this.#host.note({
            kind: 'parked',
            subscription: name,
            position: record.position,
            error,
            attempts: attempt,
          });
          // Parking moved the cursor as well.
          this.#noted = record.position;
          return true;
        }
        const full = then === 'park' && parked !== undefined ? `, and ${parked.size} records are parked already` : '';
        this.#failure = new SubscriptionError(
          `The subscription '${name}' stopped at position ${record.position}: its handler failed with: ${error}${full}. ` +
            `Mend what failed and start it again with store.subscription('${name}', ...): it goes on with that record`,
          { entryId: record.position, cause },
        );
        return false;
      }
    }
  }

  /** What the handler comes to; false if nobody waits for it any more. */
  #unlessAbandoned(result: PromiseLike<unknown>): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      this.#abandon = () => resolve(false);
      result.then(() => resolve(true), reject);
    }).finally(() => {
      this.#abandon = undefined;
    });
  }

  async #pause(attempt: number): Promise<void> {
    const { delayMs = 100, maxDelayMs = 30_000 } = this.#options.onError ?? {};
    if (this.#abort.signal.aborted) return;
    this.#retrying = true;
    this.#changed.publish(undefined);
    await new Promise<void>((resolve) => {
      const cancel = this.#host.after(Math.min(delayMs * 2 ** (attempt - 1), maxDelayMs), resolve);
      this.#hurry = () => {
        cancel();
        resolve();
      };
    });
    this.#hurry = undefined;
    this.#retrying = false;
    this.#changed.publish(undefined);
  }

  #parked(position: number): { readonly attempts: number } {
    const parked = this.#host.state()?.parked.get(position);
    if (parked !== undefined) return parked;
    throw new InvalidArgumentError(`Position ${position} is not parked in the subscription '${this.name}'`);
  }

  async #read(position: number): Promise<StoredRecord> {
    for await (const record of this.#host.tails.read(position, position)) return record;
    throw new ClosedError(`Position ${position} cannot be read any more`);
  }
}

/** Lets one thing happen at a time, in the order in which it was asked for. */
class Turns {
  #busy = false;
  readonly #waiting: (() => void)[] = [];

  /** `undefined`: it is the caller's turn already. Give it back when done. */
  take(): Promise<void> | undefined {
    if (this.#busy) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#busy = true;
    return undefined;
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy = false;
    else next();
  }
}

/** Throws {@link InvalidArgumentError} for options that cannot be used. */
export function checkSubscriptionOptions(options: SubscriptionOptions): void {
  checkOptions('subscription', options);
  const { handle, onError = {}, stopMs = 0 } = options;
  if (typeof handle !== 'function') throw new InvalidArgumentError('A subscription needs a function to handle records');
  checkOptions('onError', onError);
  const { retry = 0, delayMs = 0, maxDelayMs = 0, maxParked = 1, then = 'stop' } = onError;
  for (const [name, value] of Object.entries({ retry, delayMs, maxDelayMs, maxParked, stopMs }))
    if (typeof value !== 'number' || Number.isNaN(value) || value < 0)
      throw new InvalidArgumentError(`${name} must be a number from 0, got ${shown(value)}`);
  if (!['park', 'stop', 'skip'].includes(then))
    throw new InvalidArgumentError(`onError.then must be 'park', 'stop' or 'skip', got ${shown(then)}`);
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
