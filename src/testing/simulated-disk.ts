// A disk that can lose power. Files have bytes in the page cache and bytes on the platter, directories have names that
// are known and names that are durable, and only a sync moves anything from the one to the other; what a power cut
// leaves of the rest is chosen by the test, or by `crashStates`, which tries all there is.
//
// Modelled after what file systems are allowed to do (POSIX, and what ext4, xfs and btrfs were seen to do): pages reach
// the disk in any order or not at all, a file may grow before its data arrives, a name may be durable without its
// file's contents and the other way round, and after a failed sync a page is clean although it was never written.

import { createHash } from 'node:crypto';
import { AlreadyExistsError, ClosedError, LockError, NotFoundError, PathError, StorageError } from '../errors/index.js';
import type { Directory, FileHandle, FileInfo, Lock, OpenMode } from '../storage/index.js';
import { normalizePath, parentOf } from '../storage/path.js';
import type { NameChange, PowerCut, SyncFailure } from './power-cut.js';

interface Inode {
  readonly kind: 'file' | 'directory';
  /** A file keeps its number through renames and power cuts. */
  readonly number: number;
  /** Page cache; the same array as `durable` until it is written to. */
  bytes: Uint8Array;
  size: number;
  /** What is on the platter. Never changed, only replaced: other disks may share it. */
  durable: Uint8Array;
  /** Sectors that the cache has and the platter may not, and when each became so. */
  dirty: Map<number, number>;
  /** When the size was changed; 0 if it is durable. */
  sizeDirty: number;
  /** Failures of writing pages back that nobody has been told of: how many there were so far. */
  failures: number;
  /** Sectors that a failure has made such that nothing gets to the platter any more. */
  readonly unwritable: Set<number>;
}

type PendingChange = NameChange & { readonly inode: Inode; readonly time: number };

const SECTOR = 512;

