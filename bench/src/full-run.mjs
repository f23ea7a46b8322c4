// Runs the groups of the full suite, each in a process of its own, so that one that fails, hangs or is killed takes
// nothing with it; keeps what each came to in a file at once, so that an interrupted run can be resumed; and writes the
// report anew after each.

import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import { fileURLToPath } from 'node:url';
import { RESULTS, workFolder } from './folders.mjs';
import { GROUPS } from './full-suite.mjs';
import { describeMachine, printMachine } from './machine.mjs';
import { goalsOf, printGoals, writeReport } from './published.mjs';

/** @import { GroupResult } from './published.mjs' */

const RUN = fileURLToPath(new URL('../run.mjs', import.meta.url));
const PUBLISHED = fileURLToPath(new URL('../../docs/benchmarks', import.meta.url));
const MINUTES_PER_GROUP = 20;

/**
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {boolean} profile
 * @property {string[] | undefined} only
 * @property {boolean} resume Keep what an earlier run of the same code has measured.
 * @property {boolean} report Measure nothing: publish what there is.
 */

/**
 * Returns whether everything was measured and every target reached.
 *
 * @param {Options} options
 */
export async function run({ quick, profile, only, resume, report }) {
  const unknown = only?.filter((id) => !GROUPS.some((group) => group.id === id)) ?? [];
  if (unknown.length > 0)
    throw new Error(`No such group: ${unknown.join(', ')}; there are ${GROUPS.map(({ id }) => id).join(', ')}`);
  const begun = performance.now();
  const kept = `${RESULTS}/${quick ? 'quick' : 'full'}`;
  fs.mkdirSync(kept, { recursive: true });
  const groups = GROUPS.filter(({ id }) => only === undefined || only.includes(id));
  const work = workFolder();
  const machine = { ...describeMachine(work), commit: commit() };
  printMachine(machine);
  if (!resume && !report) for (const { id } of groups) fs.rmSync(`${kept}/${id}.json`, { force: true });
  // A report on part of the suite, or in small sizes, is not for the documentation.
  const isPublished = !quick && only === undefined;
  const target = isPublished ? PUBLISHED : `${kept}/report`;
  /** @type {GroupResult[]} */
  let results = [];
  if (report) {
    results = groups.flatMap(({ id }) => read(`${kept}/${id}.json`, machine.commit) ?? []);
    writeReport(target, { groups, results, machine, quick });
  }
  for (const { id, title } of report ? [] : groups) {
    const path = `${kept}/${id}.json`;
    const known = read(path, machine.commit);
    if (known !== undefined && known.failure === undefined) {
      console.error(`${id}: measured before, at ${known.at}`);
    } else {
      console.error(`${id} ...`);
      const started = performance.now();
      const load = os.loadavg()[0];
      const failure = await inItsOwnProcess(id, path, `${work}/${id}`, { quick, profile });
      const seconds = Math.round((performance.now() - started) / 100) / 10;
      const made = /** @type {GroupResult} */ (readJson(path) ?? { rows: [], notes: [], charts: [], goals: [] });
      const at = new Date().toISOString();
      /** @type {GroupResult} */
      const result = { ...made, id, title, at, seconds, load, commit: machine.commit };
      if (failure !== undefined) result.failure = failure;
      fs.writeFileSync(path, JSON.stringify(result));
      fs.rmSync(`${work}/${id}`, { recursive: true, force: true });
      console.error(failure === undefined ? `${id}: ${seconds} s` : `${id} FAILED after ${seconds} s: ${failure}`);
      for (const { what, reached } of goalsOf(result)) if (!reached) console.error(`  falls short: ${what}`);
    }
    results = groups.flatMap((group) => read(`${kept}/${group.id}.json`, machine.commit) ?? []);
    // Unfinished, it is not published, unless nothing else is.
    writeReport(results.length < groups.length ? `${kept}/report` : target, { groups, results, machine, quick });
  }
  console.log();
  printGoals(results);
  const minutes = (performance.now() - begun) / 60_000;
  console.log(`\n${minutes.toFixed(1)} minutes. ${target}/README.md`);
  if (quick) console.log('A quick run: smaller sizes and fewer rounds; a smoke test, not a result.');
  if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
  if (results.length < groups.length) return false;
  return results.every((result) => result.failure === undefined && goalsOf(result).every(({ reached }) => reached));
}

/**
 * Measures one group in this process and keeps what it came to.
 *
 * @param {string} id
 * @param {{ path: string, work: string, quick: boolean, profile: boolean }} options
 */
export async function runGroup(id, { path, work, quick, profile }) {
  const group = GROUPS.find((one) => one.id === id);
  if (group === undefined) throw new Error(`No such group: ${id}`);
  fs.mkdirSync(work, { recursive: true });
  const outcome = await group.begin({ quick, profile, work });
  fs.writeFileSync(path, JSON.stringify(outcome));
}

/**
 * Resolves to what it failed with.
 *
 * @param {string} id
 * @param {string} path
 * @param {string} work
 * @param {{ quick: boolean, profile: boolean }} options
 * @returns {Promise<string | undefined>}
 */
function inItsOwnProcess(id, path, work, { quick, profile }) {
  fs.rmSync(path, { force: true });
  const args = ['group', '--only', id, '--to', path, '--work', work];
  if (quick) args.push('--quick');
  if (profile) args.push('--profile');
  // A group of processes, so that those it has started end with it.
  const own = process.platform !== 'win32';
  const child = spawn(process.execPath, [RUN, ...args], { stdio: ['ignore', 'inherit', 'pipe'], detached: own });
  const end = () => {
    try {
      if (own && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      else child.kill('SIGKILL');
    } catch {
      // It has ended.
    }
  };
  process.once('exit', end);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    process.stderr.write(text);
    said = (said + text).slice(-4000);
  });
  return new Promise((resolve) => {
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      end();
    }, MINUTES_PER_GROUP * 60_000);
    child.once('error', (error) => resolve(error.message));
    // Whoever it has started and left behind.
    child.once('exit', end);
    child.once('close', (code, signal) => {
      clearTimeout(late);
      process.off('exit', end);
      if (isLate) resolve(`it took more than ${MINUTES_PER_GROUP} minutes`);
      else resolve(code === 0 ? undefined : `${firstError(said)} (ended with ${code ?? signal})`);
    });
  });
}

/** @param {string} said */
function firstError(said) {
  return said.split('\n').find((line) => /Error\b.*:/.test(line)) ?? 'it said nothing';
}

/**
 * What is kept of a group, if it was measured with this code.
 *
 * @param {string} path
 * @param {string} of The code's commit.
 * @returns {GroupResult | undefined}
 */
function read(path, of) {
  const result = /** @type {GroupResult | undefined} */ (readJson(path));
  return result?.commit === of ? result : undefined;
}

/** @param {string} path */
function readJson(path) {
  return fs.existsSync(path) ? JSON.parse(fs.readFileSync(path, 'utf8')) : undefined;
}

/** The last commit that changed what is measured or how, and a mark if it has been changed since. */
function commit() {
  const last = git('log', '-1', '--format=%h', '--', 'src', 'bench');
  return last === undefined ? 'unknown' : `${last}${git('status', '--porcelain', 'src', 'bench') === '' ? '' : '+'}`;
}

/** @param {readonly string[]} args */
function git(...args) {
  const cwd = fileURLToPath(new URL('../../', import.meta.url));
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
