// A cursor over a range of bytes that codecs read from. Every read is checked against the end of the range before
// anything is allocated for it. The bytes belong to the caller and are reused: what is kept must be copied.

import { DecodeError, FormatError } from '../errors/index.js';
import { readU32, readU64 } from './u64.js';

/** Where a codec reads from. */
export class ByteReader {
  bytes: Uint8Array;
  position: number;
  end: number;

  constructor(bytes: Uint8Array = new Uint8Array(0), start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** Points the reader at another range. */
  reset(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
    return this;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  u8(): number {
    this.#need(1);
    return this.bytes[this.position++]!;
  }

  u32(): number {
    this.#need(4);
    const value = readU32(this.bytes, this.position);
    this.position += 4;
    return value;
  }

  /** Throws {@link FormatError} above 2^53-1. */
  u64(): number {
    this.#need(8);
    const value = readU64(this.bytes, this.position);
    if (value === undefined) throw new FormatError('A 64-bit integer is above 2^53-1');
    this.position += 8;
    return value;
  }

  /**
   * LEB128 up to `max` (default 2^53-1). Throws {@link FormatError} above 2^53-1, {@link DecodeError} above a lower
   * `max` or on more bytes than a u64 can take.
   */
  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    // Up to three bytes, as most have: small integers all the way.
    const { bytes, position } = this;
    const left = this.end - position;
    let value = 0;
    for (let read = 0; read < 3 && read < left; read++) {
      const byte = bytes[position + read]!;
      value |= (byte & 0x7f) << (7 * read);
      if (byte >= 0x80) continue;
      if (value > max) break;
      this.position = position + read + 1;
      return value;
    }
    return this.#anyVarint(max);
  }

  #anyVarint(max: number): number {
    let value = 0;
    let scale = 1;
    for (let read = 0; read < 10; read++) {
      if (this.position >= this.end) throw new DecodeError('The value ends in the middle of an integer');
      const byte = this.bytes[this.position++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new FormatError('An integer is above 2^53-1');
        if (value > max) throw new DecodeError(`An integer is above its limit of ${max}`);
        return value;
      }
      scale *= 128;
    }
    throw new DecodeError('An integer takes more than 10 bytes');
  }

  /** The next `count` bytes, as a view: copy what is kept. */
  view(count: number): Uint8Array {
    this.#need(count);
    const start = this.position;
    this.position += count;
    return this.bytes.subarray(start, this.position);
  }

  /** All that is left, as a view: copy what is kept. */
  rest(): Uint8Array {
    return this.view(this.remaining);
  }

  /** Varint byte length, then UTF-8. */
  string(): string {
    const bytes = this.view(this.varint());
    try {
      return UTF8.decode(bytes);
    } catch (cause) {
      throw new DecodeError('A string is not UTF-8', { cause });
    }
  }

  /**
   * Reads the element count of a list. Each element takes at least `leastBytes`, so a count that cannot fit the bytes
   * that are left is refused before a list is made for it.
   */
  count(leastBytes: number): number {
    const count = this.varint();
    if (count * leastBytes > this.remaining) throw new DecodeError(`A list claims ${count} elements, more than fit`);
    return count;
  }

  #need(count: number): void {
    if (count > this.end - this.position)
      throw new DecodeError(`The value ends early: ${count} bytes wanted, ${this.end - this.position} left`);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
