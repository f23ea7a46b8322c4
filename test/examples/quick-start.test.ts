import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/temporary-folder.js';

const SCRIPT = fileURLToPath(new URL('../../examples/quick-start.js', import.meta.url));
const SOURCE = fileURLToPath(new URL('../../../examples/quick-start.ts', import.meta.url));

describe('the quick start example', function () {
  this.timeout(60_000);

  it('finds in every run what the runs before it left, from a checkpoint', () => {
    const cwd = temporaryFolder();
    const runs = [1, 2, 3].map(() => execFileSync(process.execPath, [SCRIPT], { cwd }).toString());
    expect(runs[0]).to.contain('replayed 0 entries after undefined').and.to.contain('Ada has 70');
    expect(runs[1]).to.contain('entries after checkpoints/ckpt_2.ckpt').and.to.contain('Ada has 140');
    expect(runs[2]).to.contain('entries after checkpoints/ckpt_5.ckpt').and.to.contain('Ada has 210');
  });

  it('is what the README shows', () => {
    const readme = fs.readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    const shown = /<!-- examples\/quick-start\.ts -->\n\n```ts\n([^]*?)```/.exec(readme)?.[1];
    expect(shown).to.equal(fs.readFileSync(SOURCE, 'utf8'));
  });

  it('is short enough to be read at once', () => {
    const lines = fs.readFileSync(SOURCE, 'utf8').split('\n');
    expect(lines.filter((line) => line.trim() !== '' && !line.startsWith('//'))).to.have.length.at.most(25);
  });
});
