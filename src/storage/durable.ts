// Changes of names that survive a power cut: each is the plain operation and the directory syncs it needs.
// Seen on ext4 and xfs: without the directory sync a rename, a replacement and a removal are all undone.

import { randomBytes } from 'node:crypto';
import { allocate } from '../bytes/allocate.js';
import { AlreadyExistsError, NotFoundError } from '../errors/index.js';
import type { Directory, FileHandle } from './directory.js';
import { readFully, writeFully } from './full-io.js';
import { normalizePath, parentOf } from './path.js';

/** Ending of files that are being written; whatever is found with it was never finished. */
export const TEMPORARY_SUFFIX = '.tmp';

/**
 * Makes a directory and its missing parents, and makes their names durable. Names that are there already are synced
 * too: they may be from a process that died between making and syncing them.
 */
export async function makeDirectoryDurable(directory: Directory, path: string): Promise<void> {
  const normal = normalizePath(path);
  if (normal === '') return;
  const parent = parentOf(normal);
  await makeDirectoryDurable(directory, parent);
  if ((await directory.stat(normal))?.kind !== 'directory') {
    try {
      await directory.makeDirectory(normal);
    } catch (error) {
      // Somebody else was quicker.
      if (!(error instanceof AlreadyExistsError && (await directory.stat(normal))?.kind === 'directory')) throw error;
    }
  }
  await directory.syncDirectory(parent);
}

/** Renames, replacing what was there, durably. Errors after the rename leave its durability unknown. */
export async function renameDurable(directory: Directory, from: string, to: string): Promise<void> {
  await directory.rename(from, to);
  const target = parentOf(normalizePath(to));
  const source = parentOf(normalizePath(from));
  // Target first: a crash between the two can leave both names, never neither.
  await directory.syncDirectory(target);
  if (source !== target) await directory.syncDirectory(source);
}

/** Removes a file durably; a file that is not there is fine. */
export async function removeDurable(directory: Directory, path: string): Promise<void> {
  try {
    await directory.remove(path);
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
  await directory.syncDirectory(parentOf(normalizePath(path)));
}

/** Source of names for temporary files; only uniqueness matters. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * Replaces `path` by what `fill` writes, all or nothing, durably: temporary file, sync, rename, directory sync.
 * On an error before the rename the temporary file is removed and `path` is as it was.
 *
 * @example await writeFileAtomically(directory, 'postings/7.json', (file) => writeFully(file, bytes, 0));
 */
export async function writeFileAtomically(
  directory: Directory,
  path: string,
  fill: (file: FileHandle) => Promise<void>,
  random: RandomBytes = randomBytes,
): Promise<void> {
  const normal = normalizePath(path);
  const temporary = `${normal}.${Buffer.from(random(6)).toString('hex')}${TEMPORARY_SUFFIX}`;
  const file = await directory.open(temporary, 'create');
  try {
    try {
      await fill(file);
      await file.datasync();
    } finally {
      await file.close();
    }
    await directory.rename(temporary, normal);
  } catch (error) {
    // Best effort: a file left over is never read and is cleared away with the next checkpoint or open.
    await directory.remove(temporary).catch(() => undefined);
    throw error;
  }
  await directory.syncDirectory(parentOf(normal));
}

/** {@link writeFileAtomically} for bytes that are at hand. */
export function writeBytesAtomically(directory: Directory, path: string, bytes: Uint8Array): Promise<void> {
  return writeFileAtomically(directory, path, (file) => writeFully(file, bytes, 0));
}

/** Reads a whole file. */
export async function readBytes(directory: Directory, path: string): Promise<Uint8Array> {
  const file = await directory.open(path, 'read');
  try {
    const size = await file.size();
    const bytes = allocate(size);
    return bytes.subarray(0, await readFully(file, bytes, 0));
  } finally {
    await file.close();
  }
}
