// Reducers and upcasters in another world: another time, other random numbers. What is a function of state and event
// alone makes the same state in all of them; what is not is found out without waiting for the clock to move.

import { reduce, upcast, type AggregateDefinition, type Event } from '../aggregate/index.js';
import { isSame } from './differences.js';

export interface World {
  /** Milliseconds that clocks are ahead. */
  readonly ahead: number;
  /** What `Math.random()` gives. */
  readonly random: number;
}

const HOUR_MS = 3_600_000;

/** Two, so that whatever a random number decides, one of them decides otherwise. */
export const OTHER_WORLDS: readonly World[] = [
  { ahead: 400 * 24 * HOUR_MS + 5 * HOUR_MS + 123_457, random: 0.015625 },
  { ahead: -(100 * 24 * HOUR_MS + 7 * HOUR_MS + 765_433), random: 0.984375 },
];

/** The definition, with everything that makes states or data running in that world. */
export function inWorld(definition: AggregateDefinition, world: World): AggregateDefinition {
  const moved = <F extends (...args: never[]) => unknown>(fn: F): F =>
    ((...args: never[]) => run(world, () => fn(...args))) as F;
  return {
    ...definition,
    reducers: new Map([...definition.reducers].map(([type, reducer]) => [type, moved(reducer)])),
    upcasters: new Map([...definition.upcasters].map(([type, chain]) => [type, chain.map(moved)])),
  };
}

/** An event as it was written: with the version of its data. */
export interface WrittenEvent extends Event {
  readonly eventVersion: number;
}

/** The state after an event of whatever version. Throws `ReducerError`. */
export function stateAfter(definition: AggregateDefinition, state: unknown, event: WrittenEvent): unknown {
  const { type, data, eventVersion } = event;
  return reduce(definition, state, { type, data: upcast(definition, type, data, eventVersion) });
}

/** Two states that one event led to from one state. */
export interface Disagreement {
  /** In this world. */
  readonly here: unknown;
  /** In another one. */
  readonly there: unknown;
}

/** Reduces every event several times. */
export class Suspicion {
  readonly #definition: AggregateDefinition;
  readonly #elsewhere: readonly AggregateDefinition[];

  constructor(definition: AggregateDefinition) {
    this.#definition = definition;
    this.#elsewhere = OTHER_WORLDS.map((world) => inWorld(definition, world));
  }

  /** The state after an event, and another one that it led to as well, if it did. */
  reduce(state: unknown, event: WrittenEvent): { readonly next: unknown; readonly other: Disagreement | undefined } {
    const here = stateAfter(this.#definition, state, event);
    for (const definition of this.#elsewhere) {
      const there = stateAfter(definition, state, event);
      if (!isSame(there, here)) return { next: here, other: { here, there } };
    }
    return { next: here, other: undefined };
  }
}

/** Runs something that comes to its end at once. */
function run<R>({ ahead, random }: World, call: () => R): R {
  const { Date: RealDate } = globalThis;
  const { random: realRandom } = Math;
  const now = RealDate.now() + ahead;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now] : args, newTarget) as object,
    apply: () => new RealDate(now).toString(),
    get: (target, key) => (key === 'now' ? () => now : (Reflect.get(target, key) as unknown)),
  });
  Math.random = () => random;
  try {
    return call();
  } finally {
    globalThis.Date = RealDate;
    Math.random = realRandom;
  }
}
