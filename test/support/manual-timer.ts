// Time that passes only when a test says so.

import type { After } from 'cairnlog';

interface Waiting {
  readonly at: number;
  readonly call: () => void;
}

export class ManualTimer {
  #now = 0;
  readonly #waiting = new Set<Waiting>();
  /** Every delay that was asked for, in order. */
  readonly asked: number[] = [];

  /** As `openStore({ after })` takes it. */
  readonly timer: After = (milliseconds, call) => {
    this.asked.push(milliseconds);
    const waiting = { at: this.#now + milliseconds, call };
    this.#waiting.add(waiting);
    return () => void this.#waiting.delete(waiting);
  };

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Lets time pass; what is due is called, the earliest first. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = [...this.#waiting].filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    for (const waiting of due) if (this.#waiting.delete(waiting)) waiting.call();
  }
}
