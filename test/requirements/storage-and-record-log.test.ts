// These are defects that the model of this library had and mended; each is a test here: what the storage underneath
// promises, and the log that is one file.

import { expect } from 'chai';
import {
  CheckpointFile,
  CorruptionError,
  FormatError,
  FsDirectory,
  MemoryDirectory,
  PathError,
  RecordLog,
  RecordLogReader,
  recoverWithWal,
  TornTailError,
  WalMaintenance,
  WalReader,
  WalWriter,
  type Directory,
} from 'cairnlog';
import { makeDirectoryDurable, removeDurable, writeBytesAtomically } from 'cairnlog/storage';
import { FaultyDirectory, isMutation, loseEverything, SimulatedDisk, type DiskOperation } from 'cairnlog/testing';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { projectRoot } from '../support/module-process.js';
import { bytesOf, contents, copy, edit, put } from '../support/directory-contents.js';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { replayed, replayedBestEffort, text, textCodec } from '../support/text-log.js';
import { frame, frameOf, framesOf, header, HEADER_BYTES } from '../support/version-4-files.js';

const RECORDS = 'journal/records.log';

async function records(directory: Directory, mode: 'strict' | 'bestEffort' = 'strict'): Promise<string[]> {
  const found = await new RecordLogReader(directory, RECORDS, text).replay({ mode });
  return found.map(({ entryId, entry }) => `${entryId}:${entry}`);
}

