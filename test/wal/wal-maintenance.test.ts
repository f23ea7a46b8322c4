import {
  AlreadyExistsError,
  CorruptionError,
  FsDirectory,
  InvalidArgumentError,
  LockError,
  MemoryDirectory,
  StorageError,
  WalMaintenance,
  WalReader,
  WalWriter,
  type Directory,
} from 'cairnlog';
import type { KeepReason, TruncateReport, WalWriterOptions } from 'cairnlog/wal';
import { crashStates, FaultyDirectory, loseEverything, loseNothing, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { withSlowSyncs } from '#src/testing/faulty-directory.js';
import { changed, directoryOf, imageOf, sameImage } from '../support/image.js';
import { recorded } from '../support/recorded.js';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { textCodec as codec } from '../support/text-codec.js';

/** Entries `e1` to `e<count>`, two to a segment, in an open writer. */
async function writer(
  directory: Directory,
  count: number,
  options: Partial<WalWriterOptions<string>> = {},
): Promise<WalWriter<string>> {
  const wal = await WalWriter.open(directory, { codec, segmentBytes: 80, ...options });
  for (let id = 1; id <= count; id++) wal.append(`e${id}`);
  await wal.flush();
  return wal;
}

async function closed(directory: Directory, count: number): Promise<void> {
  await (await writer(directory, count)).close();
}

const ids = async (directory: Directory): Promise<number[]> =>
  (await new WalReader(directory, { codec }).replayBestEffort()).map(({ entryId }) => entryId);

const removedIds = (report: TruncateReport): number[] => report.removed.map(({ segmentId }) => segmentId);
const keptFor = (report: TruncateReport): [number, KeepReason][] =>
  report.kept.map(({ segment, reason }) => [segment.segmentId, reason]);

describe('WalMaintenance.segmentRanges', () => {
  it('says which entries each segment holds, also beside a writer', async () => {
    const directory = new MemoryDirectory();
    const wal = await writer(directory, 5);
    for (const target of [wal, directory])
      expect(await new WalMaintenance(target).segmentRanges()).to.deep.equal([
        { segmentId: 1, path: 'wal/wal_1.log', startEntryId: 1, endEntryId: 2, version: 4 },
        { segmentId: 2, path: 'wal/wal_2.log', startEntryId: 3, endEntryId: 4, version: 4 },
        { segmentId: 3, path: 'wal/wal_3.log', startEntryId: 5, endEntryId: 5, version: 4 },
      ]);
    await wal.close();
  });

  it('knows a segment without entries, and one that never came to be', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 0);
    const empty = [{ segmentId: 1, path: 'wal/wal_1.log', startEntryId: 1, endEntryId: undefined, version: 4 }];
    expect(await new WalMaintenance(directory).segmentRanges()).to.deep.equal(empty);
    expect(await new WalMaintenance(new MemoryDirectory()).segmentRanges()).to.deep.equal([]);
    const two = new MemoryDirectory();
    await closed(two, 4);
    const torn = await directoryOf(changed(await imageOf(two), 'wal/wal_2.log', (bytes) => bytes.slice(0, 12)));
    expect((await new WalMaintenance(torn).segmentRanges()).map(({ endEntryId }) => endEntryId)).to.deep.equal([2]);
  });

  it('refuses a log with a hole', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 8);
    await directory.remove('wal/wal_2.log');
    await rejects(new WalMaintenance(directory).segmentRanges(), CorruptionError);
    await rejects(new WalMaintenance(directory).truncatePrefix(8), CorruptionError);
    expect((await directory.list('wal')).filter((name) => name.endsWith('.log')).length).to.equal(3);
  });
});

