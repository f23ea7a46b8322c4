// The decorators, each one function for both dialects: legacy (experimentalDecorators) and standard. They only note what
// they are told; whether it makes sense together is checked when the definition is made of it, at openStore.

import { InvalidArgumentError } from '../errors/index.js';
import { declaredAsync, factsInContext, isContext, ownFacts, type Facts } from './decorator-facts.js';
import { sessionOf } from './aggregate-root.js';
import type { Migration, Reducer, Upcaster } from './definition.js';

/** Options of {@link Aggregate}. */
export interface AggregateOptions {
  /** Letters, digits, `_` and `.`: streams are called `name-id`. Never change it once there are records. */
  readonly name: string;
  /** Version of the state's shape, from 1. Raise it when checkpointed states can no longer be used as they are. */
  readonly version?: number;
  /** Event types that must have a reducer: types are gone at run time, so a forgotten one is found only if named. */
  readonly events?: readonly string[];
}

type Method = (...args: never[]) => unknown;
type StaticContext = ClassMethodDecoratorContext & { readonly static: true };
type InstanceContext = ClassMethodDecoratorContext & { readonly static: false; readonly private: false };

/** A decorator of static methods of the form `Shape`, in either dialect. */
export interface StaticMethodDecorator<Shape extends Method> {
  <M extends Shape>(method: M, context: StaticContext): void;
  <M extends Shape>(
    constructor: abstract new (...args: never[]) => object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): void;
}

/** A decorator of instance methods, in either dialect. */
export interface InstanceMethodDecorator {
  <M extends Method>(method: M, context: InstanceContext): M;
  <M extends Method>(
    prototype: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): TypedPropertyDescriptor<M>;
}

/** A decorator of classes, in either dialect. */
export type AggregateDecorator = (constructor: abstract new (...args: never[]) => object, context?: unknown) => void;

/**
 * Names a class as an aggregate.
 *
 * @example @Aggregate({ name: 'account', version: 2 }) class Account extends AggregateRoot<State, Events> { ... }
 */
export function Aggregate(options: AggregateOptions): AggregateDecorator {
  return (constructor, context) => {
    const facts = isContext(context) ? factsInContext(context) : ownFacts(constructor);
    facts.name = options.name;
    facts.version = options.version;
    facts.events = options.events;
  };
}

/**
 * Marks a static method as the reducer of an event type: a pure function that changes a draft of the state. It is static
 * so that it cannot reach the instance; what it returns is ignored.
 *
 * @example
 * @Reduces('MoneyDeposited')
 * static deposited(state: AccountState, event: Of<AccountEvent, 'MoneyDeposited'>) { state.balance += event.data.amount; }
 */
export function Reduces<T extends string>(
  type: T,
): StaticMethodDecorator<(state: never, event: { readonly type: T; readonly data: never }) => void> {
  return staticMethod(`@Reduces('${type}')`, (facts, key, method) => {
    const before = facts.reducers.get(type);
    if (before !== undefined)
      throw new InvalidArgumentError(`'${type}' has two reducers, '${String(before.key)}' and '${String(key)}'`);
    facts.reducers.set(type, { key, reducer: method as Reducer });
  });
}

/**
 * Marks a static method that turns the data of an event as version `fromVersion` wrote it into that of the next version.
 *
 * @example @Upcasts('MoneyDeposited', 1) static inCents(data: { euros: number }) { return { amount: data.euros * 100 }; }
 */
export function Upcasts(type: string, fromVersion: number): StaticMethodDecorator<(data: never) => unknown> {
  return staticMethod(`@Upcasts('${type}', ${fromVersion})`, (facts, key, method) => {
    const steps = facts.upcasters.get(type) ?? new Map<number, Upcaster>();
    if (steps.has(fromVersion))
      throw new InvalidArgumentError(
        `'${type}' has two upcasters from version ${fromVersion}, one is '${String(key)}'`,
      );
    facts.upcasters.set(type, steps.set(fromVersion, method as Upcaster));
  });
}

/**
 * Marks a static method that turns a checkpointed state of version `fromVersion` into one of the next version. Needed
 * only where the log no longer reaches back to rebuild the state from its events.
 *
 * @example @MigratesState(1) static withCurrency(state: { balance: number }) { return { ...state, currency: 'EUR' }; }
 */
export function MigratesState(fromVersion: number): StaticMethodDecorator<(state: never) => unknown> {
  return staticMethod(`@MigratesState(${fromVersion})`, (facts, key, method) => {
    if (facts.migrations.has(fromVersion))
      throw new InvalidArgumentError(`There are two migrations from version ${fromVersion}, one is '${String(key)}'`);
    facts.migrations.set(fromVersion, method as Migration);
  });
}

/**
 * Marks a method as a command: it decides on events with `emit`, or throws, and may return a value. It runs at once and
 * must not be async: fetch what it needs before, and pass it in.
 */
export function Command(): InstanceMethodDecorator {
  const decorate = (target: unknown, keyOrContext: unknown, descriptor?: PropertyDescriptor): unknown => {
    if (isContext(keyOrContext)) {
      const { kind, name } = keyOrContext;
      if (kind !== 'method' || keyOrContext.static || keyOrContext.private)
        throw new InvalidArgumentError(`@Command() on '${String(name)}': not a public instance method`);
      factsInContext(keyOrContext).commands.add(name);
      return command(target as Method, name);
    }
    const key = keyOrContext as string | symbol;
    if (typeof target === 'function' || typeof descriptor?.value !== 'function')
      throw new InvalidArgumentError(`@Command() on '${String(key)}': not a public instance method`);
    ownFacts((target as object).constructor).commands.add(key);
    return { ...descriptor, value: command(descriptor.value as Method, key) };
  };
  return decorate as InstanceMethodDecorator;
}

function command(method: Method, name: string | symbol): Method {
  const wrapped = function (this: object, ...args: never[]): unknown {
    sessionOf(this);
    const result = method.apply(this, args);
    if (result instanceof Promise) {
      result.catch(() => undefined);
      throw new InvalidArgumentError(
        `The command '${String(name)}' is async; commands decide at once. Fetch what it needs before and pass it in`,
      );
    }
    return result;
  };
  Object.defineProperty(wrapped, 'name', { value: method.name });
  return wrapped;
}

function staticMethod<Shape extends Method>(
  label: string,
  note: (facts: Facts, key: string | symbol, method: unknown) => void,
): StaticMethodDecorator<Shape> {
  const decorate = (target: unknown, keyOrContext: unknown, descriptor?: PropertyDescriptor): void => {
    if (isContext(keyOrContext)) {
      const { kind, name } = keyOrContext;
      if (kind !== 'method' || !keyOrContext.static)
        throw new InvalidArgumentError(`${label} on '${String(name)}': make it a static method`);
      note(factsInContext(keyOrContext), name, target);
      return;
    }
    const key = keyOrContext as string | symbol;
    if (typeof target !== 'function' || typeof descriptor?.value !== 'function')
      throw new InvalidArgumentError(`${label} on '${String(key)}': make it a static method`);
    if (declaredAsync(target, key))
      throw new InvalidArgumentError(
        `${label} on '${String(key)}': it is async; a reducer must change the draft at once`,
      );
    note(ownFacts(target), key, descriptor.value);
  };
  return decorate as StaticMethodDecorator<Shape>;
}
