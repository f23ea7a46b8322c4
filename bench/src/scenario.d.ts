// A scenario: what is timed, for whom, and what Cairn should reach.

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
  /** Cairn's median over the best peer's median should be at least this; or over that of each peer, by name. */
  readonly target: number | Readonly<Partial<Record<Name, number>>>;
  readonly cairn: Name;
  readonly peers: readonly Name[];
  /** Shown for comparison; not part of the target. */
  readonly alsoShown: readonly Name[];
  /** Once before the first round, in the same folder, not timed. */
  prepare?(contender: C, folder: string, size: Size): Promise<void>;
  round(contender: C, folder: string, size: Size): Promise<Round>;
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
  readonly min: number;
  readonly max: number;
  /** On a peer's line: Cairn over this peer. On Cairn's: Cairn over the best peer. */
  readonly ratio?: number;
  /** In words. */
  readonly target?: string;
  readonly reached?: boolean;
  readonly mostBehind?: number;
}

export interface Context {
  readonly quick: boolean;
  readonly profile: boolean;
  /** An empty folder on the file system that is measured. */
  readonly work: string;
}
