// `npm run crash:mutants`: breaks a copy of the compiled library in one way after the other, and runs the test that is
// meant to notice. Prints which test killed which mutant; ends with an error if one survives, if the test fails without
// the mutant too, or if a change no longer fits the code.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../support/module-process.js';
import { mutants, type Mutant } from './table.js';

export interface Verdict {
  readonly mutant: Mutant;
  readonly outcome: 'killed' | 'survived' | 'does not fit';
  /** What the test said, or what is wrong. */
  readonly detail: string;
  readonly milliseconds: number;
}

interface TestResult {
  readonly passed: boolean;
  readonly found: boolean;
  readonly message: string;
}

const PROCESSES = 2;

/** Tries all mutants whose name contains `wanted`. */
export async function tryMutants(wanted = '', tell: (verdict: Verdict) => void = () => undefined): Promise<Verdict[]> {
  const chosen = mutants.filter(({ name }) => name.includes(wanted));
  const healthy = await checkTests(chosen);
  const verdicts: Verdict[] = [];
  const queue = [...chosen];
  const work = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const begun = performance.now();
      const [outcome, detail] = await tryOne(mutant, healthy);
      const verdict = { mutant, outcome, detail, milliseconds: performance.now() - begun };
      verdicts.push(verdict);
      tell(verdict);
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  return verdicts;
}

/** Runs the tests on the library as it is: a test that fails anyway kills nothing. */
async function checkTests(chosen: readonly Mutant[]): Promise<Map<string, TestResult>> {
  const results = new Map<string, TestResult>();
  const tests = new Map(chosen.map(({ killedBy }) => [keyOf(killedBy), killedBy]));
  const queue = [...tests.values()];
  const work = async (): Promise<void> => {
    for (let test = queue.shift(); test !== undefined; test = queue.shift())
      results.set(keyOf(test), await runTest(projectRoot, test));
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  return results;
}

async function tryOne(mutant: Mutant, healthy: ReadonlyMap<string, TestResult>): Promise<[Verdict['outcome'], string]> {
  const before = healthy.get(keyOf(mutant.killedBy))!;
  if (!before.found) return ['does not fit', `there is no test '${mutant.killedBy.title}'`];
  if (!before.passed) return ['does not fit', `the test fails without the mutant: ${before.message}`];
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-mutant-'));
  try {
    copyProject(copy);
    const file = path.join(copy, 'dist', mutant.file);
    const code = fs.readFileSync(file, 'utf8');
    const places = code.split(mutant.find).length - 1;
    if (places !== 1) return ['does not fit', `the change fits ${places} places of ${mutant.file} instead of one`];
    fs.writeFileSync(
      file,
      code.replace(mutant.find, () => mutant.replace),
    );
    const { passed, message } = await runTest(copy, mutant.killedBy);
    return passed ? ['survived', 'the test passes'] : ['killed', message];
  } finally {
    fs.rmSync(copy, { recursive: true, force: true });
  }
}

function copyProject(copy: string): void {
  fs.copyFileSync(path.join(projectRoot, 'package.json'), path.join(copy, 'package.json'));
  fs.symlinkSync(fs.realpathSync(path.join(projectRoot, 'node_modules')), path.join(copy, 'node_modules'));
  const isCode = (file: string): boolean => !/\.(d\.ts|map|tsbuildinfo)$/.test(file);
  for (const folder of ['dist', '.build/test'])
    fs.cpSync(path.join(projectRoot, folder), path.join(copy, folder), { recursive: true, filter: isCode });
}

/** Runs one test in a process of its own. */
async function runTest(root: string, { file, title }: Mutant['killedBy']): Promise<TestResult> {
  const spec = path.join(root, '.build/test', file.replace(/\.ts$/, '.js'));
  const report = path.join(os.tmpdir(), `cairn-mutant-${process.pid}-${reports++}.json`);
  const args = ['--no-config', '--timeout', '120000', '--reporter', 'json', '--reporter-option', `output=${report}`];
  const child = spawn(
    process.execPath,
    [path.join(root, 'node_modules/mocha/bin/mocha.js'), ...args, '--fgrep', title, '--spec', spec],
    { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (data) => (errors += String(data)));
  // A mutant may well never come to an end.
  const timer = setTimeout(() => child.kill('SIGKILL'), 180_000);
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  if (!fs.existsSync(report))
    return { passed: false, found: true, message: `the process ended: ${errors.slice(-300)}` };
  const { stats, failures } = JSON.parse(fs.readFileSync(report, 'utf8')) as MochaReport;
  fs.rmSync(report);
  const failure = failures[0]?.err.message ?? '';
  return { passed: stats.failures === 0 && stats.passes > 0, found: stats.tests > 0, message: failure };
}

let reports = 0;

interface MochaReport {
  readonly stats: { readonly tests: number; readonly passes: number; readonly failures: number };
  readonly failures: readonly { readonly err: { readonly message: string } }[];
}

function keyOf({ file, title }: Mutant['killedBy']): string {
  return `${file} ${title}`;
}

/** A table: the mutant, what became of it, and the test that noticed. */
export function printVerdicts(verdicts: readonly Verdict[]): void {
  const width = Math.max(...verdicts.map(({ mutant }) => mutant.name.length), 0);
  const inOrder = [...verdicts].sort((a, b) => mutants.indexOf(a.mutant) - mutants.indexOf(b.mutant));
  console.log(`${'a library that ...'.padEnd(width)}  ${'is'.padEnd(12)}  by`);
  for (const { mutant, outcome } of inOrder) {
    const { file, title } = mutant.killedBy;
    console.log(`${mutant.name.padEnd(width)}  ${outcome.padEnd(12)}  ${file}: ${title}`);
  }
  const killed = verdicts.filter(({ outcome }) => outcome === 'killed').length;
  console.log(`${killed} of ${verdicts.length} mutants killed`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const verdicts = await tryMutants(process.argv[2], ({ mutant, outcome, detail, milliseconds }) => {
    console.log(`${outcome}: ${mutant.name} (${Math.round(milliseconds)} ms)`);
    console.log(`    ${detail.split('\n')[0]!.slice(0, 150)}`);
  });
  console.log();
  printVerdicts(verdicts);
  process.exitCode = verdicts.length > 0 && verdicts.every(({ outcome }) => outcome === 'killed') ? 0 : 1;
}
