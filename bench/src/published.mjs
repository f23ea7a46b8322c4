// The report of the full suite: Markdown with a chart per group, and the same as JSON.

import * as fs from 'node:fs';
import { inDigits, limitInWords, spreadInWords, valueInWords } from './goal.mjs';
import { printColumns } from './report.mjs';
import { drawChart } from './svg.mjs';

/** @import { Chart, GrowthPanel } from './chart.js' */
/** @import { Outcome, Row, Table } from './scenario.js' */
/** @import { describeMachine } from './machine.mjs' */

/**
 * What a group came to, as it is kept.
 *
 * @typedef {Outcome & {
 *   id: string, title: string, at: string, seconds: number, load: number, commit: string, failure?: string
 * }} GroupResult
 */

/** @typedef {ReturnType<typeof describeMachine> & { commit: string }} Machine */

/** All that was asked for in a group, each with what its operations survive. @param {GroupResult} result */
export function goalsOf({ rows, goals = [] }) {
  const ofRows = rows.flatMap(({ goal, durability }) => (goal === undefined ? [] : [{ durability, ...goal }]));
  return [...ofRows, ...goals.map((goal) => ({ durability: '', ...goal }))];
}

/** @param {readonly GroupResult[]} results */
export function printGoals(results) {
  printColumns(
    ['what', 'target', 'reached', 'half of the rounds', '', 'durability'],
    results.flatMap((result) => {
      const lines = goalsOf(result).map((goal) => [
        goal.what,
        limitInWords(goal),
        valueInWords(goal),
        spreadInWords(goal),
        goal.reached ? '' : 'FALLS SHORT',
        goal.durability,
      ]);
      return result.failure === undefined ? lines : [...lines, [result.title, '', '', '', 'FAILED', result.failure]];
    }),
  );
}

/**
 * @param {string} folder
 * @param {{
 *   groups: readonly { id: string, title: string }[],
 *   results: readonly GroupResult[],
 *   machine: Machine,
 *   quick: boolean,
 * }} report
 */
export function writeReport(folder, { groups, results, machine, quick }) {
  fs.mkdirSync(folder, { recursive: true });
  for (const name of fs.readdirSync(folder)) if (/\.(svg|json|md)$/.test(name)) fs.rmSync(`${folder}/${name}`);
  const images = new Map(results.map((result) => [result.id, drawImages(folder, result)]));
  const missing = groups.filter(({ id }) => !results.some((result) => result.id === id));
  fs.writeFileSync(`${folder}/README.md`, markdown({ results, missing, machine, quick, images }));
  fs.writeFileSync(
    `${folder}/results.json`,
    `${JSON.stringify({ quick, machine, groups: results.map(asKept) }, (_, value) => shortened(value), 1)}\n`,
  );
}

/**
 * @param {string} folder
 * @param {GroupResult} result
 */
function drawImages(folder, result) {
  const charts = result.charts ?? (result.rows.length > 0 ? [chartOf(result)] : []);
  return charts.map((chart, index) => {
    const name = `${result.id}${index === 0 ? '' : `-${index + 1}`}.svg`;
    fs.writeFileSync(`${folder}/${name}`, drawChart(chart));
    return { name, title: chart.title };
  });
}

/**
 * @param {GroupResult} result
 * @returns {Chart}
 */
function chartOf({ title, rows }) {
  const scenarios = new Set(rows.map(({ scenario }) => scenario));
  const [{ unit, durability }] = rows;
  const better = unit === 'ops/s' ? 'more is better' : 'less is better';
  return {
    kind: 'bars',
    title: scenarios.size === 1 ? rows[0].scenario : title,
    unit,
    caption: `Median, and the quartiles of the rounds; ${better}. ${capital(durability)}.`,
    bars: rows.map(({ contender, median: value, q1, q3, isOnlyShown }) => ({
      label: contender,
      value,
      q1,
      q3,
      tone: contender.startsWith('cairn') ? 'own' : isOnlyShown === true ? 'shown' : 'peer',
    })),
  };
}

/**
 * @param {{
 *   results: readonly GroupResult[],
 *   missing: readonly { id: string, title: string }[],
 *   machine: Machine,
 *   quick: boolean,
 *   images: ReadonlyMap<string, readonly { name: string, title: string }[]>,
 * }} report
 */
