// What every Directory must do, as cases that any test runner can run: for those who bring their own storage.

import * as assert from 'node:assert/strict';
import {
  AlreadyExistsError,
  CairnError,
  ClosedError,
  LockError,
  NotFoundError,
  PathError,
  StorageError,
} from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Directory, FileHandle } from '../storage/index.js';
import {
  makeDirectoryDurable,
  readBytes,
  readFully,
  removeDurable,
  renameDurable,
  writeBytesAtomically,
  writeFully,
  writeFullyDurably,
} from '../storage/index.js';

/** One case. `run` rejects if the directory does not do what the case is named after. */
export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * The contract of {@link Directory} as cases. `make` gives an empty directory each time.
 *
 * @example
 * describe('MyDirectory', () => {
 *   for (const { name, run } of directoryConformance(async () => new MyDirectory())) it(name, run);
 * });
 */
export function directoryConformance(make: () => Promise<Directory>): ConformanceCase[] {
  return CASES.map(([name, check]) => ({ name, run: async () => check(await make()) }));
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function using<R>(file: FileHandle, use: (file: FileHandle) => Promise<R>): Promise<R> {
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function put(directory: Directory, path: string, value: string): Promise<void> {
  await using(await directory.open(path, 'create'), (file) => writeFully(file, text(value), 0));
}

async function rejects(promise: Promise<unknown>, Class: abstract new (...args: never[]) => Error): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof Class, `expected ${Class.name}, got ${shown(error)}`);
    assert.ok(error instanceof CairnError && error.code.startsWith('CAIRN_'), 'errors have a code');
    return;
  }
  assert.fail(`expected ${Class.name}, but nothing was thrown`);
}

