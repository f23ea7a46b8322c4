// A Directory on the file system. Owns plain descriptors, each opened once, used for every operation on its file and
// closed once: syncing through another descriptor can miss the write error, and a collected FileHandle object closes
// its descriptor under whoever still uses the number. The one exception, for durable writes, is in descriptor.ts.

import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  AlreadyExistsError,
  CairnError,
  ClosedError,
  NotFoundError,
  PathError,
  StorageError,
} from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { closeDescriptor, FILE_FLAGS, openDescriptor, openSynced } from './descriptor.js';
import type { Directory, FileHandle, FileInfo, Lock, OpenMode } from './directory.js';
import { defaultLockProvider, type LockProvider } from './lock-provider.js';
import { normalizePath, parentOf } from './path.js';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;

/** Options of {@link FsDirectory.open}. */
export interface FsDirectoryOptions {
  /** How writers exclude each other. Default: what suits the platform, see `defaultLockProvider`. */
  readonly lockProvider?: LockProvider | undefined;
}

/**
 * A {@link Directory} below one folder of the file system.
 *
 * @example
 * const directory = await FsDirectory.open('./data');
 * const wal = await WalWriter.open(directory, { codec: walEntryCodec });
 */
export class FsDirectory implements Directory {
  /** Absolute path of the root, with symlinks resolved. */
  readonly root: string;
  readonly #locks: LockProvider;

  private constructor(root: string, locks: LockProvider) {
    this.root = root;
    this.#locks = locks;
  }

  /** Opens the folder, making it (and its parents) durably if it is missing. */
  static async open(root: string, options: FsDirectoryOptions = {}): Promise<FsDirectory> {
    if (typeof root !== 'string' || root === '' || root.includes('\0'))
      throw new PathError('The root of an FsDirectory must be a path of a folder');
    const absolute = path.resolve(root);
    await attempt(absolute, () => makeFolderDurable(absolute));
    const real = await attempt(absolute, () => fs.promises.realpath(absolute));
    return new FsDirectory(real, options.lockProvider ?? defaultLockProvider());
  }

  async open(name: string, mode: OpenMode): Promise<FileHandle> {
    const { normal, absolute } = await this.#resolve(name);
    const flags = mode === 'read' ? O_RDONLY : mode === 'update' ? O_RDWR : O_RDWR | O_CREAT | O_EXCL;
    return attempt(normal, async () => {
      const descriptor = await openDescriptor(absolute, flags | FILE_FLAGS);
      const file = new FsFile(normal, absolute, descriptor, mode !== 'read');
      try {
        if (!(await file.isRegular())) throw new PathError('Not a regular file', { path: normal });
        return file;
      } catch (error) {
        await file.close();
        throw error;
      }
    });
  }

