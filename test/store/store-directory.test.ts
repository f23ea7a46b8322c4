import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  CairnError,
  CorruptionError,
  FormatError,
  InvalidArgumentError,
  LockError,
  MemoryDirectory,
  openStore,
  RecoveryError,
  StorageError,
  WalWriter,
  type Directory,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { crc32 } from '#src/bytes/crc32.js';
import { bytesCodec } from '#src/codec/index.js';
import { Child, endChildren } from '../support/child-process.js';
import { bytesOf, copy, edit, put } from '../support/directory-contents.js';
import { rejects } from '../support/rejects.js';
import { temporaryDirectory, temporaryFolder } from '../support/temporary-folder.js';
import { tree } from '../support/tree.js';
import { count, Counter, counts, files, openCounters } from './counters.js';

type ErrorClass = abstract new (...args: never[]) => CairnError;

/** A store with two checkpoints, a log that was truncated up to the older one, and entries after the newer one. */
async function usedDirectory(): Promise<MemoryDirectory> {
  const dir = new MemoryDirectory();
  const store = await openCounters(dir);
  for (const times of [60, 60]) {
    await count(store, times);
    await store.checkpoint();
  }
  await count(store, 10);
  await store.close();
  return dir;
}

/** Opening is refused with an error of the class, and nothing is changed. */
async function refuses<E extends CairnError>(
  dir: Directory,
  Class: abstract new (...args: never[]) => E,
  open: () => Promise<unknown> = () => openCounters(dir),
): Promise<E> {
  const before = await tree(dir);
  const error = await rejects(open(), Class);
  expect(await tree(dir)).to.deep.equal(before);
  return error;
}

async function checkpoints(dir: Directory): Promise<string[]> {
  return (await files(dir, 'checkpoints'))
    .map((name) => `checkpoints/${name}`)
    .sort((a, b) => Number(/\d+/.exec(b)![0]) - Number(/\d+/.exec(a)![0]));
}

async function segments(dir: Directory): Promise<string[]> {
  return (await files(dir, 'wal'))
    .map((name) => `wal/${name}`)
    .sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0]));
}

/** Changes one byte in the middle of a file, where no header and no footer is. */
function damage(dir: Directory, file: string): Promise<void> {
  return edit(dir, file, (bytes) => {
    bytes[bytes.length >> 1]! ^= 1;
  });
}

