// The table, and the file that it is kept in.

import * as fs from 'node:fs';
import { RESULTS } from './folders.mjs';

/** @import { Row } from './scenario.js' */

const HEADINGS = ['scenario', 'contender', 'median', 'min..max', 'ratio', 'target', 'reached'];
const RIGHT = new Set([2, 3, 4]);

/** @param {readonly Row[]} rows */
export function printTable(rows) {
  const lines = rows.map((row, index) => {
    const first = row.scenario !== rows[index - 1]?.scenario;
    return [
      first ? row.scenario : '',
      row.contender,
      `${count(row.median)} ${row.unit}`,
      `${count(row.min)}..${count(row.max)}`,
      row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x`,
      row.target ?? '',
      row.reached === undefined ? '' : row.reached ? 'yes' : 'NO',
    ];
  });
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...lines.map((line) => line[column].length)),
  );
  const print = (/** @type {string[]} */ cells) =>
    console.log(
      cells
        .map((cell, column) => (RIGHT.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    );
  print(HEADINGS);
  print(widths.map((width) => '-'.repeat(width)));
  for (const [index, line] of lines.entries()) {
    if (index > 0 && line[0] !== '') console.log();
    print(line);
  }
  console.log('\nratio: Cairn over this contender; on the line of Cairn, Cairn over the fastest peer. Medians.');
}

/**
 * @param {readonly Row[]} rows
 * @param {ReadonlyMap<string, readonly string[]>} notes
 */
export function printNotes(rows, notes) {
  for (const [scenario, lines] of notes) {
    const own = rows.filter((row) => row.scenario === scenario);
    console.log(`\n${scenario} (${own[0]?.durability})`);
    for (const line of lines) console.log(`  ${line}`);
    for (const { contender, mostBehind } of own)
      if (mostBehind !== undefined)
        console.log(`  ${contender}: up to ${mostBehind} entries appended and not yet with the OS`);
  }
}

/**
 * Writes the result to bench/results and returns its path.
 *
 * @param {string} suite
 * @param {object} result
 */
export function save(suite, result) {
  fs.mkdirSync(RESULTS, { recursive: true });
  const path = `${RESULTS}/${suite}-${new Date().toISOString().replace(/[:.]/g, '-')}.json`;
  fs.writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
  return path;
}

/** @param {number} figure */
function count(figure) {
  return Math.round(figure).toLocaleString('en-US');
}
