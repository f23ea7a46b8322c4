// Who may write. Every provider here lets the kernel hold the lock, so it is gone the moment its process is, and a
// process that merely stalls keeps it. What the lock file says (pid, host) is for error messages only.
//
//   Linux    flock(2) on a descriptor of ours, taken by util-linux' `flock -n -x` that inherits it: the lock belongs
//            to the shared open file description, so it stays when the helper exits.
//   Linux without that program: an abstract Unix socket named after the lock file's device and inode.
//   macOS    open with O_EXLOCK | O_NONBLOCK.      Not run by the project's own tests.
//   Windows  open with UV_FS_O_EXLOCK.             Not run by the project's own tests.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import { LockError } from '../errors/index.js';
import type { Lock } from './directory.js';
import { isAlive, readHolder, writeHolder } from './lock-holder.js';

/** A way to lock a file by its absolute path. */
export interface LockProvider {
  /** Takes the lock or throws {@link LockError}. */
  lock(absolutePath: string): Promise<Lock>;
}

/** What one attempt came to. `unavailable`: this way of locking does not work here at all. */
type Attempt = { readonly release: () => Promise<void> } | 'busy' | 'unavailable';

// A killed holder's lock goes when the kernel has torn the process down, which can lag behind its death.
const LAG_MS = 1000;
const RETRY_MS = 20;

/** The provider for this platform, see the top of this file. */
export function defaultLockProvider(): LockProvider {
  const { platform } = process;
  if (platform === 'linux') return firstOf(attemptFlock, attemptAbstractSocket);
  if (platform === 'darwin') return firstOf((path) => attemptExclusiveOpen(path, 0x20 | fs.constants.O_NONBLOCK));
  if (platform === 'win32') return firstOf((path) => attemptExclusiveOpen(path, 0x1000_0000));
  return firstOf(attemptFlock);
}

/** Linux: `flock` through the util-linux program of that name. */
export const flockProvider: LockProvider = firstOf(attemptFlock);

/**
 * Linux without util-linux: an abstract Unix socket. Blind to holders in another network namespace (another container
 * on the same machine): if the lock file says that such a holder may be alive, the lock is refused.
 */
export const abstractSocketProvider: LockProvider = firstOf(attemptAbstractSocket);

function firstOf(...attempts: readonly ((path: string) => Promise<Attempt>)[]): LockProvider {
  return {
    async lock(path) {
      for (const attempt of attempts) {
        const lock = await untilHeld(path, attempt);
        if (lock !== undefined) return lock;
      }
      throw new LockError(
        "No way to lock a file works here. Install util-linux for its 'flock' program, or pass a lockProvider",
        { path },
      );
    },
  };
}

async function untilHeld(path: string, attempt: (path: string) => Promise<Attempt>): Promise<Lock | undefined> {
  const giveUpAt = performance.now() + LAG_MS;
  for (;;) {
    const result = await attempt(path);
    if (result === 'unavailable') return undefined;
    if (result !== 'busy') return { release: result.release };
    const holder = await readHolder(path);
    const alive = holder !== undefined && (await isAlive(holder));
    // Nobody that we know of is alive: most likely the kernel is still cleaning up after the last holder.
    if (!alive && performance.now() < giveUpAt) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      continue;
    }
    const who = holder === undefined ? 'Another process' : `Process ${holder.pid} on ${holder.host}`;
    throw new LockError(`${who} has this log open for writing. Close it there first; readers need no lock`, {
      path,
      pid: holder?.pid,
    });
  }
}

async function attemptFlock(path: string): Promise<Attempt> {
  for (;;) {
    const file = await openLockFile(path, 0);
    let held = false;
    try {
      const status = await runFlock(file.fd);
      if (status === 'missing') return 'unavailable';
      if (status === 1) return 'busy';
      if (status !== 0)
        throw new LockError(
          `The file system refused to lock a file (flock ended with ${status}). ` +
            'Put the log on a file system that has locks, or pass a lockProvider that suits this one',
          { path },
        );
      if (!(await isStillAt(path, file))) continue;
      await noteHolder(file);
      held = true;
      return { release: once(() => release(file)) };
    } finally {
      if (!held) await file.close();
    }
  }
}

