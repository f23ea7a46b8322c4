// Memory at replay does not grow with the log: a log of a gigabyte, replayed in a process of its own.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { summarize } from '../statistics.mjs';

/** @import { Context, Row } from '../scenario.js' */

const CHILD = fileURLToPath(new URL('./replay-memory-child.mjs', import.meta.url));
const LIMIT_MIB = 128;
const MIB = 1024 * 1024;

export const id = 'memory';

/**
 * @param {Context} context
 * @returns {Promise<{ rows: Row[], notes: string[] }>}
 */
export async function run({ quick, work }) {
  const mib = quick ? 128 : 1024;
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
  return {
    rows: [
      {
        scenario: `memory to replay ${mib} MiB`,
        contender: 'cairn',
        durability: 'reads only',
        unit: 'MiB',
        figures,
        ...spread,
        target: `< ${LIMIT_MIB} MiB`,
        reached: spread.max < LIMIT_MIB,
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
