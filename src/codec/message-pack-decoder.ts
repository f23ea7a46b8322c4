// MessagePack → values, for what entries are made of. Gives what @msgpack/msgpack gives, several times as fast, because
// it expects what it has seen before: the fields of an object come in an order that was met, and many short strings
// (names of streams, types, products) are ones that were met. What was expected is compared with the bytes, so that a
// wrong guess costs time and nothing else. Whatever it does not know, malformed bytes included, is left to that library.

import { decodeTimestampExtension } from '@msgpack/msgpack';
import { MOST_FIELDS, Place, Shapes } from './shapes.js';

/** Decodes a value that is left over, or throws what it has to say of the bytes. */
export type DecodeOther = (bytes: Uint8Array) => unknown;

/** Strings up to this length are looked for among those that were met. */
const SHORT_STRING = 32;
const REMEMBERED_STRINGS = 16_384;
/** A place that has had so many strings, most of them new, is not worth the search. */
const TRIAL = 256;
const TWO_32 = 2 ** 32;

/** The value goes beyond what this decoder knows. */
const UNKNOWN = new Error('Not for this decoder');

export class MessagePackDecoder {
  readonly #other: DecodeOther;
  readonly #frozen: boolean;
  readonly #shapes = new Shapes();
  /** What strings in arrays are counted by; those of the outermost one each for itself, as it may be a record. */
  readonly #columns: Place[] = Array.from({ length: 16 }, () => new Place('', NO_BYTES, undefined));
  readonly #items = new Place('', NO_BYTES, undefined);
  readonly #strings: string[] = Array.from({ length: REMEMBERED_STRINGS }, () => '');
  /** Values of the objects that are being read. */
  readonly #values: unknown[] = [];
  #depth = 0;
  #bytes: Uint8Array = NO_BYTES;
  #at = 0;
  #end = 0;

  /** `frozen`: objects and arrays come frozen, all through; but for an outermost array, which is a frame for them. */
  constructor(other: DecodeOther, { frozen }: { readonly frozen: boolean }) {
    this.#other = other;
    this.#frozen = frozen;
  }

