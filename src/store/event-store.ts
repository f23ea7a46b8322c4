// The store that programs use: commands and appends go in; committed states and records come out. Everything is decided
// in the tick of the call, on pending state, and shown to others only once it is acknowledged.

import {
  beginSession,
  endSession,
  type AggregateDefinition,
  type AggregateRoot,
  type DefinedAggregate,
  type Emitted,
  type Event,
} from '../aggregate/index.js';
import { copyPlainData } from '../codec/index.js';
import { ClosedError, InvalidArgumentError } from '../errors/index.js';
import { AppendPipeline } from './append-pipeline.js';
import { stageAppend, type StagedEntry, type StreamEvents } from './appender.js';
import { boot, type Booted, type StoreRecovery } from './boot.js';
import type { Observable } from 'rxjs';
import type { Cell, Snapshot } from './cells.js';
import {
  Checkpointer,
  type CheckpointPolicy,
  type CheckpointResult,
  type CheckpointStatus,
  type TruncationReport,
} from './checkpointer.js';
import { encodeState, madeBy } from './checkpoint-items.js';
import { deferred } from './deferred.js';
import { checkDurability, type Durability } from './durability.js';
import type { Receipt, StoreEntry } from './entry.js';
import type { Engine } from './event-log.js';
import { ANY, checkVersion, ConcurrencyError, type ExpectedVersion } from './expected-version.js';
import { Feed } from './feed.js';
import { Holds } from './holds.js';
import { GuardedObservable } from './guarded-observable.js';
import { Projection } from './live-projection.js';
import { OpenReaders } from './open-readers.js';
import { catchUp, liveRecords, type CatchUp } from './observables.js';
import type { ProjectionDefinition } from './projection.js';
import { readRecords } from './read-records.js';
import type { Metadata, StoredRecord } from './record.js';
import type { StoreState } from './store-state.js';
import { Subscription, type SubscriptionHost, type SubscriptionOptions } from './subscription.js';
import { Tail, type TailSource } from './tail.js';
import { stateAtVersion } from './time-travel.js';
import type { After } from './timers.js';
import { streamOf, type AggregateTypes } from './types.js';

type AnyRoot = AggregateRoot<object, Event>;
/** What `defineAggregate` returned, whatever its types. */
type AnyDefined = Pick<DefinedAggregate<object, Event, object>, 'definition' | 'make'>;

/** State type of an aggregate, deeply read-only: `StateOf<typeof Account>`. */
export type StateOf<T> = InstanceOf<T> extends { readonly state: infer S } ? S : unknown;

/** What commands of an aggregate are called on: `InstanceOf<typeof Account>` is `Account`. */
export type InstanceOf<T> = T extends new () => infer A ? A : T extends { readonly make: () => infer A } ? A : never;

/** Anything that {@link EventStore.execute} takes. */
export type Target = (new () => AnyRoot) | AnyDefined;

export interface ExecuteOptions {
  /** Version the stream must be at; without it, whatever it is. */
  readonly expectedVersion?: ExpectedVersion;
  /** Executing the same id on the same aggregate again returns the first answer and appends nothing. */
  readonly commandId?: string;
  readonly metadata?: Metadata;
  /** What the acknowledgement means. Default: the store's. */
  readonly durability?: Durability;
  /** How often to decide anew if the aggregate changed while the command ran. Default 3; 0 with `expectedVersion`. */
  readonly retry?: number;
}

export interface Executed<R> {
  /** Version of the stream after the command. */
  readonly version: number;
  /** Position of the command's last record; of the last one before it if it decided on nothing. */
  readonly position: number;
  /** What the command returned. */
  readonly result: R;
}

export interface StreamAppend {
  /** `name-id`. */
  readonly stream: string;
  /** Default {@link ANY}. */
  readonly expectedVersion?: ExpectedVersion;
  readonly events: readonly Event[];
}

export interface AppendOptions {
  /** Streams that are not written, but must be at these versions. */
  readonly checks?: readonly { readonly stream: string; readonly expectedVersion: ExpectedVersion }[];
  readonly metadata?: Metadata;
  readonly durability?: Durability;
}

export interface Appended {
  readonly firstPosition: number;
  readonly lastPosition: number;
  /** Version of each stream after the append. */
  readonly versions: ReadonlyMap<string, number>;
}

