// How long commands take that come at a steady rate, and how long the event loop is held, while the store does this and
// that besides.

import { ContenderProcess } from '../contender-process.mjs';
import { inDigits } from '../goal.mjs';
import { inOrderOf } from '../race.mjs';
import { summarize } from '../statistics.mjs';
import { child } from './boot.mjs';
import conditions, { RATE } from './latency-conditions.mjs';

/** @import { Context, Outcome } from '../scenario.js' */
/** @import { Measured, Percentiles } from './latency-conditions.mjs' */

const SCENARIO = new URL('./latency-conditions.mjs', import.meta.url);
const NAMES = ['p50', 'p99', 'p99.9', 'max'];

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function run({ quick, work, profile }) {
  const size = { entries: quick ? 10_000 : 100_000, milliseconds: quick ? 400 : 2500, rounds: quick ? 1 : 9 };
  /** @type {{ name: string, process: ContenderProcess, rounds: Measured[], executed: number }[]} */
  const field = [];
  const folderOf = (/** @type {string} */ name) => `${work}/latency-${name.replace(/\W+/g, '-')}`;
  try {
    for (const name of Object.keys(conditions.contenders)) {
      const process = await ContenderProcess.start(SCENARIO, name, profile);
      field.push({ name, process, rounds: [], executed: 0 });
      await process.prepare(folderOf(name), size);
    }
    for (let round = 0; round <= size.rounds; round++)
      for (const it of inOrderOf(round, field)) {
        const measured = /** @type {Measured} */ (await it.process.round(folderOf(it.name), size));
        it.executed += measured.operations;
        if (round > 0) it.rounds.push(measured);
      }
  } finally {
    await Promise.all(field.map(({ process }) => process.stop()));
  }
  // Their processes are gone; what they were told is stored must be there.
  for (const { name, executed } of field) {
    const accounts = name === 'truncating' ? size.entries / 100 : size.entries;
    await child('open', folderOf(name), accounts + executed, accounts);
  }
  const ofCommands = field.filter(({ rounds }) => rounds[0].operations > 0);
  const latency = ofCommands.map(({ name, rounds }) => row(name, rounds, (one) => one.latency));
  const loop = field.map(({ name, rounds }) => row(name, rounds, (one) => one.loop));
  return {
    rows: [],
    charts: [
      {
        kind: 'percentiles',
        title: `Latency of durable commands, ${RATE.toLocaleString('en-US')} a second`,
        unit: 'ms',
        names: NAMES,
        conditions: latency,
        caption:
          'From when a command is due to its acknowledgement, which comes after fdatasync: survives a power cut.',
      },
      {
        kind: 'percentiles',
        title: 'Delay of the event loop meanwhile',
        unit: 'ms',
        names: NAMES,
        conditions: loop,
        caption: 'How much later than asked for a timer of 1 ms fires.',
      },
    ],
    tables: [
      asTable('latency of a command, ms (fdatasync before each acknowledgement: survives a power cut)', latency),
      asTable('delay of the event loop, ms', loop),
    ],
    notes: [
      `${size.entries.toLocaleString('en-US')} aggregates. Percentiles of each of ${size.rounds} rounds of ${size.milliseconds / 1000} s, the median of these; the highest of all rounds as max.`,
      'Commands come every half millisecond, however long those before them take. Timers of Node fire up to a millisecond late, which is part of the figures.',
      ...field.map(({ name, process, rounds }) => `${name}: ${process.how}${counted(name, rounds)}`),
    ],
  };
}

/**
 * @param {string} name
 * @param {readonly Measured[]} rounds
 */
function counted(name, rounds) {
  const { median } = summarize(rounds.map(({ count }) => count));
  if (name === 'rolling') return ` (${median} times a round)`;
  if (name === 'checkpointing') return ` (${median} in a round)`;
  return name === 'truncating' ? ` (${median} in a round)` : '';
}

/**
 * @param {string} label
 * @param {readonly Measured[]} rounds
 * @param {(one: Measured) => Percentiles} which
 */
function row(label, rounds, which) {
  const all = rounds.map(which);
  const median = (/** @type {keyof Percentiles} */ key) => summarize(all.map((one) => one[key])).median;
  return {
    label,
    values: [median('p50'), median('p99'), median('p999'), Math.max(...all.map(({ max }) => max))],
  };
}

/**
 * @param {string} heading
 * @param {readonly { label: string, values: readonly number[] }[]} rows
 */
function asTable(heading, rows) {
  return {
    headings: [heading, ...NAMES],
    rows: rows.map(({ label, values }) => [label, ...values.map((value) => inDigits(value))]),
  };
}