  async stat(name: string): Promise<FileInfo | undefined> {
    const { normal, absolute } = await this.#resolve(name);
    return attempt(normal, async () => {
      try {
        let stats = await fs.promises.lstat(absolute);
        // A folder may be a symlink, and leads nowhere outside if we got here; a file may not, so it stays `other`.
        if (stats.isSymbolicLink()) {
          const target = await fs.promises.stat(absolute).catch(() => undefined);
          if (target?.isDirectory() === true) stats = target;
        }
        const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other';
        return { kind, size: kind === 'file' ? stats.size : 0, createdAt: Math.max(0, stats.birthtimeMs) };
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  async list(name: string): Promise<string[]> {
    const { normal, absolute } = await this.#resolve(name);
    return attempt(normal, async () => {
      try {
        return (await fs.promises.readdir(absolute)).sort();
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    });
  }

  async makeDirectory(name: string): Promise<void> {
    const { normal, absolute } = await this.#resolve(name);
    await attempt(normal, () => fs.promises.mkdir(absolute));
  }

  async rename(from: string, to: string): Promise<void> {
    const source = await this.#resolve(from);
    const target = await this.#resolve(to);
    await attempt(source.normal, () => fs.promises.rename(source.absolute, target.absolute));
  }

  async remove(name: string): Promise<void> {
    const { normal, absolute } = await this.#resolve(name);
    await attempt(normal, () => fs.promises.unlink(absolute));
  }

  async syncDirectory(name: string): Promise<void> {
    const { normal, absolute } = await this.#resolve(name);
    await attempt(normal, () => syncFolder(absolute));
  }

  async lock(name: string): Promise<Lock> {
    const { normal, absolute } = await this.#resolve(name);
    const lock = await attempt(normal, () => this.#locks.lock(absolute));
    return { release: () => attempt(normal, () => lock.release()) };
  }

  /** Checks the path's form, then that no symlink on the way to its last name leads out of the root. */
  async #resolve(name: string): Promise<{ normal: string; absolute: string }> {
    const normal = normalizePath(name);
    const absolute = path.join(this.root, normal);
    const real = await realPath(absolute, normal);
    // No symlink anywhere, as nearly always: that took one trip to the thread pool.
    if (real === absolute) return { normal, absolute };
    const parent = path.join(this.root, parentOf(normal));
    if (parent !== this.root || normal.includes('/')) this.#stayInside(await realPath(parent, normal), normal);
    // The last name: operations on files refuse symlinks outright (O_NOFOLLOW, lstat); a folder may be one.
    this.#stayInside(real, normal);
    return { normal, absolute };
  }

  #stayInside(real: string | undefined, normal: string): void {
    if (real === undefined) return;
    if (real !== this.root && !real.startsWith(this.root.endsWith(path.sep) ? this.root : this.root + path.sep))
      throw new PathError('A symlink leads out of the directory; move the data in, or open the directory there', {
        path: normal,
      });
  }
}

/** Without symlinks; `undefined` for what is missing: the operation itself will say so. */
async function realPath(absolute: string, normal: string): Promise<string | undefined> {
  try {
    return await fs.promises.realpath(absolute);
  } catch (error) {
    // A dangling symlink is missing too, and O_NOFOLLOW refuses it.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw translate(error, normal);
  }
}

class FsFile implements FileHandle {
  readonly path: string;
  readonly #absolute: string;
  #descriptor: number | undefined;
  /** Whose writes are durable when they return. `unasked` until the first durable write, `undefined` if there is none. */
  #synced: number | 'unasked' | undefined;

  constructor(name: string, absolute: string, descriptor: number, writable: boolean) {
    this.path = name;
    this.#absolute = absolute;
    this.#descriptor = descriptor;
    this.#synced = writable ? 'unasked' : undefined;
  }

  isRegular(): Promise<boolean> {
    return this.#run((descriptor, done) => fs.fstat(descriptor, (error, stats) => done(error, stats?.isFile())));
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#run((descriptor, done) => fs.read(descriptor, target, 0, target.length, offset, done), offset);
  }

  write(source: Uint8Array, offset: number): Promise<number> {
    return this.#run((descriptor, done) => fs.write(descriptor, source, 0, source.length, offset, done), offset);
  }

  async writeDurably(source: Uint8Array, offset: number): Promise<number> {
    if (this.#descriptor !== undefined && this.#synced === 'unasked')
      this.#synced = await openSynced(this.#absolute, this.#descriptor);
    const synced = this.#synced as number | undefined;
    if (this.#descriptor !== undefined && synced !== undefined)
      return this.#run((_, done) => fs.write(synced, source, 0, source.length, offset, done), offset);
    const count = await this.write(source, offset);
    await this.datasync();
    return count;
  }

  datasync(): Promise<void> {
    return this.#run((descriptor, done) => fs.fdatasync(descriptor, done));
  }

  truncate(size: number): Promise<void> {
    return this.#run((descriptor, done) => fs.ftruncate(descriptor, size, done), size);
  }

  size(): Promise<number> {
    return this.#run((descriptor, done) => fs.fstat(descriptor, (error, stats) => done(error, stats?.size)));
  }

  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    const synced = this.#synced;
    if (descriptor === undefined) return;
    // Forgotten first: whatever close says, the number may already belong to another file.
    this.#descriptor = undefined;
    this.#synced = undefined;
    await attempt(this.path, async () => {
      try {
        if (typeof synced === 'number') await closeDescriptor(synced);
      } finally {
        await closeDescriptor(descriptor);
      }
    });
  }

  #run<T>(
    operation: (descriptor: number, done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void,
    offset?: number,
  ): Promise<T> {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return Promise.reject(new ClosedError('The file is closed', { path: this.path }));
    return new Promise((resolve, reject) => {
      operation(descriptor, (error, value) => {
        if (error) reject(translate(error, this.path, offset));
        else resolve(value as T);
      });
    });
  }
}

/** On Windows a folder cannot be synced; NTFS journals names itself, and the promise there is the weaker for it. */
async function syncFolder(absolute: string): Promise<void> {
  if (process.platform === 'win32') return;
  const descriptor = await openDescriptor(absolute, O_RDONLY);
  try {
    await new Promise<void>((resolve, reject) => fs.fsync(descriptor, (error) => (error ? reject(error) : resolve())));
  } finally {
    await closeDescriptor(descriptor);
  }
}

/**
 * Makes a folder and its missing parents; each new name is synced in its parent. Not `mkdir` with `recursive`: on Linux
 * that tries forever where a folder is there but takes no new names (ENOENT below /proc or an automounter).
 */
async function makeFolderDurable(absolute: string, again = false): Promise<void> {
  const parent = path.dirname(absolute);
  try {
    await fs.promises.mkdir(absolute);
  } catch (error) {
    if (!(await isFolder(absolute))) {
      if (errnoOf(error) === 'EEXIST')
        throw new AlreadyExistsError('A file is where a folder should be', { path: absolute, cause: error });
      if (errnoOf(error) !== 'ENOENT' || again) throw error;
      // The parent may also have been made by somebody else just now.
      if (!(await isFolder(parent))) await makeFolderDurable(parent);
      return makeFolderDurable(absolute, true);
    }
    // Also where it was there already: whoever made it may have ended before its name was synced.
    return syncFolder(path.dirname(await fs.promises.realpath(absolute))).catch(unlessNotOurs);
  }
  await syncFolder(parent);
}

function isFolder(absolute: string): Promise<boolean> {
  return fs.promises.stat(absolute).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

/** The folder around the root may belong to others, or be read-only: then its names are taken as they are. */
function unlessNotOurs(error: unknown): void {
  if (!['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error;
}

async function attempt<T>(name: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw translate(error, name);
  }
}

function errnoOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function translate(error: unknown, name: string, offset?: number): Error {
  if (error instanceof CairnError) return error;
  const errno = errnoOf(error);
  const facts = { path: name, offset, cause: error };
  if (errno === 'ENOENT') return new NotFoundError('No such file or folder', facts);
  if (errno === 'EEXIST') return new AlreadyExistsError('The file exists already', facts);
  if (errno === 'ELOOP') return new PathError('The path is a symlink; put the file itself there', facts);
  const advice = ADVICE[errno ?? ''] ?? 'The system refused the operation';
  return new StorageError(`${advice}: ${messageOf(error)}`, { ...facts, errno });
}

const ADVICE: Record<string, string> = {
  ENOSPC: 'The disk is full, free some space',
  EDQUOT: 'The disk quota is used up, free some space',
  EFBIG: 'A file size limit was hit, raise it',
  EROFS: 'The file system is read-only, remount it for writing',
  EACCES: 'Permission denied, check who owns the folder',
  EPERM: 'Permission denied, check who owns the folder',
  EMFILE: 'Too many open files, raise the limit (ulimit -n)',
  ENFILE: 'Too many open files in the system',
  EIO: 'The disk reported an error, check its health',
  ENOTDIR: 'A file is where a folder should be',
  EISDIR: 'A folder is where a file should be',
};
