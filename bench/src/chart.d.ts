// What a chart shows; svg.mjs draws it.

interface Common {
  readonly title: string;
  /** Below the chart, in small letters. */
  readonly caption?: string;
}

/** A bar for each contender, with its quartiles. */
export interface BarChart extends Common {
  readonly kind: 'bars';
  readonly unit: string;
  readonly bars: readonly {
    readonly label: string;
    readonly value: number;
    readonly q1: number;
    readonly q3: number;
    /** Cairn's own are strong, those that only say what is possible are faint. */
    readonly tone: 'own' | 'peer' | 'shown';
  }[];
}

/** A line for each percentile, over conditions that stand side by side; the scale is logarithmic. */
export interface PercentileChart extends Common {
  readonly kind: 'percentiles';
  readonly unit: string;
  readonly names: readonly string[];
  readonly conditions: readonly { readonly label: string; readonly values: readonly number[] }[];
}

/** Several small charts of one size each, both scales logarithmic, each with what theory says. */
export interface GrowthChart extends Common {
  readonly kind: 'growth';
  readonly panels: readonly GrowthPanel[];
}

export interface GrowthPanel {
  readonly title: string;
  readonly xLabel: string;
  readonly unit: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** What theory says and why, in words. */
  readonly theory: string;
  /** The power of x with which it may grow at most. */
  readonly mayGrow: number;
  /** The power with which it grew, over all and between the two largest sizes. */
  readonly exponent: number;
  readonly lastExponent: number;
  readonly isWithinTheory: boolean;
}

export type Chart = BarChart | PercentileChart | GrowthChart;
