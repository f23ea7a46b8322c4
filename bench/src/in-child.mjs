// A measurement in a process of its own that prints what it came to as JSON.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * @template T
 * @param {string} file Beside the scenarios.
 * @param {readonly (string | number)[]} args
 * @param {readonly string[]} [flags] Of Node.
 * @returns {Promise<T>}
 */
export async function inChild(file, args, flags = []) {
  const path = fileURLToPath(new URL(`./scenarios/${file}`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, path, ...args.map(String)]);
  return JSON.parse(stdout);
}
