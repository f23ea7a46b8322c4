// The write-ahead log's benchmark: every scenario after the other, one table, one file.

import { workFolder } from './folders.mjs';
import { describeMachine, printMachine } from './machine.mjs';
import { run as runRace } from './race.mjs';
import { printNotes, printTable, save } from './report.mjs';
import * as replayMemory from './scenarios/replay-memory.mjs';

/** @import { Context, Race, Row } from './scenario.js' */

const RACES = ['buffered-append', 'replay', 'durable-256', 'durable-1'];

/**
 * Returns whether every target was reached.
 *
 * @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options
 */
export async function run({ quick, only, profile }) {
  const context = { quick, profile, work: workFolder() };
  const machine = describeMachine(context.work);
  printMachine(machine);
  /** @type {Row[]} */
  const rows = [];
  /** @type {Map<string, string[]>} */
  const notes = new Map();
  for (const { id, begin } of await scenarios()) {
    if (only !== undefined && !only.includes(id)) continue;
    console.error(`${id} ...`);
    const result = await begin(context);
    rows.push(...result.rows);
    notes.set(result.rows[0].scenario, result.notes);
  }
  if (rows.length === 0)
    throw new Error(`No such scenario; there are ${(await scenarios()).map(({ id }) => id).join(', ')}`);
  console.log();
  printTable(rows);
  printNotes(rows, notes);
  if (quick) console.log('\nA quick run: a smoke test, not a result.');
  console.log(
    `\n${save('wal', { at: new Date().toISOString(), quick, machine, rows, notes: Object.fromEntries(notes) })}`,
  );
  return rows.every(({ reached }) => reached !== false);
}

/** @returns {Promise<{ id: string, begin: (context: Context) => Promise<{ rows: Row[], notes: string[] }> }[]>} */
async function scenarios() {
  const races = RACES.map(async (file) => {
    const url = new URL(`./scenarios/${file}.mjs`, import.meta.url);
    const { default: race } = /** @type {{ default: Race }} */ (await import(url.href));
    return { id: race.id, begin: (/** @type {Context} */ context) => runRace(url, race, context) };
  });
  return [...(await Promise.all(races)), { id: replayMemory.id, begin: replayMemory.run }];
}
