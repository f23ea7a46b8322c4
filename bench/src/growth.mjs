// How a cost grows with a size: stores of several sizes measured in turn within each round, the power of growth fitted
// round by round, beside what theory says.

import { ContenderProcess } from './contender-process.mjs';
import { goal } from './goal.mjs';
import { inOrderOf } from './race.mjs';
import { growthExponent, summarize } from './statistics.mjs';

/** @import { GrowthPanel } from './chart.js' */
/** @import { Context, Goal, Outcome, Size } from './scenario.js' */

/**
 * How much more than in theory the power may be: caches that a large store no longer fits in, and what the machine does
 * meanwhile. 0.15 is a factor of 2.8 over three decades.
 */
const TOLERANCE = 0.15;
/** The same between the two largest sizes alone, which tells less. A factor of 2 in one decade. */
const TOLERANCE_AT_THE_END = 0.3;

/**
 * @typedef {object} Metric
 * @property {string} id
 * @property {string} title
 * @property {string} unit
 * @property {string} theory In words.
 * @property {number} mayGrow The power in theory.
 */

/** @typedef {Readonly<Record<string, number>>} Figures By the id of the metric. */

/** A size with its figures of all rounds. @typedef {{ size: number, rounds: Figures[] }} Measured */

/**
 * Runs rounds over processes, one for each size, whose scenario has them as contenders.
 *
 * @param {URL} scenario
 * @param {readonly number[]} sizes
 * @param {Context} context
 * @param {{ rounds: number, folderOf: (size: number) => string }} options
 * @returns {Promise<Measured[]>}
 */
export async function measureSizes(scenario, sizes, { quick, profile }, { rounds, folderOf }) {
  /** @type {Size} */
  const how = { entries: quick ? 1 : 0, milliseconds: 0, rounds };
  /** @type {{ size: number, process: ContenderProcess, rounds: Figures[] }[]} */
  const field = [];
  try {
    for (const size of sizes) {
      const process = await ContenderProcess.start(scenario, String(size), profile);
      field.push({ size, process, rounds: [] });
      await process.prepare(folderOf(size), how);
    }
    // The first round warms up compilers and caches, and does not count.
    for (let round = 0; round <= rounds; round++)
      for (const it of inOrderOf(round, field)) {
        const figures = /** @type {unknown} */ (await it.process.round(folderOf(it.size), how));
        if (round > 0) it.rounds.push(/** @type {Figures} */ (figures));
      }
  } finally {
    await Promise.all(field.map(({ process }) => process.stop()));
  }
  return field.map(({ size, rounds: all }) => ({ size, rounds: all }));
}

/**
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.xLabel
 * @param {string} options.durability
 * @param {readonly { metric: Metric, measured: readonly Measured[] }[]} options.series
 * @param {string[]} options.notes
 * @returns {Outcome}
 */
export function growthOutcome({ title, xLabel, durability, series, notes }) {
  const panels = series.map(({ metric, measured }) => panelOf(metric, measured, xLabel, durability));
  return {
    rows: [],
    charts: [{ kind: 'growth', title, panels: panels.map(({ panel }) => panel), caption: `${durability}.` }],
    goals: panels.map((one) => one.goal),
    notes: [
      `n is the number of ${xLabel}. The power is fitted round by round, the median of these; at the end: between the two largest sizes. ` +
        `Within theory: at most ${TOLERANCE} above it (at the end ${TOLERANCE_AT_THE_END}), which is what caches and the machine make of it.`,
      ...notes,
    ],
    tables: [
      {
        headings: [`${xLabel}`, ...series.map(({ metric: { title: heading, unit } }) => `${heading}, ${unit}`)],
        rows: [...new Set(series.flatMap(({ measured }) => measured.map(({ size }) => size)))]
          .sort((a, b) => a - b)
          .map((size) => [size.toLocaleString('en-US'), ...series.map((one) => cell(one, size))]),
      },
    ],
  };
}

/**
 * @param {{ metric: Metric, measured: readonly Measured[] }} series
 * @param {number} size
 */
function cell({ metric, measured }, size) {
  const found = measured.find((one) => one.size === size);
  if (found === undefined) return '';
  const { median, q1, q3 } = summarize(found.rounds.map((figures) => figures[metric.id]));
  return `${median.toPrecision(3)} (${q1.toPrecision(3)}..${q3.toPrecision(3)})`;
}

/**
 * @param {Metric} metric
 * @param {readonly Measured[]} measured
 * @param {string} xLabel
 * @param {string} durability
 * @returns {{ panel: GrowthPanel, goal: Goal }}
 */
function panelOf({ id, title, unit, theory, mayGrow }, measured, xLabel, durability) {
  /** @type {(at: (figures: readonly number[]) => number) => (readonly [number, number])[]} */
  const points = (at) => measured.map(({ size, rounds }) => [size, at(rounds.map((figures) => figures[id]))]);
  const exponents = measured[0].rounds.map((_, round) => growthExponent(points((figures) => figures[round])));
  const lastExponents = measured[0].rounds.map((_, round) =>
    growthExponent(points((figures) => figures[round]).slice(-2)),
  );
  const asked = goal(
    `growth of ${title} with the number of ${xLabel}`,
    'at most',
    Math.round((mayGrow + TOLERANCE) * 100) / 100,
    'power',
    summarize(exponents),
  );
  const lastExponent = summarize(lastExponents).median;
  const isWithinTheory = asked.reached && lastExponent <= mayGrow + TOLERANCE_AT_THE_END;
  return {
    panel: {
      title,
      xLabel,
      unit,
      points: points((figures) => summarize(figures).median),
      theory,
      mayGrow,
      exponent: asked.value,
      lastExponent,
      isWithinTheory,
    },
    goal: { ...asked, reached: isWithinTheory, durability },
  };
}
