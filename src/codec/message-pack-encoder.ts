// MessagePack for what entries are made of (null, booleans, numbers, strings, arrays, plain objects), written where it
// belongs. Byte for byte what @msgpack/msgpack writes, without its buffer in between; whatever else a value holds, and
// text beyond ASCII, is left to that library. Objects of a shape that came often are written by a program for that shape.

import { Encoder } from '@msgpack/msgpack';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { EncodeError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { compile, literal } from './compile.js';
import { NUMBER_BYTES, putNumber, putText, SHORT_TEXT, SHORT_TEXT_BYTES } from './message-pack-leaves.js';
import { MAX_DEPTH } from './plain-data.js';
import { MOST_FIELDS, Shapes, type Place } from './shapes.js';

/** Writes an object of one shape, head and all. */
type Program = (value: Record<string, unknown>, writer: ByteWriter, levels: number) => void;
type Field = Place<Program>;

// The instance is reused: a new Encoder per value costs four times as much. It counts a leaf as a level of its own; too
// deep a value is the check's to refuse, which names the field.
const INITIAL_BYTES = 2048;
const library = new Encoder({ initialBufferSize: INITIAL_BYTES, maxDepth: MAX_DEPTH + 1 });

/** What is left over, by the library. Its result is a view that the next value overwrites, so it is copied at once. */
function encodeOther(value: unknown, writer: ByteWriter): void {
  let encoded: Uint8Array;
  try {
    encoded = library.encodeSharedRef(value);
  } catch (cause) {
    throw new EncodeError(`MessagePack cannot hold this value: ${shown(cause)}`, { cause });
  }
  writer.write(encoded);
}

/** What it knows of shapes is its own, so that one kind of value does not use up what is remembered for another. */
export class MessagePackEncoder {
  readonly #shapes: Shapes<Program> = new Shapes((fields) => this.#programOf(fields));

  /** Appends `value`, with at most so many levels of arrays and objects. On an error the writer may hold a part of it. */
  encode(value: unknown, writer: ByteWriter, levels: number): void {
    switch (typeof value) {
      case 'string':
        encodeString(value, writer);
        return;
      case 'number':
        encodeNumber(value, writer);
        return;
      case 'boolean':
        writer.u8(value ? 0xc3 : 0xc2);
        return;
      case 'object':
        if (value === null) writer.u8(0xc0);
        else this.#encodeObject(value, writer, levels);
        return;
      case 'undefined':
      case 'bigint':
      case 'function':
      case 'symbol':
        encodeOther(value, writer);
    }
  }

  #encodeObject(value: object, writer: ByteWriter, levels: number): void {
    if (levels === 0) throw new EncodeError('MessagePack cannot hold this value: it is nested too deep');
    if (Array.isArray(value)) {
      encodeSize(value.length, writer, 0x90, 0xdc);
      for (let index = 0; index < value.length; index++) this.encode(value[index], writer, levels - 1);
    } else if (isPlain(value)) this.#encodeFields(value as Record<string, unknown>, writer, levels);
    else encodeOther(value, writer);
  }

  #encodeFields(value: Record<string, unknown>, writer: ByteWriter, levels: number): void {
    const keys = Object.keys(value);
    const count = keys.length;
    if (count > MOST_FIELDS) {
      encodeSize(count, writer, 0x80, 0xde);
      for (const key of keys) {
        encodeString(key, writer);
        this.encode(value[key], writer, levels - 1);
      }
      return;
    }
    let place = this.#shapes.beginning(count);
    for (let index = 0; index < count; index++) {
      const key = keys[index]!;
      place = place.behind(key) ?? this.#shapes.add(key, encodedName(key, writer), place);
    }
    const { program } = place;
    if (program !== undefined) {
      // The keys are those of the shape, in its order.
      program(value, writer, levels);
      return;
    }
    encodeSize(count, writer, 0x80, 0xde);
    this.#encodeFieldsFrom(0, place.fields, value, writer, levels);
    this.#shapes.count(place);
  }

  #encodeFieldsFrom(
    first: number,
    fields: readonly Field[],
    value: Record<string, unknown>,
    writer: ByteWriter,
    levels: number,
  ): void {
    for (let index = first; index < fields.length; index++) {
      const { name, encoded } = fields[index]!;
      writer.write(encoded);
      this.encode(value[name], writer, levels - 1);
    }
  }

  /**
   * The program for a shape. It makes room once for all names and all values as long as they are short, stores the names as
   * constants, and writes each value by what it turns out to be: a shape says nothing about values. Where there is no room
   * for so much, that is near a limit, the rest is written piece by piece, which finds out exactly.
   */
  #programOf(fields: readonly Field[]): Program | undefined {
    if (fields.length === 0) return undefined;
    const rest = this.#encodeFieldsFrom.bind(this);
    const room = fields.map(({ encoded }) => encoded.length + SHORT_TEXT_BYTES);
    // What a constant writes beyond its end, see `store`.
    const roomFrom = (first: number): number => room.slice(first).reduce((sum, bytes) => sum + bytes, 4);
    const takeRoom = (first: number): string =>
      `if(!w.hasRoom(${roomFrom(first)})){rest(${first},fields,o,w,levels);return}b=w.bytes;d=w.dataView;at=w.length;`;
    const head = fields.length < 16 ? [0x80 + fields.length] : [0xde, 0, fields.length];
    const body = fields.map(({ name, encoded }, index) => {
      const constant = index === 0 ? [...head, ...encoded] : encoded;
      return (
        `${store(constant)}v=o[${literal(name)}];` +
        // The same for every type of value, the most frequent first.
        `if(typeof v==='string'&&(next=putText(v,b,at))!==0)at=next;` +
        `else if(typeof v==='number'){if((v&127)===v)b[at++]=v;else at=putNumber(v,b,d,at)}` +
        `else if(typeof v==='boolean')b[at++]=v?195:194;` +
        `else{w.length=at;e.encode(v,w,levels-1);${index + 1 < fields.length ? takeRoom(index + 1) : 'return'}}`
      );
    });
    return compile<Program>(
      'o,w,levels',
      `let b,d,at,next,v;if(!w.hasRoom(${roomFrom(0) + head.length})){size(${fields.length},w,0x80,0xde);` +
        `rest(0,fields,o,w,levels);return}b=w.bytes;d=w.dataView;at=w.length;${body.join('')}w.length=at`,
      { e: this, fields, putText, putNumber, size: encodeSize, rest },
    );
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function encodedName(name: string, writer: ByteWriter): Uint8Array {
  const start = writer.length;
  encodeString(name, writer);
  const encoded = writer.bytes.slice(start, writer.length);
  writer.length = start;
  return encoded;
}

/** Text that stores bytes, four at a time: up to three zeros behind them are overwritten or do not count. */
function store(bytes: ArrayLike<number>): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    const word = [0, 1, 2, 3].reduce((sum, index) => sum * 256 + (bytes[at + index] ?? 0), 0);
    text += `d.setUint32(at+${at},${word});`;
  }
  return `${text}at+=${bytes.length};`;
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

function encodeString(value: string, writer: ByteWriter): void {
  const { length } = value;
  if (length <= SHORT_TEXT) {
    writer.reserve((length < 32 ? 1 : 2) + length);
    const end = putText(value, writer.bytes, writer.length);
    if (end !== 0) {
      writer.length = end;
      return;
    }
  }
  encodeOther(value, writer);
}

function encodeNumber(value: number, writer: ByteWriter): void {
  writer.reserve(NUMBER_BYTES);
  writer.length = putNumber(value, writer.bytes, writer.dataView, writer.length);
}