export interface WatchOptions {
  /** `start`: the first record that the log holds. `now`: only what comes. Default `now`. */
  readonly from?: number | 'start' | 'now';
  readonly filter?: (record: StoredRecord) => boolean;
}

/** One aggregate after a record. */
export interface Changed<S> extends Loaded<S> {
  readonly record: StoredRecord;
}

/** One aggregate as of a version. */
export interface Loaded<S> {
  readonly id: string;
  /** 0 if there is no such aggregate; then the state is the initial one. */
  readonly version: number;
  readonly state: S;
}

export interface EventStoreParts {
  readonly engine: Engine;
  readonly types: AggregateTypes;
  readonly booted: Booted;
  /** Makes an empty state, for looking at the past. */
  readonly makeState: () => StoreState;
  readonly durability: Durability;
  readonly checkpoint: CheckpointPolicy;
  readonly highWaterMarkBytes: number;
  readonly now: () => number;
  readonly after: After;
  readonly elapsed: () => number;
  readonly onCheckpointFailure: (error: Error) => void;
  readonly onSubscriberError: (error: unknown) => void;
}

const DEFAULT_RETRY = 3;

export class EventStore {
  readonly #parts: EventStoreParts;
  readonly #state: StoreState;
  readonly #pipeline: AppendPipeline;
  readonly #feed: Feed<StoredRecord>;
  readonly #changes: Feed<Change>;
  readonly #commits: Feed<number>;
  readonly #projections = new Map<string, Projection>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #holds = new Holds();
  readonly #readers = new OpenReaders();
  readonly #checkpointer: Checkpointer;
  readonly #tails: TailSource;
  /** Commands with an id that are not acknowledged yet, by stream and id. */
  readonly #answering = new Map<string, Promise<Executed<unknown>>>();
  #closing: Promise<void> | undefined;

