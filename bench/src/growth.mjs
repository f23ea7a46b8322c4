// How a cost grows with a size: stores of several sizes measured in turn within each round, the power of growth fitted
// round by round, beside what theory says.

import { ContenderProcess } from './contender-process.mjs';
import { goal } from './goal.mjs';
import { inOrderOf } from './race.mjs';
import { growthExponent, summarize } from './statistics.mjs';

/** @import { GrowthPanel } from './chart.js' */
/** @import { Context, Goal, Outcome, Size } from './scenario.js' */

/**
 * How many times as much as in theory it may be over the whole range: what caches that a large store no longer fits in,
 * and the machine meanwhile, make of it.
 */
const FACTOR = 3;
/** The same from the second largest size to the largest, where a late bend would show. */
const FACTOR_AT_THE_END = 2;

export const FLUSHED = 'appends at flush: survive the process';
export const SYNCED = 'synced: survives a power cut';
export const READS = 'reads only';

/**
 * @typedef {object} Metric
 * @property {string} id
 * @property {string} title
 * @property {string} unit
 * @property {string} theory In words.
 * @property {number} mayGrow The power in theory.
 * @property {string} durability
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
 * @param {readonly { metric: Metric, measured: readonly Measured[] }[]} options.series
 * @param {string[]} options.notes
 * @returns {Outcome}
 */
export function growthOutcome({ title, xLabel, series, notes }) {
  const panels = series.map(({ metric, measured }) => panelOf(metric, measured, xLabel));
  return {
    rows: [],
    charts: [{ kind: 'growth', title, panels: panels.map(({ panel }) => panel) }],
    goals: panels.map((one) => one.goal),
    notes: [
      `n is the number of ${xLabel}. The power is fitted round by round, the median of these; at the end: between the two largest sizes. ` +
        `Within theory: at most ${FACTOR} times as much as that over the whole range, and ${FACTOR_AT_THE_END} times from the second largest size to the largest, which is what caches and the machine make of it.`,
      ...notes,
    ],
    tables: [
      {
        headings: [`${xLabel}`, ...series.map(({ metric: { title: heading, unit } }) => `${heading}, ${unit}`)],
        rows: [...new Set(series.flatMap(({ measured }) => measured.map(({ size }) => size)))]
          .sort((a, b) => a - b)
          .map((size) => [size.toLocaleString('en-US')].concat(series.map((one) => cell(one, size)))),
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
 * @returns {{ panel: GrowthPanel, goal: Goal }}
 */
function panelOf({ id, title, unit, theory, mayGrow, durability }, measured, xLabel) {
  const sizes = measured.map(({ size }) => size);
  const [largest, second] = [...sizes].reverse();
  const tolerance = Math.log(FACTOR) / Math.log(largest / sizes[0]);
  const toleranceAtTheEnd = Math.log(FACTOR_AT_THE_END) / Math.log(largest / second);
  /** @type {(at: (figures: readonly number[]) => number) => (readonly [number, number])[]} */
  const points = (at) => measured.map(({ size, rounds }) => [size, at(rounds.map((figures) => figures[id]))]);
  const exponents = measured[0].rounds.map((_, round) => growthExponent(points((figures) => figures[round])));
  const lastExponents = measured[0].rounds.map((_, round) =>
    growthExponent(points((figures) => figures[round]).slice(-2)),
  );
  const asked = goal(
    `growth of ${title} with the number of ${xLabel}`,
    'at most',
    Math.round((mayGrow + tolerance) * 100) / 100,
    'power',
    summarize(exponents),
  );
  const lastExponent = summarize(lastExponents).median;
  const isWithinTheory = asked.reached && lastExponent <= mayGrow + toleranceAtTheEnd;
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
