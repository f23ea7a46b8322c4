// Programs of their own: what happens when a process ends without saying goodbye can only be seen from another one.

import { spawn, type ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import * as path from 'node:path';

/** The folder of package.json: in a module that is given as text, `cairnlog` is found from there. */
export const projectRoot = path.dirname(createRequire(import.meta.url).resolve('cairnlog/package.json'));

/** Starts Node with a module given as text. */
export function startModule(source: string, args: readonly string[] = [], flags: readonly string[] = []): ChildProcess {
  return spawn(process.execPath, [...flags, '--input-type=module', '-e', source, '--', ...args], {
    cwd: projectRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs a module to its end. */
export async function runModule(
  source: string,
  args: readonly string[] = [],
  flags: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = startModule(source, args, flags);
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (data) => (stdout += String(data)));
  child.stderr!.on('data', (data) => (stderr += String(data)));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}
