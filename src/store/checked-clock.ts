// The clock of a store, which the program may have given: what it says goes into records for good.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

/** The same clock, but it throws {@link InvalidArgumentError} instead of saying what is no time. */
export function checkedClock(now: () => number): () => number {
  return () => {
    const time: unknown = now();
    if (typeof time === 'number' && Number.isFinite(time)) return time;
    throw new InvalidArgumentError(
      `now of openStore must return milliseconds since 1970, as Date.now does; it returned ${shown(time)}`,
    );
  };
}
