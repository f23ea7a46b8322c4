// News on its way to whoever watches. One queue, so that everybody hears everything in the same order, however a watcher
// behaves: what one of them causes while it is told is told to all of them afterwards, one that comes hears only of what
// is published later, one that goes hears nothing more, and one that throws is reported and harms nobody.

/** Somebody who is told. */
export interface Watcher<T> {
  next(item: T): void;
  /** Nothing follows. */
  end(error: Error | undefined): void;
}

interface Watching<T> {
  readonly watcher: Watcher<T>;
  /** How much had been published when it came. */
  readonly since: number;
}

type News<T> = { readonly item: T } | { readonly ended: Error | undefined };

export class Feed<T> {
  readonly #watching = new Set<Watching<T>>();
  readonly #report: (error: unknown) => void;
  #queue: News<T>[] = [];
  #published = 0;
  #told = 0;
  #telling = false;
  #ended: { readonly error: Error | undefined } | undefined;

  /** `report`: told of what watchers throw; must not throw itself. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Whether publishing does anything. */
  get watched(): boolean {
    return this.#watching.size > 0;
  }

  /** Set once nothing more will be published. */
  get ended(): { readonly error: Error | undefined } | undefined {
    return this.#ended;
  }

  /** Adds a watcher; it hears of what is published from now on. Returns how to remove it. */
  watch(watcher: Watcher<T>): () => void {
    if (this.#ended !== undefined) {
      watcher.end(this.#ended.error);
      return () => undefined;
    }
    const watching = { watcher, since: this.#published };
    this.#watching.add(watching);
    return () => void this.#watching.delete(watching);
  }

  publish(item: T): void {
    if (this.#watching.size === 0 || this.#ended !== undefined) return;
    this.#queue.push({ item });
    this.#tell();
  }

  /** Tells everybody that nothing follows, after what was published before. Whoever comes later is told at once. */
  end(error: Error | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#queue.push({ ended: error });
    this.#tell();
  }

  #tell(): void {
    this.#published++;
    if (this.#telling) return;
    this.#telling = true;
    while (this.#queue.length > 0) {
      const queue = this.#queue;
      this.#queue = [];
      for (const news of queue) {
        this.#told++;
        this.#tellAll(news);
      }
    }
    this.#telling = false;
  }

  #tellAll(news: News<T>): void {
    // A set is walked as it is now: who goes is left out, who comes is met, and told from `since` that it is too early.
    for (const watching of this.#watching) {
      if (watching.since >= this.#told) continue;
      if ('ended' in news) this.#watching.delete(watching);
      try {
        if ('ended' in news) watching.watcher.end(news.ended);
        else watching.watcher.next(news.item);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
