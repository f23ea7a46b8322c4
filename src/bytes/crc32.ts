// CRC-32/IEEE of a range of bytes, by whichever of two libraries is faster for its size.
// Measured crossover between 300 and 500 bytes on Node 20 and 24: below it the call into zlib costs more than it saves.

import CRC32 from 'crc-32';
import * as zlib from 'node:zlib';

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
const scratch = new Uint8Array(HEAD_BYTES + COPY_BYTES);
const scratchWords = new DataView(scratch.buffer);
const scratchUpTo = Array.from({ length: scratch.length + 1 }, (_, length) => scratch.subarray(0, length));

/**
 * As {@link crc32}, of three words (u32, little-endian) and then `bytes[start, end)`: of what does not lie together.
 * The bytes are left as they are.
 */
export function crc32Behind(
  word0: number,
  word1: number,
  word2: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  seed: number,
): number {
  scratchWords.setUint32(0, word0, true);
  scratchWords.setUint32(4, word1, true);
  scratchWords.setUint32(8, word2, true);
  const size = end - start;
  // Of a longer range only what makes the words up to the 16 bytes that crc-32 takes at once.
  const copied = size <= COPY_BYTES ? size : 4;
  for (let index = 0; index < copied; index++) scratch[HEAD_BYTES + index] = bytes[start + index]!;
  const head = CRC32.buf(scratchUpTo[HEAD_BYTES + copied]!, seed) >>> 0;
  return copied === size ? head : crc32(bytes, start + copied, end, head);
}
