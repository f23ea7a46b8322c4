// Memory at replay does not grow with the log: one of a gigabyte or two, replayed in a process of its own.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { goal } from '../goal.mjs';
import { summarize } from '../statistics.mjs';

/** @import { Context, Outcome } from '../scenario.js' */

const CHILD = fileURLToPath(new URL('./replay-memory-child.mjs', import.meta.url));
const MIB = 1024 * 1024;

export const id = 'memory';

/**
 * @param {Context} context
 * @param {{ mib: number, limitMiB: number }} asked
 * @returns {Promise<Outcome>}
 */
export async function run({ quick, work }, asked) {
  const mib = quick ? 128 : asked.mib;
  const rounds = quick ? 1 : 3;
  const folder = `${work}/memory`;
  const written = await child('write', folder, String(mib * MIB));
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    const replayed = await child('replay', folder);
    if (replayed.count !== written.count || replayed.sum !== written.sum)
      throw new Error(`Wrong result: ${JSON.stringify(replayed)}, expected ${JSON.stringify(written)}`);
    const empty = await child('empty');
    figures.push((replayed.maxRssKib - empty.maxRssKib) / 1024);
  }
  const spread = summarize(figures);
  const scenario = `memory to replay ${mib} MiB`;
  const what = `resident memory above an empty process while replaying ${mib} MiB`;
  return {
    rows: [
      {
        scenario,
        contender: 'cairn',
        durability: 'reads only',
        unit: 'MiB',
        figures,
        ...spread,
        // The highest of all rounds counts.
        goal: goal(what, 'at most', asked.limitMiB, 'MiB', { ...spread, median: spread.max }),
      },
    ],
    notes: [`cairn: ${written.count} entries of mixed size; highest resident memory, less that of an empty process`],
  };
}

/**
 * Runs through a shell that stays in between: on Linux a process begins with the highest resident memory of the one
 * that it was forked from, so ours would hide part of what the child uses.
 *
 * @param {string[]} args
 * @returns {Promise<{ maxRssKib: number, count: number, sum: number }>}
 */
async function child(...args) {
  const { stdout } = await promisify(execFile)('/bin/sh', [
    '-c',
    '"$0" "$@"; exit $?',
    process.execPath,
    CHILD,
    ...args,
  ]);
  return JSON.parse(stdout);
}
