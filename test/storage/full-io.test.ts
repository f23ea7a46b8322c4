import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { FsDirectory, MemoryDirectory, PoisonedError, StorageError, WalReader, WalWriter } from 'cairnlog';
import { readBytes, readFully, writeBytesAtomically, writeFully, type FileHandle } from 'cairnlog/storage';
import { FaultyDirectory } from 'cairnlog/testing';
import { shown } from '#src/errors/shown.js';
import { Child, endChildren } from '../support/child-process.js';
import { Counted } from '../support/counted.js';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { numbered, textCodec } from '../support/text-codec.js';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';

/** A handle of which only reading and writing work, and report what they are told to. */
function handle(report: (asked: number, call: number) => number): FileHandle & { readonly asked: number[] } {
  const asked: number[] = [];
  const answer = async (bytes: Uint8Array): Promise<number> => {
    asked.push(bytes.length);
    return report(bytes.length, asked.length);
  };
  const none = (): never => {
    throw new Error('not to be called');
  };
  return { path: 'file', asked, read: answer, write: answer, datasync: none, truncate: none, size: none, close: none };
}

/** A directory whose reads and writes do at most so many bytes at a time. */
function sparing(inner: MemoryDirectory, most: number): FaultyDirectory {
  return new FaultyDirectory(inner, ({ kind, bytes = 0 }) =>
    (kind === 'read' || kind === 'write') && bytes > most ? { kind: 'short', bytes: most } : undefined,
  );
}

describe('Short reads and writes', () => {
  for (const most of [1, 3, 25, 26, 1000])
    it(`are continued where they stopped, ${most} bytes at a time`, async () => {
      const directory = sparing(new MemoryDirectory(), most);
      const file = await directory.open('file', 'create');
      await writeFully(file, Buffer.from(ALPHABET), 0);
      await writeFully(file, Buffer.from('XYZ'), 10);
      const target = new Uint8Array(40);
      // The end of the file is an end, not a short read to go on from.
      expect(await readFully(file, target, 5)).to.equal(21);
      expect(Buffer.from(target).toString()).to.equal('fghijXYZnopqrstuvwxyz'.padEnd(40, '\0'));
      expect(await readFully(file, target, 26)).to.equal(0);
      expect(directory.faults > 0).to.equal(most < 40);
      await file.close();
      expect(Buffer.from(await readBytes(directory, 'file')).toString()).to.equal('abcdefghijXYZnopqrstuvwxyz');
    });

  it('are never seen by a log: neither in what it holds nor in what it acknowledges', async () => {
    for (const most of [1, 7, 40]) {
      const disk = new MemoryDirectory();
      const wal = await WalWriter.open(sparing(disk, most), { codec: textCodec, segmentBytes: 200 });
      for (const entry of numbered(20)) await wal.appendDurable(entry);
      await wal.close();
      for (const directory of [disk, sparing(disk, most)]) {
        const again = await WalWriter.open(directory, { codec: textCodec });
        expect(again.opened.lastEntryId).to.equal(20);
        await again.close();
        const records = await new WalReader(directory, { codec: textCodec }).replay();
        expect(records.map(({ entry }) => entry)).to.deep.equal(numbered(20));
      }
    }
  });

  it('followed by the error that was the cause of them fail as a whole', async () => {
    // A disk that fills up: the first write does some of it without an error, the next one says why.
    const disk = new MemoryDirectory();
    const directory = new FaultyDirectory(disk);
    const wal = await WalWriter.open(directory, { codec: textCodec });
    await wal.appendDurable('entry 1');
    directory.decide = ({ kind }) =>
      kind !== 'write'
        ? undefined
        : directory.faults === 0
          ? { kind: 'short', bytes: 30 }
          : { kind: 'error', errno: 'ENOSPC' };
    const error = await rejects(wal.appendDurable('entry 2'), PoisonedError);
    expect(error.cause).to.be.instanceOf(StorageError).and.have.property('errno', 'ENOSPC');
    expect(directory.faults).to.equal(2);
    await wal.close();
    const again = await WalWriter.open(disk, { codec: textCodec });
    expect([again.opened.lastEntryId, again.opened.tornTail?.bytes]).to.deep.equal([1, 5]);
    await again.close();
  });
});

