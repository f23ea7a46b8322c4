// A directory whose operations can be held up, to see what happens while the disk is busy.

import type { Directory } from 'cairnlog';
import type { FileHandle, FileInfo, Lock, OpenMode } from 'cairnlog/storage';

type Held = 'write' | 'datasync' | 'create' | 'read' | 'rename' | 'remove';

export class HeldDirectory implements Directory {
  /** Operations of these kinds wait for {@link release}. */
  readonly holds = new Set<Held>();
  /** How many wait now. */
  waiting = 0;
  readonly #inner: Directory;
  #released: (() => void)[] = [];

  constructor(inner: Directory) {
    this.#inner = inner;
  }

  /** Lets everything that waits go on; what comes later waits again, as long as its kind is held. */
  release(): void {
    for (const go of this.#released.splice(0)) go();
  }

  /** Lets everything go on, now and later. */
  releaseAll(): void {
    this.holds.clear();
    this.release();
  }

  /** Resolves once something waits. */
  async blocked(): Promise<void> {
    while (this.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  }

  async pass(kind: Held): Promise<void> {
    if (!this.holds.has(kind)) return;
    this.waiting++;
    await new Promise<void>((resolve) => this.#released.push(resolve));
    this.waiting--;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    if (mode === 'create') await this.pass('create');
    return heldHandle(await this.#inner.open(path, mode), this);
  }
  stat(path: string): Promise<FileInfo | undefined> {
    return this.#inner.stat(path);
  }
  list(path: string): Promise<string[]> {
    return this.#inner.list(path);
  }
  makeDirectory(path: string): Promise<void> {
    return this.#inner.makeDirectory(path);
  }
  async rename(from: string, to: string): Promise<void> {
    await this.pass('rename');
    return this.#inner.rename(from, to);
  }
  async remove(path: string): Promise<void> {
    await this.pass('remove');
    return this.#inner.remove(path);
  }
  syncDirectory(path: string): Promise<void> {
    return this.#inner.syncDirectory(path);
  }
  lock(path: string): Promise<Lock> {
    return this.#inner.lock(path);
  }
}

function heldHandle(inner: FileHandle, directory: HeldDirectory): FileHandle {
  return {
    path: inner.path,
    async read(target, offset) {
      await directory.pass('read');
      return inner.read(target, offset);
    },
    async write(source, offset) {
      await directory.pass('write');
      return inner.write(source, offset);
    },
    async datasync() {
      await directory.pass('datasync');
      return inner.datasync();
    },
    truncate: (size) => inner.truncate(size),
    size: () => inner.size(),
    close: () => inner.close(),
  };
}