  /** The value that takes up exactly the bytes from `start` to `end`. They may be used again afterwards. */
  decode(bytes: Uint8Array, start: number, end: number): unknown {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#depth = 0;
    try {
      const value = this.#root();
      if (this.#at === end) return value;
    } catch {
      // The library says what it is, or what is wrong with it.
    }
    const value = this.#other(bytes.slice(start, end));
    if (!this.#frozen) return value;
    if (!Array.isArray(value)) return deepFreeze(value);
    for (const item of value as unknown[]) deepFreeze(item);
    return value;
  }

  #root(): unknown {
    const first = this.#at < this.#end ? this.#bytes[this.#at]! : 0;
    if (first < 0x90 || first > 0x9f) return this.#value(this.#items);
    this.#at++;
    const count = first - 0x90;
    const list: unknown[] = [];
    for (let index = 0; index < count; index++) list.push(this.#value(this.#columns[index]!));
    return list;
  }

  #value(place: Place): unknown {
    const at = this.#at;
    if (at >= this.#end) throw UNKNOWN;
    const type = this.#bytes[at]!;
    this.#at = at + 1;
    if (type < 0x80) return type;
    if (type < 0x90) return this.#object(type - 0x80);
    if (type < 0xa0) return this.#array(type - 0x90);
    if (type < 0xc0) return this.#string(type - 0xa0, place);
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#unsigned(1));
      case 0xc5:
        return this.#binary(this.#unsigned(2));
      case 0xc6:
        return this.#binary(this.#unsigned(4));
      case 0xc7:
        return this.#extension(this.#unsigned(1));
      case 0xca:
        return this.#float(4);
      case 0xcb:
        return this.#float(8);
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf: {
        const high = this.#unsigned(4);
        return high * TWO_32 + this.#unsigned(4);
      }
      case 0xd0:
        return (this.#unsigned(1) << 24) >> 24;
      case 0xd1:
        return (this.#unsigned(2) << 16) >> 16;
      case 0xd2:
        return this.#unsigned(4) | 0;
      case 0xd3: {
        const high = this.#unsigned(4) | 0;
        return high * TWO_32 + this.#unsigned(4);
      }
      case 0xd6:
        return this.#extension(4);
      case 0xd7:
        return this.#extension(8);
      case 0xd9:
        return this.#string(this.#unsigned(1), place);
      case 0xda:
        return this.#string(this.#unsigned(2), place);
      case 0xdb:
        return this.#string(this.#unsigned(4), place);
      case 0xdc:
        return this.#array(this.#unsigned(2));
      case 0xdd:
        return this.#array(this.#unsigned(4));
      case 0xde:
        return this.#object(this.#unsigned(2));
      case 0xdf:
        return this.#object(this.#unsigned(4));
      default:
        throw UNKNOWN;
    }
  }

  #unsigned(size: 1 | 2 | 4): number {
    const at = this.#take(size);
    const bytes = this.#bytes;
    if (size === 1) return bytes[at]!;
    if (size === 2) return (bytes[at]! << 8) | bytes[at + 1]!;
    return bytes[at]! * 0x100_0000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
  }

  #float(size: 4 | 8): number {
    const at = this.#take(size);
    // Big-endian, into a view of their own: one of the input would have to be made for every input.
    for (let index = 0; index < size; index++) FLOAT_BYTES[index] = this.#bytes[at + index]!;
    return size === 4 ? FLOAT.getFloat32(0) : FLOAT.getFloat64(0);
  }

  #binary(count: number): Uint8Array {
    const at = this.#take(count);
    return Uint8Array.prototype.slice.call(this.#bytes, at, at + count);
  }

  #extension(count: number): Date {
    const at = this.#take(1 + count);
    if (this.#bytes[at] !== TIMESTAMP) throw UNKNOWN;
    return decodeTimestampExtension(this.#bytes.subarray(at + 1, at + 1 + count));
  }

  #array(count: number): unknown[] {
    // Every item takes a byte at least: a count that is a lie is found before there is a list of that size.
    if (count > this.#end - this.#at) throw UNKNOWN;
    const list: unknown[] = [];
    for (let index = 0; index < count; index++) list.push(this.#value(this.#items));
    return this.#frozen ? (Object.freeze(list) as unknown[]) : list;
  }

  #object(count: number): object {
    if (count > MOST_FIELDS) return this.#largeObject(count);
    let place = this.#shapes.beginning(count);
    const base = this.#depth;
    const values = this.#values;
    this.#depth += count;
    for (let index = 0; index < count; index++) {
      place = this.#next(place);
      values[base + index] = this.#value(place);
    }
    this.#depth = base;
    const made = this.#shapes.make(place, values, base);
    return this.#frozen ? Object.freeze(made) : made;
  }

  /** The place of the name that comes next, which is read. */
  #next(place: Place): Place {
    const { next } = place;
    for (let index = 0; index < next.length; index++) {
      const candidate = next[index]!;
      if (!this.#isNext(candidate.encoded)) continue;
      this.#at += candidate.encoded.length;
      if (index > 0) place.prefer(index);
      return candidate;
    }
    const at = this.#at;
    const name = this.#name();
    return this.#shapes.add(name, this.#bytes.slice(at, this.#at), place);
  }

  #isNext(expected: Uint8Array): boolean {
    const { length } = expected;
    const bytes = this.#bytes;
    const at = this.#at;
    if (at + length > this.#end) return false;
    for (let index = 0; index < length; index++) if (bytes[at + index] !== expected[index]) return false;
    return true;
  }

  #name(): string {
    const name = this.#value(this.#items);
    // Setting it would give the object another prototype.
    if (typeof name !== 'string' || name === '__proto__') throw UNKNOWN;
    return name;
  }

  #largeObject(count: number): object {
    if (count > this.#end - this.#at) throw UNKNOWN;
    const made: Record<string, unknown> = {};
    for (let index = 0; index < count; index++) {
      const name = this.#name();
      made[name] = this.#value(this.#items);
    }
    return this.#frozen ? Object.freeze(made) : made;
  }

  #string(length: number, place: Place): string {
    const start = this.#take(length);
    const bytes = this.#bytes;
    if (length > SHORT_STRING) return UTF8.call(bytes, start, start + length);
    let hash = length;
    let all = 0;
    for (let at = start; at < start + length; at++) {
      const byte = bytes[at]!;
      all |= byte;
      hash = Math.imul(hash ^ byte, 0x9e37_79b1);
    }
    if (all > 0x7f) return UTF8.call(bytes, start, start + length);
    if (place.strings > TRIAL && place.known * 2 < place.strings) return asciiText(bytes, start, length);
    place.strings++;
    const slot = (hash ^ (hash >>> 15)) & (REMEMBERED_STRINGS - 1);
    const met = this.#strings[slot]!;
    if (met.length === length && isText(met, bytes, start)) {
      place.known++;
      return met;
    }
    return (this.#strings[slot] = asciiText(bytes, start, length));
  }

  /** Where the next `count` bytes begin, which are read. */
  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw UNKNOWN;
    this.#at = at + count;
    return at;
  }
}

