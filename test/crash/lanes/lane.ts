// A lane is one way of attacking the promises. It counts what it did, and notes where it came by: a lane that did
// nothing, or that never came where it was meant to, has proved nothing.

/** What a lane did. */
export class Tally {
  readonly counts = new Map<string, number>();
  /** Situations that must be met sometimes, and how often they were. */
  readonly marks = new Map<string, number>();
  readonly violations: string[] = [];
  /** Hashes of the disks that were looked at. */
  readonly images = new Set<string>();

  add(what: string, count = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + count);
  }

  mark(situation: string): void {
    this.marks.set(situation, (this.marks.get(situation) ?? 0) + 1);
  }

  /** Runs a check; what it throws is a violation of a promise. */
  async hold(where: () => string, check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      if (this.violations.length < MOST_VIOLATIONS) this.violations.push(`${where()}: ${describe(error)}`);
      this.add('violations');
    }
  }

  /** Enough was found: looking for more of it takes time and tells nothing new. */
  get isBroken(): boolean {
    return this.violations.length >= MOST_VIOLATIONS;
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0;
  }
}

const MOST_VIOLATIONS = 20;

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

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nbecause of ${describe(error.cause)}`;
}
