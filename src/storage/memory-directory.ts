// A Directory in memory, with the contract of the one on disk: names and open files are separate things, so a removed
// file can still be read through its handle. Syncs do nothing, because nothing here survives the process.

import {
  AlreadyExistsError,
  ClosedError,
  InvalidArgumentError,
  LockError,
  NotFoundError,
  PathError,
  StorageError,
} from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Directory, FileHandle, FileInfo, Lock, OpenMode } from './directory.js';
import { normalizePath, parentOf } from './path.js';

interface MemoryFile {
  bytes: Uint8Array;
  size: number;
  readonly createdAt: number;
}

/**
 * A {@link Directory} for tests and for data that need not outlive the process.
 *
 * @example const wal = await WalWriter.open(new MemoryDirectory(), { codec: walEntryCodec });
 */
export class MemoryDirectory implements Directory {
  readonly #files = new Map<string, MemoryFile>();
  readonly #folders = new Set<string>(['']);
  readonly #locks = new Set<string>();
  readonly #now: () => number;

  /** `now`: milliseconds since 1970, for the creation times of files. */
  constructor(options: { readonly now?: (() => number) | undefined } = {}) {
    this.#now = options.now ?? Date.now;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const name = normalizePath(path);
    if (this.#folders.has(name)) throw new PathError('Not a regular file', { path: name });
    let file = this.#files.get(name);
    if (mode === 'create') {
      if (file !== undefined) throw new AlreadyExistsError('The file exists already', { path: name });
      this.#needParent(name);
      file = { bytes: new Uint8Array(0), size: 0, createdAt: this.#now() };
      this.#files.set(name, file);
    }
    if (file === undefined) throw new NotFoundError('No such file or folder', { path: name });
    return new MemoryFileHandle(name, file, mode !== 'read');
  }

  async stat(path: string): Promise<FileInfo | undefined> {
    const name = normalizePath(path);
    const file = this.#files.get(name);
    if (file !== undefined) return { kind: 'file', size: file.size, createdAt: file.createdAt };
    return this.#folders.has(name) ? { kind: 'directory', size: 0, createdAt: 0 } : undefined;
  }

  async list(path: string): Promise<string[]> {
    const name = normalizePath(path);
    if (this.#files.has(name)) throw new StorageError('A file is where a folder should be', { path: name });
    const names: string[] = [];
    for (const entry of [...this.#files.keys(), ...this.#folders])
      if (entry !== '' && parentOf(entry) === name) names.push(entry.slice(name === '' ? 0 : name.length + 1));
    return names.sort();
  }

  async makeDirectory(path: string): Promise<void> {
    const name = normalizePath(path);
    if (this.#folders.has(name) || this.#files.has(name))
      throw new AlreadyExistsError('The folder exists already', { path: name });
    this.#needParent(name);
    this.#folders.add(name);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = normalizePath(from);
    const target = normalizePath(to);
    const file = this.#files.get(source);
    if (file === undefined) throw new NotFoundError('No such file or folder', { path: source });
    if (this.#folders.has(target)) throw new StorageError('A folder is where a file should be', { path: target });
    this.#needParent(target);
    this.#files.delete(source);
    this.#files.set(target, file);
  }

  async remove(path: string): Promise<void> {
    const name = normalizePath(path);
    if (this.#folders.has(name)) throw new StorageError('A folder is where a file should be', { path: name });
    if (!this.#files.delete(name)) throw new NotFoundError('No such file or folder', { path: name });
  }

  async syncDirectory(path: string): Promise<void> {
    const name = normalizePath(path);
    if (!this.#folders.has(name)) throw new NotFoundError('No such file or folder', { path: name });
  }

  async lock(path: string): Promise<Lock> {
    const name = normalizePath(path);
    this.#needParent(name);
    if (this.#locks.has(name))
      throw new LockError('This process has this log open for writing already. Close that writer first', {
        path: name,
        pid: process.pid,
      });
    this.#locks.add(name);
    if (!this.#files.has(name)) this.#files.set(name, { bytes: new Uint8Array(0), size: 0, createdAt: this.#now() });
    let held = true;
    return {
      release: async () => {
        if (held) this.#locks.delete(name);
        held = false;
      },
    };
  }

  #needParent(name: string): void {
    if (!this.#folders.has(parentOf(name))) throw new NotFoundError('No such file or folder', { path: parentOf(name) });
  }
}

class MemoryFileHandle implements FileHandle {
  readonly path: string;
  readonly #file: MemoryFile;
  readonly #writable: boolean;
  #open = true;

  constructor(path: string, file: MemoryFile, writable: boolean) {
    this.path = path;
    this.#file = file;
    this.#writable = writable;
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    this.#check(offset, false);
    const count = Math.max(0, Math.min(target.length, this.#file.size - offset));
    target.set(this.#file.bytes.subarray(offset, offset + count));
    return count;
  }

  async write(source: Uint8Array, offset: number): Promise<number> {
    this.#check(offset, true);
    this.#resize(Math.max(this.#file.size, offset + source.length));
    this.#file.bytes.set(source, offset);
    return source.length;
  }

  writeDurably(source: Uint8Array, offset: number): Promise<number> {
    return this.write(source, offset);
  }

  async datasync(): Promise<void> {
    this.#check(0, false);
  }

  async truncate(size: number): Promise<void> {
    this.#check(size, true);
    this.#resize(size);
  }

  async size(): Promise<number> {
    this.#check(0, false);
    return this.#file.size;
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #resize(size: number): void {
    const file = this.#file;
    if (size > file.bytes.length) {
      const grown = new Uint8Array(Math.max(size, file.bytes.length * 2));
      grown.set(file.bytes.subarray(0, file.size));
      file.bytes = grown;
    }
    // What is cut off must read as zeros if the file grows over it again.
    if (size < file.size) file.bytes.fill(0, size, file.size);
    file.size = size;
  }

  #check(offset: number, writes: boolean): void {
    if (!this.#open) throw new ClosedError('The file is closed', { path: this.path });
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new InvalidArgumentError(`An offset must be an integer from 0, got ${shown(offset)}`, { path: this.path });
    if (writes && !this.#writable)
      throw new StorageError('The file is open for reading only', { path: this.path, errno: 'EBADF' });
  }
}
