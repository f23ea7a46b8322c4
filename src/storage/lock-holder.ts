// What a lock file says about the process that holds it: good for an error message and for guessing whether a killed
// holder is still being torn down. Never a reason to take or refuse a lock that the kernel can speak for.

import * as fs from 'node:fs';
import * as os from 'node:os';

/** Contents of a lock file. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** Start time in the kernel's ticks: tells a reused pid from the holder. Linux only. */
  readonly startTime?: string | undefined;
  /** Network namespace and boot of the holder; written only by the socket provider. */
  readonly network?: string | undefined;
  readonly boot?: string | undefined;
}

export async function writeHolder(
  file: fs.promises.FileHandle,
  more: Pick<LockHolder, 'network' | 'boot'> = {},
): Promise<void> {
  const holder: LockHolder = {
    pid: process.pid,
    host: os.hostname(),
    startTime: (await processInfo(process.pid))?.startTime,
    ...more,
  };
  await file.truncate(0);
  await file.write(`${JSON.stringify(holder)}\n`, 0);
}

/** `undefined` when the file is missing, empty, being written, or from another program. */
export async function readHolder(path: string): Promise<LockHolder | undefined> {
  try {
    const holder = JSON.parse(await fs.promises.readFile(path, 'utf8')) as LockHolder | null;
    return Number.isSafeInteger(holder?.pid) ? (holder as LockHolder) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the holder still runs, as far as this process can see. */
export async function isAlive(holder: LockHolder): Promise<boolean> {
  if (holder.host !== os.hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const info = await processInfo(holder.pid);
  if (info === undefined) return process.platform !== 'linux';
  // A zombie answers signals but holds nothing; another start time is another process.
  if (info.state === 'Z' || info.state === 'X') return false;
  return holder.startTime === undefined || holder.startTime === info.startTime;
}

async function processInfo(pid: number): Promise<{ state: string; startTime: string } | undefined> {
  try {
    const stat = await fs.promises.readFile(`/proc/${pid}/stat`, 'utf8');
    // The command name in parentheses may hold anything, so fields are counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, startTime: fields[19]! };
  } catch {
    return undefined;
  }
}
