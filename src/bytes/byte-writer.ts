// A growing buffer that codecs write into. What was encoded lies in `bytes[0, length)`; nothing is ever kept of the
// values that went in. Growth is bounded by `restrict`, so a runaway value fails before it takes the memory.

import { allocate } from './allocate.js';
import { FormatError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { writeU32, writeU64 } from './u64.js';
import { viewOf } from './view.js';

// 2^53-1 takes eight groups of seven bits.
const VARINT_BYTES = 8;
// Up to here a loop is faster than the view that a copy by the platform needs.
const SHORT_BYTES = 64;

/** Where a codec writes to. Every method appends at the end. */
export class ByteWriter {
  /** Backing store; only the first `length` bytes mean anything. Replaced when it grows. */
  bytes: Uint8Array;
  /** Of the same bytes. */
  dataView: DataView;
  length = 0;
  #limit: number = Number.MAX_SAFE_INTEGER;
  #allowed: number = Number.MAX_SAFE_INTEGER;

  constructor(capacity = 1024) {
    this.bytes = allocate(capacity);
    this.dataView = viewOf(this.bytes);
  }

  /**
   * From here on at most `count` bytes may be written, give or take the few that a number reserves before its size is
   * known. More is a {@link FormatError}, thrown before the memory is taken.
   */
  restrict(count: number): void {
    this.#limit = this.length + count + VARINT_BYTES;
    this.#allowed = count;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed > this.bytes.length || needed > this.#limit) this.#grow(needed);
  }

  /** Makes room for `count` more bytes and returns true; returns false where so many are not allowed any more. */
  hasRoom(count: number): boolean {
    const needed = this.length + count;
    if (needed > this.#limit) return false;
    if (needed > this.bytes.length) this.#grow(needed);
    return true;
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.reserve(4);
    writeU32(this.bytes, this.length, value);
    this.length += 4;
  }

  u64(value: number): void {
    this.reserve(8);
    writeU64(this.bytes, this.length, value);
    this.length += 8;
  }

  /** LEB128: seven bits a byte, low group first. Takes integers from 0 to 2^53-1. */
  varint(value: number): void {
    this.reserve(VARINT_BYTES);
    let rest = value;
    // Bit operations see 32 bits only; what lies above is divided down first.
    if (value >>> 0 !== value) {
      if (!Number.isSafeInteger(value) || value < 0) throw notAVarint(value);
      while (rest > 0xffff_ffff) {
        this.bytes[this.length++] = (rest % 128) | 0x80;
        rest = Math.floor(rest / 128);
      }
    }
    const { bytes } = this;
    let at = this.length;
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.length = at;
  }

  /** Copies `source`. */
  write(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** Copies the bytes `[start, end)` of `source`. */
  writeRange(source: DataView, start: number, end: number): void {
    const count = end - start;
    if (count > SHORT_BYTES) return this.write(new Uint8Array(source.buffer, source.byteOffset + start, count));
    this.reserve(count);
    const { dataView } = this;
    let from = start;
    let to = this.length;
    for (; from + 4 <= end; from += 4, to += 4) dataView.setInt32(to, source.getInt32(from));
    for (; from < end; from++, to++) dataView.setUint8(to, source.getUint8(from));
    this.length = to;
  }

  /** Varint byte length, then UTF-8. */
  string(value: string): void {
    const encoded = Buffer.from(value, 'utf8');
    this.varint(encoded.length);
    this.write(encoded);
  }

  #grow(needed: number): void {
    if (needed > this.#limit)
      throw new FormatError(`The encoded value is larger than the ${this.#allowed} bytes allowed; split it`);
    const grown = allocate(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.dataView = viewOf(grown);
  }
}

// Errors are made apart from the code that is hot: what is short is compiled into its callers.
function notAVarint(value: number): FormatError {
  return new FormatError(`A varint must be an integer from 0 to 2^53-1, got ${shown(value)}`);
}
