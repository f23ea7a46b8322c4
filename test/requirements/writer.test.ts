// These are defects that the model of this library had and mended; each is a test here: what a writer does when the
// disk, another writer or its owner lets it down.

import { expect } from 'chai';
import {
  AlreadyExistsError,
  CheckpointPublisher,
  CorruptionError,
  FsDirectory,
  LockError,
  MemoryDirectory,
  perAppend,
  PoisonedError,
  RecordLog,
  RecordLogReader,
  RecoveryError,
  recoverWithWal,
  StorageError,
  TruncatedError,
  WalMaintenance,
  WalReader,
  WalWriter,
  type CairnError,
  type Directory,
  type WalObserver,
} from 'cairnlog';
import {
  FaultyDirectory,
  isMutation,
  loseEverything,
  SimulatedDisk,
  type DiskOperation,
  type Fault,
} from 'cairnlog/testing';
import type { LogWriter } from 'cairnlog/wal';
import * as fs from 'node:fs';
import { runModule, startModule } from '../support/module-process.js';
import { crateSegment } from '../support/crate-files.js';
import { bytesOf, contents, put } from '../support/directory-contents.js';
import { rejects, throws } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { replayed, replayedBestEffort, text, textCodec } from '../support/text-log.js';
import { framesOf, header, HEADER_BYTES } from '../support/version-4-files.js';

