// given, when, then: what an aggregate decides, as a sentence. Commands and reducers run as in a store, but on no store;
// only `thenRecovers` opens some, in memory.

import {
  beginSession,
  copyEvent,
  currentEventVersion,
  definitionOfClass,
  endSession,
  isPromiseLike,
  type AggregateDefinition,
  type Emitted,
  type Event,
} from '../aggregate/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { shown } from '../errors/shown.js';
import type { InstanceOf, StateOf, Target } from '../store/event-store.js';
import { assertionError, fail, isSame } from './differences.js';
import { stateAfter, type WrittenEvent } from './other-world.js';
import { checkRecovery } from './recovery-check.js';

/** The events of an aggregate. */
export type EventOf<T> = T extends new () => { readonly __event?: infer E }
  ? Extract<E, Event>
  : T extends { readonly definition: { readonly event?: infer E } }
    ? Extract<E, Event>
    : never;

/** An event as an older version of the program wrote it: its data goes through the upcasters from `eventVersion` on. */
export interface OldEvent {
  readonly type: string;
  readonly data: unknown;
  /** Version of the data, from 1. */
  readonly eventVersion: number;
}

export interface GivenOptions {
  /** Id of the aggregate, as its commands see it. Default `test`. */
  readonly id?: string | undefined;
}

/**
 * What an error must be: of a class, with a message that has a text in it or matches a pattern, or with properties of
 * these values.
 */
export type ErrorLike =
  (abstract new (...args: never[]) => Error) | RegExp | string | Readonly<Record<string, unknown>>;

/**
 * Begins a test of an aggregate with the events that it already has. Throws what a reducer or upcaster of them throws.
 *
 * @example
 * await given(Account, [{ type: 'MoneyDeposited', data: { amount: 100 } }])
 *   .when((account) => account.withdraw(30))
 *   .thenEvents([{ type: 'MoneyWithdrawn', data: { amount: 30 } }])
 *   .thenState({ owner: null, balance: 70 })
 *   .thenRecovers();
 */
export function given<T extends Target>(
  target: T,
  events: readonly (EventOf<T> | OldEvent)[] = [],
  options: GivenOptions = {},
): Given<T> {
  return new Given(target, events, options);
}

/** See {@link given}. */
export class Given<T extends Target> {
  readonly #target: T;
  readonly #definition: AggregateDefinition;
  readonly #id: string;
  readonly #events: readonly WrittenEvent[];
  readonly #state: unknown;

  /** Use {@link given}. */
  constructor(target: T, events: readonly Event[], { id = 'test' }: GivenOptions) {
    this.#target = target;
    this.#definition = typeof target === 'function' ? definitionOfClass(target) : target.definition;
    this.#id = id;
    this.#events = events.map((event) => written(this.#definition, event));
    this.#state = this.#events.reduce(
      (state, event) => stateAfter(this.#definition, state, event),
      this.#definition.initial,
    );
  }

  /**
   * Runs a command, as `store.execute` does: `decide` gets the aggregate and calls its commands. What it throws is kept
   * for {@link Outcome.thenThrows}.
   */
  when<R>(decide: (aggregate: InstanceOf<T>) => R): Outcome<T, R> {
    const target = this.#target;
    const root = (typeof target === 'function' ? new target() : target.make()) as InstanceOf<T> & object;
    beginSession(root, this.#definition, this.#id, this.#state, this.#events.length);
    let answer: Answer<R>;
    try {
      const result = decide(root);
      if (isPromiseLike(result))
        throw new InvalidArgumentError('A command decides at once: do not pass an async function');
      answer = { kind: 'returned', result };
    } catch (error) {
      answer = { kind: 'threw', error };
    }
    const emitted = endSession(root);
    return new Outcome({
      definition: this.#definition,
      id: this.#id,
      given: this.#events,
      emitted: answer.kind === 'threw' ? [] : emitted,
      before: this.#state,
      answer,
    });
  }

  /** What the given events lead to, without a command. See {@link Outcome.thenState}. */
  thenState(expected: StateOf<T>): Outcome<T, undefined> {
    return this.when(() => undefined).thenState(expected);
  }

  /** Whether the given events recover, without a command. See {@link Outcome.thenRecovers}. */
  thenRecovers(): Outcome<T, undefined> {
    return this.when(() => undefined).thenRecovers();
  }
}

function written(definition: AggregateDefinition, event: Event & Partial<OldEvent>): WrittenEvent {
  const { eventVersion = currentEventVersion(definition, event.type) } = event;
  if (!Number.isSafeInteger(eventVersion) || eventVersion < 1)
    throw new InvalidArgumentError(`eventVersion must be a whole number from 1, got ${shown(eventVersion)}`);
  return { ...copyEvent(event.type, event.data), eventVersion };
}

type Answer<R> =
  { readonly kind: 'returned'; readonly result: R } | { readonly kind: 'threw'; readonly error: unknown };

interface Executed<R> {
  readonly definition: AggregateDefinition;
  readonly id: string;
  readonly given: readonly WrittenEvent[];
  readonly emitted: readonly Emitted[];
  readonly before: unknown;
  readonly answer: Answer<R>;
}

/**
 * What a command came to. Each check throws an `AssertionError` at once, so that a chain stops at the first one that
 * fails; only {@link Outcome.thenRecovers} takes time, so await the chain. Awaiting it also rejects with what the
 * command threw, unless {@link Outcome.thenThrows} expected that.
 */
export class Outcome<T extends Target, R> implements PromiseLike<void> {
  readonly #executed: Executed<R>;
  readonly #recoveries: Promise<void>[] = [];
  #isExpected = false;

