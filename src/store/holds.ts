// Who still needs which part of the log. Truncation goes no further than the lowest hold, and can say whose it is.

/** A reason to keep the log behind a position. */
export interface Hold {
  /** For people: `subscription 'mailer'`, `tail`, `older checkpoint`. */
  readonly name: string;
  /** Everything after this position is needed. */
  readonly position: number;
}

export class Holds {
  readonly #holds = new Set<() => Hold | undefined>();

  /** Adds a hold whose position may move; `undefined` while it holds nothing. Returns how to give it up. */
  add(hold: () => Hold | undefined): () => void {
    this.#holds.add(hold);
    return () => void this.#holds.delete(hold);
  }

  current(): Hold[] {
    return [...this.#holds].map((hold) => hold()).filter((hold) => hold !== undefined);
  }
}
