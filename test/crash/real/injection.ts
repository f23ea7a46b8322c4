// A fault at the k-th call of one kind that a writer makes to the system, by strace. It is attached to all threads that
// the writer has once everything is loaded, so that only what is done to the writer's files is counted: all of it by the
// one thread of the pool.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';
import type { WriteUnits } from './children/write-units.js';
import { atTheEnd } from './cleanup.js';
import { CannotRun, needPrograms } from './real-lane.js';
import { Writer } from './writer.js';

export interface Injection {
  /** Name of the system call. */
  readonly call: string;
  /** What becomes of it, as strace puts it: `signal=SIGKILL`, `error=EIO`, `retval=0`. */
  readonly fault: string;
  /** The first one that it happens to, from 1. */
  readonly at: number;
  /** To all later ones as well. */
  readonly persistent?: boolean;
}

export interface Injected {
  readonly writer: Writer;
  /** How often it happened. */
  readonly fired: number;
}

/** Rejects with {@link CannotRun} unless it works here. */
export async function needInjection(folder: string): Promise<void> {
  if (process.platform !== 'linux') throw new CannotRun('it needs Linux');
  needPrograms('strace');
  const data = path.join(folder, 'nothing happens');
  const options: WriteUnits = { level: 'log', durability: 'fsync', folder: data, units: 1, atOnce: 1, every: 2 };
  await runInjected(options, { call: 'fsync', fault: 'error=EIO', at: 9999 }, folder);
}

/** Runs a writer to its end, with the fault. `folder` is for what is noted. */
export async function runInjected(options: WriteUnits, injection: Injection, folder: string): Promise<Injected> {
  const { call, fault, at, persistent = false } = injection;
  const writer = new Writer({ ...options, waits: true }, { folder });
  if ((await writer.line('ready')) === undefined) throw new Error(`The writer did not come up: ${writer.errors}`);
  const trace = path.join(folder, `trace-${writer.pid}`);
  const threads = fs.readdirSync(`/proc/${writer.pid}/task`);
  const strace = spawn(
    'strace',
    [
      `--output=${trace}`,
      `--trace=${call}`,
      `--inject=${call}:${fault}:when=${at}${persistent ? '+' : ''}`,
      ...threads.flatMap((thread) => ['-p', thread]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const forget = atTheEnd(() => strace.kill());
  const straceEnded = new Promise<void>((resolve) => strace.once('close', () => resolve()));
  const said: string[] = [];
  const attached = new Promise<void>((resolve) => {
    readline.createInterface({ input: strace.stderr }).on('line', (line) => {
      said.push(line);
      if (said.filter((one) => one.endsWith(' attached')).length === threads.length) resolve();
    });
  });
  try {
    await Promise.race([attached, straceEnded]);
    if (strace.exitCode !== null) throw new CannotRun(`strace cannot attach to a process: ${said.join(', ')}`);
    writer.goOn();
    const { signal } = await writer.ended;
    await straceEnded;
    const lines = fs.readFileSync(trace, 'latin1').split('\n');
    fs.rmSync(trace);
    const fired = fault.startsWith('signal=')
      ? Number(signal === 'SIGKILL')
      : lines.filter((line) => line.includes('(INJECTED)')).length;
    return { writer, fired };
  } finally {
    writer.kill();
    forget();
  }
}
