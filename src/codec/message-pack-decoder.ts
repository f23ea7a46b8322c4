// MessagePack → values, for what entries are made of. Gives what @msgpack/msgpack gives, many times as fast, because it
// expects what it has seen before: the fields of an object come in an order that was met, and the object at a place is of
// the shape of the one before it there, which has a program of its own if it came often. What was expected is compared
// with the bytes, so that a wrong guess costs time and nothing else. Whatever it does not know, malformed bytes included,
// is left to that library.

import { Decoder, decodeTimestampExtension } from '@msgpack/msgpack';
import { viewOf } from '../bytes/view.js';
import { compile, literal } from './compile.js';
import { deepFreeze } from './deep-freeze.js';
import { MOST_FIELDS, Shapes, type Place } from './shapes.js';
import { Habit, textOf } from './texts.js';

/** Programs that a column tries. */
const MOST_GUESSES = 4;
/** Objects for which none of them was right, after which a column does not try any more. */
const MOST_MISSES = 1000;
const TWO_32 = 2 ** 32;

/** The value goes beyond what this decoder knows. */
const UNKNOWN = new Error('Not for this decoder');
/** The object is not of the shape of the program. */
const MISS: unique symbol = Symbol('other shape');

const library = new Decoder();

/** What is made for one shape. */
interface Program {
  /** Reads the fields of an object and makes it, or returns {@link MISS}, with the decoder anywhere. */
  readonly read: (decoder: MessagePackDecoder) => object | typeof MISS;
  /** Makes an object of the values from `base` on. */
  readonly make: (values: readonly unknown[], base: number) => object;
}
type Field = Place<Program, Column>;

/** Values that have something in common, such as those of one field: what one was says what the next one may be. */
export class Column {
  readonly habit: Habit = new Habit();
  /** Of objects that came here. Those that are right more often move to the front. */
  readonly guesses: { readonly fields: number; readonly program: Program }[] = [];
  misses = 0;

  /** None was right: the program would have been. */
  missed(fields: number, program: Program): void {
    if (this.misses === MOST_MISSES) return;
    if (++this.misses === MOST_MISSES) this.guesses.length = 0;
    else {
      if (this.guesses.length === MOST_GUESSES) this.guesses.pop();
      this.guesses.push({ fields, program });
    }
  }
}

export class MessagePackDecoder {
  /** What is read, which ends at `end`; the next byte is at `at`. */
  bytes: Uint8Array = NO_BYTES;
  view: DataView = viewOf(NO_BYTES);
  at = 0;
  end = 0;
  readonly #frozen: boolean;
  readonly #shapes: Shapes<Program, Column> = new Shapes<Program, Column>((fields) => this.#programOf(fields));
  /** Items of the outermost array have a column each, as it may be a record. */
  readonly #outermost: readonly Column[] = Array.from({ length: 16 }, () => new Column());
  readonly #items = new Column();
  /** Values of the objects that are being read. */
  readonly #values: unknown[] = [];
  #depth = 0;

  /** `frozen`: objects and arrays come frozen, all through; but for an outermost array, which is a frame for them. */
  constructor({ frozen }: { readonly frozen: boolean }) {
    this.#frozen = frozen;
  }

  /** The value that takes up exactly the bytes from `start` to `end`. They may be used again afterwards. */
  decode(bytes: Uint8Array, start: number, end: number): unknown {
    try {
      this.begin(bytes, start, end);
      const value = this.#root();
      if (this.at === end) return value;
    } catch {
      // The library says what it is, or what is wrong with it.
    }
    const value = library.decode(bytes.slice(start, end));
    if (!this.#frozen) return value;
    if (!Array.isArray(value)) return deepFreeze(value);
    for (const item of value as unknown[]) deepFreeze(item);
    return value;
  }

  /**
   * From here on {@link value} gives one value after the other. Who uses it this way must see for himself that `at` is
   * `end` behind the last, and take {@link decode} where it is not, or where anything was thrown.
   */
  begin(bytes: Uint8Array, start: number, end: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = viewOf(bytes);
    }
    this.at = start;
    this.end = end;
    this.#depth = 0;
  }

