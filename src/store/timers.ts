// Waiting, as a parameter: so that a test can let an hour pass in no time.

/**
 * Calls `call` once, after so many milliseconds. Returns how to call it off. With `background`, waiting for it does not
 * keep the process alive.
 */
export type After = (milliseconds: number, call: () => void, background?: boolean) => () => void;

/** The timers of Node. */
export const nodeTimers: After = (milliseconds, call, background = false) => {
  const timer = setTimeout(call, milliseconds);
  if (background) timer.unref();
  return () => clearTimeout(timer);
};
