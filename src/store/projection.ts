// Projections: state folded over the records of all streams, in position order, kept in memory and checkpointed with the
// store. Like reducers they are pure functions of a draft; unlike reducers, one that throws stops only itself.

import { createHash } from 'node:crypto';
import {
  isAsync,
  reduce,
  ReducerError,
  type AggregateDefinition,
  type Draft,
  type ReadonlyState,
} from '../aggregate/index.js';
import { copyPlainData } from '../codec/index.js';
import { CairnError, InvalidArgumentError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { shown } from '../errors/shown.js';
import { isObject } from './arguments.js';
import type { StoredRecord } from './record.js';

/** What is folded for one event type. What it returns is ignored. */
export type ProjectionHandler = (state: never, record: never) => void;

/** A projection, as `openStore({ projections })` takes it. */
export interface ProjectionDefinition<S extends object = object> {
  readonly name: string;
  readonly version: number;
  readonly initial: S;
  readonly on: ReadonlyMap<string, ProjectionHandler>;
  readonly fingerprint: string;
  /** Which streams are folded. */
  readonly filter: ((record: StoredRecord) => boolean) | undefined;
}

export interface ProjectionOptions<S extends object> {
  /**
   * Version of what the handlers make, from 1. Raise it when they make something else of the same records: another version
   * than a checkpoint's is built anew from the log when the store is opened. Default 1.
   */
  readonly version?: number | undefined;
  /** State before the first record: plain data; copied. */
  readonly initial: S;
  /** By event type, of whatever stream. */
  readonly on: Readonly<Record<string, (state: Draft<S>, record: StoredRecord<never>) => void>>;
  /** Records it is about. Default: all. */
  readonly filter?: ((record: StoredRecord) => boolean) | undefined;
}

/**
 * Defines a projection: state folded over the records of all streams, for `openStore({ projections })`. Handlers change a
 * draft, as reducers do, and must be pure: they run again whenever the state is built anew.
 *
 * Throws `InvalidArgumentError` for what is no definition, `EncodeError` for an initial state that is not plain data.
 *
 * @example
 * const totals = defineProjection('totals', {
 *   initial: { deposited: 0 },
 *   on: { MoneyDeposited: (state, record: StoredRecord<MoneyDeposited>) => { state.deposited += record.data.amount; } },
 * });
 */
export function defineProjection<S extends object>(
  name: string,
  options: ProjectionOptions<S>,
): ProjectionDefinition<S> {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed())
    throw new InvalidArgumentError(`A projection is named by a text that is not empty, got ${shown(name)}`);
  if (!isObject(options)) throw new InvalidArgumentError(`projection '${name}': say what it is: { initial, on }`);
  const { version = 1, initial, on, filter } = options;
  if (!Number.isSafeInteger(version) || version < 1)
    throw new InvalidArgumentError(
      `projection '${name}': the version must be a whole number from 1, got ${shown(version)}`,
    );
  if (!isObject(initial))
    throw new InvalidArgumentError(`projection '${name}': the initial state must be an object or an array`);
  if (filter !== undefined && typeof filter !== 'function')
    throw new InvalidArgumentError(`projection '${name}': the filter must be a function`);
  if (filter !== undefined && isAsync(filter))
    throw new InvalidArgumentError(`projection '${name}': the filter is async; it must answer at once`);
  const handlers = new Map(Object.entries(isObject(on) ? on : {})) as Map<string, ProjectionHandler>;
  if (handlers.size === 0) throw new InvalidArgumentError(`projection '${name}': there is no handler in 'on'`);
  for (const [type, handler] of handlers) {
    if (typeof handler !== 'function')
      throw new InvalidArgumentError(`projection '${name}': the handler of '${type}' must be a function`);
    if (isAsync(handler))
      throw new InvalidArgumentError(
        `projection '${name}': the handler of '${type}' is async; it must change the state at once. For what takes ` +
          'time use a subscription',
      );
  }
  const copy = copyPlainData(initial);
  const hash = createHash('sha256').update(JSON.stringify(copy)).update(String(filter));
  for (const [type, handler] of [...handlers].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${type}\0${String(handler)}\0`);
  return {
    name,
    version,
    initial: copy,
    on: handlers,
    fingerprint: hash.digest('hex').slice(0, 16),
    filter,
  };
}

/** Throws {@link InvalidArgumentError} unless it is what {@link defineProjection} returns. */
export function checkProjection(projection: unknown): void {
  if (isObject(projection) && typeof projection['name'] === 'string' && projection['on'] instanceof Map) return;
  throw new InvalidArgumentError(`A projection is what defineProjection returned, got ${shown(projection)}`);
}

/**
 * A handler of a projection failed; `entryId` is the position of the record. The state is as before it, and nothing is
 * folded any more.
 */
export class ProjectionError extends CairnError {
  readonly code = 'CAIRN_PROJECTION';
}

/** A projection's state at a position, and its failure if it has one. */
export class ProjectionFold<S extends object = object> {
  readonly definition: ProjectionDefinition<S>;
  state: ReadonlyState<S>;
  /** Every record up to here is folded, if it is about this projection; the last one that was looked at. */
  position = 0;
  failure: ProjectionError | undefined;
  readonly #aggregate: AggregateDefinition<unknown>;

  constructor(definition: ProjectionDefinition<S>) {
    this.definition = definition;
    this.state = definition.initial as ReadonlyState<S>;
    // The same machine as for aggregates: a handler is a reducer of records.
    this.#aggregate = { ...definition, reducers: definition.on } as never;
  }

  /** Goes on from where another fold of the same projection is. */
  replace(other: ProjectionFold<S>): void {
    this.state = other.state;
    this.position = other.position;
    this.failure = other.failure;
  }

  /** Goes on from a state that was folded before. */
  restore(state: ReadonlyState<S>, position: number): void {
    this.state = state;
    this.position = position;
  }

  /** Folds the next record. After a failure nothing is folded any more. Never throws. */
  fold(record: StoredRecord): void {
    if (this.failure !== undefined) return;
    const { name, on, filter } = this.definition;
    try {
      if (on.has(record.type) && (filter === undefined || filter(record)))
        this.state = reduce(this.#aggregate, this.state, record as never, false) as ReadonlyState<S>;
    } catch (error) {
      const cause = error instanceof ReducerError && error.cause !== undefined ? error.cause : error;
      const message = messageOf(cause);
      this.failure = new ProjectionError(
        `The projection '${name}' stopped before position ${record.position}: folding '${record.type}' failed with: ` +
          `${message.toWellFormed()}. Mend it and open the store again: it goes on with that record`,
        { entryId: record.position, cause },
      );
      return;
    }
    this.position = record.position;
  }
}
