// A disk that can lose power. Files have bytes in the page cache and bytes on the platter, directories have names that
// are known and names that are durable, and only a sync moves anything from the one to the other; what a power cut
// leaves of the rest is chosen by the test.
//
// Modelled after what file systems are allowed to do (POSIX, and what ext4, xfs and btrfs were seen to do): pages reach
// the disk in any order or not at all, a file may grow before its data arrives, a name may be durable without its
// file's contents and the other way round, and after a failed sync a page is clean although it was never written.

import { AlreadyExistsError, ClosedError, LockError, NotFoundError, PathError, StorageError } from '../errors/index.js';
import type { Directory, FileHandle, FileInfo, Lock, OpenMode } from '../storage/index.js';
import { normalizePath, parentOf } from '../storage/path.js';

/** What becomes of unsynced data and names at a power cut. Each is asked for every single item. */
export interface PowerCut {
  /** Bytes that are written or lost together. Default 512, a sector. */
  readonly pageBytes?: number;
  /** An unsynced page: does it reach the disk (`new`), keep what was there (`old`), or read as zeros or garbage? */
  readonly page: (path: string, page: number) => 'new' | 'old' | 'zero' | 'garbage';
  /** Does an unsynced change of a file's size reach the disk? A page that is beyond the size is lost with it. */
  readonly size: (path: string) => boolean;
  /** Does an unsynced change of names reach the disk? Asked in the order in which they were made. */
  readonly name: (change: NameChange) => boolean;
}

/** An unsynced change of a directory. */
export interface NameChange {
  readonly kind: 'link' | 'unlink' | 'rename';
  readonly path: string;
  /** Of `rename`: where to. */
  readonly to?: string;
}

interface Inode {
  readonly kind: 'file' | 'directory';
  /** Page cache. */
  bytes: Uint8Array;
  size: number;
  /** What is on the platter. */
  durable: Uint8Array;
  /** Pages (of the smallest size, 512) that the cache has and the platter may not. */
  readonly dirty: Set<number>;
  sizeDirty: boolean;
}

const SECTOR = 512;

/** All unsynced data and names are lost: the harshest power cut. */
export const loseEverything: PowerCut = { page: () => 'old', size: () => false, name: () => false };

/** Everything happens to have reached the disk: as when only the process ends. */
export const loseNothing: PowerCut = { page: () => 'new', size: () => true, name: () => true };

/**
 * A {@link Directory} on a simulated disk.
 *
 * @example
 * const disk = new SimulatedDisk();
 * const wal = await WalWriter.open(disk, { codec: walEntryCodec });
 * await wal.appendDurable(entry);
 * const after = disk.afterPowerCut(loseEverything);
 * const survivor = await WalWriter.open(after, { codec: walEntryCodec });
 */
export class SimulatedDisk implements Directory {
  #names = new Map<string, Inode>([['', folder()]]);
  #durableNames = new Map<string, Inode>();
  #pending: (NameChange & { readonly inode: Inode })[] = [];
  #locks = new Set<string>();
  /** Decides whether a sync fails; its pages then count as clean without being on the platter. */
  failSync: (path: string) => boolean = () => false;

  constructor() {
    this.#durableNames = new Map(this.#names);
  }

