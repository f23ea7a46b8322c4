// What commands answered, by their ids: asking again gets the first answer. The newest are kept, in the order in which
// they were given, so that every recovery forgets the same ones.

/** The answer to a command. */
export interface Answer {
  /** Version of the stream after the command. */
  readonly version: number;
  /** Position of the command's last entry. */
  readonly position: number;
  /** What the command returned. */
  readonly result: unknown;
}

export class Receipts {
  readonly #answers = new Map<string, Answer>();
  readonly #keep: number;

  constructor(keep: number) {
    this.#keep = keep;
  }

  find(stream: string, commandId: string): Answer | undefined {
    return this.#answers.get(receiptKey(stream, commandId));
  }

  add(stream: string, commandId: string, answer: Answer): void {
    if (this.#keep === 0) return;
    this.#answers.set(receiptKey(stream, commandId), answer);
    if (this.#answers.size > this.#keep) this.#answers.delete(this.#answers.keys().next().value!);
  }

  /** All that are kept, oldest first. */
  *entries(): Generator<readonly [stream: string, commandId: string, Answer]> {
    for (const [joined, answer] of this.#answers) {
      const [stream, commandId] = JSON.parse(joined) as [string, string];
      yield [stream, commandId, answer];
    }
  }
}

/** Command ids are unique within an aggregate: the same id sent to two of them is two commands. */
export function receiptKey(stream: string, commandId: string): string {
  return JSON.stringify([stream, commandId]);
}
