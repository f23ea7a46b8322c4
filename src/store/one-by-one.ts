// From batches to items, pulled one at a time. What an async generator does, for a third of its time: an item of a batch
// that is here already costs one promise.

/** Hands out the items of `batches`. `check` is called before every item; what it throws ends the iteration. */
export function oneByOne<T>(
  batches: AsyncGenerator<readonly T[], void, undefined>,
  check: () => void = nothing,
): AsyncGenerator<T, void, undefined> {
  return new OneByOne(batches, check);
}

class OneByOne<T> implements AsyncGenerator<T, void, undefined> {
  readonly #batches: AsyncGenerator<readonly T[], void, undefined>;
  readonly #check: () => void;
  #batch: readonly T[] = [];
  #index = 0;
  /** A call that has to wait, and those behind it. */
  #waiting: Promise<unknown> | undefined;

  constructor(batches: AsyncGenerator<readonly T[], void, undefined>, check: () => void) {
    this.#batches = batches;
    this.#check = check;
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#waiting === undefined && this.#index < this.#batch.length) {
      try {
        this.#check();
        return Promise.resolve({ done: false, value: this.#batch[this.#index++]! });
      } catch {
        // In its turn, where it ends the iteration too.
      }
    }
    return this.#inTurn(() => this.#pull());
  }

  return(): Promise<IteratorResult<T, void>> {
    return this.#inTurn(async () => {
      this.#batch = [];
      await this.#batches.return();
      return { done: true, value: undefined };
    });
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    return this.#inTurn(async () => {
      this.#batch = [];
      await this.#batches.return();
      throw error;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #pull(): Promise<IteratorResult<T, void>> {
    try {
      this.#check();
      while (this.#index >= this.#batch.length) {
        const { done, value } = await this.#batches.next();
        if (done === true) return { done: true, value: undefined };
        this.#batch = value;
        this.#index = 0;
      }
    } catch (error) {
      this.#batch = [];
      await this.#batches.return();
      throw error;
    }
    return { done: false, value: this.#batch[this.#index++]! };
  }

  /** Calls are answered in their order, as those of a generator are. */
  #inTurn<R>(call: () => Promise<R>): Promise<R> {
    const before = this.#waiting;
    const answer = before === undefined ? call() : before.then(call, call);
    const waiting = answer
      .catch(() => undefined)
      .then(() => {
        if (this.#waiting === waiting) this.#waiting = undefined;
      });
    this.#waiting = waiting;
    return answer;
  }
}

function nothing(): void {}
