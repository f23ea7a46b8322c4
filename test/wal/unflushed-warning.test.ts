import { MemoryDirectory, WalWriter } from 'cairnlog';
import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import { textCodec as codec } from '../support/text-codec.js';
import { warningsOf } from '../support/warnings.js';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

async function collectUntil(isDone: () => boolean, attempts: number): Promise<void> {
  for (let attempt = 0; attempt < attempts && !isDone(); attempt++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Opens a writer, uses it, and lets go of it. */
async function forget(use: (wal: WalWriter<string>) => Promise<unknown>): Promise<string[]> {
  let gone = false;
  const registry = new FinalizationRegistry(() => (gone = true));
  return warningsOf('CAIRN_UNFLUSHED', async () => {
    await (async () => {
      const wal = await WalWriter.open(new MemoryDirectory(), { codec });
      registry.register(wal, undefined);
      await use(wal);
    })();
    await collectUntil(() => gone, 100);
    expect(gone, 'the writer was collected').to.equal(true);
    // The library's own finalizer may run after ours.
    await collectUntil(() => false, 3);
  });
}

describe('A writer that is forgotten', () => {
  it('with unwritten entries is spoken of', async () => {
    const warnings = await forget(async (wal) => {
      wal.append('one');
      wal.append('two');
    });
    expect(warnings.length).to.equal(1);
    expect(warnings[0]).to.include("2 entries appended to 'wal' were never written");
  });

  it('with nothing left to write is not', async () => {
    expect(
      await forget(async (wal) => {
        wal.append('one');
        await wal.flush();
      }),
    ).to.deep.equal([]);
  });

  it('after it was closed is not', async () => {
    expect(
      await forget(async (wal) => {
        wal.append('one');
        await wal.close();
      }),
    ).to.deep.equal([]);
  });

  it('when the process exits is spoken of on stderr', () => {
    const program = (end: string): string => `
      import { MemoryDirectory, walEntryCodec, WalWriter } from 'cairnlog';
      const wal = await WalWriter.open(new MemoryDirectory(), { codec: walEntryCodec });
      wal.append({ type: 'AddSegment', segmentId: 1, docCount: 1 });
      ${end}`;
    const run = (end: string): string => {
      const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program(end)], {
        encoding: 'utf8',
      });
      expect(status, stderr).to.equal(0);
      return stderr;
    };
    expect(run('process.exit(0);')).to.include("1 entries appended to 'wal' were never written");
    expect(run('await wal.close(); process.exit(0);')).to.equal('');
  });
});
