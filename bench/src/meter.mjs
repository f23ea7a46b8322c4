// A timed stretch of work that is bound by the clock. It begins a while after the work does: files are preallocated and
// caches filled by then, as they are in a program that has been running for a while.

/** The least that comes before the stretch, and what it is of the stretch otherwise. */
const WARM_UP_MS = 100;
const WARM_UP_SHARE = 0.5;

export class Meter {
  /** Operations that were begun. Whoever takes the next one counts it. */
  count = 0;
  #before = 0;
  #from = Number.NaN;
  #warmUntil;
  #until;

  /** @param {number} milliseconds */
  constructor(milliseconds) {
    this.#warmUntil = performance.now() + Math.max(WARM_UP_MS, WARM_UP_SHARE * milliseconds);
    this.#until = this.#warmUntil + milliseconds;
  }

  /** Whether there should be one more operation. Asked before each. */
  goesOn() {
    const now = performance.now();
    if (now >= this.#warmUntil && Number.isNaN(this.#from)) {
      this.#from = now;
      this.#before = this.count;
    }
    return now < this.#until;
  }

  /** To be called when all operations are done: those of the stretch, and how long it was. */
  stop() {
    return { operations: this.count - this.#before, milliseconds: performance.now() - this.#from };
  }
}