/** Something that a power cut now would decide about, in the order in which it came to be. */
export type Unsynced =
  | {
      readonly kind: 'sector';
      readonly time: number;
      readonly path: string;
      readonly file: number;
      readonly sector: number;
      /** Bytes of the file on the platter. A sector that has some is written or not, and is never zeros or garbage. */
      readonly durableBytes: number;
    }
  | { readonly kind: 'size'; readonly time: number; readonly path: string; readonly file: number }
  | { readonly kind: 'name'; readonly time: number; readonly change: NameChange };

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
  #names = new Map<string, Inode>([['', folder(0)]]);
  #durableNames = new Map<string, Inode>();
  #pending: PendingChange[] = [];
  #locks = new Set<string>();
  #time = 0;
  #files = 0;
  /** Decides whether a sync fails, and what that leaves. A folder's names stay unsynced when its sync fails. */
  failSync: (path: string) => boolean | SyncFailure = () => false;

  constructor() {
    this.#durableNames = new Map(this.#names);
  }

  /** The disk as it is found after a power cut now. This one goes on as if nothing had happened. */
  afterPowerCut(cut: PowerCut): SimulatedDisk {
    const found = this.#successor();
    const names = new Map(this.#durableNames);
    for (const change of this.#pending) {
      const fate = cut.name(change);
      if (fate !== false) apply(names, change, fate === 'both');
    }
    const inodes = new Map<Inode, Inode>();
    found.#names = new Map();
    for (const [path, inode] of names) {
      if (!reachable(names, path)) continue;
      const copy = inodes.get(inode) ?? survivor(inode, path, cut);
      inodes.set(inode, copy);
      found.#names.set(path, copy);
    }
    const { arriving } = cut;
    const target = arriving === undefined ? undefined : found.#names.get(arriving.path);
    if (arriving !== undefined && target?.kind === 'file') target.durable = target.bytes = overlaid(target, arriving);
    if (target !== undefined) target.size = target.bytes.length;
    found.#durableNames = new Map(found.#names);
    return found;
  }

  /** The disk as the next process finds it after this one was killed: page cache kept, locks gone. */
  afterProcessEnd(): SimulatedDisk {
    const found = this.#successor();
    found.#names = new Map(this.#names);
    found.#durableNames = new Map(this.#durableNames);
    found.#pending = [...this.#pending];
    return found;
  }

  /** As {@link afterProcessEnd}, but what happens to the one is not seen by the other. */
  copy(): SimulatedDisk {
    const found = this.#successor();
    const inodes = new Map<Inode, Inode>();
    const copied = (inode: Inode): Inode => {
      let copy = inodes.get(inode);
      if (copy === undefined) {
        const bytes = inode.bytes === inode.durable ? inode.bytes : inode.bytes.slice(0, inode.size);
        inodes.set(
          inode,
          (copy = { ...inode, bytes, dirty: new Map(inode.dirty), unwritable: new Set(inode.unwritable) }),
        );
      }
      return copy;
    };
    const all = (names: ReadonlyMap<string, Inode>): Map<string, Inode> =>
      new Map([...names].map(([path, inode]) => [path, copied(inode)]));
    found.#names = all(this.#names);
    found.#durableNames = all(this.#durableNames);
    found.#pending = this.#pending.map((change) => ({ ...change, inode: copied(change.inode) }));
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

  /** The same for two disks on which a process sees the same names and bytes. */
  hash(): string {
    const hash = createHash('sha1');
    for (const path of [...this.#names.keys()].sort()) {
      const { kind, bytes, durable, size } = this.#names.get(path)!;
      hash.update(`${path}\0${kind}\0`);
      hash.update(bytes === durable ? hashOf(bytes) : hashOf(bytes.slice(0, size)));
    }
    return hash.digest('base64');
  }

  /** How much a power cut could decide: unsynced sectors, sizes and names. */
  unsynced(): { readonly sectors: number; readonly sizes: number; readonly names: number } {
    let sectors = 0;
    let sizes = 0;
    for (const inode of this.#inodes().keys()) {
      sectors += inode.dirty.size;
      sizes += inode.sizeDirty > 0 ? 1 : 0;
    }
    return { sectors, sizes, names: this.#pending.length };
  }

  /** Everything that a power cut would decide about, oldest first. */
  unsyncedItems(): Unsynced[] {
    const items: Unsynced[] = this.#pending.map(({ kind, path, to, time }) => ({
      kind: 'name',
      time,
      change: { kind, path, ...(to === undefined ? {} : { to }) },
    }));
    for (const [inode, path] of this.#inodes()) {
      const { dirty, sizeDirty, durable, number: file } = inode;
      for (const [sector, time] of dirty)
        items.push({ kind: 'sector', time, path, file, sector, durableBytes: durable.length });
      if (sizeDirty > 0) items.push({ kind: 'size', time: sizeDirty, path, file });
    }
    return items.sort((a, b) => a.time - b.time);
  }

  /**
   * The system writes a file's pages back on its own and fails: they are lost, and read as new. Who had the file open
   * then is told at the next sync; a descriptor that is opened later is not.
   */
  failWriteback(path: string): void {
    const inode = this.#file(normalizePath(path));
    if (inode.dirty.size === 0 && inode.sizeDirty === 0) return;
    spoil(inode, inode.dirty.keys());
    inode.dirty.clear();
    inode.sizeDirty = 0;
    inode.failures++;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const name = normalizePath(path);
    let inode = this.#names.get(name);
    if (inode?.kind === 'directory') throw new PathError('Not a regular file', { path: name });
    if (mode === 'create') {
      if (inode !== undefined) throw new AlreadyExistsError('The file exists already', { path: name });
      inode = this.#link(name, file(++this.#files));
    }
    if (inode === undefined) throw new NotFoundError('No such file or folder', { path: name });
    const clock = (): number => ++this.#time;
    return new SimulatedHandle(name, inode, mode !== 'read', clock, () => this.failSync(name));
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
    this.#link(name, folder(++this.#files));
  }

  async rename(from: string, to: string): Promise<void> {
    const source = normalizePath(from);
    const target = normalizePath(to);
    const inode = this.#file(source);
    if (this.#names.get(target)?.kind === 'directory')
      throw new StorageError('A folder is where a file should be', { path: target });
    this.#needParent(target);
    // Two names of one file: then rename(2) does nothing, and says that all is well.
    if (source !== target && this.#names.get(target) === inode) return;
    this.#change({ kind: 'rename', path: source, to: target }, inode);
  }

  async remove(path: string): Promise<void> {
    const name = normalizePath(path);
    this.#change({ kind: 'unlink', path: name }, this.#file(name));
  }

  async syncDirectory(path: string): Promise<void> {
    const name = normalizePath(path);
    if (this.#names.get(name)?.kind !== 'directory') throw new NotFoundError('No such file or folder', { path: name });
    if (this.failSync(name) !== false)
      throw new StorageError('Injected: EIO at syncDirectory', { path: name, errno: 'EIO' });
    // A change touches the folder it is in, and a rename also the one it goes to.
    const touches = (change: NameChange): boolean =>
      parentOf(change.path) === name || (change.to !== undefined && parentOf(change.to) === name);
    for (const change of this.#pending) if (touches(change)) apply(this.#durableNames, change, false);
    this.#pending = this.#pending.filter((change) => !touches(change));
  }

  async lock(path: string): Promise<Lock> {
    const name = normalizePath(path);
    this.#needParent(name);
    if (this.#locks.has(name)) throw new LockError('The lock is held', { path: name, pid: process.pid });
    this.#locks.add(name);
    if (!this.#names.has(name)) this.#link(name, file(++this.#files));
    return {
      release: async () => {
        this.#locks.delete(name);
      },
    };
  }

  #successor(): SimulatedDisk {
    const found = new SimulatedDisk();
    found.#time = this.#time;
    found.#files = this.#files;
    return found;
  }

  /** Every file and folder once, with a path that leads to it. */
  #inodes(): Map<Inode, string> {
    const inodes = new Map<Inode, string>();
    for (const names of [this.#names, this.#durableNames])
      for (const [path, inode] of names) if (!inodes.has(inode)) inodes.set(inode, path);
    for (const { inode, path } of this.#pending) if (!inodes.has(inode)) inodes.set(inode, path);
    return inodes;
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
    this.#change({ kind: 'link', path: name }, inode);
    return inode;
  }

  #change(change: NameChange, inode: Inode): void {
    const pending = { ...change, inode, time: ++this.#time };
    apply(this.#names, pending, false);
    this.#pending.push(pending);
  }
}

const NONE = new Uint8Array(0);

function file(number: number): Inode {
  return {
    kind: 'file',
    number,
    bytes: NONE,
    size: 0,
    durable: NONE,
    dirty: new Map(),
    sizeDirty: 0,
    failures: 0,
    unwritable: new Set(),
  };
}

function folder(number: number): Inode {
  return { ...file(number), kind: 'directory' };
}

/** Hashes of what is on a platter, which never changes. */
const hashes = new WeakMap<Uint8Array, Uint8Array>();

function hashOf(bytes: Uint8Array): Uint8Array {
  let hash = hashes.get(bytes);
  if (hash === undefined) hashes.set(bytes, (hash = createHash('sha1').update(bytes).digest()));
  return hash;
}

/** The platter after a sync: only what is dirty is written, which is why a page lost by a failed sync stays lost. */
function written(inode: Inode, wrote: (sector: number) => boolean = () => true): Uint8Array {
  const durable = new Uint8Array(inode.size);
  durable.set(inode.durable.subarray(0, inode.size));
  for (const sector of inode.dirty.keys()) {
    const start = sector * SECTOR;
    if (start < inode.size && !inode.unwritable.has(sector) && wrote(sector))
      durable.set(inode.bytes.subarray(start, Math.min(start + SECTOR, inode.size)), start);
  }
  return durable;
}

/** Where there is nothing on the platter yet, nothing will get there. */
function spoil(inode: Inode, sectors: Iterable<number>): void {
  for (const sector of sectors) if (sector * SECTOR >= inode.durable.length) inode.unwritable.add(sector);
}

/** The platter after a durable write: its sectors, and a size that they fit in. */
function writtenBetween(inode: Inode, start: number, end: number): Uint8Array {
  const durable = new Uint8Array(Math.max(inode.durable.length, end));
  durable.set(inode.durable);
  for (const sector of sectorsBetween(start, end)) {
    const at = sector * SECTOR;
    if (!inode.unwritable.has(sector))
      durable.set(inode.bytes.subarray(at, Math.min(at + SECTOR, inode.size, durable.length)), at);
  }
  return durable;
}

function sectorsBetween(start: number, end: number): number[] {
  const first = Math.floor(start / SECTOR);
  return Array.from({ length: Math.ceil(end / SECTOR) - first }, (_, index) => first + index);
}

function apply(names: Map<string, Inode>, change: NameChange & { readonly inode: Inode }, keepSource: boolean): void {
  if (change.kind === 'link') names.set(change.path, change.inode);
  // A name that means another file by now is left alone: its own change is another one.
  else if (names.get(change.path) === change.inode && !keepSource) names.delete(change.path);
  if (change.kind === 'rename') names.set(change.to!, change.inode);
}

/** A name whose folder did not make it leads nowhere. */
function reachable(names: ReadonlyMap<string, Inode>, path: string): boolean {
  return path === '' || (names.has(parentOf(path)) && reachable(names, parentOf(path)));
}

/** What is left of a file after the cut. */
function survivor(inode: Inode, path: string, cut: PowerCut): Inode {
  const { number } = inode;
  if (inode.kind === 'directory') return folder(number);
  const pageBytes = cut.pageBytes ?? SECTOR;
  const size = inode.sizeDirty > 0 && cut.size(path, number) ? inode.size : inode.durable.length;
  let bytes = inode.durable;
  if (size !== bytes.length || inode.dirty.size > 0) {
    bytes = new Uint8Array(size);
    bytes.set(inode.durable.subarray(0, size));
  }
  const pages = new Set([...inode.dirty.keys()].map((sector) => Math.floor((sector * SECTOR) / pageBytes)));
  for (const page of [...pages].sort((a, b) => a - b)) {
    const start = page * pageBytes;
    const end = Math.min(start + pageBytes, size);
    if (start >= size) continue;
    const fate = cut.page(path, page, number);
    if (fate === 'new') bytes.set(inode.bytes.subarray(start, end), start);
    else if (fate === 'zero') bytes.fill(0, start, end);
    else if (fate === 'garbage') bytes.set(garbage(start, end, cut.garbage?.(path, start)), start);
    else if (fate !== 'old') bytes.set(inode.bytes.subarray(start, Math.min(start + fate, end)), start);
  }
  return { ...file(number), bytes, size, durable: bytes };
}

function garbage(start: number, end: number, lay?: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: end - start }, (_, at) =>
    lay === undefined ? ((start + at) * 167 + 13) & 0xff : (lay[at] ?? 0),
  );
}

function overlaid({ bytes }: Inode, { offset, bytes: arriving }: NonNullable<PowerCut['arriving']>): Uint8Array {
  const whole = new Uint8Array(Math.max(bytes.length, offset + arriving.length));
  whole.set(bytes);
  whole.set(arriving, offset);
  return whole;
}

class SimulatedHandle implements FileHandle {
  readonly path: string;
  readonly #inode: Inode;
  readonly #writable: boolean;
  readonly #clock: () => number;
  readonly #syncFails: () => boolean | SyncFailure;
  #open = true;
  /** Failures of this file that this descriptor knows of, or that were before its time. */
  #told: number;

  constructor(
    path: string,
    inode: Inode,
    writable: boolean,
    clock: () => number,
    syncFails: () => boolean | SyncFailure,
  ) {
    this.path = path;
    this.#inode = inode;
    this.#writable = writable;
    this.#clock = clock;
    this.#syncFails = syncFails;
    this.#told = inode.failures;
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
    this.#own();
    inode.bytes.set(source, offset);
    this.#dirty(offset, offset + source.length);
    return source.length;
  }

  async writeDurably(source: Uint8Array, offset: number): Promise<number> {
    const count = await this.write(source, offset);
    const inode = this.#inode;
    const failure = this.#syncFails();
    const fails = failure !== false;
    const end = offset + count;
    if (!fails) inode.durable = writtenBetween(inode, offset, end);
    else if (failure === true || failure.leaves === undefined || failure.leaves === 'unwritable')
      spoil(inode, sectorsBetween(offset, end));
    // As little as O_DSYNC promises: what is dirty elsewhere stays so, and so does a size that goes beyond.
    for (const sector of sectorsBetween(offset, end)) inode.dirty.delete(sector);
    if (inode.durable.length === inode.size) inode.sizeDirty = 0;
    if (fails) throw new StorageError('Injected: EIO at writeDurably', { path: this.path, errno: 'EIO' });
    return count;
  }

  async datasync(): Promise<void> {
    this.#check();
    const inode = this.#inode;
    const fails = this.#syncFails();
    if (fails === false) inode.durable = written(inode);
    else if (fails === true) spoil(inode, inode.dirty.keys());
    else {
      if (fails.wrote !== undefined) inode.durable = written(inode, fails.wrote);
      if (fails.leaves === 'unwritable' || fails.leaves === undefined)
        spoil(
          inode,
          [...inode.dirty.keys()].filter((sector) => fails.wrote?.(sector) !== true),
        );
      if (fails.leaves === 'reverted') {
        inode.bytes = inode.durable;
        inode.size = inode.durable.length;
      }
    }
    // As Linux does: after the failure nothing is left to be written, and the next sync has nothing to complain about.
    inode.dirty.clear();
    inode.sizeDirty = 0;
    const late = this.#told < inode.failures;
    this.#told = inode.failures;
    if (fails !== false || late) throw new StorageError('Injected: EIO at datasync', { path: this.path, errno: 'EIO' });
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
    this.#own();
    if (size < inode.size) {
      inode.bytes.fill(0, size, inode.size);
      for (const sector of inode.unwritable) if (sector * SECTOR >= size) inode.unwritable.delete(sector);
    } else this.#dirty(inode.size, size);
    inode.size = size;
    inode.sizeDirty = this.#clock();
  }

  /** The platter's bytes are shared until somebody writes. */
  #own(): void {
    if (this.#inode.bytes === this.#inode.durable) this.#inode.bytes = this.#inode.bytes.slice();
  }

  #dirty(start: number, end: number): void {
    for (const sector of sectorsBetween(start, end)) this.#inode.dirty.set(sector, this.#clock());
  }

  #check(writes = false): void {
    if (!this.#open) throw new ClosedError('The file is closed', { path: this.path });
    if (writes && !this.#writable)
      throw new StorageError('The file is open for reading only', { path: this.path, errno: 'EBADF' });
  }
}
