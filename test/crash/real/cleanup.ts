// What a lane sets up in the system and has to take down again, whatever happens: folders, mounts, loop devices,
// processes. In the opposite order, also after Ctrl-C.

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

type Undo = () => void;

const undoings: Undo[] = [];

/** Has `undo` called at the end of the process, unless the function that is returned did it before. */
export function atTheEnd(undo: Undo): Undo {
  undoings.push(undo);
  return () => {
    const at = undoings.indexOf(undo);
    if (at < 0) return;
    undoings.splice(at, 1);
    undo();
  };
}

/** A folder that is gone at the end, with all that is in it. */
export function makeFolder(name: string): { readonly path: string; readonly remove: Undo } {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), `cairn-${name}-`));
  return { path: made, remove: atTheEnd(() => fs.rmSync(made, { recursive: true, force: true, maxRetries: 10 })) };
}

/** A mount that is gone at the end, also if somebody still has a file of it open. */
export function mountedAt(folder: string): { readonly forget: Undo } {
  let isMounted = true;
  const undo = atTheEnd(() => {
    if (isMounted) execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
  });
  return {
    forget: () => {
      isMounted = false;
      undo();
    },
  };
}

process.on('exit', () => {
  for (const undo of undoings.reverse()) {
    try {
      undo();
    } catch (error) {
      console.error(`Could not be cleaned up: ${String(error)}`);
    }
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
