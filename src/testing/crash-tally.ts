// What an exploration did and found. It counts, and notes where it came by: one that did nothing, or that never came
// where it was meant to, has proved nothing.

import { shown } from '../errors/shown.js';

export class Tally {
  readonly counts: Map<string, number> = new Map();
  /** Situations that must be met sometimes, and how often they were. */
  readonly marks: Map<string, number> = new Map();
  readonly violations: string[] = [];
  /** Hashes of the disks that were looked at. */
  readonly images: Set<string> = new Set();

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

function describe(error: unknown): string {
  if (!(error instanceof Error)) return shown(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nbecause of ${describe(error.cause)}`;
}
