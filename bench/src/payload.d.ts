// What is appended and how the peers store it: as the value of an ascending integer key.

export interface Payload<E = unknown> {
  /** How an entry is stored, for the notes below the table. */
  readonly storedAs: string;
  readonly entryOf: (index: number) => E;
  readonly encode: (entry: E) => Uint8Array;
  /** Whether bytes are valid until the next call only. */
  readonly reusesBytes: boolean;
  readonly decode: (bytes: Uint8Array) => E;
  /** The number that is added up over all entries to check a replay; `index % 1000`. Throws for an entry not ours. */
  readonly amountOf: (entry: E) => number;
}
