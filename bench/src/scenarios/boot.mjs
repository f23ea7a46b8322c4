// How long openStore takes: with a checkpoint and without, and with many times as many records behind the checkpoint.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RESULTS } from '../folders.mjs';
import { goal } from '../goal.mjs';
import { inOrderOf } from '../race.mjs';
import { pairedRatio, summarize } from '../statistics.mjs';

/** @import { StoreRecovery } from '../../../dist/store/index.js' */
/** @import { Context, Outcome, Row } from '../scenario.js' */
/**
 * @typedef {{
 *   milliseconds: number, cpuMilliseconds: number, entriesReplayed: number, records: number,
 *   phases: StoreRecovery['phases'],
 * }} Opened
 */

const CHILD = fileURLToPath(new URL('./boot-child.mjs', import.meta.url));

export const id = 'boot';

/**
 * `short` and `long`: how many records two stores have. `noSlower`: how many times as long the boot of the long one may
 * take. `fasterThanReplay`: how many times as long a replay of the short one should take; it is not measured if left out.
 *
 * @param {Context} context
 * @param {{ short: number, long: number, noSlower: number, fasterThanReplay?: number }} asked
 * @returns {Promise<Outcome>}
 */
export async function run({ quick, work, profile }, asked) {
  const scale = quick ? 0.1 : 1;
  const accounts = 10_000 * scale;
  const afterCheckpoint = 10_000 * scale;
  const records = asked.short * scale;
  const manyRecords = asked.long * scale;
  const rounds = quick ? 3 : 11;
  const scenario = `boot, ${inWords(accounts)} aggregates`;
  const short = await written(`${work}/boot`, records, accounts, afterCheckpoint);
  const long = await written(`${work}/boot-long`, manyRecords, accounts, afterCheckpoint);
  const truncated = { dir: `${work}/boot-truncated`, records: long.records };
  copyStore(long.dir, truncated.dir);
  await child('truncate', truncated.dir);

  const baseline = boot(`cairn, ${inWords(records)} records`, short);
  const behind = boot(`cairn, ${inWords(manyRecords)} records`, long);
  const gone = boot(`cairn, ${inWords(manyRecords)}, truncated`, truncated);
  const field = [baseline, behind, gone];
  /** @type {ReturnType<typeof boot> | undefined} */
  let replay;
  if (asked.fasterThanReplay !== undefined) {
    const replayed = { dir: `${work}/boot-replayed`, records: short.records };
    copyStore(short.dir, replayed.dir);
    fs.rmSync(`${replayed.dir}/checkpoints`, { recursive: true });
    replay = boot(`cairn, ${inWords(records)} records, all replayed`, replayed);
    field.push(replay);
  }
  // The first round brings the files into the page cache.
  for (let round = 0; round <= rounds; round++)
    for (const it of inOrderOf(round, field)) {
      const opened = await child('open', it.dir, it.records, accounts);
      if (round === 0) continue;
      it.figures.push(opened.milliseconds);
      it.cpu.push(opened.cpuMilliseconds);
      it.phases.push(opened.phases);
      it.entriesReplayed = opened.entriesReplayed;
    }
  if (profile)
    for (const it of field) await child('open', it.dir, it.records, accounts, 0, it.name.replace(/\W+/g, '-'));

  const rows = field.map((it) => {
    const ratio = pairedRatio(it.figures, baseline.figures);
    /** @type {Row} */
    const row = {
      scenario,
      contender: it.name,
      durability: 'reads only',
      unit: 'ms',
      figures: it.figures,
      ...summarize(it.figures),
      ratio: ratio.median,
    };
    if (it === baseline) return row;
    if (it === replay && asked.fasterThanReplay !== undefined)
      return {
        ...row,
        goal: goal('all replayed, over boot from a checkpoint', 'at least', asked.fasterThanReplay, 'x', ratio),
      };
    // Without its history it cannot take longer than with it; asked of a store by itself only.
    if (it === gone && replay === undefined) return row;
    const what = `boot, ${it.name.replace('cairn, ', '')} of history, over ${inWords(records)}`;
    return { ...row, goal: goal(what, 'at most', asked.noSlower, 'x', ratio) };
  });
  return {
    rows,
    notes: [
      'openStore() in a process of its own each time, files in the page cache; not the time to load the program',
      `the checkpoint is followed by ${inWords(afterCheckpoint)} records in a segment of their own; ` +
        'the ratio is how many times as long a boot takes as the first one of the same round, the median of these',
      ...field.map(
        ({ name, cpu, phases, entriesReplayed }) =>
          `${name}: ${inWords(entriesReplayed)} records replayed, ${middle(cpu)} ms of CPU; ` +
          `${middle(phases.map(({ log }) => log))} ms to find the end of the log, ${middle(phases.map(({ checkpoint }) => checkpoint))} to read the checkpoint, ` +
          `${middle(phases.map(({ replay: after }) => after))} for what came after, ${middle(phases.map(({ start }) => start))} to begin`,
      ),
    ],
  };
}

