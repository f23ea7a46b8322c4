// The object that commands run on: a state, the version it is of, and the events that a command has decided on.

import { InvalidArgumentError } from '../errors/index.js';
import type { AggregateDefinition } from './definition.js';
import { copyEvent, type DataOf, type Event } from './event.js';
import { reduce, type ReadonlyState } from './reduce.js';

/** An event, and the state that it led to. */
export interface Emitted extends Event {
  readonly state: unknown;
}

interface Session {
  readonly definition: AggregateDefinition;
  readonly id: string;
  state: unknown;
  version: number;
  emitted: Emitted[];
  open: boolean;
}

/** A base class whose constructor gives back the object it is given, so that derived ones put their fields on it. */
const FieldsOn = function (object: object): object {
  return object;
} as unknown as new (object: object) => object;

// A private field: a subclass may use any name it likes, and a proxy or copy of the object is not the object. A WeakMap
// would say the same, but an entry that comes and goes with every command costs more than all the rest of it.
class Attached extends FieldsOn {
  #session: Session;

  private constructor(root: object, session: Session) {
    super(root);
    this.#session = session;
  }

  static attach(root: object, session: Session): void {
    if (#session in root) root.#session = session;
    else void new Attached(root, session);
  }

  /** `root`: anything at all, as a method that was taken off its object is called with. */
  static sessionOf(root: unknown): Session | undefined {
    return typeof root === 'object' && root !== null && #session in root ? root.#session : undefined;
  }
}

/**
 * Base of aggregates that are written as classes.
 *
 * @example
 * @Aggregate({ name: 'account', version: 1 })
 * class Account extends AggregateRoot<AccountState, AccountEvent> {
 *   static readonly initial: AccountState = { owner: null, balance: 0 };
 *   @Command() deposit(amount: number) { this.emit('MoneyDeposited', { amount }); }
 *   @Reduces('MoneyDeposited') static deposited(state: AccountState, event: Of<AccountEvent, 'MoneyDeposited'>) {
 *     state.balance += event.data.amount;
 *   }
 * }
 */
export abstract class AggregateRoot<S extends object, E extends Event> {
  /** Only for its type: the events of this aggregate. */
  declare readonly __event?: E;

  /** Id without the aggregate's name. */
  get id(): string {
    return sessionOf(this).id;
  }

  /** State, with what was emitted so far. Frozen. */
  get state(): ReadonlyState<S> {
    return sessionOf(this).state as ReadonlyState<S>;
  }

  /** Version of the stream, with what was emitted so far; 0 before the first event. */
  get version(): number {
    return sessionOf(this).version;
  }

  /**
   * Decides on an event: it is reduced at once, and stored if the command succeeds. The data is copied.
   * Throws `EncodeError` for data that could not be stored as it is, `ReducerError` when there is no reducer or it
   * fails; then the event is not decided on, and the state is as before.
   *
   * @example this.emit('MoneyDeposited', { amount: 10 });
   */
  protected emit<T extends E['type']>(type: T, data: DataOf<E, T>): void {
    emitOn(this, type, data);
  }
}

/** Of a command that has not decided on anything: nothing is ever added to it. */
const NOTHING: Emitted[] = [];

/** Attaches a state to an object, so that commands can run on it. */
export function beginSession(
  root: object,
  definition: AggregateDefinition,
  id: string,
  state: unknown,
  version: number,
): void {
  Attached.attach(root, { definition, id, state, version, emitted: NOTHING, open: true });
}

/** Ends the session: later emits throw. Returns what was emitted. */
export function endSession(root: object): readonly Emitted[] {
  const session = sessionOf(root);
  session.open = false;
  return session.emitted;
}

export function emitOn(root: object, type: string, data: unknown): void {
  const session = sessionOf(root);
  if (!session.open)
    throw new InvalidArgumentError(
      `'${type}' was emitted after the command had ended; emit before the command returns, not in a callback`,
    );
  const event = copyEvent(type, data);
  session.state = reduce(session.definition, session.state, event);
  session.version++;
  const emitted = { type, data: event.data, state: session.state };
  // Mostly it stays the only one; an array that is pushed to has room for seventeen.
  if (session.emitted.length === 0) session.emitted = [emitted];
  else session.emitted.push(emitted);
}

/**
 * A method as a command: one that throws takes back what it emitted, so that whoever catches the error goes on from the
 * state before; one that returns a promise is refused.
 */
export function asCommand(
  method: (...args: never[]) => unknown,
  name: string | symbol,
  target?: object,
): typeof method {
  const command = function (this: object, ...args: never[]): unknown {
    const session = sessionOf(target ?? this);
    const { state, version } = session;
    const { length } = session.emitted;
    try {
      const result = method.apply(this, args);
      if (!isPromiseLike(result)) return result;
      if (result instanceof Promise) result.catch(() => undefined);
      throw new InvalidArgumentError(
        `The command '${String(name)}' is async; commands decide at once. Fetch what it needs before and pass it in`,
      );
    } catch (error) {
      session.state = state;
      session.version = version;
      session.emitted.length = length;
      throw error;
    }
  };
  return Object.defineProperty(command, 'name', { value: method.name });
}

/** Whether somebody would have to wait for it. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

export function sessionOf(root: object): Session {
  const session = Attached.sessionOf(root);
  if (session === undefined)
    throw new InvalidArgumentError(
      'This aggregate is not attached to a store. Do not make it with new, use store.execute(Class, id, ...); and read ' +
        'its state in commands, not while it is constructed',
    );
  return session;
}
