// Runs a race: every contender in its own process, one at a time, all of them in each round, in another order each round.

import * as fs from 'node:fs';
import { ContenderProcess } from './contender-process.mjs';
import { goal } from './goal.mjs';
import { pairedRatio, summarize } from './statistics.mjs';

/** @import { Context, Goal, Outcome, Race, RaceTarget, Row, Size } from './scenario.js' */

/** Many short rounds: the machine changes its speed within minutes, and hardly within a round. @type {Size} */
const FULL = { entries: 400_000, milliseconds: 600, rounds: 15 };
/** @type {Size} */
const QUICK = { entries: 100_000, milliseconds: 250, rounds: 5 };

/**
 * @param {URL} scenario
 * @param {Race} race
 * @param {Context} context
 * @param {RaceTarget} target
 * @returns {Promise<Outcome>}
 */
export async function run(scenario, race, context, target) {
  const size = context.quick ? { ...QUICK, ...race.size?.quick } : { ...FULL, ...race.size?.full };
  // A quick run leaves out what is neither a limit nor counted.
  const shown = race.alsoShown.filter(
    (name) => !context.quick || name.startsWith('bare') || limitOf(race, target, name) !== undefined,
  );
  const names = [race.cairn, ...race.peers, ...shown];
  /** @type {{ name: string, process: ContenderProcess, figures: number[], mostBehind: number }[]} */
  const field = [];
  try {
    for (const name of names) {
      const process = await ContenderProcess.start(scenario, name, context.profile);
      field.push({ name, process, figures: [], mostBehind: 0 });
      if (race.prepare !== undefined) await process.prepare(folderOf(context, race, name), size);
    }
    // The first round warms up compilers and caches, and does not count.
    for (let round = 0; round <= size.rounds; round++) {
      for (const runner of inOrderOf(round, field)) {
        const folder = folderOf(context, race, runner.name);
        const { operations, milliseconds, mostBehind } = await runner.process.round(folder, size);
        if (race.prepare === undefined) fs.rmSync(folder, { recursive: true });
        if (round === 0) continue;
        runner.figures.push((operations / milliseconds) * 1000);
        runner.mostBehind = Math.max(runner.mostBehind, mostBehind ?? 0);
      }
    }
  } finally {
    await Promise.all(field.map(({ process }) => process.stop()));
  }
  const notes = field.map(({ name, process }) => `${name}: ${process.how}`);
  if (race.alsoShown.length > 0)
    notes.push(`The fastest peer is one of ${race.peers.join(', ')}; the others are for comparison.`);
  const leftOut = race.alsoShown.filter((name) => !shown.includes(name));
  if (leftOut.length > 0) notes.push(`Left out in a quick run: ${leftOut.join('; ')}.`);
  return { rows: rowsOf(race, field, target), notes };
}

/**
 * Each begins a round in its turn, and every other round goes backwards.
 *
 * @template T
 * @param {number} round
 * @param {readonly T[]} field
 */
export function inOrderOf(round, field) {
  const first = (round >> 1) % field.length;
  const order = [...field.slice(first), ...field.slice(0, first)];
  return round % 2 === 0 ? order : order.reverse();
}

/**
 * @param {Race} race
 * @param {readonly { name: string, figures: number[], mostBehind: number }[]} field
 * @param {RaceTarget} target
 * @returns {Row[]}
 */
function rowsOf(race, field, target) {
  const [cairn] = field;
  const ratios = new Map(field.map(({ name, figures }) => [name, pairedRatio(cairn.figures, figures)]));
  const ratioTo = (/** @type {string} */ name) => /** @type {import('./statistics.mjs').Summary} */ (ratios.get(name));
  // The one that Cairn has least to show against.
  const best = race.peers.reduce((a, b) => (ratioTo(a).median <= ratioTo(b).median ? a : b));
  return field.map(({ name, figures, mostBehind }) => {
    const isCairn = name === race.cairn;
    const other = isCairn ? best : name;
    const limit = limitOf(race, target, name);
    return {
      scenario: race.title,
      contender: name,
      durability: race.durability,
      unit: 'ops/s',
      figures,
      ...summarize(figures),
      ratio: ratioTo(other).median,
      ...(limit === undefined ? {} : { goal: goalOf(race, other, limit, ratioTo(other)) }),
      ...(mostBehind > 0 ? { mostBehind } : {}),
      ...(isCairn || race.peers.some((peer) => peer === name) ? {} : { isOnlyShown: true }),
    };
  });
}

/**
 * @param {Race} race
 * @param {string} other
 * @param {number} limit
 * @param {import('./statistics.mjs').Summary} ratio
 * @returns {Goal}
 */
function goalOf(race, other, limit, ratio) {
  return goal(`${race.title}, over ${other}`, 'at least', limit, 'x', ratio);
}

/**
 * The ratio that is asked for on the line of a contender.
 *
 * @param {Race} race
 * @param {RaceTarget} target
 * @param {string} name
 */
function limitOf({ cairn }, target, name) {
  if (typeof target === 'number') return name === cairn ? target : undefined;
  return target[name];
}

/**
 * @param {Context} context
 * @param {Race} race
 * @param {string} name
 */
function folderOf(context, race, name) {
  return `${context.work}/${race.id}-${name.replace(/\W+/g, '-')}`;
}
