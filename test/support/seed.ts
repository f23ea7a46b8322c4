// Everything that tests draw at random comes from one seed: fixed, so that a failure comes again, and varied by setting
// CAIRN_SEED. Whatever fails says which seed it was.

import fc from 'fast-check';

const DEFAULT_SEED = 20_260_117;

export const SEED = readSeed();

function readSeed(): number {
  const given = process.env['CAIRN_SEED'];
  if (given === undefined || given === '') return DEFAULT_SEED;
  const seed = Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`CAIRN_SEED must be an integer, got '${given}'`);
  return seed | 0;
}

/** Checks a property. `runs` is how many values are drawn. */
export async function check<T>(property: fc.IAsyncProperty<T> | fc.IProperty<T>, runs: number): Promise<void> {
  await seeded(async () => {
    // Shrinking ends before the test's own timeout, which would hide what was found.
    await fc.assert(property as fc.IAsyncProperty<T>, {
      seed: SEED,
      numRuns: runs,
      plugins: [fc.interruptAfterTimeLimit(15_000)],
    });
  });
}

/** Runs what draws from {@link randomOf}; a failure names the seed. */
export async function seeded<R>(run: () => Promise<R>): Promise<R> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Error) error.message = `${error.message}\n(drawn with CAIRN_SEED=${SEED})`;
    throw error;
  }
}

/** A stream of pseudo-random numbers. */
export interface Random {
  /** An integer from 0 to `below - 1`. */
  integer(below: number): number;
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean;
  pick<T>(choices: readonly T[]): T;
}

/** Random numbers that depend on the seed and on `name` alone, whatever other tests draw. */
export function randomOf(name: string): Random {
  let state = SEED ^ 0x9e37_79b9;
  for (const char of name) state = Math.imul(state ^ char.codePointAt(0)!, 0x0100_0193);
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  const integer = (below: number): number => Math.floor(next() * below);
  return {
    integer,
    chance: (percent) => integer(100) < percent,
    pick: (choices) => choices[integer(choices.length)]!,
  };
}

/** `crypto.randomBytes` for writers whose files must come out the same each time. */
export function bytesOf(name: string): (size: number) => Uint8Array {
  const random = randomOf(name);
  return (size) => Uint8Array.from({ length: size }, () => random.integer(256));
}