  /** Use {@link given}. */
  constructor(executed: Executed<R>) {
    this.#executed = executed;
  }

  /** The command decided on exactly these events, in this order; `[]` for none. */
  thenEvents(expected: readonly EventOf<T>[]): this {
    return this.#check(() => {
      this.#checkReturned('thenEvents');
      const actual = this.#executed.emitted.map(({ type, data }) => ({ type, data }));
      const wanted = expected.map(({ type, data }) => ({ type, data }));
      if (!isSame(actual, wanted)) fail(`${this.#name} decided on other events than expected`, actual, wanted);
    });
  }

  /** The state after the command; after one that threw, the state before it. */
  thenState(expected: StateOf<T>): this {
    return this.#check(() => {
      this.#checkReturned('thenState');
      if (!isSame(this.#after, expected))
        fail(`The state of ${this.#name} is another one than expected`, this.#after, expected);
    });
  }

  /** What the command returned. */
  thenReturns(expected: R): this {
    return this.#check(() => {
      this.#checkReturned('thenReturns');
      const { answer } = this.#executed;
      const actual = answer.kind === 'returned' ? answer.result : undefined;
      if (!isSame(actual, expected))
        fail(`The command of ${this.#name} returned something else than expected`, actual, expected);
    });
  }

  /** The command threw, and so decided on nothing. Say what: a class, a text or pattern of its message, or properties. */
  thenThrows(expected?: ErrorLike): this {
    return this.#check(() => {
      const { answer } = this.#executed;
      if (answer.kind === 'returned')
        throw assertionError(
          `The command of ${this.#name} was expected to throw${described(expected)}, but it ${this.#did}`,
        );
      const problem = expected === undefined ? undefined : mismatch(answer.error, expected);
      if (problem !== undefined)
        throw Object.assign(
          assertionError(
            `The command of ${this.#name} was expected to throw${described(expected)}, but it threw ${problem}`,
          ),
          { cause: answer.error },
        );
      this.#isExpected = true;
    });
  }

  /**
   * The aggregate comes back as it is now: by replay of its events, by a checkpoint after each of them and replay of the
   * rest, after a power cut behind the append of the command, and after a crash at every byte of it (then as it is now,
   * or as it was before). Old events go through their upcasters. Reducers run with other clocks and other random
   * numbers than before.
   *
   * Takes about a millisecond for each byte that the command's events take in the log.
   */
  thenRecovers(): this {
    return this.#check(() => {
      const { definition, id, given: events, emitted, before } = this.#executed;
      this.#checkReturned('thenRecovers');
      this.#recoveries.push(
        checkRecovery({
          definition,
          id,
          given: events,
          emitted: emitted.map(({ type, data }) => ({
            type,
            data,
            eventVersion: currentEventVersion(definition, type),
          })),
          before,
          after: this.#after,
        }),
      );
    });
  }

  /** So that it can be awaited. */
  // oxlint-disable-next-line unicorn/no-thenable
  then<A = void, B = never>(
    onFulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#done().then(onFulfilled, onRejected);
  }

  async #done(): Promise<void> {
    const { answer } = this.#executed;
    // oxlint-disable-next-line typescript/only-throw-error
    if (answer.kind === 'threw' && !this.#isExpected) throw answer.error;
    await Promise.all(this.#recoveries);
  }

  get #name(): string {
    return `${this.#executed.definition.name} '${this.#executed.id}'`;
  }

  get #after(): unknown {
    const { emitted, before } = this.#executed;
    return emitted.length === 0 ? before : emitted.at(-1)!.state;
  }

  /** What a command did that did not throw. */
  get #did(): string {
    const { emitted } = this.#executed;
    if (emitted.length === 0) return 'returned and decided on nothing';
    return `returned and decided on ${emitted.map(({ type }) => type).join(', ')}`;
  }

  #check(check: () => void): this {
    try {
      check();
    } catch (error) {
      // Nobody will await what was begun before: this is the failure that is told.
      for (const recovery of this.#recoveries) recovery.catch(() => undefined);
      throw error;
    }
    return this;
  }

  /** An error that nobody expected explains more than what did not come of it. */
  #checkReturned(check: string): void {
    const { answer } = this.#executed;
    if (answer.kind === 'returned' || this.#isExpected) return;
    throw Object.assign(
      assertionError(
        `The command of ${this.#name} threw ${named(answer.error)}. If it should, put thenThrows() before ${check}()`,
      ),
      { cause: answer.error },
    );
  }
}

function described(expected: ErrorLike | undefined): string {
  if (expected === undefined) return '';
  if (typeof expected === 'function') return ` ${expected.name}`;
  if (typeof expected === 'string') return ` an error with '${expected}' in its message`;
  if (expected instanceof RegExp) return ` an error whose message matches ${String(expected)}`;
  return ` an error with ${Object.keys(expected).join(', ')}`;
}

/** What it is instead, or `undefined` if it is as expected. */
function mismatch(error: unknown, expected: ErrorLike): string | undefined {
  const message = messageOf(error);
  if (typeof expected === 'function') return error instanceof expected ? undefined : named(error);
  if (typeof expected === 'string') return message.includes(expected) ? undefined : named(error);
  if (expected instanceof RegExp) return expected.test(message) ? undefined : named(error);
  const actual = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const other = Object.keys(expected).filter((key) => !isSame(actual[key], expected[key]));
  if (other.length === 0) return undefined;
  return `one with ${other.map((key) => `${key}: ${shown(actual[key])} instead of ${shown(expected[key])}`).join(', ')}`;
}

function named(error: unknown): string {
  return error instanceof Error ? `${error.constructor.name}: ${error.message}` : shown(error);
}