  /** The disk as it is found after a power cut now. This one goes on as if nothing had happened. */
  afterPowerCut(cut: PowerCut): SimulatedDisk {
    const found = new SimulatedDisk();
    const names = new Map(this.#durableNames);
    for (const change of this.#pending) if (cut.name(change)) apply(names, change);
    const inodes = new Map<Inode, Inode>();
    found.#names = new Map();
    for (const [path, inode] of names) {
      // A name whose folder did not make it is not reachable.
      if (path !== '' && !names.has(parentOf(path))) continue;
      const copy = inodes.get(inode) ?? survivor(inode, path, cut);
      inodes.set(inode, copy);
      found.#names.set(path, copy);
    }
    for (const path of found.#names.keys())
      if (path !== '' && !reachable(found.#names, path)) found.#names.delete(path);
    found.#durableNames = new Map(found.#names);
    return found;
  }

  /** The disk as the next process finds it after this one was killed: page cache kept, locks gone. */
  afterProcessEnd(): SimulatedDisk {
    const found = new SimulatedDisk();
    found.#names = new Map(this.#names);
    found.#durableNames = new Map(this.#durableNames);
    found.#pending = [...this.#pending];
    return found;
  }

  /** Bytes of a file as a process sees them; `undefined` if it is not there. */
  peek(path: string): Uint8Array | undefined {
    const inode = this.#names.get(normalizePath(path));
    return inode?.kind === 'file' ? inode.bytes.slice(0, inode.size) : undefined;
  }

  /** All files, as a process sees them. */
  files(): string[] {
    return [...this.#names]
      .filter(([, inode]) => inode.kind === 'file')
      .map(([path]) => path)
      .sort();
  }

  /** How much a power cut could decide: unsynced sectors, sizes and names. */
  unsynced(): { readonly sectors: number; readonly sizes: number; readonly names: number } {
    let sectors = 0;
    let sizes = 0;
    for (const inode of new Set([...this.#names.values(), ...this.#durableNames.values()])) {
      sectors += inode.dirty.size;
      sizes += inode.sizeDirty ? 1 : 0;
    }
    return { sectors, sizes, names: this.#pending.length };
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const name = normalizePath(path);
    let inode = this.#names.get(name);
    if (inode?.kind === 'directory') throw new PathError('Not a regular file', { path: name });
    if (mode === 'create') {
      if (inode !== undefined) throw new AlreadyExistsError('The file exists already', { path: name });
      inode = this.#link(name, file());
    }
    if (inode === undefined) throw new NotFoundError('No such file or folder', { path: name });
    return new SimulatedHandle(name, inode, mode !== 'read', () => this.failSync(name));
  }

  async stat(path: string): Promise<FileInfo | undefined> {
    const inode = this.#names.get(normalizePath(path));
    return inode === undefined ? undefined : { kind: inode.kind, size: inode.size, createdAt: 0 };
  }

  async list(path: string): Promise<string[]> {
    const name = normalizePath(path);
    if (this.#names.get(name)?.kind === 'file')
      throw new StorageError('A file is where a folder should be', { path: name });
    return [...this.#names.keys()]
      .filter((entry) => entry !== '' && parentOf(entry) === name)
      .map((entry) => entry.slice(name === '' ? 0 : name.length + 1))
      .sort();
  }

  async makeDirectory(path: string): Promise<void> {
    const name = normalizePath(path);
    if (this.#names.has(name)) throw new AlreadyExistsError('The folder exists already', { path: name });
    this.#link(name, folder());
  }

  async rename(from: string, to: string): Promise<void> {
    const source = normalizePath(from);
    const target = normalizePath(to);
    const inode = this.#file(source);
    if (this.#names.get(target)?.kind === 'directory')
      throw new StorageError('A folder is where a file should be', { path: target });
    this.#needParent(target);
    this.#change({ kind: 'rename', path: source, to: target, inode });
  }

  async remove(path: string): Promise<void> {
    const name = normalizePath(path);
    this.#change({ kind: 'unlink', path: name, inode: this.#file(name) });
  }

  async syncDirectory(path: string): Promise<void> {
    const name = normalizePath(path);
    if (this.#names.get(name)?.kind !== 'directory') throw new NotFoundError('No such file or folder', { path: name });
    if (this.failSync(name)) throw new StorageError('Injected: EIO at syncDirectory', { path: name, errno: 'EIO' });
    // A change touches the folder it is in, and a rename also the one it goes to.
    const touches = (change: NameChange): boolean =>
      parentOf(change.path) === name || (change.to !== undefined && parentOf(change.to) === name);
    for (const change of this.#pending) if (touches(change)) apply(this.#durableNames, change);
    this.#pending = this.#pending.filter((change) => !touches(change));
  }

  async lock(path: string): Promise<Lock> {
    const name = normalizePath(path);
    this.#needParent(name);
    if (this.#locks.has(name)) throw new LockError('The lock is held', { path: name, pid: process.pid });
    this.#locks.add(name);
    if (!this.#names.has(name)) this.#link(name, file());
    return {
      release: async () => {
        this.#locks.delete(name);
      },
    };
  }

  #file(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new NotFoundError('No such file or folder', { path: name });
    if (inode.kind === 'directory') throw new StorageError('A folder is where a file should be', { path: name });
    return inode;
  }

  #needParent(name: string): void {
    if (this.#names.get(parentOf(name))?.kind !== 'directory')
      throw new NotFoundError('No such file or folder', { path: parentOf(name) });
  }

  #link(name: string, inode: Inode): Inode {
    this.#needParent(name);
    this.#change({ kind: 'link', path: name, inode });
    return inode;
  }

  #change(change: NameChange & { readonly inode: Inode }): void {
    apply(this.#names, change);
    this.#pending.push(change);
  }
}

function file(): Inode {
  const none = new Uint8Array(0);
  return { kind: 'file', bytes: none, size: 0, durable: none, dirty: new Set(), sizeDirty: false };
}

/** The platter after a sync: only what is dirty is written, which is why a page lost by a failed sync stays lost. */
function written(inode: Inode): Uint8Array {
  const durable = new Uint8Array(inode.size);
  durable.set(inode.durable.subarray(0, inode.size));
  for (const sector of inode.dirty) {
    const start = sector * SECTOR;
    if (start < inode.size) durable.set(inode.bytes.subarray(start, Math.min(start + SECTOR, inode.size)), start);
  }
  return durable;
}

/** The platter after a durable write: its sectors, and a size that they fit in. */
function writtenBetween(inode: Inode, start: number, end: number): Uint8Array {
  const durable = new Uint8Array(Math.max(inode.durable.length, end));
  durable.set(inode.durable);
  for (const sector of sectorsBetween(start, end)) {
    const at = sector * SECTOR;
    durable.set(inode.bytes.subarray(at, Math.min(at + SECTOR, inode.size, durable.length)), at);
  }
  return durable;
}

function sectorsBetween(start: number, end: number): number[] {
  const first = Math.floor(start / SECTOR);
  return Array.from({ length: Math.ceil(end / SECTOR) - first }, (_, index) => first + index);
}

function folder(): Inode {
  return { ...file(), kind: 'directory' };
}

function apply(names: Map<string, Inode>, change: NameChange & { readonly inode: Inode }): void {
  if (change.kind === 'link') names.set(change.path, change.inode);
  // A name that means another file by now is left alone: its own change is another one.
  else if (names.get(change.path) === change.inode) names.delete(change.path);
  if (change.kind === 'rename') names.set(change.to!, change.inode);
}

function reachable(names: ReadonlyMap<string, Inode>, path: string): boolean {
  return path === '' || (names.has(parentOf(path)) && reachable(names, parentOf(path)));
}

/** What is left of a file after the cut. */
function survivor(inode: Inode, path: string, cut: PowerCut): Inode {
  if (inode.kind === 'directory') return folder();
  const pageBytes = cut.pageBytes ?? SECTOR;
  const size = inode.sizeDirty && cut.size(path) ? inode.size : inode.durable.length;
  const bytes = new Uint8Array(size);
  bytes.set(inode.durable.subarray(0, size));
  const pages = new Set([...inode.dirty].map((sector) => Math.floor((sector * SECTOR) / pageBytes)));
  for (const page of [...pages].sort((a, b) => a - b)) {
    const start = page * pageBytes;
    const end = Math.min(start + pageBytes, size);
    if (start >= size) continue;
    const fate = cut.page(path, page);
    if (fate === 'new') bytes.set(inode.bytes.subarray(start, end), start);
    else if (fate === 'zero') bytes.fill(0, start, end);
    else if (fate === 'garbage') for (let at = start; at < end; at++) bytes[at] = (at * 167 + 13) & 0xff;
  }
  return { ...file(), bytes, size, durable: bytes.slice() };
}

class SimulatedHandle implements FileHandle {
  readonly path: string;
  readonly #inode: Inode;
  readonly #writable: boolean;
  readonly #syncFails: () => boolean;
  #open = true;

  constructor(path: string, inode: Inode, writable: boolean, syncFails: () => boolean) {
    this.path = path;
    this.#inode = inode;
    this.#writable = writable;
    this.#syncFails = syncFails;
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    this.#check();
    const { bytes, size } = this.#inode;
    const count = Math.max(0, Math.min(target.length, size - offset));
    target.set(bytes.subarray(offset, offset + count));
    return count;
  }

  async write(source: Uint8Array, offset: number): Promise<number> {
    this.#check(true);
    const inode = this.#inode;
    if (offset + source.length > inode.size) this.#resize(offset + source.length);
    inode.bytes.set(source, offset);
    this.#dirty(offset, offset + source.length);
    return source.length;
  }

  async writeDurably(source: Uint8Array, offset: number): Promise<number> {
    const count = await this.write(source, offset);
    const inode = this.#inode;
    const fails = this.#syncFails();
    const end = offset + count;
    if (!fails) inode.durable = writtenBetween(inode, offset, end);
    // As little as O_DSYNC promises: what is dirty elsewhere stays so, and so does a size that goes beyond.
    for (const sector of sectorsBetween(offset, end)) inode.dirty.delete(sector);
    if (inode.durable.length === inode.size) inode.sizeDirty = false;
    if (fails) throw new StorageError('Injected: EIO at writeDurably', { path: this.path, errno: 'EIO' });
    return count;
  }

  async datasync(): Promise<void> {
    this.#check();
    const inode = this.#inode;
    const fails = this.#syncFails();
    if (!fails) inode.durable = written(inode);
    // As Linux does: after the failure nothing is left to be written, and the next sync has nothing to complain about.
    inode.dirty.clear();
    inode.sizeDirty = false;
    if (fails) throw new StorageError('Injected: EIO at datasync', { path: this.path, errno: 'EIO' });
  }

  async truncate(size: number): Promise<void> {
    this.#check(true);
    this.#resize(size);
  }

  async size(): Promise<number> {
    this.#check();
    return this.#inode.size;
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #resize(size: number): void {
    const inode = this.#inode;
    if (size === inode.size) return;
    if (size > inode.bytes.length) {
      const grown = new Uint8Array(Math.max(size, inode.bytes.length * 2));
      grown.set(inode.bytes.subarray(0, inode.size));
      inode.bytes = grown;
    }
    if (size < inode.size) inode.bytes.fill(0, size, inode.size);
    else this.#dirty(inode.size, size);
    inode.size = size;
    inode.sizeDirty = true;
  }

  #dirty(start: number, end: number): void {
    for (const sector of sectorsBetween(start, end)) this.#inode.dirty.add(sector);
  }

  #check(writes = false): void {
    if (!this.#open) throw new ClosedError('The file is closed', { path: this.path });
    if (writes && !this.#writable)
      throw new StorageError('The file is open for reading only', { path: this.path, errno: 'EBADF' });
  }
}
