// Committed records on their way to whoever watches. One queue, so that everybody sees every record, in the order of
// positions, however a watcher behaves: one that appends while it is told of a record is told of its own records after
// everybody has heard of the first, and one that throws is reported and harms nobody.

/** Somebody who is told of what is committed. */
export interface Watcher<T> {
  /** What one append came to, in order. */
  next(items: readonly T[]): void;
  /** The store is closed, or has failed. Nothing follows. */
  end(error: Error | undefined): void;
}

export class Feed<T> {
  readonly #watchers = new Set<Watcher<T>>();
  readonly #onError: (error: unknown) => void;
  #queue: (readonly T[])[] = [];
  #draining = false;
  #ended: { readonly error: Error | undefined } | undefined;

  /** `onError`: told of what watchers throw. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  /** Adds a watcher; it hears of what is published from now on. Returns how to remove it. */
  watch(watcher: Watcher<T>): () => void {
    if (this.#ended !== undefined) {
      watcher.end(this.#ended.error);
      return () => undefined;
    }
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  publish(items: readonly T[]): void {
    if (this.#watchers.size === 0) return;
    this.#queue.push(items);
    if (this.#draining) return;
    this.#draining = true;
    try {
      while (this.#queue.length > 0) {
        const queue = this.#queue;
        this.#queue = [];
        for (const next of queue) this.#tell((watcher) => watcher.next(next));
      }
    } finally {
      this.#draining = false;
    }
  }

  end(error: Error | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#tell((watcher) => watcher.end(error));
    this.#watchers.clear();
  }

  #tell(call: (watcher: Watcher<T>) => void): void {
    // A copy: a watcher may come or go while the others are told.
    const watchers = [...this.#watchers];
    for (const watcher of watchers) {
      if (!this.#watchers.has(watcher)) continue;
      try {
        call(watcher);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
