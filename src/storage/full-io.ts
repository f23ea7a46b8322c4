// Reads and writes that are complete or an error. The system may do less than asked without an error (a disk that
// fills up reports ENOSPC only on the next call), so every count is checked and the rest is asked for again.

import { StorageError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { FileHandle } from './directory.js';

/** Fills `target` from `offset`; resolves to the bytes read, fewer only if the file ends there. */
export async function readFully(file: FileHandle, target: Uint8Array, offset: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const count = await file.read(done === 0 ? target : target.subarray(done), offset + done);
    checkCount(count, target.length - done, file, offset + done, 'read');
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `source` at `offset`, or throws; then some of it may be in the file. */
export function writeFully(file: FileHandle, source: Uint8Array, offset: number): Promise<void> {
  return writeAll(file, (rest, at) => file.write(rest, at), source, offset);
}

/**
 * {@link writeFully}, and all of `source` is durable when it resolves. Bytes that were written before and not synced
 * may stay so.
 */
export async function writeFullyDurably(file: FileHandle, source: Uint8Array, offset: number): Promise<void> {
  if (file.writeDurably !== undefined)
    return writeAll(file, (rest, at) => file.writeDurably!(rest, at), source, offset);
  await writeFully(file, source, offset);
  await file.datasync();
}

async function writeAll(
  file: FileHandle,
  write: (rest: Uint8Array, at: number) => Promise<number>,
  source: Uint8Array,
  offset: number,
): Promise<void> {
  let done = 0;
  while (done < source.length) {
    const count = await write(done === 0 ? source : source.subarray(done), offset + done);
    checkCount(count, source.length - done, file, offset + done, 'write');
    if (count === 0)
      throw new StorageError('A write made no progress; is the disk full?', { path: file.path, offset: offset + done });
    done += count;
  }
}

function checkCount(count: number, asked: number, file: FileHandle, offset: number, what: string): void {
  if (!Number.isInteger(count) || count < 0 || count > asked)
    throw new StorageError(`The directory reported ${shown(count)} bytes for a ${what} of ${asked}`, {
      path: file.path,
      offset,
    });
}