const NO_BYTES = new Uint8Array(0);
const TIMESTAMP = 0xff;
const FLOAT_BYTES = new Uint8Array(8);
const FLOAT = new DataView(FLOAT_BYTES.buffer);
// On any bytes, without a Buffer being made for them.
const LATIN1 = Buffer.prototype.latin1Slice;
const UTF8 = Buffer.prototype.utf8Slice;

function isText(text: string, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) !== bytes[start + index]) return false;
  return true;
}

/** Freezes what was just decoded or made; nobody else has it yet. Bytes and dates cannot be frozen. */
export function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  for (const key in value) deepFreeze((value as Record<string, unknown>)[key]);
  return Object.freeze(value);
}

/** A short string of bytes below 0x80: as arguments they become one in half the time, up to about a dozen. */
function asciiText(b: Uint8Array, at: number, length: number): string {
  const of = String.fromCharCode;
  switch (length) {
    case 0:
      return '';
    case 1:
      return of(b[at]!);
    case 2:
      return of(b[at]!, b[at + 1]!);
    case 3:
      return of(b[at]!, b[at + 1]!, b[at + 2]!);
    case 4:
      return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!);
    case 5:
      return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!);
    case 6:
      return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!);
    case 7:
      return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!);
    case 8:
      return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!);
    case 9:
      return of(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!, b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!, b[at + 8]!);
    case 10:
      return of(
        b[at]!,
        b[at + 1]!,
        b[at + 2]!,
        b[at + 3]!,
        b[at + 4]!,
        b[at + 5]!,
        b[at + 6]!,
        b[at + 7]!,
        b[at + 8]!,
        b[at + 9]!,
      );
    case 11:
      return of(
        b[at]!,
        b[at + 1]!,
        b[at + 2]!,
        b[at + 3]!,
        b[at + 4]!,
        b[at + 5]!,
        b[at + 6]!,
        b[at + 7]!,
        b[at + 8]!,
        b[at + 9]!,
        b[at + 10]!,
      );
    case 12:
      return of(
        b[at]!,
        b[at + 1]!,
        b[at + 2]!,
        b[at + 3]!,
        b[at + 4]!,
        b[at + 5]!,
        b[at + 6]!,
        b[at + 7]!,
        b[at + 8]!,
        b[at + 9]!,
        b[at + 10]!,
        b[at + 11]!,
      );
    default:
      return LATIN1.call(b, at, at + length);
  }
}