  /** Use `openStore`. */
  constructor(parts: EventStoreParts) {
    const { booted } = parts;
    const engine = this.#readers.of(parts.engine);
    this.#parts = { ...parts, engine };
    this.#state = booted.state;
    this.#feed = new Feed(parts.onSubscriberError);
    this.#changes = new Feed(parts.onSubscriberError);
    this.#commits = new Feed(parts.onSubscriberError);
    for (const [name, fold] of booted.state.projections) {
      this.#projections.set(name, new Projection(fold, this.#commits, parts.onSubscriberError));
      // It can be tried again from there, once its handler is mended.
      this.#holds.add(() =>
        fold.failure === undefined
          ? undefined
          : { name: `projection '${name}', which failed`, position: fold.position },
      );
    }
    for (const name of booted.state.subscriptions.keys()) this.#holdFor(name);
    this.#pipeline = new AppendPipeline(
      {
        log: engine.log,
        highWaterMarkBytes: parts.highWaterMarkBytes,
        onFailure: (error) => this.#endFeeds(error),
      },
      engine.log.openedAt,
    );
    const { recovery, since, damaged, chain, base } = booted;
    const made = madeBy(this.#state);
    this.#checkpointer = new Checkpointer(
      {
        engine,
        policy: parts.checkpoint,
        holds: this.#holds,
        elapsed: parts.elapsed,
        after: parts.after,
        state: () => ({
          position: this.#pipeline.committedPosition,
          streams: this.#state.cells.size,
          changed: this.#state.cells.changed,
          made,
        }),
        cut: (base) => encodeState(this.#state, this.#pipeline.committedPosition, base),
        isBusy: () => this.#pipeline.isBusy,
        sync: () => this.#pipeline.stage([], engine.log.strongest, { commit: () => undefined }).settled,
        mark: async (name, position) => {
          const mark = { type: 'Checkpoint', checkpointPath: name, lastEntryId: position } as const;
          await this.#pipeline.stage([{ kind: 'wal', entry: mark }], engine.log.strongest, { commit: () => undefined })
            .settled;
        },
        onFailure: parts.onCheckpointFailure,
      },
      {
        chain,
        base,
        ...since,
        isStale:
          recovery.rebuilt.length + recovery.migrated.length + recovery.warnings.length > 0 || damaged.length > 0,
        damaged,
        replayed: { entries: recovery.entriesReplayed, milliseconds: recovery.phases.replay },
      },
    );
    this.#tails = {
      feed: this.#feed,
      holds: this.#holds,
      committedPosition: () => this.position,
      read: (from, upTo) => this.#readUntilClosed(from, upTo),
    };
  }

  /** What opening did. */
  get recovery(): StoreRecovery {
    return this.#parts.booted.recovery;
  }

  /** Everything up to here is committed. */
  get position(): number {
    return this.#pipeline.committedPosition;
  }

  /** How checkpoints are doing: how far the newest reaches, what has come since, whether the last attempt failed. */
  get checkpointStatus(): CheckpointStatus {
    return this.#checkpointer.status;
  }

  /**
   * Runs a command on an aggregate: `decide` gets it in its newest state and calls one of its commands; the events are
   * appended, and the promise resolves once they are acknowledged. Executions on one aggregate follow one another.
   *
   * Rejects with what `decide` throws, `ConcurrencyError`, `EncodeError`, `ReducerError`: then nothing was appended and
   * the state is as before. Rejects with `PoisonedError` when the disk fails: then the outcome is unknown.
   *
   * @example
   * const { version, result } = await store.execute(Account, 'a-1', (account) => account.withdraw(10));
   */
  execute<T extends Target, R>(
    target: T,
    id: string,
    decide: (aggregate: InstanceOf<T>) => R,
    options: ExecuteOptions = {},
  ): Promise<Executed<R>> {
    // Not an async function: what happens once per command should not take three promises.
    try {
      const command = this.#command(target, id, decide, options);
      if (!this.#pipeline.full) return this.#execute(command);
      return this.#pipeline
        .room()
        .then(() => this.#execute(command))
        .catch((error: unknown) => this.#refuse(error));
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /**
   * Appends events to one or more streams, all or nothing, and resolves once they are acknowledged. Streams of known
   * aggregates are reduced, so an event without a reducer, or one whose reducer throws, is refused.
   *
   * Rejects with `ConcurrencyError`, `EncodeError`, `ReducerError`: then nothing was appended.
   *
   * @example
   * await store.append([
   *   { stream: 'account-a', expectedVersion: 3, events: [{ type: 'MoneyWithdrawn', data: { amount: 10 } }] },
   *   { stream: 'account-b', expectedVersion: NO_STREAM, events: [{ type: 'AccountOpened', data: { owner: 'Ada' } }] },
   * ]);
   */
  async append(streams: readonly StreamAppend[], options: AppendOptions = {}): Promise<Appended> {
    this.#checkOpen();
    const durability = this.#durability(options.durability);
    const metadata = options.metadata === undefined ? undefined : copyPlainData(options.metadata);
    // Copied now, whenever there is room for them.
    const copies = streams.map(({ stream, expectedVersion = ANY, events }) => ({
      stream: checkedStream(stream),
      expectedVersion,
      events: events.map(copyEvent),
    }));
    const checks = (options.checks ?? []).map(({ stream, expectedVersion }) => ({ stream, expectedVersion }));
    if (this.#pipeline.full) await this.#pipeline.room();
    this.#pipeline.checkOpen();
    try {
      for (const { stream, expectedVersion } of [...copies, ...checks])
        checkVersion(stream, expectedVersion, this.#state.cells.of(stream).pending.version);
    } catch (error) {
      return this.#refuse(error);
    }
    const cells = new Map<string, Cell>();
    const parts: StreamEvents[] = [];
    for (const { stream, events } of copies) {
      const cell = cells.get(stream) ?? this.#state.cells.of(stream);
      cells.set(stream, cell);
      parts.push({ cell, events });
    }
    if (!parts.some(({ events }) => events.length > 0))
      throw new InvalidArgumentError('There is nothing to append: give at least one event');
    const { promise, resolve, reject } = deferred();
    const firstPosition = stageAppend(
      this.#pipeline,
      this.#state.cells,
      parts,
      { durability, metadata, recordedAt: this.#parts.now(), receipt: undefined },
      { commit: (entries, position, bytes) => this.#commit(entries, position, bytes), resolve, reject },
    );
    const lastPosition = firstPosition + parts.reduce((sum, { events }) => sum + events.length, 0) - 1;
    const versions = new Map([...cells].map(([stream, cell]) => [stream, cell.pending.version]));
    await promise;
    return { firstPosition, lastPosition, versions };
  }

  /**
   * One aggregate as everybody may see it: as of the last acknowledged record, or as of an earlier version.
   * Rejects with `TruncatedError` if the records of that version have left the log.
   *
   * @example const { state, version } = await store.load(Account, 'a-1');
   */
  async load<T extends Target>(
    target: T,
    id: string,
    options: { readonly version?: number } = {},
  ): Promise<Loaded<StateOf<T>>> {
    this.#checkReadable();
    const definition = this.#parts.types.of(target);
    const stream = streamOf(definition.name, id);
    const { committed } = this.#state.cells.of(stream);
    const { version = committed.version } = options;
    if (!Number.isSafeInteger(version) || version < 0)
      throw new InvalidArgumentError(`version must be a whole number from 0, got ${String(version)}`);
    if (version > committed.version)
      throw new InvalidArgumentError(`'${stream}' is at version ${committed.version}, there is no ${version} yet`);
    if (version === committed.version) return loaded(id, committed.version, committed.state);
    if (version === 0) return loaded(id, 0, definition.initial);
    return loaded(id, version, await this.#past(definition, stream, version));
  }

  /**
   * All aggregates as of one position: a consistent look at the past. Rejects with `RecoveryError` if the log no longer
   * reaches back to it.
   *
   * @example const past = await store.at(1000); past.load(Account, 'a-1').state;
   */
  async at(position: number): Promise<StoreView> {
    this.#checkReadable();
    if (!Number.isSafeInteger(position) || position < 0 || position > this.position)
      throw new InvalidArgumentError(`position must be from 0 to ${this.position}, got ${String(position)}`);
    const release = this.#holds.add(() => ({ name: 'a look at the past', position: 0 }));
    try {
      const { state } = await boot(this.#parts.engine, this.#parts.makeState, { upTo: position });
      return new StoreView(this.#parts.types, state, position);
    } finally {
      release();
    }
  }

  /**
   * Records of one stream in order, committed ones only. The whole log from the stream's place on is read.
   *
   * @example for await (const record of store.readStream('account-a-1')) console.log(record.version, record.type);
   */
  readStream(
    stream: string,
    options: { readonly fromVersion?: number } = {},
  ): AsyncGenerator<StoredRecord, void, undefined> {
    const { fromVersion = 1 } = options;
    return this.readAll({ filter: (record) => record.stream === stream && record.version >= fromVersion });
  }

  /**
   * Records of all streams in order, as far as they are committed when it begins. `from` defaults to the first record
   * that the log still holds.
   *
   * @example for await (const record of store.readAll({ types: ['MoneyDeposited'] })) total += record.data.amount;
   */
  async *readAll(
    options: {
      readonly from?: number;
      readonly upTo?: number;
      readonly types?: readonly string[];
      readonly filter?: (record: StoredRecord) => boolean;
    } = {},
  ): AsyncGenerator<StoredRecord, void, undefined> {
    this.#checkReadable();
    const { log } = this.#parts.engine;
    const { from = log.firstPosition, filter, types } = options;
    const upTo = Math.min(options.upTo ?? this.position, this.position);
    const wanted = types === undefined ? undefined : new Set(types);
    let next = from;
    const release = this.#holds.add(() => ({ name: 'a reader', position: next - 1 }));
    try {
      for await (const record of readRecords(log, this.#parts.types, from, upTo)) {
        next = record.position;
        if ((wanted === undefined || wanted.has(record.type)) && (filter === undefined || filter(record))) yield record;
      }
    } finally {
      release();
    }
  }

  /**
   * Records from a position on: history first, then live, each once and in order, until the loop is left, `signal`
   * aborts, or the store is closed. Pulled: while the consumer is busy nothing piles up.
   *
   * @example for await (const record of store.tail({ from: 'start' })) await index(record);
   */
  tail(options: WatchOptions & { readonly signal?: AbortSignal } = {}): AsyncGenerator<StoredRecord, void, undefined> {
    this.#checkReadable();
    const { filter, signal } = options;
    return new Tail(this.#tails, { from: this.#from(options.from), filter, signal, name: 'a tail' }).records();
  }

  /** Records from now on, as they are committed, in order of positions. Completes when the store is closed. */
  get records$(): Observable<StoredRecord> {
    return liveRecords(this.#feed, this.#parts.onSubscriberError);
  }

  /**
   * Records from a position on, history first and then live, each once and in order.
   *
   * @example store.subscribe({ from: 'start' }).records$.pipe(filter(isPayment)).subscribe(show);
   */
  subscribe(options: WatchOptions = {}): CatchUp {
    this.#checkReadable();
    const { filter } = options;
    return catchUp(
      this.#tails,
      { from: this.#from(options.from), filter, name: 'subscribe()' },
      this.#parts.onSubscriberError,
    );
  }

  /**
   * The state of one aggregate, or of all of a type, after each of its records from now on.
   *
   * @example store.changes(Account, 'a-1').subscribe(({ state, version }) => render(state, version));
   */
  changes<T extends Target>(target: T, id?: string): Observable<Changed<StateOf<T>>> {
    this.#checkReadable();
    const definition = this.#parts.types.of(target);
    const stream = id === undefined ? undefined : streamOf(definition.name, id);
    return new GuardedObservable<Changed<StateOf<T>>>((subscriber) => {
      const stop = this.#changes.watch({
        next: (changes) => {
          for (const { cell, snapshot, record } of changes) {
            if (cell.definition !== definition || (stream !== undefined && cell.stream !== stream)) continue;
            subscriber.next({ ...loaded<StateOf<T>>(cell.id, snapshot.version, snapshot.state), record });
          }
        },
        end: (error) => (error === undefined ? subscriber.complete() : subscriber.error(error)),
      });
      return stop;
    }, this.#parts.onSubscriberError);
  }

  /**
   * Starts a durable subscription: `handle` gets every record once it is committed, one at a time, across restarts, at
   * least once. Its cursor is kept in the log and holds truncation back until {@link unsubscribe}.
   *
   * @example
   * const mailer = await store.subscription('mailer', {
   *   from: 'start',
   *   handle: async (record) => { if (record.type === 'OrderPlaced') await sendMail(record.data); },
   *   onError: { retry: 3, then: 'park' },
   * });
   */
  async subscription(name: string, options: SubscriptionOptions): Promise<Subscription> {
    this.#checkOpen();
    if (typeof name !== 'string' || name === '') throw new InvalidArgumentError('A subscription needs a name');
    if (this.#subscriptions.has(name))
      throw new InvalidArgumentError(`The subscription '${name}' runs already in this store; stop that one first`);
    const host: SubscriptionHost = {
      tails: this.#tails,
      state: () => this.#state.subscription(name),
      note: (entry) => this.#note(entry),
      after: this.#parts.after,
    };
    let position = this.#state.subscriptions.get(name)?.position;
    if (position === undefined) {
      position = this.#from(options.from ?? 'start') - 1;
      // Known from the start, so that the log it has to read stays.
      await this.#note({ kind: 'cursor', subscription: name, position });
      this.#holdFor(name);
    }
    const subscription = new Subscription(name, host, options, position);
    this.#subscriptions.set(name, subscription);
    void subscription.done.catch(() => undefined).then(() => this.#subscriptions.delete(name));
    return subscription;
  }

  /** Ends a durable subscription for good: its cursor and parked records are forgotten, and it holds nothing any more. */
  async unsubscribe(name: string): Promise<void> {
    this.#checkOpen();
    await this.#subscriptions.get(name)?.stop();
    if (this.#state.subscriptions.has(name)) await this.#note({ kind: 'unsubscribed', subscription: name });
  }

  /** A projection of the store. Throws if it was not given to openStore. */
  projection<S extends object>(definition: ProjectionDefinition<S>): Projection<S> {
    this.#checkReadable();
    const projection = this.#projections.get(definition.name);
    if (projection === undefined || projection.definition !== (definition as unknown))
      throw new InvalidArgumentError(`'${definition.name}' is not among the projections of this store`);
    return projection as unknown as Projection<S>;
  }

  /**
   * Folds a projection anew from the first record, while the store goes on; the old state is shown until it has caught
   * up. Rejects with `TruncatedError` if the log no longer holds the first record.
   */
  async rebuild(name: string): Promise<void> {
    this.#checkOpen();
    const projection = this.#projections.get(name);
    if (projection === undefined) throw new InvalidArgumentError(`The store has no projection '${name}'`);
    await projection.rebuild(this.#tails, this.#parts.engine.log.firstPosition);
    // The tail that it folded ends with the store, done or not.
    this.#checkReadable();
  }

  /** Resolves once everything up to `position` is committed and folded into all projections: read your own writes. */
  async waitFor(position: number): Promise<void> {
    this.#checkReadable();
    if (position <= this.position) return;
    await new Promise<void>((resolve, reject) => {
      const stop = this.#commits.watch({
        next: () => {
          if (this.position < position) return;
          stop();
          resolve();
        },
        end: (error) => reject(error ?? new ClosedError('The store was closed before that position was reached')),
      });
    });
  }

  /**
   * Takes a checkpoint of everything committed by now, and truncates what checkpoints cover; appends go on meanwhile.
   * If nothing was committed since the newest one, does nothing (`taken` is false). Calls at the same time share one.
   *
   * Rejects with `StorageError` when the disk refuses, `CorruptionError` if the file does not read back, `EncodeError`
   * for a state that is not plain data: then nothing was removed, and the store goes on.
   *
   * A checkpoint of a large state holds only what changed since the one before; `full` asks for one that stands alone,
   * so that the log can be truncated up to an earlier one at once.
   *
   * @example const { position, bytes, truncation } = await store.checkpoint();
   */
  async checkpoint(options: { readonly full?: boolean } = {}): Promise<CheckpointResult> {
    this.#checkOpen();
    return this.#checkpointer.take(options.full ?? false);
  }

  /**
   * Truncates what checkpoints cover and nobody holds, as every checkpoint does when it is done. With `dryRun`, only says
   * what would go, and for each part that stays what holds it.
   *
   * @example
   * const { kept } = await store.truncate({ dryRun: true });
   * for (const { part, heldBy } of kept) console.log(part.name, heldBy.join(', '));
   */
  async truncate(options: { readonly dryRun?: boolean } = {}): Promise<TruncationReport> {
    this.#checkOpen();
    return this.#checkpointer.truncate(options.dryRun ?? false);
  }

  /**
   * Waits for what is in flight (appends, a checkpoint, the record that each subscription is handling), completes the
   * Observables and closes. From the call on everything else rejects with `ClosedError`; later calls return the same
   * promise. Rejects with `PoisonedError` if the store had failed and nobody was told; it is closed then as well.
   *
   * @example await using store = await openStore({ dir: './data', aggregates: [Account] });
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    const steps = [
      // Subscriptions note how far they came, and a checkpoint its mark: so the pipeline stays open for them.
      () => Promise.all([...this.#subscriptions.values()].map((subscription) => subscription.stop())),
      () => this.#checkpointer.stop(),
      () => this.#pipeline.close(),
      async () => this.#endFeeds(undefined),
      () => this.#readers.close(),
      () => this.#parts.engine.log.close(),
    ];
    for (const step of steps)
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    if (failures.length > 0) throw failures[0];
  }

  async #past(definition: AggregateDefinition, stream: string, version: number): Promise<unknown> {
    const release = this.#holds.add(() => ({ name: 'a look at the past', position: 0 }));
    try {
      return await stateAtVersion(this.#parts, definition, stream, version, this.position);
    } finally {
      release();
    }
  }

  #endFeeds(error: Error | undefined): void {
    this.#feed.end(error);
    this.#changes.end(error);
    this.#commits.end(error);
  }

  /** A known subscription keeps the log behind its cursor and its parked records, also while it does not run. */
  #holdFor(name: string): void {
    this.#holds.add(() => {
      const state = this.#state.subscriptions.get(name);
      if (state === undefined) return undefined;
      const position = Math.min(state.position, ...[...state.parked.keys()].map((parked) => parked - 1));
      return { name: `subscription '${name}'`, position };
    });
  }

  async #note(entry: StoreEntry): Promise<void> {
    await this.#pipeline.stage([entry], 'flush', {
      commit: (position, bytes) => this.#commit([{ entry }], position, bytes),
    }).settled;
  }

  /** Throws unless something can be appended. What close itself still has to append does not ask. */
  #checkOpen(): void {
    this.#checkReadable();
    this.#pipeline.checkOpen();
  }

  /** For tails, which end with the store instead of failing. */
  async *#readUntilClosed(from: number, upTo: number): AsyncGenerator<StoredRecord, void, undefined> {
    try {
      yield* readRecords(this.#parts.engine.log, this.#parts.types, from, upTo);
    } catch (error) {
      if (!(error instanceof ClosedError && this.#closing !== undefined)) throw error;
    }
  }

  #checkReadable(): void {
    if (this.#closing !== undefined) throw new ClosedError('The store is closed; open it again');
  }

  #from(from: number | 'start' | 'now' = 'now'): number {
    if (from === 'now') return this.position + 1;
    if (from === 'start') return this.#parts.engine.log.firstPosition;
    if (!Number.isSafeInteger(from) || from < 1)
      throw new InvalidArgumentError(`from must be a position from 1, 'start' or 'now', got ${String(from)}`);
    return from;
  }

  #durability(wanted: Durability | undefined): Durability {
    if (wanted === undefined) return this.#parts.durability;
    checkDurability(wanted, this.#parts.engine.log.strongest);
    return wanted;
  }

  /** Checks what `execute` was given, and copies what is kept of it. */
  #command<T extends Target, R>(
    target: T,
    id: string,
    decide: (aggregate: InstanceOf<T>) => R,
    options: ExecuteOptions,
  ): Command<T, R> {
    this.#checkOpen();
    const definition = this.#parts.types.of(target);
    const { commandId, expectedVersion = ANY, metadata } = options;
    if (commandId !== undefined && (typeof commandId !== 'string' || commandId === ''))
      throw new InvalidArgumentError('commandId must be a text that is not empty');
    return {
      target,
      definition,
      id,
      stream: streamOf(definition.name, id),
      decide,
      durability: this.#durability(options.durability),
      metadata: metadata === undefined ? undefined : copyPlainData(metadata),
      commandId,
      expectedVersion,
      retries: options.retry ?? (expectedVersion === ANY ? DEFAULT_RETRY : 0),
    };
  }

  /**
   * A refusal was decided on pending state, so it is told only once that is acknowledged. Told earlier, it could be about
   * what never happens; and whoever loads the committed state to try again would find it unchanged, and would go on
   * trying without ever letting the disk have its turn.
   */
  async #refuse(error: unknown): Promise<never> {
    // That the store is closed was decided on nothing.
    if (!(error instanceof ClosedError)) await this.#pipeline.acknowledged();
    throw error;
  }

  #execute<T extends Target, R>(command: Command<T, R>): Promise<Executed<R>> {
    const { stream, commandId } = command;
    const { cells } = this.#state;
    for (let attempt = 0; ; attempt++) {
      const answered = commandId === undefined ? undefined : this.#answered<R>(stream, commandId);
      if (answered !== undefined) return answered;
      const before = cells.of(stream);
      const { version } = before.pending;
      checkVersion(stream, command.expectedVersion, version);
      const { emitted, result } = this.#decide(command, before.pending);
      // The command itself may have made something else append to this stream; a new stream has its cell from that.
      const cell = before.isKept ? before : cells.of(stream);
      if (cell.pending.version !== version) {
        // What it decided on is not true any more.
        if (attempt >= command.retries) throw new ConcurrencyError(stream, version, cell.pending.version);
        continue;
      }
      const receipt = commandId === undefined ? undefined : { commandId, result: storable(result, commandId) };
      const executed = this.#stageCommand(command, cell, emitted, receipt, result);
      return commandId === undefined ? executed : this.#answer(stream, commandId, executed);
    }
  }

  #decide<T extends Target, R>(
    { target, definition, id, decide }: Command<T, R>,
    pending: Snapshot,
  ): { readonly emitted: readonly Emitted[]; readonly result: R } {
    const root = (typeof target === 'function' ? new target() : target.make()) as InstanceOf<T> & object;
    beginSession(root, definition, id, pending.state, pending.version);
    try {
      const result = decide(root);
      if (result instanceof Promise) {
        result.catch(() => undefined);
        throw new InvalidArgumentError('A command decides at once: fetch what it needs before execute, and pass it in');
      }
      return { emitted: endSession(root), result };
    } finally {
      endSession(root);
    }
  }

  #stageCommand<T extends Target, R>(
    command: Command<T, R>,
    cell: Cell,
    emitted: readonly Emitted[],
    receipt: Receipt | undefined,
    result: R,
  ): Promise<Executed<R>> {
    if (emitted.length === 0 && receipt === undefined) {
      // It decided on nothing, but it saw pending state: its answer must not be heard before that is acknowledged.
      const executed = { version: cell.pending.version, position: this.#pipeline.lastPosition, result };
      return this.#pipeline.acknowledged().then(() => executed);
    }
    const { durability, metadata } = command;
    const version = cell.pending.version + emitted.length;
    // A receipt alone is an entry as well.
    const count = Math.max(1, emitted.length);
    return new Promise((resolve, reject) => {
      stageAppend(
        this.#pipeline,
        this.#state.cells,
        [{ cell, events: emitted }],
        { durability, metadata, recordedAt: this.#parts.now(), receipt },
        {
          commit: (entries, position, bytes) => this.#commit(entries, position, bytes),
          resolve: (position) => resolve({ version, position: position + count - 1, result }),
          reject,
        },
      );
    });
  }

  /** The answer to a command that was executed before, or is being executed. */
  #answered<R>(stream: string, commandId: string): Promise<Executed<R>> | undefined {
    const answer = this.#state.receipts.find(stream, commandId) as Executed<R> | undefined;
    if (answer !== undefined) return Promise.resolve(answer);
    return this.#answering.get(`${commandId}\0${stream}`) as Promise<Executed<R>> | undefined;
  }

  async #answer<R>(stream: string, commandId: string, executed: Promise<Executed<R>>): Promise<Executed<R>> {
    const key = `${commandId}\0${stream}`;
    this.#answering.set(key, executed);
    try {
      return await executed;
    } finally {
      this.#answering.delete(key);
    }
  }

  /** Makes acknowledged entries visible: to the next load, to projections, and then to whoever watches. */
  #commit(entries: readonly StagedEntry[], firstPosition: number, bytes: number): void {
    if (!this.#feed.watched && !this.#changes.watched && this.#state.projections.size === 0) {
      // Nobody looks at records: none are made.
      let position = firstPosition;
      for (const { entry, snapshot } of entries) this.#state.apply(entry, position++, snapshot);
      this.#checkpointer.note(entries.length, bytes);
      if (this.#commits.watched) this.#commits.publish([position - 1]);
      return;
    }
    const records: StoredRecord[] = [];
    const changes: Change[] = [];
    for (const [index, { entry, cell, snapshot }] of entries.entries()) {
      const record = this.#state.commit(entry, firstPosition + index, snapshot);
      if (record === undefined) continue;
      for (const fold of this.#state.projections.values()) fold.fold(record);
      records.push(record);
      if (cell !== undefined && snapshot !== undefined) changes.push({ cell, snapshot, record });
    }
    this.#checkpointer.note(entries.length, bytes);
    if (records.length > 0) this.#feed.publish(records);
    if (changes.length > 0) this.#changes.publish(changes);
    this.#commits.publish([firstPosition + entries.length - 1]);
  }
}

/** What `execute` was given, checked. */
interface Command<T extends Target, R> {
  readonly target: T;
  readonly definition: AggregateDefinition;
  readonly id: string;
  readonly stream: string;
  readonly decide: (aggregate: InstanceOf<T>) => R;
  readonly durability: Durability;
  readonly metadata: Metadata | undefined;
  readonly commandId: string | undefined;
  readonly expectedVersion: ExpectedVersion;
  readonly retries: number;
}

/** A record and the state that it led to. */
interface Change {
  readonly cell: Cell;
  readonly snapshot: Snapshot;
  readonly record: StoredRecord;
}

/** All aggregates of a store as of one position. */
export class StoreView {
  readonly position: number;
  readonly #types: AggregateTypes;
  readonly #state: StoreState;

  constructor(types: AggregateTypes, state: StoreState, position: number) {
    this.#types = types;
    this.#state = state;
    this.position = position;
  }

  load<T extends Target>(target: T, id: string): Loaded<StateOf<T>> {
    const { committed } = this.#state.cells.of(streamOf(this.#types.of(target).name, id));
    return loaded(id, committed.version, committed.state);
  }

  /** Ids of all aggregates of a type that exist at this position. */
  ids(target: Target): string[] {
    const definition = this.#types.of(target);
    return [...this.#state.cells.values()]
      .filter((cell) => cell.definition === definition && cell.committed.version > 0)
      .map((cell) => cell.id);
  }
}

function loaded<S>(id: string, version: number, state: unknown): Loaded<S> {
  return Object.freeze({ id, version, state: state as S });
}

function checkedStream(stream: string): string {
  if (typeof stream !== 'string' || stream === '' || !stream.isWellFormed())
    throw new InvalidArgumentError(`A stream is named by a text that is not empty, got ${JSON.stringify(stream)}`);
  return stream;
}

function copyEvent(event: Event): Event {
  if (typeof event?.type !== 'string' || event.type === '')
    throw new InvalidArgumentError('An event is { type, data } with a type that is not empty');
  return { type: event.type, data: copyPlainData(event.data) };
}

function storable(result: unknown, commandId: string): unknown {
  if (result === undefined) return undefined;
  try {
    return copyPlainData(result);
  } catch (cause) {
    throw new InvalidArgumentError(
      `The result of a command with an id ('${commandId}') is kept, so it must be plain data: ${(cause as Error).message}`,
      { cause },
    );
  }
}
