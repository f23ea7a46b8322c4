// What a scenario asks of a contender. One contender, one file below contenders/, one process of its own.

import type { Meter } from './meter.mjs';

/** What an acknowledged append survives: `flush` the death of the process, `fsync` the loss of power. */
export type Level = 'flush' | 'fsync';

/** What a replay came to; compared with what was appended. */
export interface Tally {
  readonly count: number;
  /** Sum of `docCount`. */
  readonly sum: number;
}

export interface Store {
  /** Appends `entryOf(0)` to `entryOf(count - 1)`, and resolves when all were handed to the operating system. */
  append(count: number): Promise<AppendFacts>;
  /** `callers` append one entry after the other, each durable before its next, while the meter goes on. */
  appendDurably?(callers: number, meter: Meter): Promise<void>;
  /** Reads all entries in order and decodes each to an object. */
  replay(): Promise<Tally>;
  close(): Promise<void>;
}

export interface AppendFacts {
  /** The most entries that were appended and not yet handed to the operating system. */
  readonly mostBehind: number;
}

export interface Contender {
  /** How it is used, for the notes below the table. */
  readonly how: { readonly append: string; readonly replay: string; readonly durable?: string };
  open(folder: string, level: Level): Promise<Store>;
}