function runFlock(descriptor: number): Promise<number | 'missing'> {
  return new Promise((resolve, reject) => {
    const helper = spawn('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    helper.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve('missing') : reject(error),
    );
    helper.once('exit', (code) => resolve(code ?? -1));
  });
}

async function attemptAbstractSocket(path: string): Promise<Attempt> {
  for (;;) {
    const file = await openLockFile(path, 0);
    let held = false;
    try {
      const { dev, ino } = await file.stat();
      const server = await listen(`\0cairn:${dev}:${ino}:`);
      if (server === 'busy') return 'busy';
      try {
        if (!(await isStillAt(path, file))) continue;
        const network = await checkNetwork(path);
        await writeHolder(file, { network, boot: await bootId() });
        held = true;
      } finally {
        if (!held) server.close();
      }
      return {
        release: once(async () => {
          // Given up in the open, so that another namespace need not wonder.
          await noteNobody(file);
          await new Promise<void>((resolve) => server.close(() => resolve()));
          await file.close();
        }),
      };
    } finally {
      if (!held) await file.close();
    }
  }
}

/** Throws if the lock file names a holder that a socket cannot see. Returns the network namespace of this process. */
async function checkNetwork(path: string): Promise<string> {
  const holder = await readHolder(path);
  const ours = await fs.promises.readlink('/proc/self/ns/net').catch(() => '');
  if (holder?.network !== undefined && holder.network !== ours && holder.boot === (await bootId()))
    throw new LockError(
      `Process ${holder.pid}, in another network namespace of this machine, had this log open and may still have it. ` +
        "Install util-linux for its 'flock' program, or remove the lock file once you know that it has ended",
      { path, pid: holder.pid },
    );
  return ours;
}

function listen(name: string): Promise<net.Server | 'busy'> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve('busy') : reject(error),
    );
    // Node 20 pads the name with NUL, later versions do not: at the full 108 bytes all of them mean the same socket.
    server.listen({ path: name.padEnd(108, '.') }, () => {
      server.unref();
      resolve(server);
    });
  });
}

async function bootId(): Promise<string> {
  return (await fs.promises.readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}

async function attemptExclusiveOpen(path: string, flag: number): Promise<Attempt> {
  try {
    const file = await openLockFile(path, flag);
    await noteHolder(file);
    return { release: once(() => release(file)) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EAGAIN' || code === 'EBUSY' || code === 'EWOULDBLOCK') return 'busy';
    throw error;
  }
}

/** Between open and lock the file may have been removed and made anew: then we hold a lock that nobody looks at. */
async function isStillAt(path: string, file: fs.promises.FileHandle): Promise<boolean> {
  const [ours, named] = [await file.stat(), await fs.promises.stat(path).catch(() => undefined)];
  return named?.ino === ours.ino && named.dev === ours.dev;
}

/** For the error messages of others only, so a full disk must not keep a lock from being taken or given up. */
async function noteHolder(file: fs.promises.FileHandle): Promise<void> {
  await writeHolder(file).catch(() => undefined);
}

/** Who finds the lock taken a moment later must not be told that it was us. */
async function release(file: fs.promises.FileHandle): Promise<void> {
  await noteNobody(file);
  await file.close();
}

async function noteNobody(file: fs.promises.FileHandle): Promise<void> {
  await file.truncate(0).catch(() => undefined);
}

function openLockFile(path: string, extraFlags: number): Promise<fs.promises.FileHandle> {
  const { O_RDWR, O_CREAT } = fs.constants;
  const noFollow = os.platform() === 'win32' ? 0 : fs.constants.O_NOFOLLOW;
  return fs.promises.open(path, O_RDWR | O_CREAT | noFollow | extraFlags, 0o666);
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= action());
}
