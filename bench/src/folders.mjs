// Where the benchmark leaves its data, for as long as it runs, and its results. Neither is in git.

import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Results stay. */
export const RESULTS = fileURLToPath(new URL('../results', import.meta.url));

const WORK = fileURLToPath(new URL('../work', import.meta.url));

/** An empty folder beside this checkout, so on a real file system; removed when the process ends, however it does. */
export function workFolder() {
  fs.mkdirSync(WORK, { recursive: true });
  const folder = fs.mkdtempSync(`${WORK}/run-`);
  process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  return folder;
}
