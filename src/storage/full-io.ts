// Reads and writes that are complete or an error. The system may do less than asked without an error (a disk that
// fills up reports ENOSPC only on the next call), so every count is checked and the rest is asked for again.

import { StorageError } from '../errors/index.js';
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
export async function writeFully(file: FileHandle, source: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < source.length) {
    const count = await file.write(done === 0 ? source : source.subarray(done), offset + done);
    checkCount(count, source.length - done, file, offset + done, 'write');
    if (count === 0)
      throw new StorageError('A write made no progress; is the disk full?', { path: file.path, offset: offset + done });
    done += count;
  }
}

function checkCount(count: number, asked: number, file: FileHandle, offset: number, what: string): void {
  if (!Number.isInteger(count) || count < 0 || count > asked)
    throw new StorageError(`The directory reported ${String(count)} bytes for a ${what} of ${asked}`, {
      path: file.path,
      offset,
    });
}
