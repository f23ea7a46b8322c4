// Opening and closing descriptors, and the second one that a file may have: with O_DSYNC, through which one system call
// writes and syncs, where it takes two (and two trips to the thread pool) otherwise.
//
// Two descriptors and write errors: Linux reports a failed write-back once to each descriptor that was open when it
// happened. So whoever syncs a byte must have been open before it was written. What is written through the second
// descriptor is synced by the same call, and it is opened only when nothing else is waiting to be synced; everything
// else is written and synced through the first.

import * as fs from 'node:fs';

const { O_RDWR } = fs.constants;
// 0 where the platform has no such flag (Windows).
const O_NOFOLLOW = (fs.constants as { O_NOFOLLOW?: number }).O_NOFOLLOW ?? 0;
const O_NONBLOCK = (fs.constants as { O_NONBLOCK?: number }).O_NONBLOCK ?? 0;
/** For every file: follow no symlink, and do not hang where a fifo was planted under the name. */
export const FILE_FLAGS: number = O_NOFOLLOW | O_NONBLOCK;
const O_DSYNC = (fs.constants as { O_DSYNC?: number }).O_DSYNC ?? 0;

/** File systems of Linux that honour O_DSYNC as they do fdatasync: ext2 to ext4, XFS, Btrfs, F2FS, tmpfs (neither). */
const HONOURS_O_DSYNC = new Set([0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994]);

export function openDescriptor(absolute: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(absolute, flags, 0o666, (error, descriptor) => (error ? reject(error) : resolve(descriptor)));
  });
}

export function closeDescriptor(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => fs.close(descriptor, (error) => (error ? reject(error) : resolve())));
}

/**
 * A second descriptor of the file that `descriptor` has open, whose writes are durable when they return. `undefined`
 * where that cannot be had or not be relied on (another system, a network or FUSE file system, no descriptor left, the
 * file renamed): then a write and a sync do the same.
 */
export async function openSynced(absolute: string, descriptor: number): Promise<number | undefined> {
  // Not on macOS: there only F_FULLFSYNC, which libuv uses for fdatasync, reaches the platter.
  if (process.platform !== 'linux' || O_DSYNC === 0) return undefined;
  let synced: number | undefined;
  try {
    const { type } = await fs.promises.statfs(absolute);
    if (!HONOURS_O_DSYNC.has(type >>> 0)) return undefined;
    synced = await openDescriptor(absolute, O_RDWR | O_DSYNC | FILE_FLAGS);
    if (await isSameFile(descriptor, synced)) return synced;
  } catch {
    // Nothing is lost by it.
  }
  if (synced !== undefined) await closeDescriptor(synced).catch(() => undefined);
  return undefined;
}

async function isSameFile(one: number, other: number): Promise<boolean> {
  const [a, b] = await Promise.all([identityOf(one), identityOf(other)]);
  return a === b;
}

function identityOf(descriptor: number): Promise<string> {
  return new Promise((resolve, reject) => {
    fs.fstat(descriptor, { bigint: true }, (error, stats) =>
      error ? reject(error) : resolve(`${stats.dev}:${stats.ino}`),
    );
  });
}
