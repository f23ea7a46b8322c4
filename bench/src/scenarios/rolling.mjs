// What a roll costs: a log under load whose segments are truncated as fast as they are filled, and what files it is made
// of.

import { ContenderProcess } from '../contender-process.mjs';
import { inDigits } from '../goal.mjs';
import { inOrderOf } from '../race.mjs';
import { summarize } from '../statistics.mjs';
import conditions, { CALLERS, ENTRY_BYTES } from './rolling-conditions.mjs';

/** @import { Context, Outcome } from '../scenario.js' */
/** @import { Measured } from './rolling-conditions.mjs' */

const SCENARIO = new URL('./rolling-conditions.mjs', import.meta.url);
const NAMES = ['p50', 'p99', 'p99.9', 'max'];
const MIB = 1024 * 1024;

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function run({ quick, work, profile }) {
  const segmentBytes = quick ? MIB : 10 * MIB;
  const size = { entries: segmentBytes, milliseconds: quick ? 300 : 2000, rounds: quick ? 3 : 11 };
  /** @type {{ name: string, process: ContenderProcess, rounds: Measured[] }[]} */
  const field = [];
  const folderOf = (/** @type {string} */ name) => `${work}/rolling-${name.replace(/\W+/g, '-')}`;
  try {
    for (const name of Object.keys(conditions.contenders)) {
      const process = await ContenderProcess.start(SCENARIO, name, profile);
      field.push({ name, process, rounds: [] });
      await process.prepare(folderOf(name), size);
    }
    for (let round = 0; round <= size.rounds; round++)
      for (const it of inOrderOf(round, field)) {
        const measured = /** @type {any} */ (await it.process.round(folderOf(it.name), size));
        if (round > 0) it.rounds.push(/** @type {Measured} */ (measured));
      }
  } finally {
    await Promise.all(field.map(({ process }) => process.stop()));
  }
  const median = (/** @type {readonly Measured[]} */ rounds, /** @type {(one: Measured) => number} */ of) =>
    summarize(rounds.map(of)).median;
  const latencies = field.map(({ name, rounds }) => ({
    label: name,
    values: [
      median(rounds, ({ p50 }) => p50),
      median(rounds, ({ p99 }) => p99),
      median(rounds, ({ p999 }) => p999),
      median(rounds, ({ max }) => max),
    ],
  }));
  const appends = field.map(({ rounds }) => median(rounds, (one) => (one.operations * 1000) / one.milliseconds));
  return {
    rows: [],
    charts: [
      {
        kind: 'percentiles',
        title: `Latency of durable appends, ${CALLERS} callers, in a log that rolls and is truncated`,
        unit: 'ms',
        names: NAMES,
        conditions: latencies,
        caption: 'From the call to the acknowledgement, which comes after fdatasync: survives a power cut.',
      },
    ],
    tables: [
      {
        headings: ['latency of an append, ms', ...NAMES, 'appends/s', 'rolls in a round'],
        rows: field.map(({ rounds }, index) => [
          latencies[index].label,
          ...latencies[index].values.map((value) => inDigits(value)),
          inDigits(appends[index]),
          inDigits(median(rounds, (one) => one.rolls)),
        ]),
      },
    ],
    notes: [
      `Entries of ${ENTRY_BYTES} bytes, segments of ${segmentBytes / MIB} MiB, ${size.rounds} rounds of ${size.milliseconds / 1000} s in alternating order; medians of the rounds, of max too. After every second roll what is durable is truncated.`,
      ...field.map(({ name, process }) => `${name}: ${process.how}`),
    ],
  };
}
