// The calls that reach the operating system, in order: for promises that only show there, such as which descriptor was
// synced. Works on the functions of node:fs themselves, so nothing in the library has to know.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

export interface SystemCall {
  readonly name: 'open' | 'write' | 'fdatasync' | 'fsync' | 'ftruncate' | 'close';
  /** Path that the descriptor was opened under. */
  readonly path: string;
  readonly descriptor: number;
  /** Counts the opens, because the system gives the number of a closed descriptor out again. */
  readonly opening: number;
  readonly flags: number;
}

type Callback = (error: Error | null, ...rest: unknown[]) => void;
type Patched = Record<string, (...args: unknown[]) => unknown>;

/** The calls on files that `work` makes through the callback functions of node:fs, once each has succeeded. */
export async function systemCallsOf(work: () => Promise<void>): Promise<SystemCall[]> {
  const calls: SystemCall[] = [];
  const openings = new Map<number, { path: string; opening: number; flags: number }>();
  const patched = fs as unknown as Patched;
  const names = ['open', 'write', 'fdatasync', 'fsync', 'ftruncate', 'close'] as const;
  const originals = names.map((name) => [name, patched[name]!] as const);
  for (const [name, original] of originals)
    patched[name] = (...args: unknown[]) => {
      const callback = args.pop() as Callback;
      return original(...args, (error: Error | null, ...rest: unknown[]) => {
        if (error === null || error === undefined) {
          const descriptor = name === 'open' ? (rest[0] as number) : (args[0] as number);
          if (name === 'open')
            openings.set(descriptor, { path: String(args[0]), opening: calls.length, flags: args[1] as number });
          const opened = openings.get(descriptor);
          if (opened !== undefined) calls.push({ name, descriptor, ...opened });
        }
        callback(error, ...rest);
      });
    };
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    for (const [name, original] of originals) patched[name] = original;
    syncBuiltinESMExports();
  }
  return calls;
}

/** Lets one function of node:fs fail with a system error for as long as `work` takes. */
export async function whileFailing(
  name: 'open' | 'write' | 'read' | 'fdatasync' | 'fsync' | 'ftruncate',
  errno: string,
  work: () => Promise<void>,
): Promise<void> {
  const patched = fs as unknown as Patched;
  const original = patched[name]!;
  patched[name] = (...args: unknown[]) => {
    const error = Object.assign(new Error(`${errno}: as injected, ${name}`), { code: errno, syscall: name });
    setImmediate(args.at(-1) as Callback, error);
  };
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    patched[name] = original;
    syncBuiltinESMExports();
  }
}
