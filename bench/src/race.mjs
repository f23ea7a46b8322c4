// Runs a race: every contender in its own process, one at a time, in another order each round.

import * as fs from 'node:fs';
import { ContenderProcess } from './contender-process.mjs';
import { summarize } from './statistics.mjs';

/** @import { Context, Race, Row, Size } from './scenario.js' */

/** @type {Size} */
const FULL = { entries: 1_000_000, milliseconds: 2000, rounds: 7 };
/** @type {Size} */
const QUICK = { entries: 200_000, milliseconds: 400, rounds: 3 };

/**
 * @param {URL} scenario
 * @param {Race} race
 * @param {Context} context
 * @returns {Promise<{ rows: Row[], notes: string[] }>}
 */
export async function run(scenario, race, context) {
  const size = context.quick ? QUICK : FULL;
  const names = [race.cairn, ...race.alsoShown, ...race.peers];
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
      for (let turn = 0; turn < field.length; turn++) {
        const runner = field[(round + turn) % field.length];
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
    notes.push(`The target counts ${race.peers.join(', ')}; the others are for comparison.`);
  return { rows: rowsOf(race, field), notes };
}

/**
 * @param {Race} race
 * @param {readonly { name: string, figures: number[], mostBehind: number }[]} field
 * @returns {Row[]}
 */
function rowsOf(race, field) {
  const medians = new Map(field.map(({ name, figures }) => [name, summarize(figures).median]));
  const median = (/** @type {string} */ name) => medians.get(name) ?? Number.NaN;
  const best = race.peers.reduce((a, b) => (median(a) >= median(b) ? a : b));
  return field.map(({ name, figures, mostBehind }) => {
    const isCairn = name === race.cairn;
    const ratio = median(race.cairn) / median(isCairn ? best : name);
    const target = targetOf(race, name);
    return {
      scenario: race.title,
      contender: name,
      durability: race.durability,
      unit: 'ops/s',
      figures,
      ...summarize(figures),
      ratio,
      ...(target === undefined
        ? {}
        : { target: isCairn ? `${target}x ${best}` : `${target}x`, reached: ratio >= target }),
      ...(mostBehind > 0 ? { mostBehind } : {}),
    };
  });
}

/**
 * The ratio that is asked for on the line of a contender.
 *
 * @param {Race} race
 * @param {string} name
 */
function targetOf({ target, cairn }, name) {
  if (typeof target === 'number') return name === cairn ? target : undefined;
  return /** @type {Record<string, number | undefined>} */ (target)[name];
}

/**
 * @param {Context} context
 * @param {Race} race
 * @param {string} name
 */
function folderOf(context, race, name) {
  return `${context.work}/${race.id}-${name.replace(/\W+/g, '-')}`;
}