function markdown({ results, missing, machine, quick, images }) {
  const goals = results.flatMap(goalsOf);
  const short = goals.filter(({ reached }) => !reached).length;
  const minutes = results.reduce((sum, { seconds }) => sum + seconds, 0) / 60;
  const failed = results.filter(({ failure }) => failure !== undefined);
  const lines = [
    '# Benchmarks',
    '',
    quick
      ? '**A quick run, in small sizes and few rounds: a smoke test, not a result.**'
      : 'Written by `npm run bench`; do not edit. What the figures come from is explained in [performance](../performance.md).',
    '',
    `Measured ${span(results)} at commit \`${machine.commit}\`, ${minutes.toFixed(0)} minutes: ` +
      `${goals.length - short} of ${goals.length} targets reached` +
      `${failed.length > 0 ? `, ${failed.length} groups failed` : ''}.`,
    '',
    ...machineLines(machine),
    '',
    '## How to read it',
    '',
    '- **The machine is shared.** Its speed changes by half within minutes, so absolute figures differ between runs. Ratios come from rounds in which all contenders take turns, each in a process of its own, every round in another order.',
    '- **Ratio**: what Cairn reached in a round over what the other reached in the same round; the median over all rounds. It is not the quotient of the two medians beside it. On the line of Cairn: over the peer against which it is least.',
    '- **Half of the rounds** lie between the two figures of the spread (lower and upper quartile). A target that lies inside is neither safely reached nor safely missed.',
    '- **Durability** is what an acknowledged operation survives. Figures of different levels cannot be compared.',
    '- Every contender does the same work, and what it stored or read is checked before its time counts. Contenders on faint bars are for comparison: limits that no store can pass, such as a bare loop that only syncs or only decodes, and other ways to use one. No target counts them unless it names them.',
    '- `results.json` has the figure of every round.',
    '',
    '## Targets',
    '',
    ...table(
      ['', 'target', 'reached', 'half of the rounds', 'durability', ''],
      goals.map((goal) => [
        goal.what,
        limitInWords(goal),
        goal.reached ? valueInWords(goal) : `**${valueInWords(goal)}**`,
        spreadInWords(goal),
        goal.durability,
        goal.reached ? 'reached' : '**falls short**',
      ]),
    ),
    ...failed.flatMap(({ title, failure }) => ['', `**${title} failed**: ${failure}`]),
    ...(missing.length > 0 ? ['', `Not measured: ${missing.map(({ title }) => title).join(', ')}.`] : []),
    ...results.flatMap((result) => ['', ...section(result, images.get(result.id) ?? [])]),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * @param {GroupResult} result
 * @param {readonly { name: string, title: string }[]} images
 */
function section({ title, rows, notes, charts = [], tables = [], seconds, load, failure }, images) {
  const panels = charts.flatMap((chart) => (chart.kind === 'growth' ? chart.panels : []));
  const all = [...(rows.length > 0 ? [tableOfRows(rows)] : []), ...tables];
  if (panels.length > 0) all.push(tableOfGrowth(panels));
  return [
    `## ${title}`,
    '',
    ...(failure === undefined ? [] : [`**Failed**: ${failure}`, '']),
    ...images.flatMap((image) => [`![${image.title}](${image.name})`, '']),
    ...all.flatMap(({ headings, rows: lines }) => table(headings, lines).concat('')),
    ...notes.map((note) => `- ${note}`),
    ...behind(rows),
    `- ${rows.length > 0 ? `${rows[0].figures.length} rounds, ` : ''}${seconds.toFixed(0)} seconds; load average before: ${load.toFixed(1)}`,
  ];
}

/** How much of what was appended a dead process would have lost. @param {readonly Row[]} rows */
function behind(rows) {
  const each = rows.flatMap(({ contender, mostBehind }) =>
    mostBehind === undefined ? [] : [`${contender} ${mostBehind.toLocaleString('en-US')}`],
  );
  return each.length === 0 ? [] : [`- The most that were appended and not yet with the OS: ${each.join(', ')}`];
}

/**
 * @param {readonly Row[]} rows
 * @returns {Table}
 */
function tableOfRows(rows) {
  const isOneOfMany = rows.some(({ scenario }) => scenario !== rows[0].scenario);
  return {
    headings: ['', 'median', 'half of the rounds', 'ratio', 'durability'],
    rows: rows.map(({ scenario, contender, median, unit, q1, q3, ratio, durability }) => [
      isOneOfMany ? `${scenario}: ${contender}` : contender,
      `${inDigits(median)} ${unit}`,
      `${inDigits(q1)}..${inDigits(q3)}`,
      ratio === undefined ? '' : `${ratio.toFixed(2)}x`,
      durability,
    ]),
  };
}

/**
 * @param {readonly GrowthPanel[]} panels
 * @returns {Table}
 */
function tableOfGrowth(panels) {
  return {
    headings: ['', 'theory', 'grows as', 'at the end as', ''],
    rows: panels.map(({ title, theory, exponent, lastExponent, isWithinTheory }) => [
      title,
      theory,
      `n^${exponent.toFixed(2)}`,
      `n^${lastExponent.toFixed(2)}`,
      isWithinTheory ? 'within theory' : '**faster than theory**',
    ]),
  };
}

/** @param {Machine} machine */
function machineLines({ cpu, cores, memoryGiB, os, node, fileSystem, loadAverage, peers }) {
  return [
    `- ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}, Node ${node}, data on ${fileSystem}`,
    `- ${Object.entries(peers)
      .map((peer) => peer.join(' '))
      .join(', ')}`,
    `- load average when it began: ${loadAverage.toFixed(1)}`,
  ];
}

/** @param {readonly GroupResult[]} results */
function span(results) {
  const minutes = results.map(({ at }) => at.slice(0, 16).replace('T', ' ')).sort();
  return minutes.length === 0 ? '' : `until ${minutes.at(-1)} UTC`;
}

/**
 * @param {readonly string[]} headings
 * @param {readonly (readonly string[])[]} rows
 */
function table(headings, rows) {
  const cells = (/** @type {readonly string[]} */ row) =>
    `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [cells(headings), cells(headings.map(() => '---')), ...rows.map(cells)];
}

/** Charts can be drawn from the figures. @param {GroupResult} result */
function asKept({ charts = [], ...result }) {
  return { ...result, goals: goalsOf({ ...result }), charts: result.rows.length > 0 ? [] : charts };
}

/** Five digits are more than the machine can tell apart. @param {unknown} value */
function shortened(value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}

/** @param {string} words */
function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
