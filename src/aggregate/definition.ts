// What an aggregate is to the store, however it was written: a name, a first state, and pure functions. Classes with
// decorators and `defineAggregate` both end up here; nothing below this layer knows which.

import { createHash } from 'node:crypto';
import { copyPlainData } from '../codec/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Event } from './event.js';

/** Changes an immer draft of the state according to an event; or leaves the draft alone and returns the next state. */
export type Reducer = (draft: never, event: never) => void;
/** Turns the data of an event as one version wrote it into the data of the next version. */
export type Upcaster = (data: never) => unknown;
/** Turns a checkpointed state of one declared version into the state of the next. */
export type Migration = (state: never) => unknown;

/** An aggregate type, checked. */
export interface AggregateDefinition<S = unknown, E extends Event = Event> {
  readonly name: string;
  /** Declared version of the state, from 1; a higher one than a checkpoint's makes the store rebuild the state. */
  readonly version: number;
  readonly initial: S;
  /** By event type. */
  readonly reducers: ReadonlyMap<string, Reducer>;
  /** By event type: element i turns version i + 1 into version i + 2. */
  readonly upcasters: ReadonlyMap<string, readonly Upcaster[]>;
  /** By the state version they start from. */
  readonly migrations: ReadonlyMap<number, Migration>;
  /** Changes when a reducer or upcaster does. */
  readonly fingerprint: string;
  /** Only for its type. */
  readonly event?: E;
}

/** What a definition is made from; checked by {@link checkDefinition}. */
export interface DefinitionParts {
  readonly name: string;
  readonly version: number | undefined;
  readonly initial: unknown;
  readonly reducers: ReadonlyMap<string, Reducer>;
  readonly upcasters: ReadonlyMap<string, ReadonlyMap<number, Upcaster>>;
  readonly migrations: ReadonlyMap<number, Migration>;
  /** All event types, where they are declared: those and no others must have a reducer. */
  readonly events: readonly string[] | undefined;
  /** What `this` is to reducers, upcasters and migrations. */
  readonly self: object;
  /** How the author calls it, for messages: `class Account`. */
  readonly label: string;
}

/** Checks what types cannot, and completes it. Throws {@link InvalidArgumentError} that says what to change. */
export function checkDefinition(parts: DefinitionParts): AggregateDefinition {
  const { name, version = 1, label } = parts;
  const fail = (what: string): never => {
    throw new InvalidArgumentError(`${label}: ${what}`);
  };
  if (typeof name !== 'string' || !/^[A-Za-z0-9_.]+$/.test(name))
    fail(
      `the name ${shown(name)} must be made of letters, digits, '_' and '.'; in the names of streams '-' ` +
        'separates it from the id',
    );
  if (!Number.isSafeInteger(version) || version < 1)
    fail(`the version must be a whole number from 1, got ${shown(version)}`);
  if (typeof parts.initial !== 'object' || parts.initial === null)
    fail(`the initial state must be an object: 'static readonly initial' of a class, or 'initial' of defineAggregate`);
  checkReducers(parts, fail);
  for (const [from, migration] of parts.migrations) {
    if (!(from >= 1 && from < version))
      fail(`a migration starts from version ${from}, but the aggregate is version ${version}`);
    if (typeof migration !== 'function') fail(`the migration from version ${from} must be a function`);
    if (isAsync(migration)) fail(`the migration from version ${from} is async; it must return the state at once`);
  }
  const { self } = parts;
  const upcasters = chains(parts, fail);
  return {
    name,
    version,
    initial: initialState(parts.initial, label),
    reducers: bound(parts.reducers, self),
    upcasters: new Map([...upcasters].map(([type, chain]) => [type, chain.map((step) => step.bind(self) as Upcaster)])),
    migrations: bound(parts.migrations, self),
    fingerprint: fingerprint(parts),
  };
}

function checkReducers({ events, reducers }: DefinitionParts, fail: (what: string) => never): void {
  for (const type of events ?? [])
    if (!reducers.has(type)) fail(`the event '${type}' is declared but has no reducer; add @Reduces('${type}')`);
  for (const [type, reducer] of reducers) {
    if (type === '' || !type.isWellFormed()) fail(`${shown(type)} is no name for an event`);
    if (typeof reducer !== 'function') fail(`the reducer of '${type}' must be a function`);
    if (isAsync(reducer))
      fail(
        `the reducer of '${type}' is async; it must change the draft at once. Do what takes time before the command`,
      );
    if (events !== undefined && !events.includes(type))
      fail(`there is a reducer for '${type}', which is not among the declared events; add it to 'events'`);
  }
  if (reducers.size === 0) fail('there is no reducer; add at least one');
}

/** Functions as methods of the class that they were written in. */
function bound<K, F extends (...args: never[]) => unknown>(functions: ReadonlyMap<K, F>, self: object): Map<K, F> {
  return new Map([...functions].map(([key, fn]) => [key, fn.bind(self) as F]));
}

function initialState(initial: unknown, label: string): unknown {
  try {
    return copyPlainData(initial, 'initial');
  } catch (cause) {
    throw new InvalidArgumentError(
      `${label}: the initial state must be plain data, so that it can be checkpointed: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function chains(parts: DefinitionParts, fail: (what: string) => never): Map<string, Upcaster[]> {
  const complete = new Map<string, Upcaster[]>();
  for (const [type, steps] of parts.upcasters) {
    if (!parts.reducers.has(type)) fail(`there is an upcaster of '${type}', but no reducer`);
    const chain: Upcaster[] = [];
    for (let from = 1; from <= steps.size; from++) {
      const step = steps.get(from);
      if (step === undefined)
        return fail(`the upcasters of '${type}' must start from 1, 2, 3, ...; ${from} is missing`);
      if (typeof step !== 'function') fail(`the upcaster of '${type}' from version ${from} must be a function`);
      if (isAsync(step))
        fail(`the upcaster of '${type}' from version ${from} is async; it must return the data at once`);
      chain.push(step);
    }
    complete.set(type, chain);
  }
  return complete;
}

/** An `async` function, as far as it can be seen without calling it. */
export function isAsync(fn: object): boolean {
  return Object.prototype.toString.call(fn) === '[object AsyncFunction]';
}

/** Over the source text of everything that turns events into state; comments in it count, names around it do not. */
function fingerprint(parts: DefinitionParts): string {
  const hash = createHash('sha256');
  for (const [type, reducer] of [...parts.reducers].sort(byKey)) hash.update(`${type}\0${String(reducer)}\0`);
  for (const [type, steps] of [...parts.upcasters].sort(byKey))
    for (const [from, step] of [...steps].sort(([a], [b]) => a - b)) hash.update(`${type}\0${from}\0${String(step)}\0`);
  hash.update(JSON.stringify(parts.initial));
  return hash.digest('hex').slice(0, 16);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
