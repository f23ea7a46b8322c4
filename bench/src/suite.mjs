// A suite: every scenario after the other, one table, one file.

import { workFolder } from './folders.mjs';
import { describeMachine, printMachine } from './machine.mjs';
import { run as runRace } from './race.mjs';
import { printNotes, printTable, save } from './report.mjs';

/** @import { Context, Outcome, Race, RaceTarget, Row } from './scenario.js' */

/** @typedef {{ id: string, begin: (context: Context) => Promise<Outcome> }} Scenario */

/**
 * Returns whether every target was reached.
 *
 * @param {string} name
 * @param {readonly Scenario[]} scenarios
 * @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options
 */
export async function runSuite(name, scenarios, { quick, only, profile }) {
  const context = { quick, profile, work: workFolder() };
  const machine = describeMachine(context.work);
  printMachine(machine);
  /** @type {Row[]} */
  const rows = [];
  /** @type {Map<string, string[]>} */
  const notes = new Map();
  for (const { id, begin } of scenarios) {
    if (only !== undefined && !only.includes(id)) continue;
    console.error(`${id} ...`);
    const result = await begin(context);
    rows.push(...result.rows);
    notes.set(result.rows[0].scenario, result.notes);
  }
  if (rows.length === 0) throw new Error(`No such scenario; there are ${scenarios.map(({ id }) => id).join(', ')}`);
  console.log();
  printTable(rows);
  printNotes(rows, notes);
  if (quick) console.log('\nA quick run: a smoke test, not a result.');
  console.log(
    `\n${save(name, { at: new Date().toISOString(), quick, machine, rows, notes: Object.fromEntries(notes) })}`,
  );
  return rows.every(({ goal }) => goal?.reached !== false);
}

/**
 * A race in a file below scenarios/, with what Cairn should reach in it.
 *
 * @param {string} file
 * @param {RaceTarget} target
 * @returns {Promise<Scenario>}
 */
export async function race(file, target) {
  const url = new URL(`./scenarios/${file}.mjs`, import.meta.url);
  const { default: it } = /** @type {{ default: Race }} */ (await import(url.href));
  return { id: it.id, begin: (/** @type {Context} */ context) => runRace(url, it, context, target) };
}