describe('Requirements: the writer', () => {
  describe('A17 the first failed write, sync, create or truncate ends the writer, in a WAL and in a record log', () => {
    /** Fails the first operation that is `meant`, and whatever comes after a short write. */
    type Failure = { readonly meant: (operation: DiskOperation) => boolean; readonly fault: Fault };
    const eio: Fault = { kind: 'error', errno: 'EIO' };
    const onLog =
      (kind: DiskOperation['kind']) =>
      (operation: DiskOperation): boolean =>
        operation.kind === kind && /(wal_1|records)\.log$/.test(operation.path);
    const onNext =
      (kind: DiskOperation['kind']) =>
      (operation: DiskOperation): boolean =>
        operation.kind === kind && operation.path === 'wal/wal_2.log';

    const everywhere: Record<string, Failure> = {
      'a write that fails': { meant: onLog('write'), fault: eio },
      'a write that ends half way': { meant: onLog('write'), fault: { kind: 'short', bytes: 7 } },
      'a write that makes no progress': { meant: onLog('write'), fault: { kind: 'short', bytes: 0 } },
      'a sync that fails': { meant: onLog('datasync'), fault: eio },
    };
    const whenRolling: Record<string, Failure> = {
      'shrinking the old segment': { meant: onLog('truncate'), fault: eio },
      'syncing the old segment': { meant: onLog('datasync'), fault: eio },
      'closing the old segment': { meant: onLog('close'), fault: eio },
      'creating the new segment': { meant: onNext('create'), fault: { kind: 'error', errno: 'ENOSPC' } },
      'writing the new header': { meant: onNext('write'), fault: { kind: 'error', errno: 'ENOSPC' } },
      'syncing the new header': { meant: onNext('datasync'), fault: eio },
      'syncing the folder': {
        meant: ({ kind, path }) => kind === 'syncDirectory' && path === 'wal',
        fault: eio,
      },
    };

    /** Makes the disk fail once; from then on it is well again. Gives the operations after the failure. */
    function failOnce(disk: FaultyDirectory, { meant, fault }: Failure): DiskOperation[] {
      const after: DiskOperation[] = [];
      let short = false;
      disk.decide = (operation) => {
        // A short write is no failure yet: the rest is asked for, and fails.
        if (short && operation.kind === 'write') {
          short = false;
          return { kind: 'error', errno: 'ENOSPC' };
        }
        if (disk.faults > 0) after.push(operation);
        if (disk.faults > 0 || !meant(operation)) return undefined;
        short = fault.kind === 'short' && fault.bytes > 0;
        return fault;
      };
      return after;
    }

    async function onlyCloses(wal: LogWriter<string>, after: DiskOperation[]): Promise<void> {
      after.length = 0;
      throws(() => wal.append('x'), PoisonedError);
      throws(() => wal.appendBatch(['x', 'y']), PoisonedError);
      for (const call of [() => wal.appendDurable('x'), () => wal.flush(), () => wal.flushAndSync(), () => wal.drain()])
        await rejects(call(), PoisonedError);
      await wal.close();
      expect(after.filter(isMutation), 'nothing is tried again').to.deep.equal([]);
    }

    function checkPrefix(kept: readonly string[], attempted: readonly string[], acknowledged: number): void {
      expect(kept).to.deep.equal(attempted.slice(0, kept.length).map((entry, index) => `${index + 1}:${entry}`));
      expect(kept.length).to.be.at.least(acknowledged);
    }

    for (const [name, failure] of Object.entries(everywhere)) {
      it(`${name}, in a WAL`, async () => {
        const memory = new MemoryDirectory();
        const disk = new FaultyDirectory(memory);
        const wal = await WalWriter.open(disk, text);
        await wal.appendDurable('one');
        const after = failOnce(disk, failure);
        const waiting = [wal.appendDurable('two'), wal.appendDurable('three'), wal.flushAndSync()];
        for (const promise of waiting) await rejects(promise, PoisonedError);
        expect(disk.faults).to.be.greaterThan(0);
        await onlyCloses(wal, after);
        checkPrefix(await replayedBestEffort(memory), ['one', 'two', 'three'], 1);
        await (await WalWriter.open(memory, text)).close();
        checkPrefix(await replayed(memory), ['one', 'two', 'three'], 1);
      });

      it(`${name}, in a record log`, async () => {
        const memory = new MemoryDirectory();
        const disk = new FaultyDirectory(memory);
        const log = await RecordLog.open(disk, 'records.log', text);
        await log.appendDurable('one');
        const after = failOnce(disk, failure);
        await rejects(log.appendDurable('two'), PoisonedError);
        expect(disk.faults).to.be.greaterThan(0);
        await onlyCloses(log, after);
        await (await RecordLog.open(memory, 'records.log', text)).close();
        const kept = await new RecordLogReader(memory, 'records.log', text).replay();
        const asText = kept.map(({ entryId, entry }) => `${entryId}:${entry}`);
        checkPrefix(asText, ['one', 'two'], 1);
      });
    }

    for (const [name, failure] of Object.entries(whenRolling))
      it(`${name}, when a WAL rolls`, async () => {
        const memory = new MemoryDirectory();
        const disk = new FaultyDirectory(memory);
        const wal = await WalWriter.open(disk, { ...text, segmentBytes: 60, preallocateBytes: 100 });
        await wal.appendDurable('one');
        const after = failOnce(disk, failure);
        wal.append('two');
        await rejects(wal.flush(), PoisonedError);
        expect(disk.faults).to.equal(1);
        await onlyCloses(wal, after);
        await (await WalWriter.open(memory, text)).close();
        checkPrefix(await replayed(memory), ['one', 'two'], 1);
      });

    it('a failure that nobody waited for is told to the next caller', async () => {
      const disk = new FaultyDirectory(new MemoryDirectory());
      const wal = await WalWriter.open(disk, { ...text, flushPolicy: perAppend });
      failOnce(disk, everywhere['a write that fails']!);
      wal.append('one');
      // Nobody waits: the write goes on behind this.
      while (disk.faults === 0) await new Promise((resolve) => setImmediate(resolve));
      await rejects(wal.close(), PoisonedError);
    });
  });

  describe('A18 create refuses where there is a log, and uses none of its ids again', () => {
    const logs = {
      'with entries': async (directory: Directory) => {
        const wal = await WalWriter.open(directory, text);
        await wal.appendDurable('one');
        await wal.close();
      },
      'without entries': async (directory: Directory) => (await WalWriter.create(directory, text)).close(),
      'whose making was interrupted': (directory: Directory) =>
        put(directory, 'wal/wal_1.log', header(1, 1).subarray(0, 9)),
      'of the crate': (directory: Directory) => put(directory, 'wal/wal_1.log', crateSegment(3, 1, 1, ['one'])),
    };

    for (const [name, make] of Object.entries(logs))
      it(`a log ${name}`, async () => {
        const directory = new MemoryDirectory();
        await make(directory);
        const before = await contents(directory);
        await rejects(WalWriter.create(directory, text), AlreadyExistsError);
        expect(await contents(directory)).to.deep.equal(before);
        const wal = await WalWriter.open(directory, text);
        expect(wal.nextEntryId, 'and the lock was given up').to.be.greaterThan(0);
        await wal.close();
      });

    it('a record log', async () => {
      const directory = new MemoryDirectory();
      const log = await RecordLog.create(directory, 'records.log', text);
      await log.appendDurable('one');
      await log.close();
      const before = await contents(directory, '');
      await rejects(RecordLog.create(directory, 'records.log', text), AlreadyExistsError);
      expect(await contents(directory, '')).to.deep.equal(before);
    });
  });

  describe('A19 a lock that cannot be had is an error, whatever the reason', () => {
    it('the disk refuses', async () => {
      const memory = new MemoryDirectory();
      await (await WalWriter.open(memory, text)).close();
      const before = await contents(memory);
      const mutations: DiskOperation[] = [];
      const disk = new FaultyDirectory(memory, (operation) => {
        if (mutations.length > 0 || operation.kind === 'lock') mutations.push(operation);
        return operation.kind === 'lock' ? { kind: 'error', errno: 'EACCES' } : undefined;
      });
      for (const open of [
        () => WalWriter.open(disk, text),
        () => WalWriter.resume(disk, text),
        () => new WalMaintenance(disk).truncatePrefix(1),
      ]) {
        mutations.length = 0;
        const error = await rejects<StorageError>(open(), StorageError);
        expect(error.errno).to.equal('EACCES');
        expect(mutations.slice(1), 'nothing is done after it').to.deep.equal([]);
      }
      expect(await contents(memory)).to.deep.equal(before);
    });

    it('the lock provider refuses, or fails in a way of its own', async () => {
      for (const [thrown, Class] of [
        [new LockError('taken, says the provider'), LockError],
        [new Error('no such thing as a lock here'), StorageError],
      ] as const) {
        const lockProvider = { lock: () => Promise.reject(thrown) };
        const directory = await FsDirectory.open(temporaryFolder(), { lockProvider });
        await rejects<CairnError>(WalWriter.open(directory, text), Class);
        expect(await contents(directory)).to.deep.equal({});
      }
    });
  });

  describe('A20 a lock is never stolen, and never outlives its process', () => {
    const program = `
      import { FsDirectory } from 'cairnlog/storage';
      import { WalWriter, bytesCodec } from 'cairnlog/wal';
      const directory = await FsDirectory.open(process.argv[1]);
      try {
        const wal = await WalWriter.open(directory, { codec: bytesCodec });
        await wal.appendDurable(Buffer.from('by the child'));
        console.log('open');
        setInterval(() => wal, 1000);
      } catch (error) {
        console.log(error.code, error.pid);
      }
    `;

    it('a killed writer’s lock is gone, and its log is opened with all that it acknowledged', async () => {
      const folder = temporaryFolder();
      const child = startModule(program, [folder]);
      try {
        await new Promise((resolve) => child.stdout!.once('data', resolve));
        const directory = await FsDirectory.open(folder);
        const refused = await rejects<LockError>(WalWriter.open(directory, text), LockError);
        expect(refused.pid).to.equal(child.pid);
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await gone;
        expect(fs.existsSync(`${folder}/wal/.lock`), 'the file stays, nobody holds it').to.equal(true);
        const wal = await WalWriter.open(directory, text);
        expect(wal.append('by the parent')).to.equal(2);
        await wal.close();
        expect(await replayed(directory)).to.deep.equal(['1:by the child', '2:by the parent']);
      } finally {
        child.kill('SIGKILL');
      }
    });

    it('a live writer is not displaced, neither by this process nor by another', async () => {
      const folder = temporaryFolder();
      const directory = await FsDirectory.open(folder);
      const wal = await WalWriter.open(directory, text);
      await wal.appendDurable('one');
      for (const open of [WalWriter.open, WalWriter.resume, WalWriter.create])
        await rejects<LockError>(open(directory, text), LockError);
      const { stdout } = await runModule(program, [folder]);
      expect(stdout.trim()).to.equal(`CAIRN_LOCKED ${process.pid}`);
      expect(await wal.appendDurable('two')).to.equal(2);
      await wal.close();
      expect(await replayed(directory)).to.deep.equal(['1:one', '2:two']);
    });

    it('what an old lock file says does not matter', async () => {
      for (const leftover of ['', 'not ours', JSON.stringify({ pid: process.pid, host: 'elsewhere' })]) {
        const directory = await FsDirectory.open(temporaryFolder());
        await put(directory, 'wal/.lock', Buffer.from(leftover));
        const wal = await WalWriter.open(directory, text);
        await wal.appendDurable('one');
        await wal.close();
      }
    });
  });

  describe('A21 what was preallocated and not used is given back, checked and synced, before the next segment exists', () => {
    const options = { ...text, segmentBytes: 60, preallocateBytes: 4096 };

    it('cuts, syncs, and only then creates', async () => {
      const seen: string[] = [];
      const disk = new FaultyDirectory(new MemoryDirectory());
      const wal = await WalWriter.open(disk, options);
      await wal.appendDurable('one');
      disk.decide = ({ kind, path }) => {
        seen.push(`${kind} ${path}`);
        return undefined;
      };
      await wal.appendDurable('two');
      const [cut, create] = [seen.indexOf('truncate wal/wal_1.log'), seen.indexOf('create wal/wal_2.log')];
      const sync = seen.indexOf('datasync wal/wal_1.log', cut);
      expect(cut).to.be.at.least(0);
      expect(sync).to.be.greaterThan(cut);
      expect(create).to.be.greaterThan(sync);
      await wal.close();
    });

    it('no power cut brings the zeros of a complete segment back', async () => {
      const disk = new SimulatedDisk();
      const wal = await WalWriter.open(disk, options);
      await wal.appendDurable('one');
      expect(disk.peek('wal/wal_1.log')).to.have.lengthOf(4096);
      await wal.appendDurable('two');
      const after = disk.afterPowerCut(loseEverything);
      expect(after.peek('wal/wal_1.log')).to.have.lengthOf(40 + 16 + 'one'.length);
      expect(await replayedBestEffort(after)).to.deep.equal(['1:one', '2:two']);
      await wal.close();
      const closed = disk.afterPowerCut(loseEverything);
      expect(closed.peek('wal/wal_2.log')!.length).to.be.lessThan(100);
      expect(await replayed(closed)).to.deep.equal(['1:one', '2:two']);
    });

    for (const kind of ['truncate', 'datasync'] as const)
      it(`where the ${kind} fails, the next segment is not made`, async () => {
        const disk = new FaultyDirectory(new MemoryDirectory());
        const wal = await WalWriter.open(disk, options);
        await wal.appendDurable('one');
        disk.decide = (operation) => (operation.kind === kind ? { kind: 'error', errno: 'EIO' } : undefined);
        await rejects(wal.appendDurable('two'), PoisonedError);
        expect(disk.faults).to.equal(1);
        await wal.close();
        expect(await disk.stat('wal/wal_2.log')).to.equal(undefined);
      });
  });

  describe('A22 a batch is recovered whole or not at all', () => {
    // The model can promise a prefix only. Cairn's frames say that a batch goes on, so it promises all or nothing.
    async function batched(): Promise<Buffer> {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, text);
      wal.append('one');
      wal.appendBatch(['two', 'three', 'four']);
      wal.append('five');
      await wal.flush();
      const bytes = await bytesOf(directory, 'wal/wal_1.log');
      await wal.close();
      return bytes;
    }

    const ends = { cut: (bytes: Buffer, at: number) => bytes.subarray(0, at), zeroed: zeroed };
    function zeroed(bytes: Buffer, at: number): Buffer {
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]);
    }

    for (const [name, end] of Object.entries(ends))
      it(`${name} at every byte`, async () => {
        const whole = await batched();
        const [one, , , four, five] = framesOf(whole);
        const entries = ['1:one', '2:two', '3:three', '4:four', '5:five'];
        for (let at = 40; at <= whole.length; at++) {
          const directory = new MemoryDirectory();
          await put(directory, 'wal/wal_1.log', end(whole, at));
          const count = at < one!.end ? 0 : at < four!.end ? 1 : at < five!.end ? 4 : 5;
          expect(await replayedBestEffort(directory), `byte ${at}`).to.deep.equal(entries.slice(0, count));
          const wal = await WalWriter.open(directory, text);
          expect(wal.append('next')).to.equal(count + 1);
          await wal.close();
          expect(await replayed(directory)).to.deep.equal([...entries.slice(0, count), `${count + 1}:next`]);
        }
      });

    it('never lies in two segments', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { ...text, segmentBytes: 100 });
      wal.append('one');
      wal.appendBatch(Array.from({ length: 20 }, (_, index) => `entry ${index}`));
      await wal.close();
      const ranges = await new WalMaintenance(directory).segmentRanges();
      expect(ranges.map(({ startEntryId, endEntryId }) => [startEntryId, endEntryId])).to.deep.equal([
        [1, 1],
        [2, 21],
      ]);
    });
  });

  describe('A23 durable appends that wait together share a sync', () => {
    // The model claimed group commit and had none. Cairn claims it, so it is counted.
    async function counting(): Promise<{
      wal: WalWriter<string>;
      disk: FaultyDirectory;
      counts: Record<string, number>;
    }> {
      const counts: Record<string, number> = {};
      const disk = new FaultyDirectory(new MemoryDirectory());
      const wal = await WalWriter.open(disk, text);
      disk.decide = ({ kind }) => {
        counts[kind] = (counts[kind] ?? 0) + 1;
        return undefined;
      };
      return { wal, disk, counts };
    }

    it('a hundred at once: one write and one sync, answered in order', async () => {
      const { wal, counts } = await counting();
      const answered: number[] = [];
      const ids = Array.from({ length: 100 }, (_, index) => index + 1);
      await Promise.all(ids.map(async (id) => answered.push(await wal.appendDurable(`entry ${id}`))));
      expect(answered).to.deep.equal(ids);
      expect(counts).to.deep.equal({ write: 1, datasync: 1 });
      await wal.close();
    });

    it('those that come while the disk is busy share the next one', async () => {
      const { wal, disk, counts } = await counting();
      const count = disk.decide;
      let later: Promise<number>[] = [];
      disk.decide = (operation) => {
        if (operation.kind === 'datasync' && later.length === 0)
          later = Array.from({ length: 50 }, (_, index) => wal.appendDurable(`later ${index}`));
        return count(operation);
      };
      expect(await wal.appendDurable('first')).to.equal(1);
      expect(await Promise.all(later)).to.have.lengthOf(50);
      expect(counts).to.deep.equal({ write: 2, datasync: 2 });
      await wal.close();
    });

    it('one after the other: a sync for each', async () => {
      const { wal, counts } = await counting();
      for (let index = 0; index < 10; index++) await wal.appendDurable('entry');
      expect(counts['datasync']).to.equal(10);
      await wal.close();
    });
  });

  describe('A24 a segment that should be there and is not, is reported', () => {
    // The model looks for recycled files. Cairn never uses a file again, so what can be missing is a segment.
    async function fiveSegments(): Promise<MemoryDirectory> {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { ...text, segmentBytes: 56 });
      for (const entry of ['one', 'two', 'three', 'four', 'five']) wal.append(entry);
      await wal.close();
      return directory;
    }

    it('in the middle: by its path', async () => {
      for (const segmentId of [2, 3, 4]) {
        const directory = await fiveSegments();
        await directory.remove(`wal/wal_${segmentId}.log`);
        for (const look of [
          () => replayed(directory),
          () => replayedBestEffort(directory),
          () => WalWriter.open(directory, text),
          () => new WalMaintenance(directory).segmentRanges(),
        ])
          expect(await rejects(look(), CorruptionError)).to.include({ path: `wal/wal_${segmentId}.log` });
      }
    });

    it('at the front: to whoever asks for its entries, and to recovery', async () => {
      const directory = await fiveSegments();
      await directory.remove('wal/wal_1.log');
      await rejects(replayed(directory, { from: 1 }), TruncatedError);
      const recovery = recoverWithWal<string, string, string[]>(directory, {
        walCodec: textCodec,
        checkpointCodec: textCodec,
        init: () => [],
        restore: (state) => state,
        apply: (state) => state,
      });
      await rejects(recovery, RecoveryError);
    });

    it('at the end: by what is known to have been durable', async () => {
      const directory = await fiveSegments();
      await directory.remove('wal/wal_5.log');
      await rejects(replayed(directory, { durableId: 5 }), CorruptionError);
      await rejects(WalWriter.open(directory, { ...text, durableId: 5 }), CorruptionError);
    });

    it('under a reader: not as an end of the log', async () => {
      const memory = await fiveSegments();
      const disk = new FaultyDirectory(memory, ({ kind, path, offset }) => {
        const isFrames = kind === 'read' && path === 'wal/wal_2.log' && offset! >= HEADER_BYTES;
        if (isFrames) void memory.remove('wal/wal_4.log');
        return undefined;
      });
      const seen: string[] = [];
      const reading = new WalReader(disk, text).replayEach(({ entry }) => void seen.push(entry));
      await rejects(reading, TruncatedError);
      expect(seen).to.deep.equal(['one', 'two', 'three']);
    });
  });

  describe('A25 an observer that keeps a segment keeps all later ones too', () => {
    async function segments(): Promise<{ directory: MemoryDirectory; wal: WalWriter<string> }> {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { ...text, segmentBytes: 56 });
      for (const entry of ['one', 'two', 'three', 'four', 'five']) wal.append(entry);
      await wal.flushAndSync();
      return { directory, wal };
    }

    for (let vetoed = 1; vetoed <= 4; vetoed++)
      it(`segment ${vetoed} of 5`, async () => {
        const { directory, wal } = await segments();
        const asked: number[] = [];
        const observer: WalObserver = {
          onBeforeTruncate(segmentId) {
            asked.push(segmentId);
            return segmentId !== vetoed;
          },
        };
        const { removed, kept } = await new WalMaintenance(wal).truncatePrefix(5, { observer });
        const before = Array.from({ length: vetoed - 1 }, (_, index) => index + 1);
        expect(removed.map(({ segmentId }) => segmentId)).to.deep.equal(before);
        expect(asked, 'none behind it is asked about').to.deep.equal([...before, vetoed]);
        expect(kept[0]).to.deep.include({ reason: 'vetoed' });
        expect(kept.at(-1)).to.deep.include({ reason: 'active' });
        await wal.close();
        const left = await replayed(directory);
        expect(left).to.have.lengthOf(5 - removed.length);
        expect(left.at(-1)).to.equal('5:five');
      });

    it('publishing a checkpoint asks too', async () => {
      const { directory, wal } = await segments();
      const publisher = new CheckpointPublisher<string, string>({
        wal,
        codec: textCodec,
        retain: 1,
        truncate: { observer: { onBeforeTruncate: (segmentId) => segmentId !== 2 } },
        makeEntry: (path, id) => `mark ${path} ${id}`,
      });
      const { truncation } = await publisher.publish(['state'], 5);
      expect(truncation.removed.map(({ segmentId }) => segmentId)).to.deep.equal([1]);
      await wal.close();
      expect((await replayed(directory))[0]).to.equal('2:two');
    });

    it('one that throws keeps nothing, and harms nobody', async () => {
      const { wal } = await segments();
      const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
      const onBeforeTruncate = (): boolean => {
        throw new Error('the observer is broken');
      };
      const { removed } = await new WalMaintenance(wal).truncatePrefix(1, { observer: { onBeforeTruncate } });
      expect(removed).to.have.lengthOf(1);
      expect((await warned).message).to.include('the observer is broken');
      await wal.close();
    });
  });

  describe('A26 entries that are let go of without having been written are warned about', () => {
    const begin = `
      import { MemoryDirectory } from 'cairnlog/storage';
      import { WalWriter, bytesCodec, manual } from 'cairnlog/wal';
      const open = () => WalWriter.open(new MemoryDirectory(), { codec: bytesCodec, flushPolicy: manual });
    `;
    const append = `${begin}
      const wal = await open();
      wal.append(Buffer.from('one'));
      wal.append(Buffer.from('two'));
    `;

    it('when the process ends', async () => {
      const { stderr, code } = await runModule(append);
      expect(code).to.equal(0);
      expect(stderr).to.include("2 entries appended to 'wal' were never written");
    });

    it('when the writer is collected', async () => {
      const forget = `${begin}
        await (async () => {
          const wal = await open();
          wal.append(Buffer.from('one'));
        })();
        let warned = false;
        process.on('warning', ({ code, message }) => {
          warned = true;
          console.log(code, message);
        });
        for (let round = 0; round < 200 && !warned; round++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      `;
      const { stdout } = await runModule(forget, [], ['--expose-gc', '--no-warnings']);
      expect(stdout).to.include("CAIRN_UNFLUSHED 1 entries appended to 'wal' were never written");
    });

    it('but not where they were flushed, or the writer was closed', async () => {
      for (const end of ['await wal.flush();', 'await wal.close();']) {
        const { stderr } = await runModule(append + end);
        expect(stderr).to.equal('');
      }
    });
  });
});
