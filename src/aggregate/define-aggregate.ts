// Aggregates without classes and decorators: a function call with the same parts.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { asCommand, emitOn, sessionOf } from './aggregate-root.js';
import {
  checkDefinition,
  type AggregateDefinition,
  type Migration,
  type Reducer,
  type Upcaster,
} from './definition.js';
import type { DataOf, Event, Of } from './event.js';
import type { Draft, ReadonlyState } from './reduce.js';

/** What a command of a defined aggregate works with. */
export interface CommandContext<S, E extends Event> {
  readonly id: string;
  /** State, with what was emitted so far. Frozen. */
  readonly state: ReadonlyState<S>;
  readonly version: number;
  /** Decides on an event; see `AggregateRoot.emit`. */
  emit<T extends E['type']>(type: T, data: DataOf<E, T>): void;
}

type Commands = Record<string, (...args: never[]) => unknown>;

/** What every aggregate has, and no command is called. */
type Unshadowed = { readonly [K in keyof CommandContext<unknown, Event>]?: never };

/**
 * A reducer for every member of an event union: what `reduce` of {@link defineAggregate} is, for those who write the
 * union first. One that is missing, or of another event, does not compile.
 *
 * @example
 * const reduce: Reducers<CounterState, CounterEvent> = { Counted: (state, event) => { state.count += event.data.by; } };
 */
export type Reducers<S extends object, E extends Event> = {
  readonly [T in E['type']]: (state: Draft<S>, event: Of<E, T>) => void;
};

/** The event union of a map from event types to their data. */
type EventsOf<D> = { [T in keyof D & string]: Event<T, D[T]> }[keyof D & string];

/** What `execute` passes for a defined aggregate: its context, and its commands. */
export type DefinedInstance<S, E extends Event, C> = CommandContext<S, E> & C;

/** An aggregate made by {@link defineAggregate}. */
export interface DefinedAggregate<S extends object, E extends Event, C> {
  readonly definition: AggregateDefinition<S, E>;
  /** Makes the object that commands run on. */
  readonly make: () => DefinedInstance<S, E, C>;
}

export interface DefineAggregateOptions<S extends object, D, C> {
  /** Version of the state's shape, from 1. Default 1. */
  readonly version?: number | undefined;
  readonly initial: S;
  /**
   * One reducer for every event: changes a draft of the state, or leaves it alone and returns the next state. If it
   * changes the draft, what it returns is ignored.
   */
  readonly reduce: { readonly [T in keyof D]: (state: Draft<S>, event: Event<T & string, D[T]>) => void };
  /** By event type: element i turns the data of version i + 1 into that of version i + 2. */
  readonly upcast?: { readonly [T in keyof NoInfer<D>]?: readonly ((data: never) => unknown)[] } | undefined;
  /** By state version: turns a checkpointed state of that version into one of the next. */
  readonly migrate?: Readonly<Record<number, (state: never) => unknown>> | undefined;
  /**
   * Functions that decide on events: called for every execution with what they work on. Take `aggregate.state` when the
   * command runs, not before. A command that throws has decided on nothing.
   */
  readonly commands?: ((aggregate: CommandContext<S, EventsOf<D>>) => C & Unshadowed) | undefined;
}

/**
 * Defines an aggregate without a class. The types of its events are those of the reducers' parameters. Throws
 * `InvalidArgumentError` that says what to change.
 *
 * @example
 * const Counter = defineAggregate('counter', {
 *   initial: { count: 0 },
 *   reduce: {
 *     Counted: (state, event: Event<'Counted', { by: number }>) => { state.count += event.data.by; },
 *   },
 *   commands: (counter) => ({ count: (by: number) => counter.emit('Counted', { by }) }),
 * });
 * await store.execute(Counter, 'c-1', (counter) => counter.count(2));
 */
export function defineAggregate<S extends object, D, C extends Commands = Record<never, never>>(
  name: string,
  options: DefineAggregateOptions<S, D, C>,
): DefinedAggregate<S, EventsOf<D>, C> {
  const label = typeof name === 'string' ? `aggregate '${name}'` : 'aggregate';
  if (typeof options !== 'object' || options === null)
    throw new InvalidArgumentError(`${label}: say what it is: { initial, reduce }, got ${shown(options)}`);
  for (const [type, steps] of Object.entries(options.upcast ?? {}))
    if (!Array.isArray(steps))
      throw new InvalidArgumentError(
        `${label}: the upcasters of '${type}' must be an array of functions, the one from version 1 first, got ${shown(steps)}`,
      );
  const definition = checkDefinition({
    name,
    version: options.version,
    initial: options.initial,
    reducers: new Map(Object.entries(options.reduce ?? {}) as [string, Reducer][]),
    upcasters: new Map(
      Object.entries(options.upcast ?? {}).map(([type, steps]) => [
        type,
        new Map((steps as Upcaster[]).map((step, index) => [index + 1, step])),
      ]),
    ),
    migrations: new Map(
      Object.entries(options.migrate ?? {}).map(([from, migration]) => [Number(from), migration as Migration]),
    ),
    events: undefined,
    self: options.reduce,
    label,
  }) as AggregateDefinition<S, EventsOf<D>>;
  if (options.commands !== undefined && typeof options.commands !== 'function')
    throw new InvalidArgumentError(
      `aggregate '${name}': commands must be a function that gives them, (aggregate) => ({ … })`,
    );
  return { definition, make: () => instance(name, options.commands as never) as never };
}

function instance(aggregate: string, commands: (context: never) => object = () => ({})): object {
  const context = {
    get id() {
      return sessionOf(context).id;
    },
    get state() {
      return sessionOf(context).state;
    },
    get version() {
      return sessionOf(context).version;
    },
    emit: (type: string, data: unknown) => emitOn(context, type, data),
  };
  for (const [name, run] of Object.entries(commands(context as never))) {
    if (Object.hasOwn(context, name))
      throw new InvalidArgumentError(
        `aggregate '${aggregate}': a command cannot be called '${name}'; every one has that`,
      );
    if (typeof run !== 'function')
      throw new InvalidArgumentError(`aggregate '${aggregate}': the command '${name}' must be a function`);
    Object.defineProperty(context, name, { value: asCommand(run as never, name, context) });
  }
  return context;
}
