// The mutants themselves take minutes (`npm run crash:mutants`). That each still fits the code is seen in every run.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { projectRoot } from '../support/module-process.js';
import { mutants } from './mutants/table.js';

describe('Every mutant', () => {
  for (const { name, file, find, killedBy } of mutants)
    it(`fits one place of the code: ${name}`, () => {
      const code = fs.readFileSync(path.join(projectRoot, 'dist', file), 'utf8');
      expect(code.split(find).length - 1, `places of dist/${file}`).to.equal(1);
      expect(fs.existsSync(path.join(projectRoot, 'test', killedBy.file))).to.equal(true);
    });
});
