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

/** An answer, and the command that it is to. */
interface Receipt {
  readonly stream: string;
  readonly commandId: string;
  readonly answer: Answer;
}

export class Receipts {
  readonly #answers = new Map<string, Receipt>();
  readonly #keep: number;
  /** While a cut is read: what has been forgotten since, oldest first. */
  #forgotten: Receipt[] | undefined;

  constructor(keep: number) {
    this.#keep = keep;
  }

  find(stream: string, commandId: string): Answer | undefined {
    return this.#answers.get(receiptKey(stream, commandId))?.answer;
  }

  add(stream: string, commandId: string, answer: Answer): void {
    if (this.#keep === 0) return;
    const receipt = receiptKey(stream, commandId);
    // Behind all others, also if it was there: the order is that of positions.
    this.#answers.delete(receipt);
    this.#answers.set(receipt, { stream, commandId, answer });
    if (this.#answers.size <= this.#keep) return;
    const [oldest, forgotten] = this.#answers.entries().next().value!;
    this.#answers.delete(oldest);
    this.#forgotten?.push(forgotten);
  }

  /**
   * All that are kept as of now and were given after position `after`, oldest first, to be read at leisure. Call `end`
   * when done.
   */
  cut(after: number, upTo: number): { entries: () => Generator<Receipt>; end: () => void } {
    const forgotten: Receipt[] = [];
    this.#forgotten = forgotten;
    const answers = this.#answers;
    return {
      *entries() {
        let last = after;
        let next = 0;
        // What was forgotten before it could be read comes before everything that is still there.
        function* missed(): Generator<Receipt> {
          for (; next < forgotten.length; next++) {
            const receipt = forgotten[next]!;
            if (receipt.answer.position <= last || receipt.answer.position > upTo) continue;
            last = receipt.answer.position;
            yield receipt;
          }
        }
        for (const receipt of answers.values()) {
          yield* missed();
          const { position } = receipt.answer;
          if (position > upTo) return;
          if (position <= last) continue;
          last = position;
          yield receipt;
        }
        yield* missed();
      },
      end: () => {
        this.#forgotten = undefined;
      },
    };
  }
}

/** Command ids are unique within an aggregate: the same id sent to two of them is two commands. */
export function receiptKey(stream: string, commandId: string): string {
  return `${stream.length}:${stream}${commandId}`;
}
