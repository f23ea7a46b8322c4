// Time as the store uses it: to measure, and to be called later. Never to decide what is recovered.

/** A source of durations and delays; give one of your own to decide in a test what time it is. */
export interface StoreClock {
  /** Milliseconds since some fixed moment. */
  elapsed(): number;
  /** Calls once after `milliseconds`. Returns how to call it off. Must not keep the process alive. */
  after(milliseconds: number, call: () => void): () => void;
}

export const systemClock: StoreClock = {
  elapsed: () => performance.now(),
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};
