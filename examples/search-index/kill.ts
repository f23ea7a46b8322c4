// Starts a process that works on the index, listens to what it has done, and kills it without warning in the middle of a
// merge. Nothing here waits for time to pass: the process says where it is, and the pipe delivers that in order.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Answer } from './answers.js';
import type { WorkerMessage, WorkOrder } from './worker.js';

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));

/** What the process had said before it was killed. */
export interface Killed {
  readonly pid: number | undefined;
  /** Paths of the documents that it had acknowledged as added, and as deleted. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly answers: readonly Answer[];
  /** The merge that it was in the middle of. */
  readonly transactionId: number;
}

export async function killInTheMiddleOfAMerge(order: WorkOrder): Promise<Killed> {
  const child = spawn(process.execPath, ['--enable-source-maps', WORKER], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  // A worker that dies early says why on stderr; that it does not read its order either is no news.
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(order)}\n`);

  const added: string[] = [];
  const removed: string[] = [];
  let answers: readonly Answer[] = [];
  let transactionId: number | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as WorkerMessage;
    if (message.type === 'added') added.push(...message.paths);
    else if (message.type === 'removed') removed.push(...message.paths);
    else if (message.type === 'answers') answers = message.answers;
    else {
      transactionId = message.transactionId;
      child.kill('SIGKILL');
    }
  }

  const [code] = (await exited) as [number | null];
  if (transactionId === undefined)
    throw new Error(`The worker process ended by itself, with exit code ${code}, before it could be killed`);
  return { pid: child.pid, added, removed, answers, transactionId };
}
