// A scenario: what is timed, for whom, and what Cairn should reach.

import type { Chart } from './chart.js';
import type { ContenderName } from './contenders/index.mjs';
import type { Contender } from './contender.js';

/** How much of everything: for a result, or for a smoke test. */
export interface Size {
  /** Entries, where the scenario counts them. */
  readonly entries: number;
  /** Length of a timed stretch, where the scenario is bound by the clock. */
  readonly milliseconds: number;
  readonly rounds: number;
}

/** What one timed round came to. Returned only after the contender's result was checked. */
export interface Round {
  readonly operations: number;
  readonly milliseconds: number;
  readonly mostBehind?: number;
}

/** A race of several contenders; the first is Cairn. `prepare` and `round` run in the contender's own process. */
export interface Race<C extends { readonly how: object } = Contender, Name extends string = ContenderName> {
  readonly id: string;
  readonly title: string;
  /** Who they are, by name. Default: those of contenders/index.mjs. */
  readonly contenders?: Readonly<Record<Name, () => Promise<C>>>;
  /** Which part of `how` belongs to it. */
  readonly uses: keyof C['how'];
  /** What an acknowledged operation survives. */
  readonly durability: string;
  readonly cairn: Name;
  readonly peers: readonly Name[];
  /** Shown for comparison; not part of the target. */
  readonly alsoShown: readonly Name[];
  /** Where it needs others than the usual ones. */
  readonly size?: { readonly full: Partial<Size>; readonly quick: Partial<Size> };
  /** Once before the first round, in the same folder, not timed. */
  prepare?(contender: C, folder: string, size: Size): Promise<void>;
  round(contender: C, folder: string, size: Size): Promise<Round>;
  /** Once, in each contender's process, when it is not needed any more. */
  finish?(): Promise<void>;
}

/** What Cairn should be at least: times the fastest peer, or times each contender, by name. Belongs to a suite. */
export type RaceTarget = number | Readonly<Record<string, number>>;

/** Something that is asked for, and what was reached. */
export interface Goal {
  /** What is compared with what, in words. */
  readonly what: string;
  readonly bound: 'at least' | 'at most';
  readonly limit: number;
  /** Of the limit and what follows: `%` goes up to 100, a power is the k of growth as n to the power of k. */
  readonly unit: 'x' | '%' | 'MiB' | 'power';
  readonly value: number;
  /** Quartiles over the rounds. */
  readonly q1: number;
  readonly q3: number;
  readonly reached: boolean;
  /** What an acknowledged operation survives; that of the row if left out. */
  readonly durability?: string;
}

/** A line of the table. */
export interface Row {
  readonly scenario: string;
  readonly contender: string;
  readonly durability: string;
  readonly unit: 'ops/s' | 'MiB' | 'ms' | 'µs';
  /** One figure per round. */
  readonly figures: readonly number[];
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
  readonly min: number;
  readonly max: number;
  /** Median of the ratios of the rounds. On a peer's line: Cairn over this peer. On Cairn's: over the fastest peer. */
  readonly ratio?: number;
  readonly goal?: Goal;
  readonly mostBehind?: number;
  /** Whether targets do not count it. */
  readonly isOnlyShown?: boolean;
}

/** What a scenario came to. */
export interface Outcome {
  readonly rows: Row[];
  readonly notes: string[];
  /** Goals that belong to no single row. */
  readonly goals?: readonly Goal[];
  /** Other charts than the one of the rows. */
  readonly charts?: readonly Chart[];
  /** In place of the table of the rows. */
  readonly tables?: readonly Table[];
}

export interface Table {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Context {
  readonly quick: boolean;
  readonly profile: boolean;
  /** An empty folder on the file system that is measured. */
  readonly work: string;
}
