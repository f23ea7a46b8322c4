// Time for stores that stands still until a test moves it, and then moves in one tick: unlike `manualClock` of the testing
// kit, nothing that it starts has run when `advance` returns.

import type { After } from 'cairnlog';

export class ManualTime {
  #now = 0;
  #calls: { at: number; call: () => void }[] = [];

  /** Delays that have not passed. */
  get pending(): number {
    return this.#calls.length;
  }

  elapsed = (): number => this.#now;

  after: After = (milliseconds, call) => {
    const entry = { at: this.#now + milliseconds, call };
    this.#calls.push(entry);
    return () => void (this.#calls = this.#calls.filter((other) => other !== entry));
  };

  /** Lets time pass, and calls what is due. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#calls.filter(({ at }) => at <= this.#now);
    this.#calls = this.#calls.filter(({ at }) => at > this.#now);
    for (const { call } of due) call();
  }
}
