// These are defects that the model of this library still has; each test shows that this library does not.
// Concurrency: two writers, maintenance beside a writer, and what observers are told when.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  AlreadyExistsError,
  FsDirectory,
  LockError,
  manual,
  MemoryDirectory,
  WalMaintenance,
  WalReader,
  WalWriter,
} from 'cairnlog';
import type { Directory, WalObserver, WalWriterOptions } from 'cairnlog';
import { flockProvider, type Lock } from 'cairnlog/storage';
import { loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { Counted } from '../support/counted.js';
import { Journal, recoverJournal } from '../support/journal.js';
import { contents } from '../support/raw-files.js';
import { rejects } from '../support/rejects.js';
import { temporaryDirectory, temporaryFolder } from '../support/temporary-folder.js';
import { numbered, textCodec } from '../support/text-codec.js';

function open(directory: Directory, options: Partial<WalWriterOptions<string>> = {}): Promise<WalWriter<string>> {
  return WalWriter.open(directory, { codec: textCodec, ...options });
}

async function replayed(directory: Directory): Promise<string[]> {
  return (await new WalReader(directory, { codec: textCodec }).replay()).map(({ entry }) => entry);
}

/** The same directory; whoever takes its lock is late, and finds what `meanwhile` has done. */
function lateToLock(directory: Directory, meanwhile: () => Promise<void>): Directory {
  return new Proxy(directory, {
    get(target, name) {
      if (name === 'lock')
        return async (lockPath: string): Promise<Lock> => {
          await meanwhile();
          return target.lock(lockPath);
        };
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

describe('Concurrency', () => {
  it('B23 a writer that waits for the lock sees everything the holder before it did', async () => {
    for (const start of ['open', 'resume'] as const) {
      const disk = new MemoryDirectory();
      const first = await open(disk, { segmentBytes: 100 });
      await first.appendDurable('entry 1');
      const late = lateToLock(disk, async () => {
        for (const entry of numbered(10, 2)) await first.appendDurable(entry);
        expect(first.currentSegmentId).to.be.greaterThan(4);
        await first.close();
      });
      const second = await WalWriter[start](late, { codec: textCodec, segmentBytes: 100 });
      expect(second.currentSegmentId).to.equal(first.currentSegmentId);
      expect(await second.appendDurable('entry 12')).to.equal(12);
      await second.close();
      expect(await replayed(disk)).to.deep.equal(numbered(12));
    }
  });

  it('B23 a log that was begun while its maker waited for the lock is not begun again', async () => {
    const disk = new MemoryDirectory();
    const late = lateToLock(disk, async () => {
      const quicker = await open(disk);
      await quicker.appendDurable('entry 1');
      await quicker.close();
    });
    await rejects(WalWriter.create(late, { codec: textCodec }), AlreadyExistsError);
    expect(await replayed(disk)).to.deep.equal(['entry 1']);
    // The lock was given back.
    await (await open(disk)).close();
  });

  it('B23 truncation looks at the segments that are there once it has the lock', async () => {
    const disk = new MemoryDirectory();
    const wal = await open(disk, { segmentBytes: 100 });
    for (const entry of numbered(4)) await wal.appendDurable(entry);
    const late = lateToLock(disk, async () => {
      await new WalMaintenance(wal).truncatePrefix(2);
      for (const entry of numbered(4, 5)) await wal.appendDurable(entry);
      await wal.close();
    });
    const { removed, kept } = await new WalMaintenance(late).truncatePrefix(4);
    expect([...removed, ...kept.map(({ segment }) => segment)].map(({ segmentId }) => segmentId)).to.deep.equal([
      2, 3, 4,
    ]);
    expect(await replayed(disk)).to.deep.equal(numbered(4, 5));
  });

  it('B24 of two writers that begin the same log, the second fails at once and not at its first append', async () => {
    for (const make of [async () => new MemoryDirectory(), temporaryDirectory]) {
      const disk = await make();
      const attempts = await Promise.allSettled([open(disk), open(disk), WalWriter.create(disk, { codec: textCodec })]);
      const opened = attempts.filter((attempt) => attempt.status === 'fulfilled').map(({ value }) => value);
      expect(opened).to.have.length(1);
      for (const attempt of attempts)
        if (attempt.status === 'rejected') expect(attempt.reason).to.be.instanceOf(LockError);
      await opened[0]!.close();
    }
  });

  it('B24 a writer that could not be opened holds no lock', async () => {
    for (const make of [async () => new MemoryDirectory(), temporaryDirectory]) {
      const disk = await make();
      await (await open(disk)).close();
      await rejects(WalWriter.create(disk, { codec: textCodec }), AlreadyExistsError);
      const wal = await open(disk);
      await wal.close();
    }
  });

  it('B25 maintenance that changes files is refused while a writer has the log, and changes nothing', async () => {
    for (const make of [async () => new MemoryDirectory(), temporaryDirectory]) {
      const disk = await make();
      const wal = await open(disk, { segmentBytes: 100 });
      for (const entry of numbered(6)) await wal.appendDurable(entry);
      const before = await contents(disk);
      const stranger = new WalMaintenance(disk);
      for (const archive of [undefined, 'archive'])
        await rejects(stranger.truncatePrefix(6, archive === undefined ? {} : { archive }), LockError);
      expect(await contents(disk)).to.deep.equal(before);
      // Looking is free, and so is truncating through the writer.
      expect((await stranger.truncatePrefix(6, { dryRun: true })).removed).to.have.length(2);
      expect((await new WalMaintenance(wal).truncatePrefix(6)).removed).to.have.length(2);
      await wal.close();
      // Without a writer it takes the lock itself, and gives it back.
      await stranger.truncatePrefix(6);
      await (await open(disk)).close();
    }
  });

  it('B25 whatever truncates asks the observer, and what is vetoed stays with all that follows it', async () => {
    const disk = new MemoryDirectory();
    const asked: number[] = [];
    const observer: WalObserver = {
      onBeforeTruncate(segmentId) {
        asked.push(segmentId);
        return segmentId !== 3;
      },
    };
    const journal = await Journal.open(disk, {
      segmentBytes: 100,
      publisher: { retain: 1, truncate: { observer } },
    });
    await journal.append(12);
    const { truncation } = await journal.publish();
    expect(asked).to.deep.equal([1, 2, 3]);
    expect(truncation.removed.map(({ segmentId }) => segmentId)).to.deep.equal([1, 2]);
    expect(truncation.kept.slice(0, 2).map(({ segment, reason }) => [segment.segmentId, reason])).to.deep.equal([
      [3, 'vetoed'],
      [4, 'after a kept segment'],
    ]);
    const archived = await new WalMaintenance(journal.wal).truncatePrefix(12, { observer, archive: 'archive' });
    expect(archived.removed).to.deep.equal([]);
    await journal.wal.close();
    expect(await replayed(disk)).to.deep.equal(journal.written.slice(4));
    expect((await recoverJournal(disk)).state).to.deep.equal(journal.written);
  });

  it('B26 of many who ask for a lock in memory at the same time, one gets it', async () => {
    const disk = new MemoryDirectory();
    for (let round = 0; round < 10; round++) {
      const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => disk.lock('LOCK')));
      const held = attempts.filter((attempt) => attempt.status === 'fulfilled');
      expect(held).to.have.length(1);
      await held[0]!.value.release();
    }
  });

  it('B26 a file system that refuses to lock is reported with a way out, and the way out works', async function () {
    if (process.platform !== 'linux') {
      console.log('      skipped: stands in for the flock program of Linux');
      return this.skip();
    }
    // A flock program that ends as the real one does where the file system has no locks.
    const programs = temporaryFolder();
    fs.writeFileSync(path.join(programs, 'flock'), '#!/bin/sh\nexit 71\n', { mode: 0o755 });
    const root = temporaryFolder();
    const searched = process.env['PATH'];
    process.env['PATH'] = `${programs}${path.delimiter}${searched}`;
    try {
      for (const lockProvider of [undefined, flockProvider]) {
        const disk = await FsDirectory.open(root, lockProvider === undefined ? {} : { lockProvider });
        const error = await rejects(open(disk), LockError);
        expect(error.message).to.include('refused to lock').and.to.include('lockProvider');
      }
    } finally {
      process.env['PATH'] = searched;
    }
    const held = new Set<string>();
    const disk = await FsDirectory.open(root, {
      lockProvider: {
        async lock(absolutePath) {
          if (held.has(absolutePath)) throw new LockError('Held by this test', { path: absolutePath });
          held.add(absolutePath);
          return { release: async () => void held.delete(absolutePath) };
        },
      },
    });
    const wal = await open(disk);
    expect([...held]).to.deep.equal([path.join(disk.root, 'wal/.lock')]);
    await rejects(open(disk), LockError);
    await wal.close();
    expect(held.size).to.equal(0);
  });

  it('B27 an observer is told of a new segment once it exists, durably, and of a sync once a power cut cannot undo it', async () => {
    const disk = new SimulatedDisk();
    const told: string[] = [];
    // Not checked on the spot: what an observer throws is only a warning.
    const checks: (() => Promise<void>)[] = [];
    const observer: WalObserver = {
      onSegmentRoll(oldId, newId) {
        told.push(`roll ${newId}`);
        const after = disk.afterPowerCut(loseEverything);
        checks.push(async () => {
          const ranges = await new WalMaintenance(after).segmentRanges();
          expect(ranges.map(({ segmentId }) => segmentId).slice(-2)).to.deep.equal([oldId, newId]);
        });
      },
      onSync(durableId) {
        told.push(`sync ${durableId}`);
        const after = disk.afterPowerCut(loseEverything);
        checks.push(async () => {
          const found = await new WalReader(after, { codec: textCodec }).replayBestEffort();
          expect(found.length).to.be.at.least(durableId);
        });
      },
      onFlush(_, entryId) {
        told.push(`flush ${entryId}`);
        const after = disk.afterProcessEnd();
        checks.push(async () => {
          expect(await new WalReader(after, { codec: textCodec }).entryCount()).to.be.at.least(entryId);
        });
      },
    };
    const wal = await open(disk, { segmentBytes: 100, observer });
    for (const entry of numbered(5)) await wal.appendDurable(entry);
    await wal.close();
    for (const check of checks) await check();
    expect(told).to.deep.equal([
      'flush 1',
      'sync 1',
      'flush 2',
      'sync 2',
      'roll 2',
      'flush 3',
      'sync 3',
      'flush 4',
      'sync 4',
      'roll 3',
      'flush 5',
      'sync 5',
    ]);
  });

  it('B27 an observer is told of an entry at the same moment whether it came alone or in a batch: before it is written', async () => {
    const disk = new Counted(new MemoryDirectory());
    const told: { entryId: number; bytes: number; writes: number; flushedId: number }[] = [];
    const wal = await open(disk.directory, {
      flushPolicy: manual,
      observer: {
        onAppend: (entryId, bytes) =>
          void told.push({ entryId, bytes, writes: disk.of('write').length, flushedId: wal.flushedId }),
      },
    });
    const writes = disk.of('write').length;
    wal.append('entry 1');
    wal.appendBatch(numbered(3, 2));
    await wal.appendDurable('entry 5');
    expect(told).to.deep.equal([1, 2, 3, 4, 5].map((entryId) => ({ entryId, bytes: 23, writes, flushedId: 0 })));
    told.length = 0;
    await wal.appendBatchDurable(numbered(2, 6));
    expect(told).to.deep.equal([6, 7].map((entryId) => ({ entryId, bytes: 23, writes: writes + 1, flushedId: 5 })));
    await wal.close();
  });
});
