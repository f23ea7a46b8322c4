import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FsDirectory } from 'cairnlog';
import { run } from '../../examples/search-index/command-line.js';
import { Indexer } from '../../examples/search-index/indexer.js';
import { postingsPath, readPostings, writePostings } from '../../examples/search-index/postings-file.js';
import { build, crash, recover, type Stage } from '../../examples/search-index/story.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const MAIN = fileURLToPath(new URL('../../examples/search-index/main.js', import.meta.url));
const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly complaint: string;
}

/** Runs the built example as `npm start` does. */
async function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result> {
  const child = spawn(process.execPath, ['--enable-source-maps', MAIN, ...args], {
    cwd: PROJECT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, complaint };
}

/** Runs the example in this process, on a few small documents, with `disturb` between the kill and the reopening. */
async function disturbed(disturb: (stage: Stage) => Promise<void>): Promise<Result> {
  let out = '';
  let complaint = '';
  const output = {
    print: (line: string) => void (out += `${line}\n`),
    complain: (line: string) => void (complaint += `${line}\n`),
  };
  const code = await run([smallDocuments()], output, {
    build,
    recover,
    async crash(stage) {
      const answers = await crash(stage);
      await disturb(stage);
      return answers;
    },
  });
  return { code, out, complaint };
}

function smallDocuments(count = 30): string {
  const folder = temporaryFolder();
  for (let number = 0; number < count; number++)
    fs.writeFileSync(
      path.join(folder, `${number}.md`),
      `Document ${number} about topic${number % 5} and word${number}`,
    );
  return folder;
}

/** Ids of the segments that have a postings file, whole ones only. */
async function segmentIds(directory: Stage['directory']): Promise<number[]> {
  const names = await directory.list('postings');
  return names.flatMap((name) => /^segment_(\d+)\.postings$/.exec(name)?.[1] ?? []).map(Number);
}

describe('the search index example', function () {
  this.timeout(60_000);

  it('indexes real documents, is killed in a merge, and recovers every answer', async () => {
    const temporary = temporaryFolder();
    const { code, out, complaint } = await start([], { TMPDIR: temporary });
    expect(complaint).to.equal('');
    expect(code).to.equal(0);

    expect(Number(/Find +(\d+) documents, .+ in node_modules and docs/.exec(out)?.[1])).to.be.greaterThan(100);
    expect(out).to.match(/Index +\d+ documents in \d+ index segments/);
    expect(out).to.match(/Merge +6 index segments into one of \d+ documents, 3 of them deleted meanwhile/);
    expect(out.match(/Checkpoint +up to position \d+/g)).to.have.length(3);
    expect(out.match(/[1-9]\d* WAL segments? removed/g)).to.have.length(2);
    expect(out).to.match(/Refresh +the subscription to segments\$ has reopened the searcher [\d,]+ times:/);
    expect(out).to.match(/Search +"progress bar in the terminal" +\d+\.\d\d {2}node_modules\/cli-progress\//);
    const merge = /got SIGKILL in merge (\d+)/.exec(out)?.[1];
    expect(out).to.match(/Recover +from checkpoints\/ckpt_\d+\.ckpt and 5 entries after it/);
    expect(out).to.contain('no torn tail');
    expect(out).to.match(new RegExp(`merge ${merge} of index segments [\\d, ]+ was in flight`));
    expect(out).to.match(/Clean up +1 merge cancelled, 2 files .+\n.+segment_\d+\.postings\n.+\.postings\.\w+\.tmp\n/);
    expect(out).to.match(/Compare +\d+ queries: answered as before the kill, and as by a full scan/);
    expect(out).to.match(/Nothing acknowledged was lost\. .+\n$/);

    expect(out, 'a progress bar where nobody sees it').not.to.contain('\u001b');
    expect(fs.readdirSync(temporary), 'the temporary folder is left behind').to.deep.equal([]);
  });

  it('cleans up after itself when nobody reads on', async () => {
    const temporary = temporaryFolder();
    const child = spawn(process.execPath, [MAIN, smallDocuments()], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.destroy();
    expect(await once(child, 'exit')).to.deep.equal([0, null]);
    expect(fs.readdirSync(temporary)).to.deep.equal([]);
  });

  it('keeps the index where it is told to', async () => {
    const data = path.join(temporaryFolder(), 'new');
    const { code } = await start(['--data', data, smallDocuments()]);
    expect(code).to.equal(0);
    const index = await Indexer.open(await FsDirectory.open(data));
    expect(index.searcher.search('topic1').length).to.be.greaterThan(0);
    await index.close();
  });

  it('fails when a postings file is damaged between the kill and the reopening', async () => {
    let path_ = '';
    const { code, out, complaint } = await disturbed(async ({ directory, dataFolder }) => {
      path_ = postingsPath((await segmentIds(directory))[0]!);
      const file = path.join(dataFolder, path_);
      fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('document', 'dokument'));
    });
    expect(code).to.equal(1);
    expect(complaint).to.contain('FAILED with CAIRN_CORRUPTION').and.to.contain(path_);
    expect(out).to.contain('Kill').and.not.to.contain('Nothing acknowledged was lost');
  });

  it('fails when a postings file is missing', async () => {
    const { code, complaint } = await disturbed(async ({ directory, dataFolder }) => {
      fs.rmSync(path.join(dataFolder, postingsPath((await segmentIds(directory))[0]!)));
    });
    expect(code).to.equal(1);
    expect(complaint)
      .to.contain('FAILED with CAIRN_NOT_FOUND')
      .and.to.match(/segment_\d+\.postings/);
  });

  it('fails when a postings file is whole but does not say what it said', async () => {
    const { code, complaint } = await disturbed(async ({ directory }) => {
      for (const segmentId of await segmentIds(directory)) {
        const { documents, terms } = await readPostings(directory, segmentId);
        await writePostings(directory, segmentId, {
          documents,
          terms: new Map([...terms].filter(([term]) => term !== 'topic0')),
        });
      }
    });
    expect(code).to.equal(1);
    expect(complaint).to.match(
      /FAILED: Hit \d+ for ".*topic0.*" differs: before the kill it was .+, after recovery it is/,
    );
  });

  it('fails when a delete that was acknowledged during the merge is not in the log any more', async () => {
    const { code, out, complaint } = await disturbed(async ({ dataFolder }) => {
      const wal = path.join(dataFolder, 'wal');
      const numbers = fs.readdirSync(wal).flatMap((name) => /^wal_(\d+)\.log$/.exec(name)?.[1] ?? []);
      const last = path.join(wal, `wal_${Math.max(...numbers.map(Number))}.log`);
      // Nothing in the log says yet that its last entry was durable, so this looks like an interrupted write.
      fs.truncateSync(last, fs.statSync(last).size - 1);
    });
    expect(out).to.match(/a torn tail of \d+ bytes was cut off/);
    expect(code).to.equal(1);
    expect(complaint).to.match(/FAILED: .+ differs: before the kill/);
  });

  it('removes its temporary folder after a failure too', async () => {
    let folder = '';
    await disturbed(async ({ dataFolder }) => {
      folder = dataFolder;
      fs.rmSync(path.join(dataFolder, 'wal'), { recursive: true });
    });
    expect(fs.existsSync(folder)).to.equal(false);
  });

  it('says how it is used when asked', async () => {
    const { code, out } = await start(['--help']);
    expect(code).to.equal(0);
    expect(out).to.match(/^Usage: npm start/);
  });

  it('says why it cannot begin, with exit code 2', async () => {
    const cases: [string, string[], RegExp][] = [
      ['an unknown option', ['--nope'], /^Unknown option '--nope'\n\nUsage: npm start/],
      ['an option without its value', ['--data'], /^Option '--data <value>' argument missing\n\nUsage/],
      ['no documents', [temporaryFolder()], /^0 Markdown and text files in .+; at least 20 are needed\.\nRun npm ci/],
      ['a folder that is not there', ['/no/such/folder'], /^0 Markdown and text files/],
      [
        'a data folder below a file',
        ['--data', path.join(MAIN, 'data')],
        /^Cannot write to .+: A file is where a folder/,
      ],
      ['a data folder in use', ['--data', PROJECT], /^.+ is not empty\. Choose a new or empty folder/],
    ];
    for (const [name, args, expected] of cases) {
      let out = '';
      let complaint = '';
      const output = {
        print: (line: string) => void (out += line),
        complain: (line: string) => void (complaint += line),
      };
      expect(await run(args, output), name).to.equal(2);
      expect(complaint, name).to.match(expected);
      expect(out, name).to.equal('');
    }
    const { code, complaint } = await start(['--nope']);
    expect(code).to.equal(2);
    expect(complaint).to.contain("Unknown option '--nope'");
  });

  it('says that it cannot write into a folder of somebody else', async function () {
    if (process.platform === 'win32' || process.getuid?.() === 0) {
      console.log('      skipped: permissions do not bind this user');
      return this.skip();
    }
    const data = temporaryFolder();
    fs.chmodSync(data, 0o500);
    const { code, complaint } = await start(['--data', data]);
    expect(code).to.equal(2);
    expect(complaint).to.match(/^Cannot write to .+: Permission denied/);
  });
});
