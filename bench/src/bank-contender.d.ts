// What the scenarios of the store ask of a contender: commands on bank accounts.

import type { Level } from './contender.js';
import type { Meter } from './meter.mjs';

export interface OpenBank {
  /** `callers` execute the commands of bank.mjs, each acknowledged before its next, while the meter goes on. */
  executeFor(callers: number, meter: Meter): Promise<void>;
  /** All accounts that have a command behind them, from what is stored where the bank was opened anew. */
  accounts(): Promise<ReadonlyMap<string, { readonly balance: number; readonly version: number }>>;
  close(): Promise<void>;
}

export interface Bank {
  /** How it is used, for the notes below the table. */
  readonly how: { readonly execute: string };
  open(folder: string, level: Level): Promise<OpenBank>;
}
