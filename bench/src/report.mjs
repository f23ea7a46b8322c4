// The table on the screen, and the file that the figures are kept in.

import * as fs from 'node:fs';
import { RESULTS } from './folders.mjs';
import { limitInWords, valueInWords } from './goal.mjs';

/** @import { Goal, Row } from './scenario.js' */

export const HOW_RATIOS_ARE_TAKEN =
  'Ratio: of each round, what Cairn reached over what this contender reached in the same round; the median of these. ' +
  "On the line of Cairn: over the peer against which it is least. Contenders take turns within each round; 'half of " +
  "them' is from the lower to the upper quartile of the rounds.";

const HEADINGS = ['scenario', 'contender', 'median', 'half of them', 'ratio', 'target', 'reached'];
const RIGHT = new Set([2, 3, 4]);

/** @param {readonly Row[]} rows */
export function printTable(rows) {
  printColumns(
    HEADINGS,
    rows.map((row, index) => {
      const first = row.scenario !== rows[index - 1]?.scenario;
      return [
        first ? row.scenario : '',
        row.contender,
        `${count(row.median)} ${row.unit}`,
        `${count(row.q1)}..${count(row.q3)}`,
        row.ratio === undefined ? '' : `${row.ratio.toFixed(2)}x`,
        row.goal === undefined ? '' : limitInWords(row.goal),
        row.goal === undefined ? '' : verdict(row.goal),
      ];
    }),
    RIGHT,
  );
  console.log(`\n${HOW_RATIOS_ARE_TAKEN}`);
}

/** @param {Goal} goal */
function verdict(goal) {
  return goal.reached ? 'yes' : `NO: ${valueInWords(goal)}`;
}

/**
 * @param {readonly string[]} headings
 * @param {readonly string[][]} lines A line whose first cell is not empty begins a group.
 * @param {ReadonlySet<number>} [right] Columns that end at the same place.
 */
export function printColumns(headings, lines, right = new Set()) {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...lines.map((line) => line[column].length)),
  );
  const print = (/** @type {readonly string[]} */ cells) =>
    console.log(
      cells
        .map((cell, column) => (right.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    );
  print(headings);
  print(widths.map((width) => '-'.repeat(width)));
  for (const [index, line] of lines.entries()) {
    if (index > 0 && line[0] !== '' && lines.some(([first]) => first === '')) console.log();
    print(line);
  }
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
  return figure >= 10 ? Math.round(figure).toLocaleString('en-US') : figure.toFixed(2);
}
