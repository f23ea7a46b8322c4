// Who still needs which part of the log. Truncation goes no further than the lowest hold, and can say whose it is.

/** A reason to keep the log behind a position. */
export interface Hold {
  /** For people: `subscription 'mailer'`, `tail`, `older checkpoint`. */
  readonly name: string;
  /** Everything after this position is needed. */
  readonly position: number;
}

export class Holds {
  readonly #holds = new Set<() => readonly Hold[]>();

  /** Adds a hold whose position may move; `undefined` while it holds nothing. Returns how to give it up. */
  add(hold: () => Hold | undefined): () => void {
    return this.addAll(() => {
      const current = hold();
      return current === undefined ? [] : [current];
    });
  }

  /** Adds any number of holds. Returns how to give them up. */
  addAll(holds: () => readonly Hold[]): () => void {
    this.#holds.add(holds);
    return () => void this.#holds.delete(holds);
  }

  current(): Hold[] {
    return [...this.#holds].flatMap((holds) => holds());
  }
}
