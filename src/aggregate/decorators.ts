// The decorators, each one function for both dialects: legacy (experimentalDecorators) and standard. They only note what
// they are told; whether it makes sense together is checked when the definition is made of it, at openStore.

import { declaredAsync, factsInContext, isContext, ownFacts, type Facts } from './decorator-facts.js';
import { asCommand } from './aggregate-root.js';
import type { Migration, Reducer, Upcaster } from './definition.js';

/** Options of {@link Aggregate}. */
export interface AggregateOptions {
  /** Letters, digits, `_` and `.`: streams are called `name-id`. Never change it once there are records. */
  readonly name: string;
  /** Version of the state's shape, from 1. Raise it when checkpointed states can no longer be used as they are. */
  readonly version?: number | undefined;
  /** Event types that must have a reducer: types are gone at run time, so a forgotten one is found only if named. */
  readonly events?: readonly string[] | undefined;
}

type Method = (...args: never[]) => unknown;
/** Of a method that may say what its `this` is. */
type StaticContext = ClassMethodDecoratorContext<never> & { readonly static: true };
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
    // A class has a prototype, the prototype of a class has none: a static method is no command.
    prototype: object & { readonly prototype?: never },
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
 * Marks a static method as the reducer of an event type: a pure function that changes a draft of the state, or leaves it
 * alone and returns the next state. It is static so that it cannot reach the instance. If it changes the draft, what it
 * returns is ignored.
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
      facts.problems.push(
        `the event '${type}' has two reducers, '${String(before.key)}' and '${String(key)}'; leave one`,
      );
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
      facts.problems.push(
        `the event '${type}' has two upcasters from version ${fromVersion}, one is '${String(key)}'; leave one`,
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
      facts.problems.push(`there are two migrations from version ${fromVersion}, one is '${String(key)}'; leave one`);
    facts.migrations.set(fromVersion, method as Migration);
  });
}

/**
 * Marks a method as a command: it decides on events with `emit`, or throws, and may return a value. One that throws has
 * decided on nothing, also if its caller catches the error. It runs at once and must not be async: fetch what it needs
 * before, and pass it in.
 *
 * @example
 * @Command()
 * withdraw(amount: number): number {
 *   if (amount > this.state.balance) throw new InsufficientFunds();
 *   this.emit('MoneyWithdrawn', { amount });
 *   return this.state.balance; // with what was emitted
 * }
 */
export function Command(): InstanceMethodDecorator {
  const decorate = (target: unknown, keyOrContext: unknown, descriptor?: PropertyDescriptor): unknown => {
    const isStandard = isContext(keyOrContext);
    const key = (isStandard ? keyOrContext.name : keyOrContext) as string | symbol;
    const facts = isStandard ? factsInContext(keyOrContext) : ownFacts(classOf(target));
    const isMethod = isStandard
      ? keyOrContext.kind === 'method' && !keyOrContext.static && !keyOrContext.private
      : typeof target === 'object' && typeof descriptor?.value === 'function';
    if (!isMethod) {
      facts.problems.push(`@Command() on '${String(key)}': make it a public method that is not static`);
      return undefined;
    }
    facts.commands.add(key);
    if (isStandard) return asCommand(target as Method, key);
    return { ...descriptor, value: asCommand(descriptor!.value as Method, key) };
  };
  return decorate as InstanceMethodDecorator;
}

function staticMethod<Shape extends Method>(
  label: string,
  note: (facts: Facts, key: string | symbol, method: unknown) => void,
): StaticMethodDecorator<Shape> {
  const decorate = (target: unknown, keyOrContext: unknown, descriptor?: PropertyDescriptor): void => {
    const isStandard = isContext(keyOrContext);
    const key = (isStandard ? keyOrContext.name : keyOrContext) as string | symbol;
    const facts = isStandard ? factsInContext(keyOrContext) : ownFacts(classOf(target));
    const isStatic = isStandard
      ? keyOrContext.kind === 'method' && keyOrContext.static
      : typeof target === 'function' && typeof descriptor?.value === 'function';
    if (!isStatic) facts.problems.push(`${label} on '${String(key)}': make it a static method`);
    else if (!isStandard && declaredAsync(target as object, key))
      facts.problems.push(`${label} on '${String(key)}': it is async, and must come to its end at once`);
    else note(facts, key, isStandard ? target : descriptor!.value);
  };
  return decorate as StaticMethodDecorator<Shape>;
}

/** The class that a legacy decorator is in, whose target is the class or its prototype. */
function classOf(target: unknown): object {
  return typeof target === 'function' ? target : (target as object).constructor;
}
