// MessagePack for what entries are made of (null, booleans, numbers, strings, arrays, plain objects), written where it
// belongs. Byte for byte what @msgpack/msgpack writes, without its buffer in between; whatever else a value holds, and
// text beyond ASCII, is left to that library.

import type { ByteWriter } from '../bytes/byte-writer.js';
import { EncodeError } from '../errors/index.js';
import { MOST_FIELDS, Shapes, type Place } from './shapes.js';

/** Encodes a value that is left over, as bytes that are valid until the next call. */
export type EncodeOther = (value: unknown) => Uint8Array;

// Above this the encoder of the platform is faster than a loop.
const SHORT_STRING = 64;
const TWO_32 = 2 ** 32;
const shapes = new Shapes();

/** Appends `value`, with at most so many levels of arrays and objects. On an error the writer may hold a part of it. */
export function encodeMessagePack(value: unknown, writer: ByteWriter, levels: number, other: EncodeOther): void {
  switch (typeof value) {
    case 'string':
      encodeString(value, writer, other);
      return;
    case 'number':
      encodeNumber(value, writer);
      return;
    case 'boolean':
      writer.u8(value ? 0xc3 : 0xc2);
      return;
    case 'object':
      if (value === null) {
        writer.u8(0xc0);
        return;
      }
      if (levels === 0) throw new EncodeError('MessagePack cannot hold this value: it is nested too deep');
      if (Array.isArray(value)) {
        encodeSize(value.length, writer, 0x90, 0xdc);
        for (let index = 0; index < value.length; index++) encodeMessagePack(value[index], writer, levels - 1, other);
      } else if (isPlain(value)) {
        encodeFields(value as Record<string, unknown>, writer, levels, other);
      } else writer.write(other(value));
      return;
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      writer.write(other(value));
  }
}

/** Names were encoded before, mostly in this order: then their bytes are copied. */
function encodeFields(value: Record<string, unknown>, writer: ByteWriter, levels: number, other: EncodeOther): void {
  const keys = Object.keys(value);
  encodeSize(keys.length, writer, 0x80, 0xde);
  let place = keys.length > MOST_FIELDS ? undefined : shapes.beginning(keys.length);
  for (const key of keys) {
    if (place === undefined) encodeString(key, writer, other);
    else {
      place = placeOf(key, place, writer, other);
      const { encoded } = place;
      const { length } = encoded;
      writer.reserve(length);
      const { bytes, length: at } = writer;
      for (let index = 0; index < length; index++) bytes[at + index] = encoded[index]!;
      writer.length = at + length;
    }
    encodeMessagePack(value[key], writer, levels - 1, other);
  }
}

function placeOf(key: string, before: Place, writer: ByteWriter, other: EncodeOther): Place {
  const { next } = before;
  for (let index = 0; index < next.length; index++) {
    const place = next[index]!;
    if (place.name !== key) continue;
    if (index > 0) before.prefer(index);
    return place;
  }
  const start = writer.length;
  encodeString(key, writer, other);
  const encoded = writer.bytes.slice(start, writer.length);
  writer.length = start;
  return shapes.add(key, encoded, before);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The head of an array or map: the count in the first byte, or in two or four bytes behind it. */
function encodeSize(size: number, writer: ByteWriter, small: number, large: number): void {
  writer.reserve(5);
  const { bytes } = writer;
  if (size < 16) bytes[writer.length++] = small + size;
  else if (size < 0x1_0000) {
    bytes[writer.length] = large;
    writer.dataView.setUint16(writer.length + 1, size);
    writer.length += 3;
  } else {
    bytes[writer.length] = large + 1;
    writer.dataView.setUint32(writer.length + 1, size);
    writer.length += 5;
  }
}

function encodeString(value: string, writer: ByteWriter, other: EncodeOther): void {
  const { length } = value;
  if (length > SHORT_STRING) {
    writer.write(other(value));
    return;
  }
  const head = length < 32 ? 1 : 2;
  writer.reserve(head + length);
  const { bytes } = writer;
  const start = writer.length + head;
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if (code > 0x7f) {
      writer.write(other(value));
      return;
    }
    bytes[start + index] = code;
  }
  if (head === 1) bytes[start - 1] = 0xa0 + length;
  else {
    bytes[start - 2] = 0xd9;
    bytes[start - 1] = length;
  }
  writer.length = start + length;
}

function encodeNumber(value: number, writer: ByteWriter): void {
  writer.reserve(9);
  const { bytes, dataView: view, length: at } = writer;
  if (value >= 0 && value < 0x80 && Number.isInteger(value)) {
    bytes[at] = value;
    writer.length = at + 1;
  } else if (!Number.isSafeInteger(value)) {
    bytes[at] = 0xcb;
    view.setFloat64(at + 1, value);
    writer.length = at + 9;
  } else if (value >= 0) {
    if (value < 0x100) {
      bytes[at] = 0xcc;
      bytes[at + 1] = value;
      writer.length = at + 2;
    } else if (value < 0x1_0000) {
      bytes[at] = 0xcd;
      view.setUint16(at + 1, value);
      writer.length = at + 3;
    } else if (value < TWO_32) {
      bytes[at] = 0xce;
      view.setUint32(at + 1, value);
      writer.length = at + 5;
    } else encodeWide(0xcf, value, writer);
  } else if (value >= -0x20) {
    bytes[at] = 0x100 + value;
    writer.length = at + 1;
  } else if (value >= -0x80) {
    bytes[at] = 0xd0;
    view.setInt8(at + 1, value);
    writer.length = at + 2;
  } else if (value >= -0x8000) {
    bytes[at] = 0xd1;
    view.setInt16(at + 1, value);
    writer.length = at + 3;
  } else if (value >= -0x8000_0000) {
    bytes[at] = 0xd2;
    view.setInt32(at + 1, value);
    writer.length = at + 5;
  } else encodeWide(0xd3, value, writer);
}

function encodeWide(type: number, value: number, writer: ByteWriter): void {
  const { bytes, dataView: view, length: at } = writer;
  const high = Math.floor(value / TWO_32);
  bytes[at] = type;
  view.setInt32(at + 1, high);
  view.setUint32(at + 5, value - high * TWO_32);
  writer.length = at + 9;
}
