// Time and randomness that a test decides: what `openStore` takes as `now`, `after`, `elapsed` and `random`, and ids for aggregates.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { After } from '../store/index.js';

interface Call {
  readonly at: number;
  readonly call: () => void;
}

/** See {@link manualClock}. */
export interface ManualClock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly after: After;
  /** Milliseconds since the start. */
  readonly elapsed: () => number;
  /**
   * Lets time pass: calls what becomes due, in order of time, and lets what it started run as far as it gets without
   * waiting for a disk.
   */
  readonly advance: (milliseconds: number) => Promise<void>;
  /** How many calls are waited for. */
  readonly waiting: () => number;
}

/**
 * A clock that stands still until it is told to go on. `start`: milliseconds since 1970; default the first of January
 * 2020, UTC.
 *
 * @example
 * const clock = manualClock();
 * const store = await openStore({ engine: memoryEngine(), ...clock, checkpoint: { intervalMs: 60_000 } });
 * await store.append([{ stream: 'notes-1', events: [{ type: 'Noted', data: 'x' }] }]); // recordedAt: clock.now()
 * await clock.advance(60_000); // takes the checkpoint
 */
export function manualClock({
  start = Date.UTC(2020, 0, 1),
}: { readonly start?: number | undefined } = {}): ManualClock {
  if (!Number.isFinite(start))
    throw new InvalidArgumentError(`start must be milliseconds since 1970, got ${shown(start)}`);
  let now = start;
  let calls: Call[] = [];
  return {
    now: () => now,
    elapsed: () => now - start,
    after(milliseconds, call) {
      const waiting = { at: now + Math.max(0, milliseconds), call };
      calls.push(waiting);
      return () => {
        calls = calls.filter((other) => other !== waiting);
      };
    },
    async advance(milliseconds) {
      if (!Number.isFinite(milliseconds) || milliseconds < 0)
        throw new InvalidArgumentError(`Time goes on by a number of milliseconds from 0, got ${shown(milliseconds)}`);
      const end = now + milliseconds;
      // Somebody may be about to wait.
      await settled();
      for (;;) {
        const next = calls.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        calls = calls.filter((other) => other !== next);
        now = Math.max(now, next.at);
        next.call();
        await settled();
      }
      now = end;
      await settled();
    },
    waiting: () => calls.length,
  };
}

/** Resolves once promises and immediates that are due have run, and what those lead to. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/**
 * Bytes that look random and are the same for the same seed: for `openStore({ random })`, so that files come out the
 * same, byte for byte.
 *
 * @example const store = await openStore({ dir, aggregates: [Account], random: seededRandom(1), now: manualClock().now });
 */
export function seededRandom(seed: number): (size: number) => Uint8Array {
  let state = seed | 0;
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 24;
  };
  return (size) => Uint8Array.from({ length: size }, next);
}

/**
 * Ids in the order in which they are asked for: `order-1`, `order-2`, and so on. For programs that take their source of
 * ids as a parameter.
 *
 * @example const newId = countedIds('order');
 */
export function countedIds(prefix = 'id'): () => string {
  let count = 0;
  return () => `${prefix}-${++count}`;
}
