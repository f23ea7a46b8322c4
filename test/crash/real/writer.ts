// A process that writes numbered units, and what it said: kept here, outside of whatever becomes of the file system that
// it writes to.

import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { atTheEnd } from './cleanup.js';
import type { WriteUnits } from './children/write-units.js';

/** What was acknowledged. */
export interface Acknowledged {
  readonly unit: number;
  readonly position: number;
  /** How many acknowledgements there were. */
  readonly count: number;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** `folder` is where acknowledgements are noted; `through` a program with its arguments that starts the rest. */
export interface WriterPlace {
  readonly folder: string;
  readonly through?: readonly string[];
}

export class Writer {
  readonly options: WriteUnits;
  readonly lines: string[] = [];
  readonly ended: Promise<Ending>;
  /** What it printed to its error output. */
  errors = '';
  readonly #process: ChildProcess;
  readonly #noted: string;
  #waiting: (() => void)[] = [];
  #isOver = false;

  constructor(options: WriteUnits, { folder, through = [] }: WriterPlace) {
    this.options = options;
    this.#noted = path.join(folder, `acknowledged-${count++}`);
    const noted = fs.openSync(this.#noted, 'ax');
    const program = fileURLToPath(new URL('./children/write-units.js', import.meta.url));
    const [name, ...args] = [...through, process.execPath, program, JSON.stringify(options)];
    const child = spawn(name!, args, {
      stdio: ['pipe', 'pipe', 'pipe', noted],
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    });
    fs.closeSync(noted);
    this.#process = child;
    const forget = atTheEnd(() => child.kill('SIGKILL'));
    child.stderr!.on('data', (data) => (this.errors += String(data)));
    child.stdin!.on('error', () => undefined);
    const lines = readline.createInterface({ input: child.stdout! });
    lines.on('line', (line) => {
      this.lines.push(line);
      this.#wake();
    });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      // All that it said was read then.
      child.once('close', (code, signal) => {
        this.#isOver = true;
        forget();
        this.#wake();
        resolve({ code, signal });
      });
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The first line that begins so; `undefined` if it ended without one. */
  async line(beginning: string): Promise<string | undefined> {
    for (;;) {
      const line = this.lines.find((one) => one.startsWith(beginning));
      if (line !== undefined || this.#isOver) return line;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Units and position that it was found with; `undefined` if it never came to be open. */
  get opened(): { readonly units: number; readonly position: number } | undefined {
    const line = this.lines.find((one) => one.startsWith('open '));
    if (line === undefined) return undefined;
    const [units, position] = line.split(' ').slice(1).map(Number);
    return { units: units!, position: position! };
  }

  /** What it was refused, and `closed` if it was not. */
  get outcome(): string {
    return this.lines.find((line) => line.startsWith('refused ') || line === 'closed') ?? '';
  }

  goOn(): void {
    this.#process.stdin!.write('\n');
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** What was acknowledged up to now: read from where it was noted, so that nothing is still on its way. */
  acknowledged(): Acknowledged {
    const lines = fs.readFileSync(this.#noted, 'latin1').split('\n').slice(0, -1);
    let unit = 0;
    let position = 0;
    for (const line of lines) {
      const [one, at] = line.split(' ').map(Number);
      unit = Math.max(unit, one!);
      position = Math.max(position, at!);
    }
    return { unit, position, count: lines.length };
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

let count = 0;