  #root(): unknown {
    const first = this.at < this.end ? this.bytes[this.at]! : 0;
    if (first < 0x90 || first > 0x9f) return this.value(this.#items);
    this.at++;
    const count = first - 0x90;
    const list: unknown[] = [];
    for (let index = 0; index < count; index++) list.push(this.value(this.#outermost[index]!));
    return list;
  }

  /** The next value. */
  value(column: Column): unknown {
    const { at } = this;
    if (at >= this.end) throw UNKNOWN;
    const type = this.bytes[at]!;
    this.at = at + 1;
    if (type < 0x80) return type;
    if (type < 0x90) return this.#object(type - 0x80, column);
    if (type < 0xa0) return this.#array(type - 0x90);
    if (type < 0xc0) return this.#string(type - 0xa0, column);
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#u8());
      case 0xc5:
        return this.#binary(this.#u16());
      case 0xc6:
        return this.#binary(this.#u32());
      case 0xc7:
        return this.#extension(this.#u8());
      case 0xca:
        return this.view.getFloat32(this.#take(4));
      case 0xcb:
        return this.view.getFloat64(this.#take(8));
      case 0xcc:
        return this.#u8();
      case 0xcd:
        return this.#u16();
      case 0xce:
        return this.#u32();
      case 0xcf: {
        const start = this.#take(8);
        return this.view.getUint32(start) * TWO_32 + this.view.getUint32(start + 4);
      }
      case 0xd0:
        return this.view.getInt8(this.#take(1));
      case 0xd1:
        return this.view.getInt16(this.#take(2));
      case 0xd2:
        return this.view.getInt32(this.#take(4));
      case 0xd3: {
        const start = this.#take(8);
        return this.view.getInt32(start) * TWO_32 + this.view.getUint32(start + 4);
      }
      case 0xd6:
        return this.#extension(4);
      case 0xd7:
        return this.#extension(8);
      case 0xd9:
        return this.#string(this.#u8(), column);
      case 0xda:
        return this.#string(this.#u16(), column);
      case 0xdb:
        return this.#string(this.#u32(), column);
      case 0xdc:
        return this.#array(this.#u16());
      case 0xdd:
        return this.#array(this.#u32());
      case 0xde:
        return this.#object(this.#u16(), column);
      case 0xdf:
        return this.#object(this.#u32(), column);
      default:
        throw UNKNOWN;
    }
  }

  /** As {@link value}, where that is a short string for the most part. */
  text(column: Column): unknown {
    const { at, bytes } = this;
    const type = bytes[at]!;
    // One more than it takes: at `end` itself there is no type.
    if (type < 0xa0 || type >= 0xc0 || at + type - 0xa0 >= this.end) return this.value(column);
    this.at = at + type - 0x9f;
    return textOf(bytes, this.view, at + 1, type - 0xa0, column.habit);
  }

  /** As {@link value}, where that is a small integer for the most part. */
  small(column: Column): unknown {
    const { at } = this;
    const type = this.bytes[at]!;
    if (type >= 0x80 || at >= this.end) return this.value(column);
    this.at = at + 1;
    return type;
  }

  #u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  #u16(): number {
    return this.view.getUint16(this.#take(2));
  }

  #u32(): number {
    return this.view.getUint32(this.#take(4));
  }

  #string(length: number, column: Column): string {
    return textOf(this.bytes, this.view, this.#take(length), length, column.habit);
  }

  #binary(count: number): Uint8Array {
    const at = this.#take(count);
    return Uint8Array.prototype.slice.call(this.bytes, at, at + count);
  }

  #extension(count: number): Date {
    const at = this.#take(1 + count);
    if (this.bytes[at] !== TIMESTAMP) throw UNKNOWN;
    return decodeTimestampExtension(this.bytes.subarray(at + 1, at + 1 + count));
  }

  #array(count: number): unknown[] {
    // Every item takes a byte at least: a count that is a lie is found before there is a list of that size.
    if (count > this.end - this.at) throw UNKNOWN;
    const list: unknown[] = [];
    for (let index = 0; index < count; index++) list.push(this.value(this.#items));
    return this.#frozen ? (Object.freeze(list) as unknown[]) : list;
  }

  #object(count: number, column: Column): object {
    const { guesses } = column;
    for (let index = 0; index < guesses.length; index++) {
      const guess = guesses[index]!;
      if (guess.fields !== count) continue;
      const start = this.at;
      const made = guess.program.read(this);
      if (made === MISS) {
        this.at = start;
        continue;
      }
      if (index > 0) {
        guesses[index] = guesses[index - 1]!;
        guesses[index - 1] = guess;
      }
      return made;
    }
    return this.#anyObject(count, column);
  }

  #anyObject(count: number, column: Column): object {
    if (count > MOST_FIELDS) return this.#largeObject(count);
    let place = this.#shapes.beginning(count);
    const base = this.#depth;
    const values = this.#values;
    this.#depth += count;
    for (let index = 0; index < count; index++) {
      place = this.#next(place);
      values[base + index] = this.value((place.note ??= new Column()));
    }
    this.#depth = base;
    const { program } = place;
    if (program !== undefined) {
      column.missed(count, program);
      return program.make(values, base);
    }
    this.#shapes.count(place);
    const made: Record<string, unknown> = {};
    for (const [index, { name }] of place.fields.entries()) made[name] = values[base + index];
    return this.#frozen ? Object.freeze(made) : made;
  }

  #largeObject(count: number): object {
    // Every field takes two bytes at least.
    if (2 * count > this.end - this.at) throw UNKNOWN;
    const made: Record<string, unknown> = {};
    for (let index = 0; index < count; index++) {
      const name = this.#name();
      made[name] = this.value(this.#items);
    }
    return this.#frozen ? Object.freeze(made) : made;
  }

  /** The place of the name that comes next, which is read. */
  #next(place: Field): Field {
    const { next } = place;
    for (let index = 0; index < next.length; index++) {
      const candidate = next[index]!;
      if (!this.#isNext(candidate.encoded)) continue;
      this.at += candidate.encoded.length;
      if (index > 0) place.prefer(index);
      return candidate;
    }
    const { at } = this;
    const name = this.#name();
    return this.#shapes.add(name, this.bytes.slice(at, this.at), place);
  }

  #isNext(expected: Uint8Array): boolean {
    const { length } = expected;
    const { bytes, at } = this;
    if (at + length > this.end) return false;
    for (let index = 0; index < length; index++) if (bytes[at + index] !== expected[index]) return false;
    return true;
  }

  #name(): string {
    const name = this.value(this.#items);
    // Setting it would give the object another prototype.
    if (typeof name !== 'string' || name === '__proto__') throw UNKNOWN;
    return name;
  }

  /**
   * The program for a shape: it compares the names a word at a time, reads what most values are by itself, and makes the
   * object in one go. At the end of a name there is a byte left at least, so that it may look at it.
   */
  #programOf(fields: readonly Field[]): Program | undefined {
    const given: Record<string, unknown> = { MISS, textOf, freeze: Object.freeze };
    const steps = fields.map((field, index) => {
      const column = (field.note ??= new Column());
      given[`column${index}`] = column;
      given[`habit${index}`] = column.habit;
      const { length } = field.encoded;
      return (
        `if(at+${length}>=end||${differs(field.encoded)})return MISS;at+=${length};let v${index};type=b[at];` +
        `if(type<128){v${index}=type;at++}` +
        `else if(type>159&&type<192&&at+type-160<end)` +
        `{v${index}=textOf(b,d,at+1,type-160,habit${index});at+=type-159}` +
        `else if(type===205&&at+2<end){v${index}=d.getUint16(at+1);at+=3}` +
        `else if(type===194||type===195){v${index}=type===195;at++}` +
        `else{s.at=at;v${index}=s.value(column${index});at=s.at}`
      );
    });
    const object = (values: (index: number) => string): string => {
      const text = `{${fields.map(({ name }, index) => `${literal(name)}:${values(index)}`).join()}}`;
      return this.#frozen ? `freeze(${text})` : text;
    };
    const read = compile<Program['read']>(
      's',
      `const{bytes:b,view:d,end}=s;let{at}=s;let type;${steps.join('')}s.at=at;return ${object((index) => `v${index}`)}`,
      given,
    );
    const make = compile<Program['make']>('v,base', `return ${object((index) => `v[base+${index}]`)}`, given);
    return read === undefined || make === undefined ? undefined : { read, make };
  }

  /** Where the next `count` bytes begin, which are read. */
  #take(count: number): number {
    const { at } = this;
    if (count > this.end - at) throw UNKNOWN;
    this.at = at + count;
    return at;
  }
}

const NO_BYTES = new Uint8Array(0);
const TIMESTAMP = 0xff;

/** Text of a condition: the bytes at `at` are not these. The last word overlaps the one before it. */
function differs(expected: Uint8Array): string {
  const view = viewOf(expected);
  const { length } = expected;
  if (length < 4) return Array.from(expected, (byte, index) => `b[at+${index}]!==${byte}`).join('||');
  const words: string[] = [];
  for (let at = 0; at < length; at += 4) {
    const start = Math.min(at, length - 4);
    words.push(`d.getInt32(at+${start})!==${view.getInt32(start)}`);
  }
  return words.join('||');
}
