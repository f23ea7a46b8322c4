// `npm run crash`: the whole proof that needs no root. Every lane at full effort and every mutant, in two processes at a
// time. Prints a table of what was done; ends with an error on any violation, on a lane that did not do what it is for,
// on a situation that was never met, and on a mutant that nobody noticed. `npm run crash -- NAME` does the lanes of that
// name.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SEED } from '../support/seed.js';
import { lanes, neverMet, problemsOf } from './lanes/all.js';
import { addTally, Tally, type Lane, type WrittenTally } from './lanes/lane.js';
import { printVerdicts, tryMutants } from './mutants/run.js';

const PROCESSES = 2;
const PARTS = 8;
/** Counts that have a column; all others are listed below the table. */
const COLUMNS = ['power cuts', 'kills', 'recoveries cut', 'faults', 'damages'] as const;

const wanted = process.argv[2] ?? '';
const begun = performance.now();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-crash-'));
const tallies = new Map<Lane, Tally>();
const problems: string[] = [];

try {
  const chosen = lanes.filter(({ name }) => name.includes(wanted));
  if (chosen.length === 0) problems.push(`no lane is named '${wanted}'`);
  const jobs = chosen.flatMap((lane) => {
    tallies.set(lane, new Tally());
    const parts = lane.parts ?? PARTS;
    return Array.from({ length: parts }, (_, index) => ({ lane, index, parts }));
  });
  console.log(`Seed ${SEED}, ${jobs.length} parts in ${PROCESSES} processes`);
  await Promise.all(
    Array.from({ length: PROCESSES }, async () => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await runPart(job);
    }),
  );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}

const images = new Set<string>();
const marks = new Map<string, number>();
for (const [lane, tally] of tallies) {
  problems.push(...problemsOf(lane, tally));
  for (const image of tally.images) images.add(image);
  for (const [situation, count] of tally.marks) marks.set(situation, (marks.get(situation) ?? 0) + count);
}

if (wanted === '') problems.push(...neverMet(marks, images.size));

console.log();
row('lane', ['different disks', ...COLUMNS, 'violations', 'cpu seconds']);
for (const [{ name }, tally] of tallies) row(name, figuresOf(tally));
const all = new Tally();
for (const tally of tallies.values()) for (const [what, count] of tally.counts) all.add(what, count);
row('all', [images.size, ...figuresOf(all).slice(1)]);

console.log('\nalso counted');
for (const [{ name }, { counts }] of tallies) {
  const others = [...counts].filter(([what]) => ![...COLUMNS, 'violations', 'cpu ms'].includes(what));
  console.log(`  ${name}: ${others.map(([what, count]) => `${count.toLocaleString('en')} ${what}`).join(', ')}`);
}
console.log('\nsituations met');
for (const [situation, count] of [...marks].sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`  ${situation.padEnd(46)} ${count.toLocaleString('en').padStart(12)}`);

if (wanted === '') {
  console.log();
  const verdicts = await tryMutants('');
  printVerdicts(verdicts);
  for (const { mutant, outcome, detail } of verdicts)
    if (outcome !== 'killed') problems.push(`mutant '${mutant.name}' ${outcome}: ${detail}`);
  if (verdicts.length === 0) problems.push('no mutant was tried');
}

const seconds = Math.round((performance.now() - begun) / 1000);
console.log(
  `\n${problems.length === 0 ? 'Every promise was kept' : 'FAILED'}: ${problems.length} violations, ${seconds} s`,
);
for (const problem of problems) console.error(`\n${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;

async function runPart({ lane, index, parts }: { lane: Lane; index: number; parts: number }): Promise<void> {
  const file = path.join(folder, `${lanes.indexOf(lane)}-${index}.json`);
  const program = fileURLToPath(new URL('./part.js', import.meta.url));
  const args = ['--enable-source-maps', program, lane.name, String(index), String(parts), file];
  const since = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0 || !fs.existsSync(file)) {
    problems.push(`${lane.name}: part ${index} ended with ${String(code)}`);
    return;
  }
  const part = JSON.parse(fs.readFileSync(file, 'utf8')) as WrittenTally;
  addTally(tallies.get(lane)!, part);
  const took = Math.round((performance.now() - since) / 1000);
  console.log(`  ${lane.name}, part ${index + 1} of ${parts}: ${part.violations.length} violations, ${took} s`);
}

function figuresOf(tally: Tally): number[] {
  const counted = [...COLUMNS, 'violations'].map((column) => tally.of(column));
  return [tally.images.size, ...counted, Math.round(tally.of('cpu ms') / 1000)];
}

function row(name: string, figures: readonly (number | string)[]): void {
  const cells = figures.map((figure) => figure.toLocaleString('en').padStart(15));
  console.log(`${name.padEnd(24)}${cells.join('')}`);
}
