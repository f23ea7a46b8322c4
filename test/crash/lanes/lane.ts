// A lane is one way of attacking the promises. It counts what it did, and notes where it came by: a lane that did
// nothing, or that never came where it was meant to, has proved nothing.

import type { Tally } from '#src/testing/crash-tally.js';

export { Tally } from '#src/testing/crash-tally.js';

/** A tally as text, and back: parts of a lane are done by other processes. */
export interface WrittenTally {
  readonly counts: [string, number][];
  readonly marks: [string, number][];
  readonly violations: string[];
  readonly images: string[];
}

export function writeTally({ counts, marks, violations, images }: Tally): WrittenTally {
  return { counts: [...counts], marks: [...marks], violations: [...violations], images: [...images] };
}

export function addTally(tally: Tally, part: WrittenTally): void {
  for (const [what, count] of part.counts) tally.add(what, count);
  for (const [situation, count] of part.marks) tally.marks.set(situation, (tally.marks.get(situation) ?? 0) + count);
  tally.violations.push(...part.violations);
  for (const image of part.images) tally.images.add(image);
}

export interface LaneOptions {
  /** Of the work, this part: `index` of `parts`. For doing it in several processes. */
  readonly part: { readonly index: number; readonly parts: number };
  /** Short: what belongs into every test run. Full: what `npm run crash` does. */
  readonly effort: 'short' | 'full';
}

export interface Lane {
  readonly name: string;
  /** Parts that it is done in at full effort. Default 8. */
  readonly parts?: number;
  /** Counts that must not be zero at full effort. */
  readonly needs: readonly string[];
  run(options: LaneOptions): Promise<Tally>;
}

/** Scripts of 0 to `length` steps, shorter ones first. */
export function* scriptsUpTo<S>(steps: readonly S[], length: number): Generator<S[]> {
  let longest: S[][] = [[]];
  yield [];
  for (let count = 1; count <= length; count++) {
    longest = longest.flatMap((script) => steps.map((step) => script.concat(step)));
    yield* longest;
  }
}