/** A closed record log. */
async function closedRecords(...entries: readonly string[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  const log = await RecordLog.open(directory, RECORDS, text);
  for (const entry of entries) log.append(entry);
  await log.close();
  return directory;
}

describe('Requirements: storage and record log', () => {
  describe('A31 no path leads out of a directory, in any operation', () => {
    // The operations of the directories themselves are in the conformance suite; here, all that takes a path above them.
    const outside = [
      '../x',
      'a/../../x',
      '..',
      '/etc/x',
      'C:/x',
      'C:x',
      'a\\..\\..\\x',
      'a\0b',
      './../x',
      'a/b/../../../x',
    ];
    const uses: Record<string, (directory: Directory, name: string) => Promise<unknown>> = {
      'RecordLog.open': (directory, name) => RecordLog.open(directory, name, text),
      'RecordLog.create': (directory, name) => RecordLog.create(directory, name, text),
      'RecordLog.resume': (directory, name) => RecordLog.resume(directory, name, text),
      RecordLogReader: async (directory, name) => new RecordLogReader(directory, name, text).replay(),
      'CheckpointFile.write': (directory, name) =>
        CheckpointFile.write(directory, name, { lastAppliedId: 1, codec: textCodec, items: [] }),
      'CheckpointFile.read': (directory, name) => CheckpointFile.read(directory, name, { codec: textCodec }),
      'CheckpointFile.verify': (directory, name) => CheckpointFile.verify(directory, name),
      'CheckpointFile.inspect': (directory, name) => CheckpointFile.inspect(directory, name),
      'truncatePrefix with an archive': (directory, name) =>
        new WalMaintenance(directory).truncatePrefix(1, { archive: name }),
      'recoverWithWal with a checkpoint': (directory, checkpointPath) =>
        recoverWithWal<string, string, null>(directory, {
          walCodec: textCodec,
          checkpointCodec: textCodec,
          init: () => null,
          restore: () => null,
          apply: () => null,
          checkpointPath,
        }),
      writeBytesAtomically: (directory, name) => writeBytesAtomically(directory, name, Buffer.from('x')),
      makeDirectoryDurable: (directory, name) => makeDirectoryDurable(directory, name),
      removeDurable: (directory, name) => removeDurable(directory, name),
    };

    for (const [name, use] of Object.entries(uses))
      it(name, async () => {
        const outer = temporaryFolder();
        fs.writeFileSync(path.join(outer, 'x'), 'kept');
        const directory = await FsDirectory.open(path.join(outer, 'data'));
        await (await WalWriter.open(directory, text)).close();
        const before = [fs.readdirSync(outer), await directory.list(''), await contents(directory)];
        for (const bad of outside) await rejects(use(directory, bad), PathError);
        expect([fs.readdirSync(outer), await directory.list(''), await contents(directory)]).to.deep.equal(before);
        expect(fs.readFileSync(path.join(outer, 'x'), 'utf8')).to.equal('kept');
      });

    it('a symlink that leads out is not followed, whatever it stands for', async () => {
      const outer = temporaryFolder();
      fs.mkdirSync(path.join(outer, 'elsewhere'));
      fs.writeFileSync(path.join(outer, 'elsewhere', 'x'), 'kept');
      const directory = await FsDirectory.open(path.join(outer, 'data'));
      fs.symlinkSync(path.join(outer, 'elsewhere'), path.join(directory.root, 'folder'));
      fs.symlinkSync(path.join(outer, 'elsewhere', 'x'), path.join(directory.root, 'file'));
      fs.symlinkSync(path.join(outer, 'elsewhere'), path.join(directory.root, 'wal'));
      for (const use of ['RecordLog.open', 'CheckpointFile.write', 'CheckpointFile.read', 'writeBytesAtomically'])
        await rejects(uses[use]!(directory, 'folder/x'), PathError);
      for (const use of ['RecordLog.open', 'CheckpointFile.read'])
        await rejects(uses[use]!(directory, 'file'), PathError);
      await rejects(WalWriter.open(directory, text), PathError);
      await rejects(replayed(directory), PathError);
      expect(fs.readdirSync(path.join(outer, 'elsewhere'))).to.deep.equal(['x']);
      expect(fs.readFileSync(path.join(outer, 'elsewhere', 'x'), 'utf8')).to.equal('kept');
    });
  });

  describe('A32 an atomic write that fails leaves the old file, and no temporary one', () => {
    /** Fails one operation; whether there was one of that number. */
    async function failAt(number: number): Promise<boolean> {
      const memory = new MemoryDirectory();
      await put(memory, 'folder/file', Buffer.from('the old contents'));
      let renamed = false;
      const disk = new FaultyDirectory(memory, (operation) => {
        if (operation.number === number) return { kind: 'error', errno: 'EIO' };
        renamed ||= operation.kind === 'rename';
        return undefined;
      });
      const failed = await writeBytesAtomically(disk, 'folder/file', Buffer.from('new')).then(
        () => false,
        () => true,
      );
      expect(failed).to.equal(disk.faults > 0);
      expect(await memory.list('folder'), `operation ${number}`).to.deep.equal(['file']);
      const found = (await bytesOf(memory, 'folder/file')).toString();
      expect(found).to.equal(renamed ? 'new' : 'the old contents');
      return disk.faults > 0;
    }

    it('whichever operation fails', async () => {
      let number = 1;
      while (await failAt(number)) number++;
      // create, write, datasync, close, rename, syncDirectory
      expect(number - 1).to.equal(6);
    });

    it('also a write that ends half way', async () => {
      const memory = new MemoryDirectory();
      await put(memory, 'folder/file', Buffer.from('the old contents'));
      const disk = new FaultyDirectory(memory);
      disk.decide = ({ kind }) => {
        if (kind !== 'write') return undefined;
        return disk.faults === 0 ? { kind: 'short', bytes: 3 } : { kind: 'error', errno: 'ENOSPC' };
      };
      await writeBytesAtomically(disk, 'folder/file', Buffer.from('longer than three')).then(
        () => expect.fail('it should have failed'),
        () => undefined,
      );
      expect(disk.faults).to.equal(2);
      expect(await memory.list('folder')).to.deep.equal(['file']);
      expect((await bytesOf(memory, 'folder/file')).toString()).to.equal('the old contents');
    });

    it('also where what is written cannot be made, as a checkpoint of a state that fails to encode', async () => {
      const directory = new MemoryDirectory();
      await directory.makeDirectory('checkpoints');
      const items = (function* (): Generator<string> {
        yield 'one';
        throw new Error('no more state');
      })();
      const writing = CheckpointFile.write(directory, 'checkpoints/c', { lastAppliedId: 1, codec: textCodec, items });
      const error: unknown = await writing.catch((caught: unknown) => caught);
      expect((error as Error).message).to.equal('no more state');
      expect(await directory.list('checkpoints')).to.deep.equal([]);
    });
  });

  describe('A33 a file can be removed for good', () => {
    async function disk(): Promise<SimulatedDisk> {
      const made = new SimulatedDisk();
      await put(made, 'folder/file', Buffer.from('x'));
      return made;
    }

    it('removed durably, it is gone after a power cut; removed plainly, it may be back', async () => {
      const plainly = await disk();
      await plainly.remove('folder/file');
      expect(plainly.afterPowerCut(loseEverything).files()).to.deep.equal(['folder/file']);
      const durably = await disk();
      await removeDurable(durably, 'folder/file');
      expect(durably.afterPowerCut(loseEverything).files()).to.deep.equal([]);
    });

    it('a file that is not there is fine, and its absence is made durable as well', async () => {
      const removed = await disk();
      await removed.remove('folder/file');
      await removeDurable(removed, 'folder/file');
      expect(removed.afterPowerCut(loseEverything).files()).to.deep.equal([]);
    });

    it('truncation and retired checkpoints use it', async () => {
      const simulated = new SimulatedDisk();
      const wal = await WalWriter.open(simulated, { ...text, segmentBytes: 56 });
      for (const entry of ['one', 'two', 'three']) await wal.appendDurable(entry);
      await new WalMaintenance(wal).truncatePrefix(2);
      const left = simulated.afterPowerCut(loseEverything);
      expect(left.files().filter((name) => name.endsWith('.log'))).to.deep.equal(['wal/wal_3.log']);
      await wal.close();
    });
  });

  describe('A34 a record log cuts its torn tail before it appends, and refuses where synced records follow', () => {
    it('the last record cut at every byte', async () => {
      const whole = await bytesOf(await closedRecords('one', 'two'), RECORDS);
      const two = frameOf(whole, 2);
      for (let at = two.offset; at < two.end; at++) {
        const directory = new MemoryDirectory();
        await put(directory, RECORDS, whole.subarray(0, at));
        expect(await records(directory, 'bestEffort')).to.deep.equal(['1:one']);
        if (at > two.offset) await rejects(records(directory), TornTailError);
        const log = await RecordLog.open(directory, RECORDS, text);
        expect(log.opened.tornTail?.bytes ?? 0).to.equal(at - two.offset);
        expect(log.append('again')).to.equal(2);
        await log.close();
        expect(await records(directory)).to.deep.equal(['1:one', '2:again']);
      }
    });

    it('the file’s header cut at every byte', async () => {
      for (let length = 0; length < HEADER_BYTES; length++) {
        const directory = new MemoryDirectory();
        await put(directory, RECORDS, header(1, 1, 'VRLG').subarray(0, length));
        expect(await records(directory, 'bestEffort')).to.deep.equal([]);
        const log = await RecordLog.resume(directory, RECORDS, text);
        expect(log.append('one')).to.equal(1);
        await log.close();
        expect(await records(directory)).to.deep.equal(['1:one']);
      }
    });

    it('zeros behind the last record are no records', async () => {
      const directory = await closedRecords('one');
      await edit(directory, RECORDS, (bytes) => Buffer.concat([bytes, Buffer.alloc(64)]));
      expect(await records(directory, 'bestEffort')).to.deep.equal(['1:one']);
      const log = await RecordLog.open(directory, RECORDS, text);
      expect(log.append('two')).to.equal(2);
      await log.close();
      expect(await records(directory)).to.deep.equal(['1:one', '2:two']);
    });

    it('damage in a log that was closed is refused, and nothing is changed', async () => {
      const whole = await bytesOf(await closedRecords('one', 'two', 'three'), RECORDS);
      for (const { offset, end, control } of framesOf(whole)) {
        if (control) continue;
        for (let at = offset; at < end; at++) {
          const directory = new MemoryDirectory();
          await put(directory, RECORDS, whole);
          await edit(directory, RECORDS, (bytes) => void (bytes[at]! ^= 1));
          const before = await contents(directory, 'journal');
          await rejects(RecordLog.open(directory, RECORDS, text), CorruptionError);
          await rejects(records(directory, 'bestEffort'), CorruptionError);
          expect(await contents(directory, 'journal')).to.deep.equal(before);
        }
      }
    });

    it('damage below what a later record says was synced is refused, too', async () => {
      const directory = new MemoryDirectory();
      const log = await RecordLog.open(directory, RECORDS, text);
      for (const entry of ['one', 'two', 'three']) await log.appendDurable(entry);
      const crashed = new MemoryDirectory();
      await copy(directory, crashed, ['journal']);
      await log.close();
      const { offset } = frameOf(await bytesOf(crashed, RECORDS), 2);
      await edit(crashed, RECORDS, (bytes) => void (bytes[offset]! ^= 1));
      await rejects(RecordLog.open(crashed, RECORDS, text), CorruptionError);
    });

    it('a segment of a WAL is not taken for a record log, nor the other way round', async () => {
      const directory = new MemoryDirectory();
      const one = frame({ entryId: 1, payload: 'one' });
      await put(directory, RECORDS, Buffer.concat([header(1, 1), one]));
      await put(directory, 'wal/wal_1.log', Buffer.concat([header(1, 1, 'VRLG'), one]));
      for (const use of [
        () => RecordLog.open(directory, RECORDS, text),
        () => records(directory),
        () => WalWriter.open(directory, text),
        () => replayed(directory),
      ])
        await rejects(use(), FormatError);
    });
  });

  describe('A35 the folder is synced when a log’s file is made, not with every record', () => {
    for (const [name, open] of Object.entries({
      'record log': (disk: Directory) => RecordLog.open(disk, RECORDS, text),
      WAL: (disk: Directory) => WalWriter.open(disk, text),
    }))
      it(`in a ${name}`, async () => {
        const seen: DiskOperation[] = [];
        const disk = new FaultyDirectory(new MemoryDirectory(), (operation) => void seen.push(operation));
        const log = await open(disk);
        const file = seen.find(({ kind }) => kind === 'create');
        const folder = file!.path.split('/')[0];
        const synced = seen.filter(({ kind, path: where }) => kind === 'syncDirectory' && where === folder);
        expect(synced.length, 'before the first record').to.be.at.least(1);
        expect(synced.at(-1)!.number).to.be.greaterThan(file!.number);
        seen.length = 0;
        for (let record = 0; record < 20; record++) await log.appendDurable(`record ${record}`);
        const kinds = seen.map(({ kind }) => kind);
        expect(kinds.filter((kind) => kind === 'syncDirectory')).to.deep.equal([]);
        expect(kinds.filter((kind) => kind === 'datasync')).to.have.lengthOf(20);
        await log.close();
      });
  });

  describe('A36 no file is mapped into memory, so one that becomes shorter is an error and no crash', () => {
    // The model maps files and has to align and to warn. Cairn reads them.
    it('no source file imports anything that maps files', () => {
      const imports: string[] = [];
      const src = path.join(projectRoot, 'src');
      for (const name of fs.readdirSync(src, { recursive: true, encoding: 'utf8' }))
        if (name.endsWith('.ts'))
          for (const [, imported] of fs.readFileSync(path.join(src, name), 'utf8').matchAll(/\bfrom '([^']+)'/g))
            imports.push(imported!);
      expect(imports.length).to.be.greaterThan(100);
      expect(imports.filter((imported) => /mmap|mapped|napi|ffi|bindings|\.node$/i.test(imported))).to.deep.equal([]);
      // Nor does a dependency bring code that could: what they install is JavaScript.
      const foreign = new Set(imports.filter((imported) => !/^(\.|node:)/.test(imported)));
      for (const name of foreign) {
        const files = fs.readdirSync(path.join(projectRoot, 'node_modules', name), {
          recursive: true,
          encoding: 'utf8',
        });
        expect(
          files.filter((file) => /\.node$|binding\.gyp$/.test(file)),
          name,
        ).to.deep.equal([]);
      }
    });

    /** Cuts `name` on the real disk as soon as somebody reads behind its first bytes. */
    function cutWhileRead(directory: FsDirectory, name: string, size: number): FaultyDirectory {
      const disk = new FaultyDirectory(directory, ({ kind, path: where, offset = 0 }) => {
        if (kind === 'read' && where === name && offset > 0) fs.truncateSync(path.join(directory.root, name), size);
        return undefined;
      });
      return disk;
    }

    async function largeLog(entries: number): Promise<FsDirectory> {
      const directory = await FsDirectory.open(temporaryFolder());
      const wal = await WalWriter.open(directory, { ...text, segmentBytes: 700_000 });
      for (let id = 1; id <= entries; id++) wal.append(`${id} `.padEnd(1000, 'x'));
      await wal.close();
      return directory;
    }

    it('the last segment: a torn tail, and what is still there is replayed', async () => {
      const directory = await largeLog(600);
      const whole = await bytesOf(directory, 'wal/wal_1.log');
      for (const size of [framesOf(whole)[9]!.end + 100, 300_000]) {
        const entries = framesOf(whole).filter(({ end }) => end <= size).length;
        await put(directory, 'wal/wal_1.log', whole);
        const disk = cutWhileRead(directory, 'wal/wal_1.log', size);
        const { count, tornTail } = await new WalReader(disk, text).replayEach(() => undefined, { mode: 'bestEffort' });
        expect([count, tornTail?.path]).to.deep.equal([entries, 'wal/wal_1.log']);
        await put(directory, 'wal/wal_1.log', whole);
        await rejects(replayed(disk), TornTailError);
        await put(directory, 'wal/wal_1.log', whole);
        await rejects(replayed(disk, { durableId: 600 }), CorruptionError);
      }
    });

    it('a complete segment: damage', async () => {
      const directory = await largeLog(1000);
      await rejects(replayed(cutWhileRead(directory, 'wal/wal_1.log', 300_000)), CorruptionError);
    });

    it('a checkpoint: damage', async () => {
      const directory = await FsDirectory.open(temporaryFolder());
      const items = Array.from({ length: 600 }, (_, index) => `${index} `.padEnd(1000, 'x'));
      const write = (): Promise<unknown> =>
        CheckpointFile.write(directory, 'c', { lastAppliedId: 1, codec: textCodec, items });
      await write();
      const disk = cutWhileRead(directory, 'c', 300_000);
      await rejects(CheckpointFile.verify(disk, 'c'), CorruptionError);
      await write();
      await rejects(CheckpointFile.read(disk, 'c', { codec: textCodec }), CorruptionError);
      await write();
      await rejects(CheckpointFile.inspect(disk, 'c'), CorruptionError);
    });

    it('a writer that gives back preallocated space takes nothing from a reader beside it', async () => {
      const memory = new MemoryDirectory();
      const wal = await WalWriter.open(memory, { ...text, preallocateBytes: 1_000_000 });
      for (let id = 1; id <= 100; id++) wal.append(`entry ${id}`);
      await wal.flush();
      const used = framesOf((await bytesOf(memory, 'wal/wal_1.log')).subarray(0, wal.currentSegmentBytes)).length;
      expect(used).to.equal(100);
      const file = await memory.open('wal/wal_1.log', 'update');
      const size = wal.currentSegmentBytes;
      const disk = new FaultyDirectory(memory, ({ kind, offset = 0 }) => {
        if (kind === 'read' && offset > 0) void file.truncate(size);
        return undefined;
      });
      expect(await replayedBestEffort(disk)).to.have.lengthOf(100);
      await file.close();
      await wal.close();
    });
  });

  describe('A37 what is durable follows from explicit steps: flush hands over, flushAndSync makes durable', () => {
    async function watched(): Promise<{ wal: WalWriter<string>; seen: string[]; simulated: SimulatedDisk }> {
      const simulated = new SimulatedDisk();
      const disk = new FaultyDirectory(simulated);
      const wal = await WalWriter.open(disk, text);
      const seen: string[] = [];
      disk.decide = (operation) => {
        if (isMutation(operation)) seen.push(operation.kind);
        return undefined;
      };
      return { wal, seen, simulated };
    }
    const after = (simulated: SimulatedDisk): Promise<string[]> =>
      replayedBestEffort(simulated.afterPowerCut(loseEverything));

    it('append does nothing to the disk by itself', async () => {
      const { wal, seen } = await watched();
      wal.append('one');
      expect([seen, wal.stagedBytes > 0, wal.flushedId]).to.deep.equal([[], true, 0]);
      await wal.close();
    });

    it('flush writes once and does not sync: it survives the process, not a power cut', async () => {
      const { wal, seen, simulated } = await watched();
      wal.append('one');
      await wal.flush();
      expect(seen).to.deep.equal(['write']);
      expect([wal.flushedId, wal.durableId]).to.deep.equal([1, 0]);
      expect(await replayedBestEffort(simulated.afterProcessEnd())).to.deep.equal(['1:one']);
      expect(await after(simulated)).to.deep.equal([]);
      await wal.close();
    });

    for (const [name, act] of Object.entries<(wal: WalWriter<string>) => Promise<unknown>>({
      flushAndSync: (wal) => (wal.append('one'), wal.flushAndSync()),
      appendDurable: (wal) => wal.appendDurable('one'),
      appendBatchDurable: (wal) => wal.appendBatchDurable(['one']),
    }))
      it(`${name} writes and syncs: it survives a power cut`, async () => {
        const { wal, seen, simulated } = await watched();
        await act(wal);
        expect(seen).to.deep.equal(['write', 'datasync']);
        expect(wal.durableId).to.equal(1);
        expect(await after(simulated)).to.deep.equal(['1:one']);
        await wal.close();
      });

    it('flushAndSync after flush only syncs, and with nothing new does nothing', async () => {
      const { wal, seen } = await watched();
      wal.append('one');
      await wal.flush();
      await wal.flushAndSync();
      expect(seen).to.deep.equal(['write', 'datasync']);
      await wal.flush();
      await wal.flushAndSync();
      expect(seen).to.deep.equal(['write', 'datasync']);
      await wal.close();
    });

    it('close makes everything durable', async () => {
      const { wal, simulated } = await watched();
      wal.append('one');
      await wal.close();
      expect(await after(simulated)).to.deep.equal(['1:one']);
    });
  });
});
