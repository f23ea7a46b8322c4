// `npm run crash`: the whole proof that needs no root. Every lane at full effort and every mutant, in two processes at a
// time. Prints what was done; ends with an error on any violation, on a lane that did not do what it is for, on a
// situation that was never met, and on a mutant that nobody noticed. `npm run crash -- NAME` does the lanes of that name.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SEED } from '../support/seed.js';
import { lanes, NEEDED_IMAGES, neededMarks } from './lanes/all.js';
import { addTally, Tally, type Lane, type WrittenTally } from './lanes/lane.js';
import { tryMutants } from './mutants/run.js';

const PROCESSES = 2;
const PARTS = 8;

const wanted = process.argv[2] ?? '';
const begun = performance.now();
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-crash-'));
const tallies = new Map<Lane, Tally>();
const problems: string[] = [];

try {
  const chosen = lanes.filter(({ name }) => name.includes(wanted));
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
  console.log(`\n${lane.name}`);
  for (const [what, count] of tally.counts) row(what, count);
  if (tally.images.size > 0) row('different disks', tally.images.size);
  row('violations', tally.violations.length);
  for (const violation of tally.violations) problems.push(`${lane.name}: ${violation}`);
  for (const need of lane.needs) if (tally.of(need) === 0) problems.push(`${lane.name}: no ${need}`);
  for (const image of tally.images) images.add(image);
  for (const [situation, count] of tally.marks) marks.set(situation, (marks.get(situation) ?? 0) + count);
}

console.log('\nsituations met');
for (const [situation, count] of [...marks].sort(([a], [b]) => (a < b ? -1 : 1))) row(situation, count);
if (wanted === '') {
  for (const situation of neededMarks) if (!marks.has(situation)) problems.push(`never met: ${situation}`);
  if (images.size < NEEDED_IMAGES) problems.push(`${images.size} different disks, ${NEEDED_IMAGES} are needed`);
  const verdicts = await tryMutants('');
  const alive = verdicts.filter(({ outcome }) => outcome !== 'killed');
  console.log('\nmutants');
  row('killed', verdicts.length - alive.length);
  row('alive', alive.length);
  for (const { mutant, outcome, detail } of alive) problems.push(`mutant '${mutant.name}' ${outcome}: ${detail}`);
  if (verdicts.length === 0) problems.push('no mutant was tried');
}

console.log('\nall');
row('different disks', images.size);
row('crash states checked', sum('checks'));
row('faults fired', sum('faults'));
row('process ends', sum('kills'));
row('recoveries cut', sum('recoveries cut'));
row('violations', problems.length);
row('seconds', Math.round((performance.now() - begun) / 1000));
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
  const seconds = Math.round((performance.now() - since) / 1000);
  console.log(`  ${lane.name}, part ${index + 1} of ${parts}: ${part.violations.length} violations, ${seconds} s`);
}

function sum(what: string): number {
  return [...tallies.values()].reduce((total, tally) => total + tally.of(what), 0);
}

function row(what: string, count: number): void {
  console.log(`  ${what.padEnd(48)} ${count.toLocaleString('en').padStart(12)}`);
}
