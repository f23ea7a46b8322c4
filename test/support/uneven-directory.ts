// A directory whose operations take a drawn number of turns of the event loop, so that what runs at once meets in many
// orders, the same ones for the same seed.

import type { Directory } from 'cairnlog';
import type { FileHandle, FileInfo, Lock, OpenMode } from 'cairnlog/storage';

export class UnevenDirectory implements Directory {
  readonly #inner: Directory;
  readonly #turns: () => number;

  /** `turns`: how many turns the next operation takes. */
  constructor(inner: Directory, turns: () => number) {
    this.#inner = inner;
    this.#turns = turns;
  }

  async pass<T>(operation: () => Promise<T>): Promise<T> {
    for (let turns = this.#turns(); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    return operation();
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const inner = await this.pass(() => this.#inner.open(path, mode));
    return {
      path: inner.path,
      read: (target, offset) => this.pass(() => inner.read(target, offset)),
      write: (source, offset) => this.pass(() => inner.write(source, offset)),
      datasync: () => this.pass(() => inner.datasync()),
      truncate: (size) => this.pass(() => inner.truncate(size)),
      size: () => inner.size(),
      close: () => inner.close(),
    };
  }
  stat(path: string): Promise<FileInfo | undefined> {
    return this.#inner.stat(path);
  }
  list(path: string): Promise<string[]> {
    return this.pass(() => this.#inner.list(path));
  }
  makeDirectory(path: string): Promise<void> {
    return this.#inner.makeDirectory(path);
  }
  rename(from: string, to: string): Promise<void> {
    return this.pass(() => this.#inner.rename(from, to));
  }
  remove(path: string): Promise<void> {
    return this.pass(() => this.#inner.remove(path));
  }
  syncDirectory(path: string): Promise<void> {
    return this.#inner.syncDirectory(path);
  }
  lock(path: string): Promise<Lock> {
    return this.#inner.lock(path);
  }
}
