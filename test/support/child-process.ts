// Other processes and threads, for what only another one can show. They are the compiled files of `children/`, and none
// of them outlives the test run.

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import * as readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

/** A child as a thread of this process. */
export function startThread(name: string, data: readonly string[]): Worker {
  const thread = new Worker(childFile(name), { workerData: data });
  threads.add(thread);
  return thread;
}

function childFile(name: string): string {
  return fileURLToPath(new URL(`./children/${name}.js`, import.meta.url));
}

export class Child {
  readonly process: ChildProcess;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #lines: AsyncIterator<string>;

  /** `through`: a program with its arguments that starts the rest of its command line, such as `prlimit`. */
  constructor(name: string, args: readonly string[], through: readonly string[] = [], options: SpawnOptions = {}) {
    const [program, ...rest] = [...through, process.execPath, childFile(name), ...args];
    this.process = spawn(program!, rest, { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(this.process);
    this.ended = once(this.process, 'exit').then(([code, signal]) => {
      running.delete(this.process);
      return (code ?? signal) as number | NodeJS.Signals;
    });
    this.#lines = readline.createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The next line that it prints; `undefined` after the last. */
  async line(): Promise<string | undefined> {
    const next = await this.#lines.next();
    return next.done === true ? undefined : next.value;
  }

  /** Lets a child that waits for it go on. */
  goOn(): void {
    this.process.stdin!.write('\n');
  }
}

const running = new Set<ChildProcess>();
const threads = new Set<Worker>();

/** Ends all that are left: a test that fails leaves some behind, and they would keep the test run from ending. */
export async function endChildren(): Promise<void> {
  killChildren();
  await Promise.all([...threads].map((thread) => thread.terminate()));
  threads.clear();
}

function killChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

process.on('exit', killChildren);
