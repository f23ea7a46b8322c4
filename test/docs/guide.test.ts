// Holds the guide: what its pages show compiles, runs to its end, and is listed in the guide's index.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { projectRoot } from '../support/module-process.js';
import { compilePages, programOf, runPage, type Page, type PageProgram } from '../support/page-programs.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const GUIDE = 'docs/guide';
const AT_ONCE = 2;

const pages: Page[] = fs
  .readdirSync(path.join(projectRoot, GUIDE))
  .filter((name) => name.endsWith('.md'))
  .sort()
  .map((name) => ({
    path: `${GUIDE}/${name}`,
    text: fs.readFileSync(path.join(projectRoot, GUIDE, name), 'utf8'),
  }));

const page = (name: string, ...lines: string[]): Page => ({ path: `${GUIDE}/${name}`, text: lines.join('\n') });

/** Pages that are wrong on purpose: a check that cannot fail is none. */
const WRONG = {
  types: page('wrong-types.md', '# Wrong', '', '```ts', 'const count: number = 1;', '```', 'and', '```ts', 'count.trim();', '```'), // prettier-ignore
  run: page('wrong-run.md', 'Text', '```ts', "import assert from 'node:assert/strict';", '```', '', '```ts', '', 'assert.equal(1 + 1, 3);', '```'), // prettier-ignore
  hanging: page('wrong-end.md', '```ts', 'await new Promise(() => undefined);', '```'),
};

const GOOD = page(
  'good.md',
  '```ts',
  "import { Aggregate, AggregateRoot, Reduces, type Event, type Of } from 'cairnlog';",
  "import * as fs from 'node:fs';",
  "type Counted = Event<'Counted', { by: number }>;",
  "@Aggregate({ name: 'counter' })",
  'class Counter extends AggregateRoot<{ count: number }, Counted> {',
  '  static readonly initial = { count: 0 };',
  "  @Reduces('Counted') static counted(state: { count: number }, event: Of<Counted, 'Counted'>) {",
  '    state.count += event.data.by;',
  '  }',
  '}',
  '```',
  '```ts nocheck',
  'this is not run',
  '```',
  '```sh',
  'nor is this',
  '```',
  '```ts',
  "if (fs.readdirSync('.').length > 0 || Counter.initial.count !== 0) process.exit(1);",
  '```',
);

describe('the guide', function () {
  this.timeout(120_000);

  let programs: ReadonlyMap<string, PageProgram>;
  const runs = new Map<string, Promise<string | undefined>>();
  const program = ({ path: name }: Page): PageProgram => programs.get(name)!;
  /** Pages are run two at a time, ahead of the tests that look at them. */
  const run = (compiled: PageProgram): Promise<string | undefined> => runs.get(compiled.page.path)!;

  before(() => {
    const all = compilePages([...pages, GOOD, ...Object.values(WRONG)]);
    programs = new Map(all.map((compiled) => [compiled.page.path, compiled]));
    const lanes = Array.from({ length: AT_ONCE }, (): Promise<unknown> => Promise.resolve());
    for (const [index, compiled] of all.filter(({ problems }) => problems.length === 0).entries()) {
      const done = lanes[index % AT_ONCE]!.then(() => runPage(compiled, temporaryFolder()));
      runs.set(compiled.page.path, done);
      lanes[index % AT_ONCE] = done;
    }
  });

  for (const shown of pages)
    it(`${shown.path} shows what compiles and runs`, async function () {
      if (programOf(shown) === undefined) return;
      expect(program(shown).problems.join('\n')).to.equal('');
      expect((await run(program(shown))) ?? '').to.equal('');
    });

  it('has an index that names every page once, with a line about it', () => {
    const index = pages.find(({ path: name }) => name.endsWith('/README.md'))!;
    const listed = [...index.text.matchAll(/^- \[[^\]]+\]\(([\w-]+\.md)\): \S.+$/gm)].map(([, name]) => name!);
    const others = pages.filter((other) => other !== index).map(({ path: name }) => path.basename(name));
    expect(listed.sort()).to.deep.equal(others);
  });

  it('runs the blocks of a page as one program, in an empty folder, without those marked nocheck', async () => {
    expect(program(GOOD).problems).to.deep.equal([]);
    expect(await run(program(GOOD))).to.equal(undefined);
  });

  it('names the page and the line of a type error', () => {
    expect(program(WRONG.types).problems).to.deep.equal([
      "docs/guide/wrong-types.md:8:7 Property 'trim' does not exist on type 'number'.",
    ]);
  });

  it('names the page and the line of an assertion that fails', async () => {
    expect(await run(program(WRONG.run))).to.match(/docs\/guide\/wrong-run\.md:8:8/);
  });

  it('does not take a page for finished whose last promise is never settled', async () => {
    expect(await run(program(WRONG.hanging))).to.match(/wrong-end\.md ended with code 13/);
  });

  it('refuses a block whose mark it does not know', () => {
    expect(() => programOf(page('unknown.md', '', '```ts skip', '```'))).to.throw("docs/guide/unknown.md:2 'ts skip'");
  });
});
