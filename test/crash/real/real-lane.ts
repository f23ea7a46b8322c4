// A lane that attacks the promises with the real system: processes that are killed, disks that fill up, file systems
// that lose their power. It says what it needs of the machine before it begins.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import type { Tally } from '../lanes/lane.js';

export interface RealLane {
  readonly name: string;
  /** Counts that must not be zero. */
  readonly needs: readonly string[];
  /** Processes that it keeps busy at the same time. */
  readonly processes: 1 | 2;
  /** Rejects with {@link CannotRun} where the machine has not got what it takes. */
  run(tally: Tally): Promise<void>;
}

/** The lane cannot be run here; the message says why. */
export class CannotRun extends Error {}

export function needRoot(): void {
  if (process.platform !== 'linux') throw new CannotRun('it needs Linux');
  if (process.getuid?.() !== 0) throw new CannotRun('it needs root');
}

/** Programs that must be there. */
export function needPrograms(...names: readonly string[]): void {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  const missing = names.filter((name) => !folders.some((folder) => fs.existsSync(path.join(folder, name))));
  if (missing.length > 0) throw new CannotRun(`there is no program ${missing.join(', ')}`);
}

const execute = promisify(execFile);

/** Runs a program to its end; resolves to what it printed. */
export async function runProgram(name: string, ...args: readonly string[]): Promise<string> {
  return (await execute(name, args)).stdout.trim();
}

/** Does jobs two at a time, in their order. */
export async function twoAtATime<T>(jobs: Iterable<T>, run: (job: T) => Promise<void>): Promise<void> {
  const queue = jobs[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next()) await run(next.value);
  };
  await Promise.all([work(), work()]);
}
