// CRC-32/IEEE of a range of bytes, by whichever of two libraries is faster for its size.
// Measured crossover between 300 and 500 bytes on Node 20 and 24: below it the call into zlib costs more than it saves.

import CRC32 from 'crc-32';
import * as zlib from 'node:zlib';
import { bytesOf } from './view.js';

const ZLIB_FROM_BYTES = 400;

type Crc32 = (data: Uint8Array, value?: number) => number;
// Absent before Node 20.15 and in some other runtimes.
const native = (zlib as { crc32?: Crc32 }).crc32;

/**
 * CRC-32/IEEE of `bytes[start, end)`, going on from `seed` as if that were the CRC of the bytes before.
 *
 * @example crc32(new TextEncoder().encode('123456789'), 0, 9) === 0xcbf43926
 */
export function crc32(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  const range = bytes.subarray(start, end);
  if (native !== undefined && end - start >= ZLIB_FROM_BYTES) return native(range, seed);
  return CRC32.buf(range, seed) >>> 0;
}

// Making a view of a few bytes costs more than copying them to where views of every short length exist already.
const COPY_BYTES = 32;
const HEAD_BYTES = 12;
const scratch = new DataView(new ArrayBuffer(HEAD_BYTES + COPY_BYTES));
const scratchUpTo = Array.from({ length: scratch.byteLength + 1 }, (_, end) => new Uint8Array(scratch.buffer, 0, end));

/**
 * As {@link crc32}, of three words (u32, little-endian) and then the bytes `[start, end)` of `view`: of what does not lie
 * together. The bytes are left as they are.
 */
export function crc32Behind(
  word0: number,
  word1: number,
  word2: number,
  view: DataView,
  start: number,
  end: number,
  seed: number,
): number {
  scratch.setUint32(0, word0, true);
  scratch.setUint32(4, word1, true);
  scratch.setUint32(8, word2, true);
  const size = end - start;
  // Of a longer range only what makes the words up to the 16 bytes that crc-32 takes at once.
  const copied = size <= COPY_BYTES ? size : 4;
  let at = 0;
  for (; at + 4 <= copied; at += 4) scratch.setUint32(HEAD_BYTES + at, view.getUint32(start + at, true), true);
  for (; at < copied; at++) scratch.setUint8(HEAD_BYTES + at, view.getUint8(start + at));
  const head = CRC32.buf(scratchUpTo[HEAD_BYTES + copied]!, seed) >>> 0;
  return copied === size ? head : crc32(bytesOf(view), start + copied, end, head);
}
