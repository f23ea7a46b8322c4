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

// Entry k*256+b is what byte b does to the checksum k bytes later: so sixteen bytes are looked up side by side where one
// byte at a time would have to wait for the one before. The first 256 are what crc-32 gives for one byte.
const slices = new Int32Array(16 * 256);
for (let byte = 0; byte < 256; byte++) slices[byte] = ~CRC32.buf([byte], -1);
for (let at = 256; at < slices.length; at++) {
  const before = slices[at - 256]!;
  slices[at] = (before >>> 8) ^ slices[before & 0xff]!;
}

/** What a word does to the checksum when this many bytes follow it, times 256. */
function slice(word: number, behind: number): number {
  return (
    slices[behind + 768 + (word & 0xff)]! ^
    slices[behind + 512 + ((word >>> 8) & 0xff)]! ^
    slices[behind + 256 + ((word >>> 16) & 0xff)]! ^
    slices[behind + (word >>> 24)]!
  );
}

// Measured crossover between 400 and 600 bytes; a library wants a view of the range, which is made anew each time.
const OWN_UP_TO_BYTES = 512;

/**
 * As {@link crc32}, of three words (u32, little-endian) and then the bytes `[start, end)` of `view`: of what does not lie
 * together.
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
  const first = word0 ^ ~seed;
  if (end - start > OWN_UP_TO_BYTES)
    return crc32(bytesOf(view), start, end, ~(slice(first, 2048) ^ slice(word1, 1024) ^ slice(word2, 0)) >>> 0);
  let at = start;
  let crc: number;
  if (at + 4 <= end) {
    crc = slice(first, 3072) ^ slice(word1, 2048) ^ slice(view.getInt32(at, true), 0);
    // The high word of an id: zero does nothing to the checksum.
    if (word2 !== 0) crc ^= slice(word2, 1024);
    at += 4;
  } else {
    crc = slice(first, 2048) ^ slice(word1, 1024) ^ slice(word2, 0);
  }
  for (; at + 16 <= end; at += 16)
    crc =
      slice(view.getInt32(at, true) ^ crc, 3072) ^
      slice(view.getInt32(at + 4, true), 2048) ^
      slice(view.getInt32(at + 8, true), 1024) ^
      slice(view.getInt32(at + 12, true), 0);
  for (; at + 4 <= end; at += 4) crc = slice(view.getInt32(at, true) ^ crc, 0);
  for (; at < end; at++) crc = (crc >>> 8) ^ slices[(crc ^ view.getUint8(at)) & 0xff]!;
  return ~crc >>> 0;
}
