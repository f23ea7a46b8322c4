// A clock for stores that stands still until a test moves it.

import type { StoreClock } from '#src/store/clock.js';

export class ManualClock implements StoreClock {
  #now = 0;
  #calls: { at: number; call: () => void }[] = [];

  /** Delays that have not passed. */
  get pending(): number {
    return this.#calls.length;
  }

  elapsed(): number {
    return this.#now;
  }

  after(milliseconds: number, call: () => void): () => void {
    const entry = { at: this.#now + milliseconds, call };
    this.#calls.push(entry);
    return () => void (this.#calls = this.#calls.filter((other) => other !== entry));
  }

  /** Lets time pass, and calls what is due. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#calls.filter(({ at }) => at <= this.#now);
    this.#calls = this.#calls.filter(({ at }) => at > this.#now);
    for (const { call } of due) call();
  }
}
