// Other processes, for what only another process can show. They are the compiled files of `children/`, and none of them
// outlives the test run.

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import * as readline from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Path of a compiled child, for those who start it in a way of their own. */
export function childFile(name: string): string {
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

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
