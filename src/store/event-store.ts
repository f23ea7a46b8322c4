// The store that programs use: commands and appends go in; committed states and records come out. Everything is decided
// in the tick of the call, on pending state, and shown to others only once it is acknowledged.

import {
  beginSession,
  endSession,
  isPromiseLike,
  type AggregateDefinition,
  type Emitted,
  type Event,
} from '../aggregate/index.js';
import { ClosedError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { AppendPipeline } from './append-pipeline.js';
import { StreamsAppend, type AppendFacts, type AppendTold, type StagedEntry } from './appender.js';
import {
  asyncDecision,
  checkAppends,
  checkCommandId,
  checkDecide,
  checkedStream,
  checkOptions,
  checkRetry,
  checkSignal,
  copyEvents,
  copyMetadata,
  copyResult,
} from './arguments.js';
import type { Booted, StoreRecovery } from './boot.js';
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
import { checkDurability, covers, type Durability } from './durability.js';
import type { Receipt, StoreEntry } from './entry.js';
import type { Engine } from './event-log.js';
import { ANY, checkVersion, ConcurrencyError, type ExpectedVersion } from './expected-version.js';
import { Feed } from './feed.js';
import { Holds, type Hold } from './holds.js';
import type { Change, Commit } from './commit.js';
import { Projection } from './live-projection.js';
import { OpenReaders } from './open-readers.js';
import { catchUp, liveItems, type CatchUp } from './observables.js';
import { checkProjection, type ProjectionDefinition, type ProjectionFold } from './projection.js';
import { oneByOne } from './one-by-one.js';
import { readAll, readStream, type ReadOptions, type ReadSource, type ReadStreamOptions } from './reading.js';
import { readRecords } from './read-records.js';
import { receiptKey } from './receipts.js';
import { recordFilter, type RecordFilter } from './record-filter.js';
import type { Metadata, StoredRecord } from './record.js';
import { recordOf, type StoreState } from './store-state.js';
import {
  checkSubscriptionOptions,
  Subscription,
  type SubscriptionHost,
  type SubscriptionOptions,
} from './subscription.js';
import { Tail, truncated, type TailSource } from './tail.js';
import { stateAtPosition, stateAtVersion } from './time-travel.js';
import type { After } from './timers.js';
import { streamOf, type AggregateTypes, type InstanceOf, type StateOf, type Target } from './types.js';
import { waitUntil, type WaitOptions } from './wait.js';

export type { InstanceOf, StateOf, Target } from './types.js';

/** What `decide` of {@link EventStore.execute} may return: anything but a promise. */
export type Decided<R> = R extends PromiseLike<unknown> ? 'A command decides at once; fetch what it needs before' : R;

export interface ExecuteOptions {
  /** Version that the stream must be at. Default {@link ANY}. */
  readonly expectedVersion?: ExpectedVersion | undefined;
  /**
   * Executing the same id on the same aggregate again returns the first answer, decides nothing and appends nothing, as
   * long as the receipt is kept: see `receipts` of `openStore`. What the command returns must be plain data then.
   */
  readonly commandId?: string | undefined;
  /** Plain data that travels with the records. Default: none. */
  readonly metadata?: Metadata | undefined;
  /** What the acknowledgement means. Default: the store's. */
  readonly durability?: Durability | undefined;
  /**
   * How often to decide anew if the aggregate changed while the command ran, because the command itself appended to it.
   * Default 3; 0 with `expectedVersion`.
   */
  readonly retry?: number | undefined;
}

export interface Executed<R> {
  /** Version of the stream after the command. */
  readonly version: number;
  /** Position of the command's last record; if it decided on nothing, everything that it saw lies at or before it. */
  readonly position: number;
  /** What the command returned; with a `commandId` a frozen copy of it. */
  readonly result: R;
}

export interface StreamAppend {
  /** `name-id`; the name of no aggregate of the store makes a stream of bare records. */
  readonly stream: string;
  /** Default {@link ANY}. If a stream is named twice, the second is appended to what the first led to. */
  readonly expectedVersion?: ExpectedVersion | undefined;
  readonly events: readonly Event[];
}

export interface AppendOptions {
  /** Versions that streams must be at before anything is appended, whether they are written or not. */
  readonly checks?: readonly { readonly stream: string; readonly expectedVersion: ExpectedVersion }[] | undefined;
  /** Appending with the same id again returns the first answer and appends nothing. Ids of commands are others. */
  readonly commandId?: string | undefined;
  /** Plain data that travels with the records. Default: none. */
  readonly metadata?: Metadata | undefined;
  /** What the acknowledgement means. Default: the store's. */
  readonly durability?: Durability | undefined;
}

export interface Appended {
  readonly firstPosition: number;
  readonly lastPosition: number;
  /** Version of each stream after the append. */
  readonly versions: ReadonlyMap<string, number>;
}

export interface WatchOptions {
  /**
   * Position of the first record that is wanted; `start` is 1, `now` is the one that is appended next. What has left the
   * log cannot be watched: that ends in `TruncatedError`, which names the oldest position that is left. Default `now`.
   */
  readonly from?: number | 'start' | 'now' | undefined;
  /** Records that are wanted. Default: all. */
  readonly filter?: RecordFilter | undefined;
}

/** One aggregate after a record. Frozen all through. */
export interface Changed<S> extends Loaded<S> {
  /** The record that led to the state. */
  readonly record: StoredRecord;
}

/** What a store knows of a durable subscription, whether it runs or not. */
export interface SubscriptionSummary {
  readonly name: string;
  /** Everything up to here was handled, parked or skipped, as it is noted in the log. */
  readonly position: number;
  /** How many records are parked. */
  readonly parked: number;
  /** Whether it runs in this process. */
  readonly running: boolean;
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
  /** Makes an empty state of streams alone, for looking at the past. */
  readonly makePast: () => StoreState;
  readonly durability: Durability;
  readonly checkpoint: CheckpointPolicy;
  readonly highWaterMarkBytes: number;
  readonly now: () => number;
  readonly after: After;
  readonly elapsed: () => number;
  readonly onCheckpointFailure: (error: Error) => void;
  /** Must not throw. */
  readonly onSubscriberError: (error: unknown) => void;
}

const DEFAULT_RETRY = 3;

export class EventStore {
  readonly #parts: EventStoreParts;
  readonly #state: StoreState;
  readonly #pipeline: AppendPipeline;
  /** One for everybody, so that nobody hears of a commit before somebody else has heard of the one before. */
  readonly #feed: Feed<Commit>;
  readonly #projections = new Map<string, Projection>();
  /** Those that run, or are being started. */
  readonly #subscriptions = new Map<string, Promise<Subscription>>();
  readonly #holds = new Holds();
  readonly #readers = new OpenReaders();
  readonly #checkpointer: Checkpointer;
  readonly #tails: TailSource;
  readonly #reads: ReadSource;
  /** {@link #commit}, for those who call it later. */
  readonly #show = (entries: readonly StagedEntry[], firstPosition: number, bytes: number): void =>
    this.#commit(entries, firstPosition, bytes);
  /** Commands with an id that are not acknowledged yet, by stream and id. */
  readonly #answering = new Map<string, { readonly durability: Durability; readonly answer: Promise<unknown> }>();
  #closing: Promise<void> | undefined;

  /** Use `openStore`. */
  constructor(parts: EventStoreParts) {
    const { booted } = parts;
    const engine = this.#readers.of(parts.engine);
    this.#parts = { ...parts, engine };
    this.#state = booted.state;
    this.#feed = new Feed(parts.onSubscriberError);
    this.#pipeline = new AppendPipeline(
      {
        log: engine.log,
        highWaterMarkBytes: parts.highWaterMarkBytes,
        onFailure: (error) => this.#feed.end(error),
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
        // Through the log, also where everything is durable: it says whether it still is ours.
        sync: () => this.#pipeline.stage([], engine.log.strongest, { commit: () => undefined }).settled,
        mark: async (name, position) => {
          const entry = { type: 'Checkpoint', checkpointPath: name, lastEntryId: position } as const;
          await this.#pipeline.stage([{ kind: 'wal', entry }], engine.log.strongest, {
            // No record, but a position that who watches has to get past.
            commit: (marked) => this.#feed.publish({ position: marked, records: [], changes: [] }),
          }).settled;
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
    const committedPosition = (): number => this.position;
    this.#tails = {
      feed: this.#feed,
      holds: this.#holds,
      committedPosition,
      firstPosition: () => engine.log.firstPosition,
      read: (from, upTo) => oneByOne(this.#read(from, upTo)),
    };
    this.#reads = {
      log: engine.log,
      types: parts.types,
      holds: this.#holds,
      committedPosition,
      committedVersion: (stream) => this.#state.cells.of(stream).committed.version,
      read: (from, upTo) => this.#read(from, upTo),
    };
    for (const [name, fold] of booted.state.projections)
      this.#projections.set(
        name,
        new Projection(fold, {
          feed: this.#feed,
          tails: this.#tails,
          committedPosition,
          report: parts.onSubscriberError,
        }),
      );
    this.#holdForSubscriptions();
  }

  /** What opening did. */
  get recovery(): StoreRecovery {
    return this.#parts.booted.recovery;
  }

  /** Everything up to here is committed. */
  get position(): number {
    return this.#pipeline.committedPosition;
  }

  /** The oldest position that can still be read or watched: 1, until truncation has removed something. */
  get oldestPosition(): number {
    return this.#parts.engine.log.firstPosition;
  }

  /** How checkpoints are doing: how far the newest reaches, what has come since, whether the last attempt failed. */
  get checkpointStatus(): CheckpointStatus {
    return this.#checkpointer.status;
  }

  /**
   * Runs a command on an aggregate: `decide` gets it in its newest state and calls one of its commands; the events are
   * appended together, and the promise resolves once they are acknowledged. Everything is decided in the tick of the
   * call, so executions on one aggregate follow one another in the order of their calls.
   *
   * `decide` may run again (see `retry`), so it only decides: it does not send mails. What it executes or appends itself
   * is on its own: stored or not whatever becomes of the command around it.
   *
   * Rejects with what `decide` throws, `ConcurrencyError`, `EncodeError`, `ReducerError`, `InvalidArgumentError`: then
   * nothing was appended and the state is as before. Rejects with `PoisonedError` when the disk fails: then the outcome
   * is unknown. `ClosedError` after `close`.
   *
   * @example
   * const { version, result } = await store.execute(Account, 'a-1', (account) => account.withdraw(10));
   */
  execute<T extends Target, R>(
    target: T,
    id: string,
    decide: ((aggregate: InstanceOf<T>) => R) & ((aggregate: InstanceOf<T>) => Decided<R>),
    options: ExecuteOptions = {},
  ): Promise<Executed<R>> {
    // Not an async function: what happens once per command should not take three promises.
    try {
      const command = this.#command<T, R>(target, id, decide, options);
      if (!this.#pipeline.full) return this.#execute(command);
      return this.#room()
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
   * Rejects with `ConcurrencyError`, `EncodeError`, `ReducerError`, `InvalidArgumentError`: then nothing was appended.
   * Rejects with `PoisonedError` when the disk fails: then the outcome is unknown. `ClosedError` after `close`.
   *
   * @example
   * await store.append([
   *   { stream: 'account-a', expectedVersion: 3, events: [{ type: 'MoneyWithdrawn', data: { amount: 10 } }] },
   *   { stream: 'account-b', expectedVersion: NO_STREAM, events: [{ type: 'AccountOpened', data: { owner: 'Ada' } }] },
   * ]);
   */
  async append(streams: readonly StreamAppend[], options: AppendOptions = {}): Promise<Appended> {
    this.#checkOpen();
    checkOptions('append', options);
    const durability = this.#durability(options.durability);
    const metadata = copyMetadata(options.metadata);
    const { commandId } = options;
    checkCommandId(commandId);
    checkAppends('append', streams, '{ stream, events }');
    checkAppends('checks', options.checks ?? [], '{ stream, expectedVersion }');
    // Copied now, whenever there is room for them.
    const copies = streams.map(({ stream, expectedVersion = ANY, events }: StreamAppend) => ({
      stream: this.#streamToWrite(stream),
      expectedVersion,
      events: copyEvents(stream, events),
    }));
    const checks = (options.checks ?? []).map(({ stream, expectedVersion }) => ({
      stream: checkedStream(stream),
      expectedVersion,
    }));
    const count = copies.reduce((sum, { events }) => sum + events.length, 0);
    if (count === 0) throw new InvalidArgumentError('There is nothing to append: give at least one event');
    if (this.#pipeline.full) await this.#room();
    if (commandId !== undefined) {
      const answered = this.#answered<unknown>(OF_THE_STORE, commandId, durability);
      if (answered !== undefined) return answered.then(asAppended);
    }
    let answer: Promise<Appended>;
    try {
      answer = this.#appendNow(copies, checks, { count, durability, metadata, commandId });
    } catch (error) {
      return this.#refuse(error);
    }
    return commandId === undefined ? answer : this.#answer(OF_THE_STORE, commandId, durability, answer);
  }

  #appendNow(
    streams: readonly CheckedAppend[],
    checks: NonNullable<AppendOptions['checks']>,
    { count, durability, metadata, commandId }: AppendCall,
  ): Promise<Appended> {
    // First of all: it may be a function of the program's own, and what it appends comes before this.
    const recordedAt = this.#parts.now();
    for (const { stream, expectedVersion } of checks)
      checkVersion(stream, expectedVersion, this.#state.cells.of(stream).pending.version);
    const cells = new Map<string, Cell>();
    const versions = new Map<string, number>();
    const parts: { readonly cell: Cell; readonly events: readonly Event[] }[] = [];
    for (const { stream, expectedVersion, events } of streams) {
      const cell = cells.get(stream) ?? this.#state.cells.of(stream);
      const version = versions.get(stream) ?? cell.pending.version;
      checkVersion(stream, expectedVersion, version);
      cells.set(stream, cell);
      versions.set(stream, version + events.length);
      parts.push({ cell, events });
    }
    const firstPosition = this.#pipeline.lastPosition + 1;
    const appended = Object.freeze({ firstPosition, lastPosition: firstPosition + count - 1, versions });
    const told: { -readonly [K in keyof AppendTold]: AppendTold[K] } = {
      commit: this.#show,
      resolve: ignore,
      reject: ignore,
    };
    const append = new StreamsAppend(this.#state.cells, { durability, metadata, recordedAt }, told);
    for (const { cell, events } of parts) append.add(cell, events);
    if (this.#pipeline.lastPosition + 1 !== firstPosition)
      throw new InvalidArgumentError(
        'A reducer has appended to the store. Reducers only change their draft: decide in a command, or in a subscriber',
      );
    if (commandId !== undefined) append.addBehind(receiptOfAppend(commandId, appended));
    return new Promise((resolve, reject) => {
      told.resolve = () => resolve(appended);
      told.reject = reject;
      this.#pipeline.add(append);
    });
  }

  /**
   * One aggregate as everybody may see it: as of the last acknowledged record, or as of an earlier version. The current
   * state is in memory; an earlier one is folded from the log, which is read from the oldest checkpoint on.
   *
   * An aggregate that does not exist is at version 0 and has the initial state. Rejects with `InvalidArgumentError` for
   * a version that there is not yet, with `TruncatedError` if the records of that version have left the log.
   *
   * @example const { state, version } = await store.load(Account, 'a-1');
   */
  async load<T extends Target>(
    target: T,
    id: string,
    options: { readonly version?: number | undefined } = {},
  ): Promise<Loaded<StateOf<T>>> {
    this.#checkReadable();
    checkOptions('load', options);
    const definition = this.#parts.types.of(target);
    const { stream, committed } = this.#state.cells.ofAggregate(definition, id);
    const { version = committed.version } = options;
    if (!Number.isSafeInteger(version) || version < 0)
      throw new InvalidArgumentError(`version must be a whole number from 0, got ${shown(version)}`);
    if (version > committed.version)
      throw new InvalidArgumentError(`'${stream}' is at version ${committed.version}, there is no ${version} yet`);
    if (version === committed.version) return loaded(id, committed.version, committed.state);
    if (version === 0) return loaded(id, 0, definition.initial);
    return loaded(id, version, await this.#past(definition, stream, version));
  }

  /**
   * All aggregates as of one position, 0 being before the first record: a consistent look at the past, in memory of its
   * own. Costs what opening the store at that position would.
   *
   * Rejects with `InvalidArgumentError` for a position that is not committed yet, with `TruncatedError` that names the
   * oldest position left if the log and its checkpoints no longer reach back to it.
   *
   * @example
   * const past = await store.at(1000);
   * console.log(past.ids(Account), past.load(Account, 'a-1').state);
   */
  async at(position: number): Promise<StoreView> {
    this.#checkReadable();
    if (!Number.isSafeInteger(position) || position < 0 || position > this.position)
      throw new InvalidArgumentError(`position must be from 0 to ${this.position}, got ${shown(position)}`);
    await this.#pipeline.written(position);
    const release = this.#holds.add(() => ({ name: 'a look at the past', position: 0 }));
    try {
      return new StoreView(this.#parts.types, await stateAtPosition(this.#parts, position), position);
    } finally {
      release();
    }
  }

  /**
   * Records of one stream in order of versions, as far as they are committed when it begins. There is no index by
   * stream: the log is read from its beginning (or its end, `backwards`) to the last record that is wanted.
   *
   * Ends with `TruncatedError` if `fromVersion` has left the log; without it, with what is left. The type parameter is
   * your word for what the stream holds: nothing is checked.
   *
   * @example
   * for await (const record of store.readStream<AccountEvent>('account-a-1'))
   *   if (record.type === 'MoneyDeposited') console.log(record.version, record.data.amount);
   */
  readStream<E extends Event = Event>(
    stream: string,
    options: ReadStreamOptions = {},
  ): AsyncGenerator<StoredRecord<E>, void, undefined> {
    return this.#readable<E>(() => readStream(this.#reads, checkedStream(stream), options));
  }

  /**
   * Records of all streams in order of positions, as far as they are committed when it begins. What is not pulled is not
   * read; backwards, the wanted records of one WAL segment are held at a time. All filters must let a record pass.
   *
   * Ends with `TruncatedError` if `from` has left the log. The type parameter is your word for what is let through:
   * nothing is checked.
   *
   * @example
   * for await (const { data } of store.readAll<MoneyDeposited>({ aggregates: [Account], types: ['MoneyDeposited'] }))
   *   total += data.amount;
   */
  readAll<E extends Event = Event>(options: ReadOptions = {}): AsyncGenerator<StoredRecord<E>, void, undefined> {
    return this.#readable<E>(() => readAll(this.#reads, options));
  }

  /**
   * Records from a position on: history first, then live, each once and in order, until the loop is left, `signal`
   * aborts, or the store is closed. Pulled: while the consumer is busy at most 1,024 records wait in memory; if there are
   * more, it reads them from the log. Until the loop ends, it holds the part of the log that it has not read.
   *
   * Rejects with `TruncatedError` if `from` has left the log, and with `PoisonedError` when the store fails.
   *
   * @example for await (const record of store.tail({ from: 'start' })) await index(record);
   */
  tail(
    options: WatchOptions & { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<StoredRecord, void, undefined> {
    this.#checkReadable();
    checkOptions('tail', options);
    const { signal } = options;
    checkSignal(signal);
    const filter = recordFilter(options.filter, this.#parts.types);
    return new Tail(this.#tails, { from: this.#from(options.from), filter, signal, name: 'a tail' }).leavable();
  }

  /**
   * Records from now on, once they are acknowledged, in order of positions, in the tick in which they are. Completes when
   * the store is closed and fails with `PoisonedError` when the store does; a late subscriber is told so at once. Costs
   * nothing while nobody subscribes.
   *
   * @example store.records$.pipe(filter(({ type }) => type === 'MoneyDeposited')).subscribe(show);
   */
  get records$(): Observable<StoredRecord> {
    return liveItems(this.#feed, ({ records }) => records, this.#parts.onSubscriberError);
  }

  /**
   * Records from a position on, history first and then live, each once and in order. `records$` begins to read when it
   * is subscribed to, and holds the part of the log that it has not read until it is unsubscribed; each subscriber reads
   * for itself. `status$` says where the reader that began last is.
   *
   * `records$` fails with `TruncatedError` if `from` has left the log. When the store is closed it completes: after the
   * last record if it was live, where it is if it was catching up.
   *
   * @example
   * const { records$, status$ } = store.subscribe({ from: 'start', filter: { types: ['MoneyDeposited'] } });
   * records$.subscribe(show);
   * status$.subscribe(({ state, lag }) => console.log(state, lag));
   */
  subscribe(options: WatchOptions = {}): CatchUp {
    this.#checkReadable();
    checkOptions('subscribe', options);
    const filter = recordFilter(options.filter, this.#parts.types);
    return catchUp(
      this.#tails,
      { from: this.#from(options.from), filter, name: 'subscribe()' },
      this.#parts.onSubscriberError,
    );
  }

  /**
   * The state of one aggregate, or of all of a type, after each of its records from now on, with the record. The state
   * that it is in at the beginning is not among them: `load` has it. Ends as {@link records$} does.
   *
   * @example store.changes(Account, 'a-1').subscribe(({ state, version }) => render(state, version));
   */
  changes<T extends Target>(target: T, id?: string): Observable<Changed<StateOf<T>>> {
    this.#checkReadable();
    const definition = this.#parts.types.of(target);
    const stream = id === undefined ? undefined : streamOf(definition.name, id);
    return liveItems(
      this.#feed,
      function* ({ changes }) {
        for (const { cell, snapshot, record } of changes)
          if (cell.definition === definition && (stream === undefined || cell.stream === stream))
            yield Object.freeze({
              id: cell.id,
              version: snapshot.version,
              state: snapshot.state as StateOf<T>,
              record,
            });
      },
      this.#parts.onSubscriberError,
    );
  }

  /**
   * Starts a durable subscription: `handle` gets every record once it is committed, one at a time, across restarts, at
   * least once. Its cursor is kept in the log and holds truncation back, also while it does not run, until
   * {@link unsubscribe}.
   *
   * The cursor is written once there is nothing left to handle, and on the way every 256 records or 200 milliseconds: so
   * much is handled again after a crash. `stop` and `close` write it too.
   *
   * Rejects with `InvalidArgumentError` if one of that name runs already, and with `TruncatedError` if a new one begins
   * before the oldest position that is left.
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
    checkSubscriptionName(name);
    checkSubscriptionOptions(options);
    const wanted = recordFilter(options.filter, this.#parts.types);
    const from = this.#from(options.from ?? 'start');
    if (this.#subscriptions.has(name))
      throw new InvalidArgumentError(`The subscription '${name}' runs already in this store; stop that one first`);
    const started = this.#startSubscription(name, options, wanted, from);
    this.#subscriptions.set(name, started);
    try {
      return await started;
    } catch (error) {
      this.#subscriptions.delete(name);
      throw error;
    }
  }

  async #startSubscription(
    name: string,
    options: SubscriptionOptions,
    wanted: ((record: StoredRecord) => boolean) | undefined,
    from: number,
  ): Promise<Subscription> {
    const { onSubscriberError, after, elapsed } = this.#parts;
    if (!this.#state.subscriptions.has(name)) {
      // Held before anything is awaited, so that the log it has to read stays.
      const release = this.#holds.add(() => ({ name: `subscription '${name}'`, position: from - 1 }));
      try {
        const first = this.oldestPosition;
        if (from < first) throw truncated(from, first);
        // Known from the start, wherever it stops.
        await this.#note({ kind: 'cursor', subscription: name, position: from - 1 });
      } finally {
        release();
      }
    }
    this.#checkReadable();
    const host: SubscriptionHost = {
      tails: this.#tails,
      after,
      elapsed,
      state: () => this.#state.subscriptions.get(name),
      note: (entry) => this.#note(entry),
      report: onSubscriberError,
      ended: () => this.#subscriptions.delete(name),
    };
    return new Subscription(name, host, options, wanted, this.#state.subscriptions.get(name)!.position);
  }

  /**
   * The durable subscriptions that the store knows: those that run, and those that would go on if they were started.
   *
   * @example for (const { name, position } of store.subscriptions()) console.log(name, store.position - position);
   */
  subscriptions(): SubscriptionSummary[] {
    return [...this.#state.subscriptions].map(([name, { position, parked }]) => ({
      name,
      position,
      parked: parked.size,
      running: this.#subscriptions.has(name),
    }));
  }

  /**
   * Ends a durable subscription for good: its cursor and parked records are forgotten, and it holds nothing any more.
   * One that runs is stopped first. For a name that is not known it does nothing.
   *
   * @example await store.unsubscribe('mailer');
   */
  async unsubscribe(name: string): Promise<void> {
    this.#checkOpen();
    checkSubscriptionName(name);
    const running = await this.#subscriptions.get(name)?.catch(() => undefined);
    await running?.stop();
    if (this.#state.subscriptions.has(name)) await this.#note({ kind: 'unsubscribed', subscription: name });
  }

  /**
   * A projection of the store. Throws `InvalidArgumentError` if it was not given to openStore.
   *
   * @example store.projection(totals).state.deposited;
   */
  projection<S extends object>(definition: ProjectionDefinition<S>): Projection<S> {
    this.#checkReadable();
    checkProjection(definition);
    const projection = this.#projections.get(definition.name);
    if (projection === undefined || projection.definition !== (definition as unknown))
      throw new InvalidArgumentError(`'${definition.name}' is not among the projections of this store`);
    return projection as unknown as Projection<S>;
  }

  /**
   * Folds a projection anew from position 1, while the store goes on; the old state is shown, and kept up to date, until
   * the new one has caught up and takes its place at once. A rebuild of the same projection that is under way is joined.
   *
   * Rejects with `TruncatedError` if the log no longer holds position 1, `ProjectionError` if a handler fails, and
   * `ClosedError` if the store is closed meanwhile: then the old state stays.
   *
   * @example await store.rebuild('totals');
   */
  async rebuild(name: string): Promise<void> {
    this.#checkOpen();
    const projection = this.#projections.get(name);
    if (projection === undefined) throw new InvalidArgumentError(`The store has no projection ${shown(name)}`);
    await projection.rebuild();
  }

  /**
   * Resolves once everything up to `position` is committed, and folded into all projections that have not failed. Rejects
   * with `ClosedError` when the store is closed before, `PoisonedError` when it fails, or the reason of `signal`.
   *
   * @example await store.waitFor(position, { signal: AbortSignal.timeout(1000) });
   */
  async waitFor(position: number, options: WaitOptions = {}): Promise<void> {
    this.#checkReadable();
    checkOptions('waitFor', options);
    await waitUntil(position, () => this.position >= position, this.#feed, options);
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
  async checkpoint(options: { readonly full?: boolean | undefined } = {}): Promise<CheckpointResult> {
    this.#checkOpen();
    checkOptions('checkpoint', options);
    try {
      return await this.#checkpointer.take(options.full ?? false);
    } catch (error) {
      this.#pipeline.told(error);
      throw error;
    }
  }

  /**
   * Truncates what checkpoints cover and nobody holds, as every checkpoint does when it is done. With `dryRun`, only says
   * what would go, and for each part that stays what holds it.
   *
   * @example
   * const { kept } = await store.truncate({ dryRun: true });
   * for (const { part, heldBy } of kept) console.log(part.name, heldBy.join(', '));
   */
  async truncate(options: { readonly dryRun?: boolean | undefined } = {}): Promise<TruncationReport> {
    this.#checkOpen();
    checkOptions('truncate', options);
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
      () => Promise.all([...this.#subscriptions.values()].map((running) => stopped(running))),
      () => this.#checkpointer.stop(),
      () => this.#pipeline.close(),
      async () => this.#feed.end(undefined),
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
      const { position } = this;
      await this.#pipeline.written(position);
      return await stateAtVersion(this.#parts, definition, stream, version, position);
    } finally {
      release();
    }
  }

  /** A known subscription keeps the log behind its cursor and its parked records, also while it does not run. */
  #holdForSubscriptions(): void {
    this.#holds.addAll(() => {
      const holds: Hold[] = [];
      for (const [name, { position, parked }] of this.#state.subscriptions) {
        holds.push({ name: `subscription '${name}'`, position });
        let oldest = Infinity;
        for (const one of parked.keys()) oldest = Math.min(oldest, one);
        if (oldest <= position) holds.push({ name: `a record that '${name}' has parked`, position: oldest - 1 });
      }
      return holds;
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

  #checkReadable(): void {
    if (this.#closing !== undefined) throw new ClosedError('The store is closed; open it again');
  }

  #from(from: number | 'start' | 'now' = 'now'): number {
    if (from === 'now') return this.position + 1;
    if (from === 'start') return 1;
    if (!Number.isSafeInteger(from) || from < 1)
      throw new InvalidArgumentError(`from must be a position from 1, 'start' or 'now', got ${shown(from)}`);
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
    checkDecide(decide);
    checkOptions('execute', options);
    const definition = this.#parts.types.of(target);
    const { commandId, expectedVersion = ANY, retry = expectedVersion === ANY ? DEFAULT_RETRY : 0 } = options;
    checkCommandId(commandId);
    checkRetry(retry);
    return {
      target,
      definition,
      id,
      cell: this.#state.cells.ofAggregate(definition, id),
      decide,
      durability: this.#durability(options.durability),
      metadata: copyMetadata(options.metadata),
      recordedAt: 0,
      commandId,
      expectedVersion,
      retry,
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
    const { cell: found, commandId } = command;
    const { stream } = found;
    const { cells } = this.#state;
    for (let attempt = 0; ; attempt++) {
      const answered =
        commandId === undefined ? undefined : this.#answered<Executed<R>>(stream, commandId, command.durability);
      if (answered !== undefined) return answered;
      command.recordedAt = this.#parts.now();
      const before = found.isKept ? found : cells.of(stream);
      const { version } = before.pending;
      checkVersion(stream, command.expectedVersion, version);
      const { emitted, result } = this.#decide(command, before.pending);
      const receipt = commandId === undefined ? undefined : { commandId, result: copyResult(result, commandId) };
      // The command itself may have made something else append to this stream; a new stream has its cell from that.
      const cell = before.isKept ? before : cells.of(stream);
      if (cell.pending.version !== version) {
        // What it decided on is not true any more.
        if (attempt >= command.retry) throw new ConcurrencyError(stream, version, cell.pending.version);
        continue;
      }
      if (receipt === undefined) return this.#stageCommand(command, cell, emitted, undefined, result);
      const executed = this.#stageCommand(command, cell, emitted, receipt, receipt.result as R);
      return this.#answer(stream, receipt.commandId, command.durability, executed);
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
      if (isPromiseLike(result)) {
        // Whatever it comes to, nobody waits for it.
        if (result instanceof Promise) result.catch(() => undefined);
        throw asyncDecision();
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
    const version = cell.pending.version + emitted.length;
    if (emitted.length === 0 && receipt === undefined) {
      // It decided on nothing, but it saw pending state: its answer must not be heard before that is acknowledged.
      const executed = { version, position: this.#pipeline.lastPosition, result };
      return this.#pipeline.settled(command.durability).then(() => executed);
    }
    return new Promise((resolve, reject) => {
      const append = new StreamsAppend(this.#state.cells, command, {
        commit: this.#show,
        resolve: ({ lastPosition }) => resolve({ version, position: lastPosition, result }),
        reject,
      });
      append.add(cell, emitted, receipt);
      this.#pipeline.add(append);
    });
  }

  /** The answer to what was done before, or is being done; as durable as is asked for now. */
  #answered<A>(stream: string, commandId: string, durability: Durability): Promise<A> | undefined {
    const receipt = this.#state.receipts.find(stream, commandId);
    if (receipt !== undefined) {
      const answer = { ...receipt } as A;
      if (this.#pipeline.isDurable(receipt.position, durability)) return Promise.resolve(answer);
      return this.#pipeline.settled(durability).then(() => answer);
    }
    const answering = this.#answering.get(receiptKey(stream, commandId));
    if (answering === undefined) return undefined;
    const answer = answering.answer as Promise<A>;
    if (covers(answering.durability, durability)) return answer;
    const settled = this.#pipeline.settled(durability);
    return Promise.all([answer, settled]).then(([first]) => first);
  }

  async #answer<A>(stream: string, commandId: string, durability: Durability, answer: Promise<A>): Promise<A> {
    const key = receiptKey(stream, commandId);
    this.#answering.set(key, { durability, answer });
    try {
      return await answer;
    } finally {
      this.#answering.delete(key);
    }
  }

  /** Waits until there is room for more. */
  async #room(): Promise<void> {
    while (this.#pipeline.full) await this.#pipeline.room();
    this.#pipeline.checkOpen();
  }

  /** A stream's name, checked as that of an aggregate if it is one. */
  #streamToWrite(name: unknown): string {
    const stream = checkedStream(name);
    const definition = this.#parts.types.ofStream(stream);
    return definition === undefined ? stream : streamOf(definition.name, stream.slice(definition.name.length + 1));
  }

  /** Committed records of the log. What is committed in memory only is waited for. */
  async *#read(from: number, upTo: number): AsyncGenerator<readonly StoredRecord[], void, undefined> {
    await this.#pipeline.written(upTo);
    yield* readRecords(this.#parts.engine.log, this.#parts.types, from, upTo);
  }

  /** What `begin` reads, one record at a time, as long as the store is open. */
  #readable<E extends Event>(
    begin: () => AsyncGenerator<readonly StoredRecord[], void, undefined>,
  ): AsyncGenerator<StoredRecord<E>, void, undefined> {
    const check = (): void => this.#checkReadable();
    const batches = (async function* () {
      check();
      yield* begin() as AsyncGenerator<readonly StoredRecord<E>[], void, undefined>;
    })();
    return oneByOne(batches, check);
  }

  /** Makes acknowledged entries visible: to the next load, to projections, and then to whoever watches. */
  #commit(entries: readonly StagedEntry[], firstPosition: number, bytes: number): void {
    const { projections } = this.#state;
    const { watched } = this.#feed;
    if (!watched && projections.size === 0) {
      // Nobody looks at records: none are made.
      let position = firstPosition;
      for (const staged of entries) this.#state.apply(staged.entry, position++, staged);
      this.#checkpointer.note(entries.length, bytes);
      return;
    }
    const records: StoredRecord[] = [];
    const changes: Change[] = [];
    let position = firstPosition - 1;
    for (const staged of entries) {
      const { entry, cell, snapshot } = staged;
      position++;
      this.#state.apply(entry, position, staged);
      if (entry.kind !== 'record') continue;
      const record = recordOf(entry, position);
      for (const fold of projections.values()) this.#fold(fold, record);
      if (!watched) continue;
      records.push(record);
      if (cell !== undefined && snapshot !== undefined) changes.push({ cell, snapshot, record });
    }
    this.#checkpointer.note(entries.length, bytes);
    if (watched) this.#feed.publish({ position, records, changes });
  }

  #fold(fold: ProjectionFold, record: StoredRecord): void {
    if (fold.failure !== undefined) return;
    fold.fold(record);
    // Reported once; from then on it can be asked for.
    if (fold.failure !== undefined) this.#parts.onSubscriberError(fold.failure);
  }
}

/** What `append` was given for a stream, checked. */
interface CheckedAppend extends StreamAppend {
  readonly expectedVersion: ExpectedVersion;
}

/** What `append` was given besides streams, checked. */
interface AppendCall {
  /** Of events. */
  readonly count: number;
  readonly durability: Durability;
  readonly metadata: Metadata | undefined;
  readonly commandId: string | undefined;
}

/** What `execute` was given, checked. */
interface Command<T extends Target, R> extends AppendFacts {
  readonly target: T;
  readonly definition: AggregateDefinition;
  readonly id: string;
  /** Of its stream; another one is kept in its place if that came to be meanwhile. */
  readonly cell: Cell;
  readonly decide: (aggregate: InstanceOf<T>) => R;
  /** Set when it has decided. */
  recordedAt: number;
  readonly commandId: string | undefined;
  readonly expectedVersion: ExpectedVersion;
  readonly retry: number;
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
    const { committed } = this.#state.cells.ofAggregate(this.#types.of(target), id);
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

/** Resolves once a subscription that runs or is being started has ended. */
async function stopped(running: Promise<Subscription>): Promise<void> {
  const subscription = await running.catch(() => undefined);
  await subscription?.stop();
}

function checkSubscriptionName(name: string): void {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed())
    throw new InvalidArgumentError(`A subscription is named by a text that is not empty, got ${shown(name)}`);
}

/** In the place of a stream, for receipts of appends: no stream is called that. */
const OF_THE_STORE = '';

function receiptOfAppend(commandId: string, { firstPosition, lastPosition, versions }: Appended): StoreEntry {
  const result = { firstPosition, lastPosition, versions: [...versions] };
  return { kind: 'receipt', stream: OF_THE_STORE, version: 0, receipt: { commandId, result } };
}

/** What is known of an append that was made before: its receipt, or the answer itself while it is in flight. */
function asAppended(answer: unknown): Appended {
  const { result } = answer as { readonly result?: Appended & { readonly versions: Iterable<[string, number]> } };
  return result === undefined ? (answer as Appended) : Object.freeze({ ...result, versions: new Map(result.versions) });
}

function ignore(): void {
  // Nobody waits yet.
}