const CASES: readonly (readonly [string, (directory: Directory) => Promise<void>])[] = [
  [
    'reads back what was written, at any offset',
    async (directory) => {
      await using(await directory.open('a', 'create'), async (file) => {
        await writeFully(file, text('hello'), 0);
        await writeFully(file, text('J'), 0);
        await writeFully(file, text('!'), 7);
        assert.equal(await file.size(), 8);
      });
      assert.equal(decode(await readBytes(directory, 'a')), 'Jello\0\0!');
    },
  ],
  [
    'reads nothing at and behind the end',
    async (directory) => {
      await put(directory, 'a', 'xyz');
      await using(await directory.open('a', 'read'), async (file) => {
        const target = new Uint8Array(8);
        assert.equal(await readFully(file, target, 1), 2);
        assert.equal(await file.read(target, 3), 0);
        assert.equal(await file.read(target, 300), 0);
      });
    },
  ],
  [
    'writes a part of a larger buffer, and only that',
    async (directory) => {
      const whole = text('0123456789');
      await using(await directory.open('a', 'create'), (file) => writeFully(file, whole.subarray(3, 6), 0));
      assert.equal(decode(await readBytes(directory, 'a')), '345');
    },
  ],
  [
    'keeps nothing of the buffer that was written',
    async (directory) => {
      const buffer = text('abc');
      await using(await directory.open('a', 'create'), (file) => writeFully(file, buffer, 0));
      buffer.fill(0);
      assert.equal(decode(await readBytes(directory, 'a')), 'abc');
    },
  ],
  [
    'writes durably what it writes plainly, if it can',
    async (directory) => {
      await put(directory, 'a', 'hello');
      const whole = text('_Jim__');
      await using(await directory.open('a', 'update'), async (file) => {
        await writeFullyDurably(file, whole.subarray(1, 2), 0);
        await writeFullyDurably(file, whole.subarray(2, 4), 7);
        await writeFully(file, text('E'), 1);
        assert.equal(await file.size(), 9);
      });
      whole.fill(0);
      assert.equal(decode(await readBytes(directory, 'a')), 'JEllo\0\0im');
      await using(await directory.open('a', 'read'), async (file) => {
        if (file.writeDurably !== undefined) await rejects(file.writeDurably(text('x'), 0), StorageError);
      });
      assert.equal(decode(await readBytes(directory, 'a')), 'JEllo\0\0im');
    },
  ],
  [
    'truncates, and what grows again is zeros',
    async (directory) => {
      await put(directory, 'a', 'abcdef');
      await using(await directory.open('a', 'update'), async (file) => {
        await file.truncate(2);
        assert.equal(await file.size(), 2);
        await file.truncate(4);
        await file.datasync();
      });
      assert.equal(decode(await readBytes(directory, 'a')), 'ab\0\0');
    },
  ],
  [
    'creates only what is not there, opens only what is',
    async (directory) => {
      await put(directory, 'a', 'kept');
      await rejects(directory.open('a', 'create'), AlreadyExistsError);
      assert.equal(decode(await readBytes(directory, 'a')), 'kept');
      await rejects(directory.open('b', 'read'), NotFoundError);
      await rejects(directory.open('b', 'update'), NotFoundError);
      await rejects(directory.open('no/such/folder', 'create'), NotFoundError);
    },
  ],
  [
    'opens a folder neither for reading nor for writing',
    async (directory) => {
      await directory.makeDirectory('d');
      await rejects(directory.open('d', 'read'), CairnError);
      await rejects(directory.open('d', 'update'), CairnError);
    },
  ],
  [
    'refuses to write through a handle for reading',
    async (directory) => {
      await put(directory, 'a', 'kept');
      await using(await directory.open('a', 'read'), async (file) => {
        await rejects(file.write(text('x'), 0), StorageError);
      });
      assert.equal(decode(await readBytes(directory, 'a')), 'kept');
    },
  ],
  [
    'refuses everything on a closed handle, and closes twice',
    async (directory) => {
      const file = await directory.open('a', 'create');
      await file.close();
      await file.close();
      await rejects(file.write(text('x'), 0), ClosedError);
      await rejects(file.read(new Uint8Array(1), 0), ClosedError);
      if (file.writeDurably !== undefined) await rejects(file.writeDurably(text('x'), 0), ClosedError);
      await rejects(file.datasync(), ClosedError);
      await rejects(file.truncate(0), ClosedError);
      await rejects(file.size(), ClosedError);
    },
  ],
  [
    'knows what is there',
    async (directory) => {
      await directory.makeDirectory('d');
      await put(directory, 'd/a', 'four');
      const [file, folder] = [await directory.stat('d/a'), await directory.stat('d')];
      assert.deepEqual([file?.kind, file?.size, folder?.kind], ['file', 4, 'directory']);
      assert.equal(await directory.stat('d/b'), undefined);
      assert.equal(await directory.stat('nowhere/at/all'), undefined);
    },
  ],
  [
    'lists names in order, and nothing for a missing folder',
    async (directory) => {
      await directory.makeDirectory('d');
      await directory.makeDirectory('d/z');
      for (const name of ['b', 'a', 'B']) await put(directory, `d/${name}`, '');
      await put(directory, 'd/z/deeper', '');
      assert.deepEqual(await directory.list('d'), ['B', 'a', 'b', 'z']);
      assert.deepEqual(await directory.list(''), ['d']);
      assert.deepEqual(await directory.list('missing'), []);
      await rejects(directory.list('d/a'), StorageError);
    },
  ],
  [
    'renames over what is there',
    async (directory) => {
      await directory.makeDirectory('d');
      await put(directory, 'a', 'new');
      await put(directory, 'd/b', 'old');
      await directory.rename('a', 'd/b');
      assert.equal(decode(await readBytes(directory, 'd/b')), 'new');
      assert.equal(await directory.stat('a'), undefined);
      await rejects(directory.rename('a', 'd/c'), NotFoundError);
    },
  ],
  [
    'removes files, but not what is missing and not folders',
    async (directory) => {
      await directory.makeDirectory('d');
      await put(directory, 'a', '');
      await directory.remove('a');
      assert.equal(await directory.stat('a'), undefined);
      await rejects(directory.remove('a'), NotFoundError);
      await rejects(directory.remove('d'), StorageError);
    },
  ],
  [
    'keeps a removed file readable for those who have it open',
    async (directory) => {
      await put(directory, 'a', 'still here');
      await using(await directory.open('a', 'read'), async (file) => {
        await directory.remove('a');
        const target = new Uint8Array(10);
        assert.equal(await readFully(file, target, 0), 10);
        assert.equal(decode(target), 'still here');
      });
    },
  ],
  [
    'makes one folder, in a folder that is there',
    async (directory) => {
      await directory.makeDirectory('d');
      await rejects(directory.makeDirectory('d'), AlreadyExistsError);
      await rejects(directory.makeDirectory('x/y'), NotFoundError);
    },
  ],
  [
    'syncs folders, and refuses to sync what is missing',
    async (directory) => {
      await directory.makeDirectory('d');
      await directory.syncDirectory('d');
      await directory.syncDirectory('');
      await rejects(directory.syncDirectory('missing'), NotFoundError);
    },
  ],
  [
    'refuses every path that could leave the root, in every operation, and touches nothing',
    async (directory) => {
      await put(directory, 'a', 'kept');
      for (const path of ['../x', 'd/../../x', '/etc/passwd', 'x\0y', 'x\\y', 'C:/x', '..']) {
        await rejects(directory.open(path, 'create'), PathError);
        await rejects(directory.open(path, 'read'), PathError);
        await rejects(directory.stat(path), PathError);
        await rejects(directory.list(path), PathError);
        await rejects(directory.makeDirectory(path), PathError);
        await rejects(directory.rename('a', path), PathError);
        await rejects(directory.rename(path, 'a'), PathError);
        await rejects(directory.remove(path), PathError);
        await rejects(directory.syncDirectory(path), PathError);
        await rejects(directory.lock(path), PathError);
      }
      assert.deepEqual(await directory.list(''), ['a']);
      assert.equal(decode(await readBytes(directory, './a')), 'kept');
    },
  ],
  [
    'locks against a second holder until released',
    async (directory) => {
      const lock = await directory.lock('LOCK');
      await assert.rejects(directory.lock('LOCK'), (error: unknown) => {
        assert.ok(error instanceof LockError);
        assert.equal(error.pid, process.pid);
        return true;
      });
      await lock.release();
      await lock.release();
      const again = await directory.lock('LOCK');
      assert.equal((await directory.stat('LOCK'))?.kind, 'file');
      await again.release();
    },
  ],
  [
    'locks two files independently',
    async (directory) => {
      const locks = [await directory.lock('one'), await directory.lock('two')];
      for (const lock of locks) await lock.release();
    },
  ],
  [
    'carries the durable operations',
    async (directory) => {
      await makeDirectoryDurable(directory, 'x/y/z');
      await makeDirectoryDurable(directory, 'x/y/z');
      await writeBytesAtomically(directory, 'x/y/a', text('one'));
      await writeBytesAtomically(directory, 'x/y/a', text('two'));
      await renameDurable(directory, 'x/y/a', 'x/y/z/b');
      assert.equal(decode(await readBytes(directory, 'x/y/z/b')), 'two');
      await removeDurable(directory, 'x/y/z/b');
      await removeDurable(directory, 'x/y/z/b');
      assert.deepEqual(await directory.list('x/y'), ['z']);
    },
  ],
];