describe('A file system that takes no more', () => {
  afterEach(endChildren);

  it('ends the writer with the reason, and what was acknowledged before is all there', async function () {
    if (process.platform !== 'linux' || spawnSync('prlimit', ['--version']).error !== undefined) {
      console.log('      skipped: no prlimit program to stand in for a full disk');
      return this.skip();
    }
    // No file may grow past 1000 bytes: the system first writes a part without an error.
    const folder = temporaryFolder();
    const child = new Child('append-until-refused', [folder], ['prlimit', '--fsize=1000']);
    let acknowledged = 0;
    let last = '';
    for (let line = await child.line(); line !== undefined; line = await child.line()) {
      last = line;
      if (/^\d+$/.test(line)) acknowledged = Number(line);
    }
    expect(await child.ended).to.equal(0);
    expect(last).to.include('CAIRN_POISONED').and.to.include('EFBIG').and.to.include('raise it');
    expect(acknowledged).to.be.within(10, 30);
    const wal = await WalWriter.open(await FsDirectory.open(folder), { codec: textCodec });
    expect(wal.opened.lastEntryId).to.equal(acknowledged);
    expect(wal.opened.tornTail?.path).to.equal('wal/wal_1.log');
    await wal.close();
  });
});

describe('Reads and writes without progress', () => {
  it('are an error for a write, at once and after some of it was done', async () => {
    for (const done of [0, 10]) {
      const file = handle((_, call) => (call === 1 ? done : 0));
      const error = await rejects(writeFully(file, new Uint8Array(26), 100), StorageError);
      expect([error.path, error.offset]).to.deep.equal(['file', 100 + done]);
      expect(error.message).to.include('no progress').and.to.include('is the disk full?');
      expect(file.asked).to.deep.equal(done === 0 ? [26] : [26, 16]);
    }
  });

  it('are the end of the file for a read', async () => {
    const file = handle((_, call) => (call === 1 ? 10 : 0));
    expect(await readFully(file, new Uint8Array(26), 0)).to.equal(10);
    expect(file.asked).to.deep.equal([26, 16]);
  });

  it('end a log writer for good', async () => {
    const directory = new FaultyDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(directory, { codec: textCodec });
    directory.decide = ({ kind }) => (kind === 'write' ? { kind: 'short', bytes: 0 } : undefined);
    await rejects(wal.appendDurable('entry 1'), PoisonedError);
    expect(directory.faults).to.equal(1);
    await wal.close();
  });
});

describe('Counts that cannot be', () => {
  for (const count of [-1, 27, 1.5, NaN, Infinity, undefined as never, '5' as never])
    it(`are an error and not believed: ${String(count)} of 26 bytes`, async () => {
      for (const [what, call] of [
        ['read', readFully],
        ['write', writeFully],
      ] as const) {
        const file = handle(() => count);
        const error = await rejects(call(file, new Uint8Array(26), 7), StorageError);
        expect([error.path, error.offset]).to.deep.equal(['file', 7]);
        expect(error.message).to.include(`reported ${shown(count)} bytes for a ${what} of 26`);
        expect(file.asked).to.deep.equal([26]);
      }
    });

  it('are an error also in the middle', async () => {
    for (const call of [readFully, writeFully]) {
      const file = handle((asked, number) => (number === 1 ? 20 : asked + 1));
      const error = await rejects(call(file, new Uint8Array(26), 0), StorageError);
      expect(error.offset).to.equal(20);
    }
  });
});

describe('Nothing to read or write', () => {
  it('asks the disk for nothing', async () => {
    const counted = new Counted(new MemoryDirectory());
    const file = await counted.directory.open('file', 'create');
    await writeFully(file, new Uint8Array(0), 0);
    expect(await readFully(file, new Uint8Array(0), 0)).to.equal(0);
    expect(counted.operations.map(({ kind }) => kind)).to.deep.equal(['create']);
    await file.close();
    await writeBytesAtomically(counted.directory, 'empty', new Uint8Array(0));
    expect(await readBytes(counted.directory, 'empty')).to.have.length(0);
  });
});

describe('A disk that cannot be read', () => {
  it('is not a file that ends', async () => {
    const disk = new MemoryDirectory();
    await writeBytesAtomically(disk, 'file', Buffer.from(ALPHABET));
    // Node does not read again what a signal interrupted.
    for (const errno of ['EIO', 'EINTR'])
      for (const failing of [1, 2, 3]) {
        let reads = 0;
        const directory = new FaultyDirectory(disk, ({ kind }) => {
          if (kind !== 'read') return undefined;
          return ++reads === failing ? { kind: 'error', errno } : { kind: 'short', bytes: 10 };
        });
        const error = await rejects(readBytes(directory, 'file'), StorageError);
        expect(error.errno).to.equal(errno);
      }
  });
});
