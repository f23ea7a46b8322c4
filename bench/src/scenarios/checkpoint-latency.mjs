// What callers notice of a checkpoint: the 99th percentile of execute while all aggregates are written, and without.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RESULTS } from '../folders.mjs';
import { goal } from '../goal.mjs';
import { pairedRatio, summarize } from '../statistics.mjs';

/** @import { Context, Outcome, Row } from '../scenario.js' */

const CHILD = fileURLToPath(new URL('./checkpoint-latency-child.mjs', import.meta.url));

export const id = 'checkpoint';

/** As many as everywhere else; that is what the target is for. */
const MANY = 256;
/**
 * Beside them a few. A command then takes less than a pause of the garbage collector, each of which holds up all of them:
 * without a checkpoint that is just less than one command in a hundred, with one just more.
 */
const FEW = 16;

/**
 * @param {Context} context
 * @param {{ accounts: number, lessThan: number }} asked
 * @returns {Promise<Outcome>}
 */
export async function run({ quick, work, profile }, asked) {
  const rounds = quick ? 2 : 5;
  const milliseconds = quick ? 700 : 2000;
  const accounts = quick ? asked.accounts / 10 : asked.accounts;
  /** @type {Row[]} */
  const rows = [];
  const notes = [
    'execute at fsync; in each round a while without a checkpoint, then a full one from its beginning to its end',
    'The ratio is taken round by round; the median of these.',
  ];
  for (const callers of quick ? [MANY] : [MANY, FEW]) {
    const dir = `${work}/checkpoint-${callers}`;
    fs.mkdirSync(dir);
    const numbers = [accounts, callers, rounds, milliseconds].map(String);
    const name = `--cpu-prof-name=checkpoint-${callers}.cpuprofile`;
    const profiling = profile ? ['--cpu-prof', `--cpu-prof-dir=${RESULTS}`, name] : [];
    const { stdout } = await promisify(execFile)(process.execPath, [...profiling, CHILD, dir, ...numbers]);
    fs.rmSync(dir, { recursive: true });
    const { without, during } = /** @type {{ without: Measured[], during: Measured[] }} */ (JSON.parse(stdout));
    const ratio = pairedRatio(
      during.map((figure) => figure.p99),
      without.map((figure) => figure.p99),
    );
    const scenario = `p99 of execute during a checkpoint of ${accounts.toLocaleString('en-US')} aggregates`;
    const row = (/** @type {string} */ when, /** @type {readonly Measured[]} */ measured) => ({
      scenario,
      contender: `cairn, ${callers} callers, ${when}`,
      durability: 'fdatasync before each acknowledgement: survives a power cut',
      unit: /** @type {const} */ ('µs'),
      figures: measured.map((figure) => 1000 * figure.p99),
      ...p99(measured),
    });
    rows.push(row('no checkpoint', without), {
      ...row('during one', during),
      ratio: ratio.median,
      ...(callers === MANY
        ? {
            goal: goal(
              `${scenario}, ${callers} callers, over the same without one`,
              'at most',
              asked.lessThan,
              'x',
              ratio,
            ),
          }
        : { isOnlyShown: true }),
    });
    const took = summarize(during.map((figure) => figure.checkpointMilliseconds ?? 0)).median;
    notes.push(
      `${callers} callers: ${inMilliseconds(without, 'p50')} at the median without, ${inMilliseconds(during, 'p50')} during; ` +
        `at most ${inMilliseconds(without, 'max')} and ${inMilliseconds(during, 'max')}; a checkpoint takes ${Math.round(took)} ms`,
    );
  }
  return { rows, notes };
}

/** @typedef {{ p50: number, p99: number, max: number, checkpointMilliseconds?: number }} Measured */

/** @param {readonly Measured[]} measured */
function p99(measured) {
  return summarize(measured.map((figure) => 1000 * figure.p99));
}

/** @param {readonly Measured[]} measured @param {'p50' | 'max'} which */
function inMilliseconds(measured, which) {
  return `${summarize(measured.map((figure) => figure[which])).median.toFixed(1)} ms`;
}