/**
 * @param {string} dir
 * @param {number} records
 * @param {number} accounts
 * @param {number} afterCheckpoint
 */
async function written(dir, records, accounts, afterCheckpoint) {
  return { dir, records: (await child('write', dir, records, accounts, afterCheckpoint)).records };
}

/**
 * @param {string} name
 * @param {{ dir: string, records: number }} store
 */
function boot(name, { dir, records }) {
  return {
    name,
    dir,
    records,
    figures: /** @type {number[]} */ ([]),
    cpu: /** @type {number[]} */ ([]),
    phases: /** @type {Opened['phases'][]} */ ([]),
    entriesReplayed: 0,
  };
}

/** A copy that shares the segments which nobody writes to any more. @param {string} from @param {string} to */
function copyStore(from, to) {
  const newest = fs
    .readdirSync(`${from}/wal`)
    .map((name) => Number(/\d+/.exec(name)?.[0] ?? 0))
    .sort((a, b) => b - a)[0];
  fs.mkdirSync(`${to}/wal`, { recursive: true });
  for (const name of fs.readdirSync(`${from}/wal`)) {
    const link = name !== `wal_${newest}.log` && name.endsWith('.log');
    (link ? fs.linkSync : fs.copyFileSync)(`${from}/wal/${name}`, `${to}/wal/${name}`);
  }
  fs.cpSync(`${from}/checkpoints`, `${to}/checkpoints`, { recursive: true });
}

/**
 * @param {string} step
 * @param {string} dir
 * @param {number} [records]
 * @param {number} [accounts]
 * @param {number} [afterCheckpoint]
 * @param {string} [profile]
 * @returns {Promise<Opened>}
 */
export async function child(step, dir, records = 0, accounts = 0, afterCheckpoint = 0, profile) {
  const profiling =
    profile === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${RESULTS}`, `--cpu-prof-name=boot-${profile}.cpuprofile`];
  const numbers = [records, accounts, afterCheckpoint].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, [...profiling, CHILD, step, dir, ...numbers]);
  return JSON.parse(stdout);
}

/**
 * Boots stores of several sizes in turn. Before, each gets so many records behind a checkpoint, in a segment of their own;
 * left out, the stores stay as they are.
 *
 * @param {readonly { size: number, dir: string }[]} stores
 * @param {number | undefined} accounts Of each store; its size, if left out.
 * @param {number | undefined} afterCheckpoint
 * @param {number} rounds
 */
export async function bootsOf(stores, accounts, afterCheckpoint, rounds) {
  const field = [];
  for (const { size, dir } of stores) {
    const count = accounts ?? size;
    const { records } = await child(afterCheckpoint === undefined ? 'count' : 'settle', dir, 0, count, afterCheckpoint);
    field.push({ size, dir, count, records, rounds: /** @type {{ boot: number }[]} */ ([]) });
  }
  // The first round brings the files into the page cache.
  for (let round = 0; round <= rounds; round++)
    for (const it of inOrderOf(round, field)) {
      const { milliseconds } = await child('open', it.dir, it.records, it.count);
      if (round > 0) it.rounds.push({ boot: milliseconds });
    }
  return field;
}

/** @param {readonly number[]} figures */
function middle(figures) {
  return Math.round(summarize(figures).median);
}

/** @param {number} number */
function inWords(number) {
  return number.toLocaleString('en-US');
}
