// Folders on the real disk that are gone after the test run.

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { FsDirectory } from 'cairnlog';

const made: string[] = [];

/** An empty folder below the system's folder for temporary files. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-'));
  made.push(folder);
  return folder;
}

/** An {@link FsDirectory} on an empty folder. */
export function temporaryDirectory(): Promise<FsDirectory> {
  return FsDirectory.open(temporaryFolder());
}

process.on('exit', () => {
  for (const folder of made) fs.rmSync(folder, { recursive: true, force: true });
});
