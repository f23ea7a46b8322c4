// Runs the short examples as their README says, each in an empty folder, and looks at what they print.

import { expect } from 'chai';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../support/module-process.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** By what the README says to run: what has to be printed, in this order. */
const PROGRAMS: Record<string, readonly (string | RegExp)[]> = {
  '.build/examples/bank/main.js': [
    'Ada deposits 1000 and has 1000',
    '300 go from Ada to Bob: 700 and 300',
    '301 from Bob to Ada: refused, insufficient funds',
    "Stream 'account-ada' was expected at version 3, but it is at version 4",
    'both go through',
    'A teller is killed after 25 transfers',
    /Recovered from checkpoints\/ckpt_\d+\.ckpt and \d+ entries after it/,
    'Every acknowledged transfer is there, and Ada and Bob have 1000 together',
  ],
  '.build/examples/shopping-cart/main.js': [
    'cart 1 is checked out; asked a second time, it is the same answer',
    'Sold up to position 4: 3 lamps',
    'shipped cart-1: 3 lamp',
    /Tuesday: recovered from checkpoints\/ckpt_\d+\.ckpt/,
    'shipped cart-2: 2 rope, 1 lamp',
    'Each order was shipped once, and 4 lamps and 2 ropes are sold',
  ],
  'examples/plain-javascript/tasks.mjs': [
    '1 TaskAdded',
    '3 TaskDone',
    '[ ] water the plants',
    '[x] feed the cat',
    'recovered at version 3; at version 2 the cat was not fed yet',
  ],
};

describe('the example', function () {
  this.timeout(60_000);

  for (const [program, lines] of Object.entries(PROGRAMS))
    it(`${program} shows what it says`, async () => {
      const temporary = temporaryFolder();
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--enable-source-maps', path.join(projectRoot, program)],
        { cwd: temporaryFolder(), env: { ...process.env, TMPDIR: temporary } },
      );
      expect(stderr).to.equal('');
      let at = 0;
      for (const line of lines) {
        const found = typeof line === 'string' ? stdout.indexOf(line, at) : stdout.slice(at).search(line) + at;
        expect(found, `${String(line)} is missing behind character ${at} of:\n${stdout}`).to.be.at.least(at);
        at = found + 1;
      }
      expect(fs.readdirSync(temporary), 'left behind').to.deep.equal([]);
    });

  it('is in the list of the README, and what is in the list is there', () => {
    const readme = fs.readFileSync(path.join(projectRoot, 'examples/README.md'), 'utf8');
    const listed = [...readme.matchAll(/^\| `node ([^`]+)`/gm)].map(([, program]) => program!);
    expect(listed).to.include.members(Object.keys(PROGRAMS));
    for (const program of listed) expect(fs.existsSync(path.join(projectRoot, program)), program).to.equal(true);
    const folders = fs.readdirSync(path.join(projectRoot, 'examples'), { withFileTypes: true });
    for (const folder of folders.filter((entry) => entry.isDirectory()))
      expect(
        listed.some((program) => program.includes(`/${folder.name}/`)),
        folder.name,
      ).to.equal(true);
  });
});
