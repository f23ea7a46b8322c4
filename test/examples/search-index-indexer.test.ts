import { expect } from 'chai';
import { MemoryDirectory, type Directory } from 'cairnlog';
import { FaultyDirectory, isMutation, loseEverything, loseNothing, SimulatedDisk } from 'cairnlog/testing';
import { answerAll } from '../../examples/search-index/answers.js';
import type { Document } from '../../examples/search-index/documents.js';
import { FullScan } from '../../examples/search-index/full-scan.js';
import { Indexer } from '../../examples/search-index/indexer.js';

type Library = ReadonlyMap<string, string>;

const WORDS = ['common', 'even', 'odd', 'new', ...Array.from({ length: 12 }, (_, number) => `word${number}`)];

function document(number: number, more = ''): Document {
  return { path: `${number}.md`, text: `common ${number % 2 === 0 ? 'even' : 'odd'} word${number} ${more}` };
}

function found(index: Indexer): string {
  return JSON.stringify(answerAll(WORDS, (query) => index.searcher.search(query)));
}

function scanned(library: Library): string {
  const scan = new FullScan(library);
  return JSON.stringify(answerAll(WORDS, (query) => scan.search(query)));
}

/** What is to be found: what is acknowledged, and what will be if the step under way happens. */
class Ledger {
  acknowledged: Library = new Map();
  intended: Library = new Map();

  async step(work: Promise<unknown>, change: (library: Map<string, string>) => void): Promise<void> {
    const library = new Map(this.intended);
    change(library);
    this.intended = library;
    await work;
    this.acknowledged = library;
  }
}

/** A life of an index, from its first document to its second checkpoint. */
async function live(directory: Directory, ledger: Ledger): Promise<void> {
  const index = await Indexer.open(directory);
  const add = (documents: Document[]): Promise<void> =>
    ledger.step(index.add(documents), (library) => {
      for (const { path, text } of documents) library.set(path, text);
    });
  const remove = (path: string): Promise<void> =>
    ledger.step(index.remove([path]), (library) => void library.delete(path));
  try {
    for (const number of [0, 2, 4, 6]) await add([document(number), document(number + 1)]);
    await index.checkpoint();
    await remove('1.md');
    const merge = await index.startMerge(3);
    await index.writeMerged(merge);
    await remove('2.md');
    await add([document(4, 'new')]);
    await index.endMerge(merge);
    await index.checkpoint();
  } finally {
    await index.close().catch(() => undefined);
  }
}

describe('the indexer of the search index example', function () {
  this.timeout(60_000);

  it('survives a crash at every single write, sync and rename', async () => {
    let crashes = 0;
    for (let at = 1; ; at++) {
      const disk = new SimulatedDisk();
      let mutations = 0;
      const faulty = new FaultyDirectory(disk, (operation) =>
        isMutation(operation) && ++mutations === at ? { kind: 'stop' } : undefined,
      );
      const ledger = new Ledger();
      await live(faulty, ledger).catch((error: unknown) => {
        if (!faulty.stopped) throw error;
      });

      for (const cut of [loseEverything, loseNothing]) {
        const left = disk.afterPowerCut(cut);
        const index = await Indexer.open(left);
        await index.cancelMerges();
        await index.removeOrphans();
        const answers = found(index);
        expect(answers, `stopped at mutation ${at}`).to.be.oneOf([
          scanned(ledger.acknowledged),
          scanned(ledger.intended),
        ]);
        expect((await left.list('postings')).length).to.equal(index.segments.size);

        await index.add([document(9), document(0, 'new')]);
        const more = found(index);
        await index.close();
        const again = await Indexer.open(left);
        expect(found(again), `reopened after mutation ${at}`).to.equal(more);
        await again.close();
      }
      if (!faulty.stopped) break;
      crashes++;
    }
    expect(crashes).to.be.greaterThan(70);
  });

  it('does not bring a document back that is deleted while a merge ends', async () => {
    const directory = new MemoryDirectory();
    const index = await Indexer.open(directory);
    await index.add([document(0), document(1)]);
    await index.add([document(2), document(3)]);
    const merge = await index.startMerge(2);
    await index.writeMerged(merge);
    const [, removed] = await Promise.all([index.endMerge(merge), index.remove(['0.md']), index.remove(['3.md'])]);
    expect(removed).to.deep.equal(['0.md']);
    const left = scanned(new Map([1, 2].map((number) => [document(number).path, document(number).text])));
    expect(found(index)).to.equal(left);
    await index.close();
    expect(found(await Indexer.open(directory))).to.equal(left);
  });

  it('does not end a merge whose postings are not written', async () => {
    const index = await Indexer.open(new MemoryDirectory());
    await index.add([document(0)]);
    const merge = await index.startMerge(1);
    const error: unknown = await index.endMerge(merge).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message').that.contains('writeMerged() comes before');
    expect(found(index)).to.equal(scanned(new Map([[document(0).path, document(0).text]])));
    await index.close();
  });

  it('refuses to begin again in a log that lost entries that a checkpoint speaks of', async () => {
    const directory = new MemoryDirectory();
    const index = await Indexer.open(directory);
    for (const number of [0, 1, 2]) await index.add([document(number)]);
    const { truncation } = await index.checkpoint();
    expect(truncation.removed).to.deep.equal([]);
    await index.close();
    const file = await directory.open('wal/wal_1.log', 'update');
    await file.truncate(100);
    await file.close();
    const error: unknown = await Indexer.open(directory).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('code', 'CAIRN_CORRUPTION');
  });
});