describe('openStore on a directory that is not right', () => {
  after(endChildren);

  it('finds a store that is right, and says what it did', async () => {
    const store = await openCounters(await usedDirectory());
    expect(await counts(store)).to.deep.equal([44, 43, 43]);
    expect(store.recovery.skippedCheckpoints).to.deep.equal([]);
    await store.close();
  });

  it('refuses the checkpoints of another store beside a log that has everything', async () => {
    const dir = new MemoryDirectory();
    await (await openCounters(dir)).close();
    await copy(await usedDirectory(), dir, ['checkpoints']);
    expect((await refuses(dir, RecoveryError)).message).to.include('another log');
  });

  it('refuses the log of another store beside checkpoints', async () => {
    const dir = await usedDirectory();
    for (const name of await segments(dir)) await dir.remove(name);
    const other = new MemoryDirectory();
    const store = await openCounters(other);
    await count(store, 200);
    await store.close();
    await copy(other, dir, ['wal']);
    expect((await refuses(dir, RecoveryError)).message).to.include('another log');
  });

  it('refuses a segment of another store in the middle of the log', async () => {
    const dir = await usedDirectory();
    const [, second] = await segments(dir);
    await put(dir, second!, await bytesOf(await usedDirectory(), second!));
    await refuses(dir, CorruptionError);
  });

  it('uses its own checkpoint, although one of another store lies beside it', async () => {
    const dir = await usedDirectory();
    const other = new MemoryDirectory();
    const foreign = await openCounters(other);
    await count(foreign, 500);
    await foreign.checkpoint();
    await foreign.close();
    await copy(other, dir, ['checkpoints']);
    const store = await openCounters(dir);
    expect(store.recovery.skippedCheckpoints).to.have.length(1);
    expect(store.recovery.skippedCheckpoints[0]!.reason).to.include('belongs to log');
    expect(await counts(store)).to.deep.equal([44, 43, 43]);
    await store.close();
  });

  it('refuses a WAL segment of a newer version', async () => {
    const dir = await usedDirectory();
    await edit(dir, (await segments(dir)).at(-1)!, (bytes) => {
      bytes.writeUInt32LE(5, 4);
      bytes.writeUInt32LE(crc32(bytes, 0, 36), 36);
    });
    expect((await refuses(dir, FormatError)).message).to.match(/newer/i);
  });

  it('refuses a checkpoint of a newer version, instead of going back to an older one', async () => {
    const dir = await usedDirectory();
    const [newest] = await checkpoints(dir);
    await edit(dir, newest!, (bytes) => {
      bytes.writeUInt32LE(4, 4);
      bytes.writeUInt32LE(crc32(bytes, 0, 24), 24);
    });
    const error = await refuses(dir, FormatError);
    expect(error.message).to.match(/newer/i);
    expect(error.path).to.equal(newest);
  });

  it('goes back to the older checkpoint where the version of the newer one is merely damaged', async () => {
    // Two of them are versions that there were, but not in stores.
    for (const version of [1, 2, 7]) {
      const dir = await usedDirectory();
      const [newest] = await checkpoints(dir);
      await edit(dir, newest!, (bytes) => {
        bytes.writeUInt32LE(version, 4);
      });
      const store = await openCounters(dir);
      expect(store.recovery.skippedCheckpoints.map(({ name }) => name)).to.deep.equal([newest]);
      await store.close();
    }
  });

  it('refuses an entry of a newer version', async () => {
    const dir = new MemoryDirectory();
    const wal = await WalWriter.open(dir, { codec: bytesCodec });
    await wal.appendDurable(new Uint8Array([0x92, 0x63, 0xa1, 0x61]));
    await wal.close();
    const error = await refuses(dir, FormatError);
    expect(error.message).to.include('newer version');
    expect(error.entryId).to.equal(1);
  });

  it('refuses the log of another program', async () => {
    const dir = new MemoryDirectory();
    const wal = await WalWriter.open(dir, { codec: bytesCodec });
    await wal.appendDurable(new Uint8Array([0xc1, 2, 3]));
    await wal.close();
    expect((await refuses(dir, CairnError as unknown as ErrorClass)).code).to.equal('CAIRN_DECODE');
  });

  it('refuses a missing middle segment', async () => {
    const dir = await usedDirectory();
    const [, second] = await segments(dir);
    await dir.remove(second!);
    expect((await refuses(dir, CorruptionError)).message).to.include('missing');
  });

  it('refuses where the log has lost what comes after the newest checkpoint, and names the gap', async () => {
    const dir = await usedDirectory();
    const store = await openCounters(dir);
    await count(store, 40);
    await store.close();
    for (const name of (await segments(dir)).slice(0, -1)) await dir.remove(name);
    const newest = Number(/\d+/.exec((await checkpoints(dir))[0]!)![0]);
    expect((await refuses(dir, RecoveryError)).message).to.include(`positions ${newest + 1} to`);
  });

  it('refuses where both checkpoints are damaged and the log is truncated, and names both', async () => {
    const dir = await usedDirectory();
    const both = await checkpoints(dir);
    expect(both).to.have.length(2);
    for (const file of both) await damage(dir, file);
    const { message } = await refuses(dir, RecoveryError);
    for (const file of both) expect(message).to.include(file);
    expect(message).to.include('positions 1 to');
  });

  it('goes back to the older checkpoint where the newer one is damaged anywhere', async () => {
    const whole = await usedDirectory();
    const [newest] = await checkpoints(whole);
    const size = (await whole.stat(newest!))!.size;
    for (let offset = 0; offset < size; offset += 7) {
      const dir = new MemoryDirectory();
      await copy(whole, dir, ['wal', 'checkpoints']);
      await edit(dir, newest!, (bytes) => {
        bytes[offset]! ^= 0x10;
      });
      const store = await openCounters(dir);
      expect(store.recovery.skippedCheckpoints, `byte ${offset}`).to.have.length(1);
      expect(await counts(store)).to.deep.equal([44, 43, 43]);
      await store.close();
    }
  });

  it('does not count a damaged checkpoint among those that are kept', async () => {
    const dir = await usedDirectory();
    const [newest, older] = await checkpoints(dir);
    await damage(dir, newest!);
    const store = await openCounters(dir);
    await count(store, 10);
    // One that is whole, and the damaged one: the older one and the log behind it still have to stay.
    const { removedCheckpoints } = await store.checkpoint();
    expect(removedCheckpoints).to.deep.equal([]);
    expect(await checkpoints(dir)).to.include(older);
    await count(store, 10);
    await store.checkpoint();
    expect(await checkpoints(dir))
      .to.have.length(2)
      .and.not.to.include(newest);
    await store.close();
    await (await openCounters(dir)).close();
  });

  it('refuses an empty log beside checkpoints that cannot be read, instead of starting empty', async () => {
    const dir = await usedDirectory();
    for (const name of await segments(dir)) await dir.remove(name);
    for (const name of await checkpoints(dir)) await edit(dir, name, (bytes) => bytes.subarray(0, 20));
    await refuses(dir, RecoveryError);
  });

  it('goes on where it was when the log is gone and the checkpoints are there', async () => {
    const dir = await usedDirectory();
    for (const name of await segments(dir)) await dir.remove(name);
    const newest = Number(/\d+/.exec((await checkpoints(dir))[0]!)![0]);
    const store = await openCounters(dir);
    expect(store.position).to.equal(newest);
    expect((await store.execute(Counter, 'c0', (counter) => counter.count(1))).position).to.equal(newest + 1);
    await store.close();
  });

  it('refuses a log that ends before its checkpoint', async () => {
    const dir = await usedDirectory();
    const all = await segments(dir);
    await dir.remove(all.at(-1)!);
    await dir.remove(all.at(-2)!);
    const error = await refuses(dir, CairnError as unknown as ErrorClass);
    expect(error.code).to.be.oneOf(['CAIRN_CORRUPTION', 'CAIRN_RECOVERY']);
  });

  it('refuses a checkpoint of a program that does not know its aggregates, and says how to go on', async () => {
    const dir = await usedDirectory();
    const { message } = await refuses(dir, InvalidArgumentError, () => openStore({ dir }));
    expect(message).to.include("'counter'").and.to.include('forget');
  });

  it('leaves a torn tail alone until the state is recovered', async () => {
    const dir = await usedDirectory();
    await edit(dir, (await segments(dir)).at(-1)!, (bytes) => Buffer.concat([bytes, Buffer.from([1, 2, 3])]));
    await refuses(dir, InvalidArgumentError, () => openStore({ dir }));
    const store = await openCounters(dir);
    expect(store.recovery.tornTail?.bytes).to.equal(3);
    await store.close();
    const again = await openCounters(dir);
    expect(again.recovery.tornTail).to.equal(undefined);
    await again.close();
  });

  it('pays no attention to files that it does not know', async () => {
    const dir = await usedDirectory();
    await put(dir, 'notes.txt', Buffer.from('mine'));
    await put(dir, 'wal/backup.old', Buffer.from('mine'));
    await put(dir, 'checkpoints/.DS_Store', Buffer.from('mine'));
    const store = await openCounters(dir);
    await count(store, 60);
    await store.checkpoint();
    await store.close();
    for (const name of ['notes.txt', 'wal/backup.old', 'checkpoints/.DS_Store'])
      expect((await dir.stat(name))?.size, name).to.equal(4);
  });

  it('refuses a path that is a file', async () => {
    const file = path.join(temporaryFolder(), 'data');
    fs.writeFileSync(file, 'mine');
    await rejects(openCounters(file), CairnError as unknown as ErrorClass);
    expect(fs.readFileSync(file, 'utf8')).to.equal('mine');
  });

  it('refuses a folder that it may not write to', async () => {
    const inner = await usedDirectory();
    const dir = new FaultyDirectory(inner, ({ kind }) =>
      kind === 'create' || kind === 'lock' ? { kind: 'error', errno: 'EACCES' } : undefined,
    );
    const before = await tree(inner);
    expect((await rejects(openCounters(dir), StorageError)).errno).to.equal('EACCES');
    expect(await tree(inner)).to.deep.equal(before);
  });

  it('refuses with LockError while another process has it, and works once that has ended', async function () {
    this.timeout(10_000);
    const dir = await temporaryDirectory();
    const child = new Child('hold-store', [dir.root]);
    expect(await child.line()).to.equal('open');
    const before = await tree(dir);
    const error = await rejects(openCounters(dir), LockError);
    expect(error.pid).to.equal(child.pid);
    expect(await tree(dir)).to.deep.equal(before);
    child.goOn();
    await child.ended;
    await (await openCounters(dir)).close();
  });

  it('leaves a store that can be opened when any operation of opening fails', async () => {
    const whole = await usedDirectory();
    await edit(whole, (await segments(whole)).at(-1)!, (bytes) => Buffer.concat([bytes, Buffer.from([1, 2, 3])]));
    let finished = false;
    for (let fails = 1; !finished; fails++) {
      const inner = new MemoryDirectory();
      await copy(whole, inner, ['wal', 'checkpoints']);
      const dir = new FaultyDirectory(inner, ({ number }) =>
        number === fails ? { kind: 'error', errno: 'ENOSPC' } : undefined,
      );
      const opened = await openCounters(dir).catch((error: unknown) => error);
      finished = dir.faults === 0;
      dir.decide = () => undefined;
      if (opened instanceof Error) expect(opened, `operation ${fails}`).to.be.instanceOf(CairnError);
      else await (opened as { close(): Promise<void> }).close().catch(() => undefined);
      // The lock was given up, and nothing that was stored is lost.
      const store = await openCounters(inner);
      expect(await counts(store), `operation ${fails}`).to.deep.equal([44, 43, 43]);
      await store.close();
    }
  });

  it('refuses aggregates that it cannot use before it looks at the directory', async () => {
    const dir = new MemoryDirectory();
    class NotAnAggregate {}
    await rejects(openStore({ dir, aggregates: [NotAnAggregate as typeof Counter] }), InvalidArgumentError);
    await rejects(openStore({ dir, aggregates: [Counter], checkpoint: { records: 0 } }), InvalidArgumentError);
    await rejects(openStore({ dir, aggregates: [Counter], checkpoint: { retain: 1.5 } }), InvalidArgumentError);
    await rejects(openStore({ dir, aggregates: [Counter], archive: 'wal/old' }), InvalidArgumentError);
    expect(await tree(dir)).to.deep.equal({});
  });
});
