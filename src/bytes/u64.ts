// Ids: u64 on disk, `number` in the API. Everything above 2^53-1 is refused on both sides, never rounded.

import { FormatError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

/** 2^32: what the high half of a u64 counts. */
export const TWO_32 = 0x1_0000_0000;

/** Highest id that can be stored: 2^53 - 1. */
export const MAX_ID: number = Number.MAX_SAFE_INTEGER;

/** Writes a safe integer as u64 little-endian. The caller has checked it with {@link checkId}. */
export function writeU64(bytes: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  writeU32(bytes, offset, value - high * TWO_32);
  writeU32(bytes, offset + 4, high);
}

/** Reads a u64 little-endian; `undefined` when it is above 2^53-1. */
export function readU64(bytes: Uint8Array, offset: number): number | undefined {
  const high = readU32(bytes, offset + 4);
  return high > 0x1f_ffff ? undefined : high * TWO_32 + readU32(bytes, offset);
}

/** Reads a u64 little-endian that must be a usable id. Throws {@link FormatError} above 2^53-1. */
export function readId(bytes: Uint8Array, offset: number, what: string, path?: string): number {
  const value = readU64(bytes, offset);
  if (value === undefined)
    throw new FormatError(`${what} is above 2^53-1, which this library does not write; is the file from elsewhere?`, {
      path,
      offset,
    });
  return value;
}

export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
  bytes[offset + 2] = value >>> 16;
  bytes[offset + 3] = value >>> 24;
}

export function readU32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0;
}

/** Throws {@link InvalidArgumentError} unless `value` is an integer from `least` to 2^53-1. */
export function checkId(value: number, what: string, least = 0): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`${what} must be an integer from ${least} to 2^53-1, got ${shown(value)}`);
}