describe('WalMaintenance.truncatePrefix', () => {
  it('removes exactly the segments that are covered whole, and never the last one', async () => {
    for (let covered = 0; covered <= 12; covered++) {
      const directory = new MemoryDirectory();
      await closed(directory, 9);
      const report = await new WalMaintenance(directory).truncatePrefix(covered);
      const gone = Math.min(4, Math.floor(covered / 2));
      expect(removedIds(report)).to.deep.equal([1, 2, 3, 4].slice(0, gone));
      expect(keptFor(report)).to.deep.equal([
        ...[1, 2, 3, 4].slice(gone).map((id) => [id, 'not covered']),
        [5, 'active'],
      ]);
      expect(await ids(directory)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9].slice(gone * 2));
    }
  });

  it('harms nobody when it is called again, or with everything', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 9);
    const maintenance = new WalMaintenance(directory);
    await maintenance.truncatePrefix(6);
    expect(removedIds(await maintenance.truncatePrefix(6))).to.deep.equal([]);
    expect(removedIds(await maintenance.truncatePrefix(3))).to.deep.equal([]);
    expect(removedIds(await maintenance.truncatePrefix(Number.MAX_SAFE_INTEGER))).to.deep.equal([4]);
    expect(await ids(directory)).to.deep.equal([9]);
    expect(await new WalMaintenance(new MemoryDirectory()).truncatePrefix(5)).to.deep.equal({ removed: [], kept: [] });
  });

  it('with dryRun says the same and touches nothing, not even the lock', async () => {
    const { directory, mutations, count } = recorded(new MemoryDirectory());
    const wal = await writer(directory, 9);
    const before = await imageOf(directory);
    const [mutationsBefore, locksBefore] = [mutations().length, count('lock')];
    const said = await new WalMaintenance(directory).truncatePrefix(5, { dryRun: true, archive: 'old' });
    expect([mutations().length, count('lock')]).to.deep.equal([mutationsBefore, locksBefore]);
    sameImage(await imageOf(directory), before);
    expect(await new WalMaintenance(wal).truncatePrefix(5)).to.deep.equal(said);
    expect(removedIds(said)).to.deep.equal([1, 2]);
    await wal.close();
  });

  it('keeps what the observer vetoes, and everything after it, so that no hole comes about', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 11);
    const asked: [number, string][] = [];
    const report = await new WalMaintenance(directory).truncatePrefix(9, {
      observer: {
        onBeforeTruncate: (segmentId, path) => {
          asked.push([segmentId, path]);
          return segmentId !== 3;
        },
      },
    });
    expect(removedIds(report)).to.deep.equal([1, 2]);
    expect(keptFor(report)).to.deep.equal([
      [3, 'vetoed'],
      [4, 'after a kept segment'],
      [5, 'not covered'],
      [6, 'active'],
    ]);
    expect(asked).to.deep.equal([
      [1, 'wal/wal_1.log'],
      [2, 'wal/wal_2.log'],
      [3, 'wal/wal_3.log'],
    ]);
    expect((await ids(directory))[0]).to.equal(5);
  });

  it('moves segments whole to the archive instead, durably', async () => {
    const disk = new SimulatedDisk();
    const wal = await writer(disk, 7);
    const before = await imageOf(disk);
    const report = await new WalMaintenance(wal).truncatePrefix(4, { archive: 'archive/2024' });
    expect(removedIds(report)).to.deep.equal([1, 2]);
    const after = await imageOf(disk.afterPowerCut(loseEverything));
    for (const id of [1, 2]) {
      expect(after.has(`wal/wal_${id}.log`)).to.equal(false);
      expect(after.get(`archive/2024/wal_${id}.log`)).to.deep.equal(before.get(`wal/wal_${id}.log`));
    }
    await wal.close();
  });

  it('does not overwrite what another log has archived under the same name', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 5);
    await new WalMaintenance(directory).truncatePrefix(2, { archive: 'archive' });
    const archived = (await imageOf(directory)).get('archive/wal_1.log');
    // The store is begun anew, and its archive is still there.
    for (const name of await directory.list('wal')) await directory.remove(`wal/${name}`);
    await closed(directory, 5);
    const error = await rejects(
      new WalMaintenance(directory).truncatePrefix(2, { archive: 'archive' }),
      AlreadyExistsError,
    );
    expect(error.path).to.equal('archive/wal_1.log');
    expect((await imageOf(directory)).get('archive/wal_1.log')).to.deep.equal(archived);
    expect(await ids(directory)).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('goes on with a segment that has both names, as an interrupted move may leave it', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 5);
    const bytes = (await imageOf(directory)).get('wal/wal_1.log')!;
    await directory.makeDirectory('archive');
    const file = await directory.open('archive/wal_1.log', 'create');
    await file.write(bytes, 0);
    await file.close();
    const report = await new WalMaintenance(directory).truncatePrefix(2, { archive: 'archive' });
    expect(removedIds(report)).to.include(1);
    expect((await imageOf(directory)).get('archive/wal_1.log')).to.deep.equal(bytes);
  });

  it('refuses an archive inside the log, or outside the directory', async () => {
    const directory = new MemoryDirectory();
    await closed(directory, 5);
    for (const archive of ['', '.', 'wal', './wal/', 'wal/old'])
      await rejects(new WalMaintenance(directory).truncatePrefix(4, { archive }), InvalidArgumentError);
    expect((await ids(directory)).length).to.equal(5);
  });

  it('makes each removal durable before the next: a power cut in between leaves no hole', async () => {
    const disk = new SimulatedDisk();
    await closed(disk, 9);
    const found: SimulatedDisk[] = [];
    const directory = new FaultyDirectory(disk, ({ kind }) => {
      if (kind === 'remove' || kind === 'syncDirectory')
        for (const name of [true, false]) found.push(disk.afterPowerCut({ ...loseNothing, name: () => name }));
      return undefined;
    });
    const order: string[] = [];
    const decide = directory.decide;
    directory.decide = (operation) => {
      if (operation.kind === 'remove' || operation.kind === 'syncDirectory') order.push(operation.kind);
      return decide(operation);
    };
    await new WalMaintenance(directory).truncatePrefix(8);
    // Before the first one: what an earlier truncation removed, and did not come to sync.
    expect(order.slice(0, 5)).to.deep.equal(['syncDirectory', 'remove', 'syncDirectory', 'remove', 'syncDirectory']);
    expect(found.length).to.equal(18);
    for (const left of found) {
      const there = await ids(left);
      expect(there.at(-1)).to.equal(9);
      expect(there).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9].slice(9 - there.length));
    }
  });

  for (const recycleSegments of [0, 2]) {
    const suffix = `with ${recycleSegments} segments to be used again`;

    it(`leaves no hole where two callers truncate at once, ${suffix}`, async () => {
      const disk = new SimulatedDisk();
      const left: SimulatedDisk[] = [];
      let isWatched = false;
      const directory = new FaultyDirectory(
        disk,
        withSlowSyncs(({ kind }) => {
          if (isWatched && kind === 'syncDirectory') for (const { disk: state } of crashStates(disk)) left.push(state);
        }),
      );
      const wal = await writer(directory, 9, { recycleSegments });
      await wal.flushAndSync();
      isWatched = true;
      const reports = await Promise.all([6, 8, 8].map((upTo) => new WalMaintenance(wal).truncatePrefix(upTo)));
      isWatched = false;
      expect(reports.map(removedIds)).to.deep.equal([[1, 2, 3], [4], []]);
      for (const state of left) expect((await ids(state)).at(-1)).to.equal(9);
      expect(left.length).to.be.greaterThan(10);
      await wal.close();
    });

    it(`leaves no hole where it is tried again after a sync of the folder had failed, ${suffix}`, async () => {
      const disk = new SimulatedDisk();
      const left: SimulatedDisk[] = [];
      let syncs = -1;
      const directory = new FaultyDirectory(disk, ({ kind }) => {
        if (kind !== 'syncDirectory' || syncs < 0) return undefined;
        // The one before the first removal is done, the one behind it is not.
        if (++syncs === 2) return { kind: 'error', errno: 'EIO' };
        if (syncs > 2) for (const { disk: state } of crashStates(disk)) left.push(state);
        return undefined;
      });
      const wal = await writer(directory, 9, { recycleSegments });
      await wal.flushAndSync();
      syncs = 0;
      const maintenance = new WalMaintenance(wal);
      await rejects(maintenance.truncatePrefix(8), StorageError);
      await maintenance.truncatePrefix(8);
      for (const state of left) expect((await ids(state)).at(-1)).to.equal(9);
      expect(left.length).to.be.greaterThan(5);
      await wal.close();
    });
  }

  it('archives a segment of which both names are there, of one file, without leaving a hole', async () => {
    const folder = temporaryFolder();
    const directory = await FsDirectory.open(folder);
    await closed(directory, 9);
    fs.mkdirSync(path.join(folder, 'archive'));
    fs.linkSync(path.join(folder, 'wal/wal_1.log'), path.join(folder, 'archive/wal_1.log'));
    const report = await new WalMaintenance(directory).truncatePrefix(6, { archive: 'archive' });
    expect(removedIds(report)).to.deep.equal([1, 2, 3]);
    expect(await ids(directory)).to.deep.equal([7, 8, 9]);
    expect(await directory.list('archive')).to.deep.equal(['wal_1.log', 'wal_2.log', 'wal_3.log']);
  });

  it('archives for two callers at once', async () => {
    const directory = new MemoryDirectory();
    const wal = await writer(directory, 9);
    const archive = { archive: 'archive' };
    const reports = await Promise.all([6, 8].map((upTo) => new WalMaintenance(wal).truncatePrefix(upTo, archive)));
    expect(reports.map(removedIds)).to.deep.equal([[1, 2, 3], [4]]);
    expect(await ids(directory)).to.deep.equal([9]);
    await wal.close();
  });

  it('takes the lock for as long as it works, unless it is given the writer', async () => {
    const directory = new MemoryDirectory();
    const wal = await writer(directory, 7);
    const error = await rejects(new WalMaintenance(directory).truncatePrefix(4), LockError);
    expect(error.pid).to.equal(process.pid);
    expect((await ids(directory)).length).to.equal(7);
    expect(removedIds(await new WalMaintenance(wal).truncatePrefix(4))).to.deep.equal([1, 2]);
    await wal.close();
    expect(removedIds(await new WalMaintenance(directory).truncatePrefix(6))).to.deep.equal([3]);
    await closed(directory, 1);
  });

  it('gives the lock up when the disk refuses, and leaves a log without a hole', async () => {
    const inner = new MemoryDirectory();
    await closed(inner, 9);
    let removals = 0;
    const directory = new FaultyDirectory(inner, ({ kind }) =>
      kind === 'remove' && ++removals === 2 ? { kind: 'error', errno: 'EIO' } : undefined,
    );
    await rejects(new WalMaintenance(directory).truncatePrefix(8), StorageError);
    expect(await ids(inner)).to.deep.equal([3, 4, 5, 6, 7, 8, 9]);
    await closed(inner, 1);
  });

  it('lets the writer go on, also into the segment that stayed', async () => {
    const directory = new MemoryDirectory();
    const wal = await writer(directory, 5);
    await new WalMaintenance(wal).truncatePrefix(wal.lastEntryId);
    expect(await wal.appendDurable('e6')).to.equal(6);
    await wal.close();
    expect(await ids(directory)).to.deep.equal([5, 6]);
    const again = await WalWriter.open(directory, { codec });
    expect([again.opened.firstEntryId, again.nextEntryId]).to.deep.equal([5, 7]);
    await again.close();
  });

  it('never makes ids begin again, even when all that is left is a segment without entries', async () => {
    const inner = new SimulatedDisk();
    const directory = new FaultyDirectory(inner);
    const wal = await writer(directory, 4);
    // The process ends right after the next segment was made, before its first entry.
    directory.decide = ({ kind, path, bytes }) =>
      kind === 'write' && path === 'wal/wal_3.log' && bytes !== 40 ? { kind: 'stop' } : undefined;
    wal.append('e5');
    await wal.flush().catch(() => undefined);
    await wal.close().catch(() => undefined);
    const left = inner.afterProcessEnd();
    await new WalMaintenance(left).truncatePrefix(4);
    // What has no entry yet may not be on stable storage: the one before it stays until it has.
    expect(await left.list('wal')).to.deep.equal(['.lock', 'wal_2.log', 'wal_3.log']);
    const again = await WalWriter.open(left, { codec });
    expect(await again.appendDurable('new')).to.equal(5);
    await new WalMaintenance(again).truncatePrefix(4);
    await again.close();
    expect(await left.list('wal')).to.deep.equal(['.lock', 'wal_3.log']);
    expect(await ids(left)).to.deep.equal([5]);
  });

  it('takes no position that cannot be meant', async () => {
    const maintenance = new WalMaintenance(new MemoryDirectory());
    for (const id of [-1, 1.5, Number.NaN, 2 ** 53])
      await rejects(maintenance.truncatePrefix(id), InvalidArgumentError);
  });
});
