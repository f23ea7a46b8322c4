// Work on the files of a log that must not overlap with more of its kind, such as two truncations of one writer.

/** Runs what is asked for on behalf of one owner in the order of the calls, one after the other. */
export class Turns {
  readonly #last = new WeakMap<object, Promise<unknown>>();

  take<R>(owner: object, work: () => Promise<R>): Promise<R> {
    const before = this.#last.get(owner);
    const done = before === undefined ? work() : before.then(work, work);
    // Whether it failed is for its caller.
    this.#last.set(
      owner,
      done.catch(() => undefined),
    );
    return done;
  }
}
