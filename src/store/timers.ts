// Waiting, as a parameter: so that a test can let an hour pass in no time.

/**
 * Calls `call` once, after so many milliseconds. Returns how to call it off. With `background`, waiting for it does not
 * keep the process alive.
 */
export type After = (milliseconds: number, call: () => void, background?: boolean) => () => void;

/** The longest that Node waits; for more it would not wait at all. */
const LONGEST_MS = 2 ** 31 - 1;

/** The timers of Node. */
export const nodeTimers: After = (milliseconds, call, background = false) => {
  const timer = setTimeout(call, Math.min(milliseconds, LONGEST_MS));
  if (background) timer.unref();
  return () => clearTimeout(timer);
};
