// Time that passes, as a parameter: tests hand in a clock of their own.

/** Calls `call` after so many milliseconds, unless what it returns is called before. */
export type Timer = (milliseconds: number, call: () => void) => () => void;

/** The longest that Node waits; for anything above it would not wait at all. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemTimer: Timer = (milliseconds, call) => {
  const timeout = setTimeout(call, Math.min(milliseconds, LONGEST_MS));
  return () => clearTimeout(timeout);
};
