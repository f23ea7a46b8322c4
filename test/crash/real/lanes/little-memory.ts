// A log and a store of a GiB are read by a process that has much less memory, and would be ended if it took more.

import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { atTheEnd, makeFolder } from '../cleanup.js';
import { CannotRun, type RealLane } from '../real-lane.js';

const LOG_MIB = 1024;
const LIMIT_MIB = 192;
const HEAP_MIB = 64;
const ENTRIES = LOG_MIB * 64;
const CGROUPS = '/sys/fs/cgroup/memory';

export const littleMemory: RealLane = {
  name: `replay of ${LOG_MIB} MiB in ${LIMIT_MIB} MiB`,
  needs: ['entries of a log replayed', 'entries of a store recovered'],
  processes: 1,
  async run(tally): Promise<void> {
    const { path: folder, remove } = makeFolder('memory');
    const { bavail, bsize } = fs.statfsSync(folder);
    if (bavail * bsize < 2 * LOG_MIB * 1024 * 1024) throw new CannotRun(`${folder} has no ${2 * LOG_MIB} MiB to spare`);
    const group = limitedGroup();
    if (group === undefined) console.log('  (no memory control group here: what the process took is measured only)');
    for (const level of ['log', 'store'] as const)
      await tally.hold(
        () => level,
        async () => {
          const data = path.join(folder, level);
          await replayAll(undefined, data, level, 'write');
          const { entries, mebibytes } = await replayAll(group?.path, data, level, 'read');
          tally.add(level === 'log' ? 'entries of a log replayed' : 'entries of a store recovered', entries);
          tally.add(`MiB that it took, ${level}`, mebibytes);
          if (entries !== ENTRIES) throw new Error(`There are ${entries} entries, ${ENTRIES} were written`);
          if (mebibytes > LIMIT_MIB) throw new Error(`It took ${mebibytes} MiB, with ${LOG_MIB} MiB to read`);
          fs.rmSync(data, { recursive: true });
        },
      );
    group?.remove();
    remove();
  },
};

async function replayAll(
  group: string | undefined,
  ...args: string[]
): Promise<{ readonly entries: number; readonly mebibytes: number }> {
  const program = fileURLToPath(new URL('../children/replay-all.js', import.meta.url));
  const node = [process.execPath, `--max-old-space-size=${HEAP_MIB}`, program, ...args, `${LOG_MIB}`];
  // The shell becomes the program, once it is in the group.
  const command =
    group === undefined ? node : ['sh', '-c', `echo $$ > '${group}/cgroup.procs' && exec "$0" "$@"`, ...node];
  const started = promisify(execFile)(command[0]!, command.slice(1));
  const forget = atTheEnd(() => started.child.kill('SIGKILL'));
  const { stdout } = await started.finally(forget);
  const [entries, kibibytes] = stdout.trim().split(' ').map(Number) as [number, number];
  return { entries, mebibytes: Math.ceil(kibibytes / 1024) };
}

/** A control group whose processes are ended if they take more than the limit; needs root and version 1 of them. */
function limitedGroup(): { readonly path: string; readonly remove: () => void } | undefined {
  const group = path.join(CGROUPS, `cairn-${process.pid}`);
  try {
    fs.mkdirSync(group);
  } catch {
    return undefined;
  }
  const remove = atTheEnd(() => fs.rmdirSync(group));
  try {
    fs.writeFileSync(path.join(group, 'memory.limit_in_bytes'), `${LIMIT_MIB * 1024 * 1024}`);
    return { path: group, remove };
  } catch {
    remove();
    return undefined;
  }
}
