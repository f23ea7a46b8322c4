// A process that writes numbered units, and what it said: kept here, outside of whatever becomes of the file system that
// it writes to.

import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { atTheEnd } from './cleanup.js';
import type { WriteUnits } from './children/write-units.js';

/** Units, and the position that they lead to. */
export interface Units {
  readonly units: number;
  readonly position: number;
}

/** What a writer has said about its units. */
export interface Noted {
  /** What it was found with; `undefined` if it never came to be open. */
  readonly opened: Units | undefined;
  /** The last that was acknowledged. */
  readonly acknowledged: Units | undefined;
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

  /** What it has said up to now: read from where it was noted, so that nothing is still on its way. */
  noted(): Noted {
    const lines = fs.readFileSync(this.#noted, 'latin1').split('\n').slice(0, -1);
    let opened: Units | undefined;
    let acknowledged: Units | undefined;
    for (const line of lines) {
      const [units, position] = line.replace('open ', '').split(' ').map(Number) as [number, number];
      if (line.startsWith('open ')) opened = { units, position };
      else if (position > (acknowledged?.position ?? 0)) acknowledged = { units, position };
    }
    return { opened, acknowledged, count: lines.length - (opened === undefined ? 0 : 1) };
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

let count = 0;
