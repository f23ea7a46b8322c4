// How long it takes to load the library, beside what its dependencies take. Each is imported in fresh processes.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { goal } from '../goal.mjs';
import { inOrderOf } from '../race.mjs';
import { pairedRatio, summarize } from '../statistics.mjs';

/** @import { Context, Outcome, Row } from '../scenario.js' */

/** Inside the package: there it may import itself by its name, as its users do, and its dependencies. */
const HOME = fileURLToPath(new URL('../../../', import.meta.url));
const OWN = 'cairnlog';

/**
 * @param {Context} context
 * @param {{ atMost: number }} asked
 * @returns {Promise<Outcome>}
 */
export async function run({ quick }, { atMost }) {
  const rounds = quick ? 5 : 25;
  const { dependencies } = JSON.parse(fs.readFileSync(`${HOME}package.json`, 'utf8'));
  const names = Object.keys(dependencies);
  const field = [OWN, ...names].map((name) => ({ name, figures: /** @type {number[]} */ ([]) }));
  // The first round brings the files into the page cache.
  for (let round = 0; round <= rounds; round++)
    for (const { name, figures } of inOrderOf(round, field)) {
      const milliseconds = await imported(name);
      if (round > 0) figures.push(milliseconds);
    }
  const [own, ...others] = field;
  const sums = own.figures.map((_, round) => others.reduce((sum, { figures }) => sum + figures[round], 0));
  const ratio = pairedRatio(own.figures, sums);
  const what = `import '${OWN}', over the sum of what its ${names.length} dependencies take`;
  /** @type {Row[]} */
  const rows = [
    { ...row(`cairn: import '${OWN}'`, own.figures), goal: goal(what, 'at most', atMost, 'x', ratio) },
    { ...row(`its ${names.length} dependencies, added up`, sums), ratio: ratio.median },
  ];
  for (const { name, figures } of others) rows.push({ ...row(name, figures), isOnlyShown: true });
  return {
    rows,
    notes: [
      'await import() in a process of its own each time, measured inside: starting Node is not part of it. Files are in the page cache, and nothing is compiled yet.',
      "Node's own modules that several of them load are in each of their figures.",
    ],
  };
}

/**
 * @param {string} contender
 * @param {readonly number[]} figures
 * @returns {Row}
 */
function row(contender, figures) {
  return { scenario: 'import', contender, durability: 'reads only', unit: 'ms', figures, ...summarize(figures) };
}

/** @param {string} name */
async function imported(name) {
  const program = `const begun = performance.now(); await import('${name}'); console.log(performance.now() - begun);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: HOME });
  return Number(stdout);
}
