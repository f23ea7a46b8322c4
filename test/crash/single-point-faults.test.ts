// Every single operation of a workload fails once, in each of the ways in which it can. Whatever came of the workload,
// the next process finds everything that was acknowledged, on a disk that is well and after a power cut.

import { CairnError, MemoryDirectory, WalWriter, type Directory } from 'cairnlog';
import { FaultyDirectory, type DiskOperation } from 'cairnlog/testing';
import { expect } from 'chai';
import { publisherOf, recoverLedger } from '../support/ledger.js';
import { textCodec } from '../support/text-codec.js';
import { Workload } from '../support/workload.js';
import { faultKinds, withFaults, workloadOptions } from './lanes/log-faults.js';
import { Tally } from './lanes/lane.js';
import { storeFaults } from './lanes/store-faults.js';

/** Counts the files that are open. */
function countingOpenFiles(inner: Directory): { directory: Directory; opened: { files: number } } {
  const opened = { files: 0 };
  const directory: Directory = {
    async open(path, mode) {
      const file = await inner.open(path, mode);
      opened.files++;
      let closed = false;
      return {
        path: file.path,
        read: (target, offset) => file.read(target, offset),
        write: (source, offset) => file.write(source, offset),
        datasync: () => file.datasync(),
        truncate: (size) => file.truncate(size),
        size: () => file.size(),
        close: () => {
          if (!closed) opened.files--;
          closed = true;
          return file.close();
        },
      };
    },
    stat: (path) => inner.stat(path),
    list: (path) => inner.list(path),
    makeDirectory: (path) => inner.makeDirectory(path),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncDirectory: (path) => inner.syncDirectory(path),
    lock: (path) => inner.lock(path),
  };
  return { directory, opened };
}

describe('A fault at every single operation:', () => {
  it('without one the workload is not rejected, and reaches every part of the log', async () => {
    const operations: DiskOperation[] = [];
    const workload = new Workload(workloadOptions, (operation) => {
      operations.push(operation);
      return undefined;
    });
    await workload.run();
    expect(workload.rejected).to.deep.equal([]);
    // Only a preallocated log is cut: an interrupted write is left behind when the segment is written anew.
    const met = new Set(operations.map(({ kind }) => kind));
    expect([...met].sort()).to.deep.equal(
      [
        'close',
        'create',
        'datasync',
        'list',
        'lock',
        'makeDirectory',
        'open',
        'read',
        'remove',
        'rename',
        'size',
        'stat',
        'syncDirectory',
        'write',
      ].sort(),
    );
    expect(
      operations.filter(({ kind, path }) => kind === 'create' && path.startsWith('wal/')).length,
    ).to.be.greaterThan(6);
    expect(
      operations.filter(({ kind, path }) => kind === 'remove' && path.startsWith('wal/')).length,
    ).to.be.greaterThan(3);
    expect((await recoverLedger(workload.disk)).state).to.deep.equal(workload.promises.attempted);
  });

  it('leaves no file open, whichever operation failed', async () => {
    let mostFailures = 0;
    for (let at = 1; ; at++) {
      const { directory, opened } = countingOpenFiles(new MemoryDirectory());
      const faulty = new FaultyDirectory(directory, ({ number }) =>
        number === at ? { kind: 'error', errno: 'EIO' } : undefined,
      );
      let rejected = 0;
      const attempt = async <R>(run: () => Promise<R>): Promise<R | undefined> =>
        run().catch((problem: unknown) => {
          if (!(problem instanceof CairnError)) throw problem;
          rejected++;
          return undefined;
        });
      for (let life = 0; life < 2; life++) {
        await attempt(() => recoverLedger(faulty));
        expect(opened.files, `recovered, with a fault at ${at}`).to.equal(0);
        const wal = await attempt(() =>
          WalWriter.open(faulty, { codec: textCodec, segmentBytes: 100, preallocateBytes: 200 }),
        );
        expect(opened.files, `opened, with a fault at ${at}`).to.equal(wal === undefined ? 0 : 1);
        for (let round = 0; wal !== undefined && round < 2; round++) {
          await attempt(() => wal.appendBatchDurable(['a', 'b']));
          await attempt(() => wal.appendDurable('x'.repeat(90)));
          await attempt(() => publisherOf(wal, 1).publish(['state'], wal.lastEntryId));
          expect(opened.files, `published, with a fault at ${at}`).to.be.at.most(1);
        }
        await attempt(async () => wal?.close());
        expect(opened.files, `closed, with a fault at ${at}`).to.equal(0);
      }
      mostFailures = Math.max(mostFailures, rejected);
      if (faulty.faults === 0) break;
    }
    expect(mostFailures).to.be.greaterThan(3);
  });

  for (const kind of faultKinds)
    it(kind.name, async function () {
      this.timeout(60_000);
      const tally = new Tally();
      await withFaults(kind, tally);
      expect(tally.violations).to.deep.equal([]);
      console.log(
        `      ${tally.of('faults')} faults: ${tally.of('steps rejected')} steps rejected, ${tally.of('writers failed')} writers failed`,
      );
      expect(tally.of('faults')).to.be.greaterThan(3);
    });

  it('a store, with a fault at every 61st operation', async function () {
    this.timeout(60_000);
    const tally = await storeFaults.run({ part: { index: 0, parts: 1 }, effort: 'short' });
    expect(tally.violations).to.deep.equal([]);
    console.log(`      ${tally.of('faults')} faults: ${tally.of('steps rejected')} steps rejected`);
    for (const need of storeFaults.needs) expect(tally.of(need), need).to.be.greaterThan(0);
  });
});
