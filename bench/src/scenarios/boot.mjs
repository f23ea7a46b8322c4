// How long openStore takes: with a checkpoint and without, and with ten times as many records behind the checkpoint.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RESULTS } from '../folders.mjs';
import { summarize } from '../statistics.mjs';

/** @import { Context, Row } from '../scenario.js' */

const CHILD = fileURLToPath(new URL('./boot-child.mjs', import.meta.url));

export const id = 'boot';

const FASTER_THAN_REPLAY = 10;
/** "No slower", give or take what two equal series of boots differ by. */
const NO_SLOWER = 1.1;

/** @param {boolean} quick */
function sizes(quick) {
  const scale = quick ? 0.1 : 1;
  return {
    records: 1_000_000 * scale,
    accounts: 10_000 * scale,
    afterCheckpoint: 10_000 * scale,
    rounds: quick ? 3 : 7,
  };
}

/**
 * @param {Context} context
 * @returns {Promise<{ rows: Row[], notes: string[] }>}
 */
export async function run({ quick, work, profile }) {
  const { records, accounts, afterCheckpoint, rounds } = sizes(quick);
  const scenario = `boot, ${inWords(records)} records, ${inWords(accounts)} aggregates`;
  const short = `${work}/boot`;
  const replayed = `${work}/boot-replayed`;
  const long = `${work}/boot-long`;
  const truncated = `${work}/boot-truncated`;
  await child('write', short, records, accounts, afterCheckpoint);
  copyStore(short, replayed);
  fs.rmSync(`${replayed}/checkpoints`, { recursive: true });
  await child('write', long, 10 * records, accounts, afterCheckpoint);
  copyStore(long, truncated);
  await child('truncate', truncated);

  const checkpoint = { name: 'cairn, from a checkpoint', dir: short, records };
  const replay = { name: 'cairn, all replayed', dir: replayed, records };
  const behind = { name: `cairn, ${inWords(10 * records)} records`, dir: long, records: 10 * records };
  const gone = { name: `cairn, ${inWords(10 * records)}, truncated`, dir: truncated, records: 10 * records };
  const field = [checkpoint, replay, behind, gone].map((boot) => started(boot));
  // The first round brings the files into the page cache.
  for (let round = 0; round <= rounds; round++)
    for (let turn = 0; turn < field.length; turn++) {
      const boot = field[(round + turn) % field.length];
      const opened = await child('open', boot.dir, boot.records, accounts);
      if (round === 0) continue;
      boot.figures.push(opened.milliseconds);
      boot.cpu.push(opened.cpuMilliseconds);
      boot.entriesReplayed = opened.entriesReplayed;
    }
  if (profile)
    for (const boot of field) await child('open', boot.dir, boot.records, accounts, 0, boot.name.replace(/\W+/g, '-'));

  const median = (/** @type {number} */ index) => summarize(field[index].figures).median;
  const targets = [
    { ratio: median(1) / median(0), target: `${FASTER_THAN_REPLAY}x all replayed` },
    {},
    { ratio: median(2) / median(0), target: `<${NO_SLOWER}x of ${inWords(records)}` },
    { ratio: median(3) / median(0), target: `<${NO_SLOWER}x of ${inWords(records)}` },
  ];
  const reached = [
    { reached: median(1) / median(0) >= FASTER_THAN_REPLAY },
    {},
    { reached: median(2) / median(0) < NO_SLOWER },
    { reached: median(3) / median(0) < NO_SLOWER },
  ];
  return {
    rows: field.map(({ name, figures }, index) => ({
      scenario,
      contender: name,
      durability: 'reads only',
      unit: 'ms',
      figures,
      ...summarize(figures),
      ...targets[index],
      ...reached[index],
    })),
    notes: [
      'openStore() in a process of its own each time, files in the page cache; not the time to load the program',
      `the checkpoint is followed by ${inWords(afterCheckpoint)} records; the ratio is how many times as long another boot takes`,
      ...field.map(
        ({ name, cpu, entriesReplayed }) =>
          `${name}: ${inWords(entriesReplayed)} records replayed, ${Math.round(summarize(cpu).median)} ms of CPU`,
      ),
    ],
  };
}

/** @param {{ name: string, dir: string, records: number }} boot */
function started({ name, dir, records }) {
  return {
    name,
    dir,
    records,
    figures: /** @type {number[]} */ ([]),
    cpu: /** @type {number[]} */ ([]),
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
 * @returns {Promise<{ milliseconds: number, cpuMilliseconds: number, entriesReplayed: number }>}
 */
async function child(step, dir, records = 0, accounts = 0, afterCheckpoint = 0, profile) {
  const profiling =
    profile === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${RESULTS}`, `--cpu-prof-name=boot-${profile}.cpuprofile`];
  const numbers = [records, accounts, afterCheckpoint].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, [...profiling, CHILD, step, dir, ...numbers]);
  return JSON.parse(stdout);
}

/** @param {number} number */
function inWords(number) {
  return number.toLocaleString('en-US');
}
