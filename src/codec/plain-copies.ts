// Copies of plain data, which are all there is of it afterwards: nothing is shared with the value, and all is frozen. What
// checkPlainData refuses is refused. Objects of a shape that came often are copied by a program for that shape.

import { EncodeError } from '../errors/index.js';
import { compile, literal } from './compile.js';
import { checkPlainData, findProblemInKeys, findProblemInObject, hasSymbols, MAX_DEPTH } from './plain-data.js';
import { MOST_FIELDS, Shapes, type Place } from './shapes.js';

const NOT_PLAIN: unique symbol = Symbol('not plain');

/** Copies an object of one shape; `depth` is that of its fields. */
type Program = (value: Record<string, unknown>, depth: number) => object | typeof NOT_PLAIN;

export class PlainCopies {
  /** Names that were met have been checked. */
  readonly #shapes: Shapes<Program> = new Shapes((fields) => this.#programOf(fields));

  /** See {@link copyPlainData}. */
  copy<T>(value: T, root: string): T {
    const copied = this.#value(value, 1);
    if (copied === NOT_PLAIN) {
      // Only now is it worth finding out what it is, and where.
      checkPlainData(value, root);
      throw new EncodeError('The value changed while it was copied');
    }
    return copied as T;
  }

  #value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'boolean':
        return value;
      case 'string':
        return value.isWellFormed() ? value : NOT_PLAIN;
      case 'number':
        return value === 0 && Object.is(value, -0) ? NOT_PLAIN : value;
      case 'object':
        return value === null ? null : this.#object(value, depth);
      case 'undefined':
      case 'bigint':
      case 'function':
      case 'symbol':
        return NOT_PLAIN;
    }
  }

  #object(value: object, depth: number): unknown {
    if (depth > MAX_DEPTH) return NOT_PLAIN;
    if (Array.isArray(value)) {
      const list: unknown[] = [];
      for (let index = 0; index < value.length; index++) {
        const item = this.#value(value[index], depth + 1);
        if (item === NOT_PLAIN) return NOT_PLAIN;
        list.push(item);
      }
      return findProblemInKeys(value, value.length) === undefined ? Object.freeze(list) : NOT_PLAIN;
    }
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      const fields = this.#fields(value as Record<string, unknown>, depth + 1);
      return fields === NOT_PLAIN || hasSymbols(value) ? NOT_PLAIN : fields;
    }
    if (findProblemInObject(value, depth) !== undefined) return NOT_PLAIN;
    return value instanceof Date ? new Date(value) : new Uint8Array(value as Uint8Array);
  }

  #fields(value: Record<string, unknown>, depth: number): object | typeof NOT_PLAIN {
    const keys = Object.keys(value);
    if (keys.length > MOST_FIELDS) return this.#oneByOne(value, keys, depth);
    let place = this.#shapes.beginning(keys.length);
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index]!;
      const known = place.behind(key);
      if (known === undefined && !isGoodName(key)) return NOT_PLAIN;
      place = known ?? this.#shapes.add(key, NO_BYTES, place);
    }
    // The keys are those of the shape, in its order.
    if (place.program !== undefined) return place.program(value, depth);
    this.#shapes.count(place);
    return this.#oneByOne(value, keys, depth);
  }

  #oneByOne(value: Record<string, unknown>, keys: readonly string[], depth: number): object | typeof NOT_PLAIN {
    const fields: Record<string, unknown> = {};
    for (const key of keys) {
      const field = isGoodName(key) ? this.#value(value[key], depth) : NOT_PLAIN;
      if (field === NOT_PLAIN) return NOT_PLAIN;
      fields[key] = field;
    }
    return Object.freeze(fields);
  }

  /** The program for a shape. A shape says nothing about values: each is copied by what it turns out to be. */
  #programOf(fields: readonly Place<Program>[]): Program | undefined {
    const copies = fields.map(
      ({ name }, index) => `const c${index}=copy(o[${literal(name)}],depth);if(c${index}===NOT_PLAIN)return NOT_PLAIN;`,
    );
    const object = `{${fields.map(({ name }, index) => `${literal(name)}:c${index}`).join()}}`;
    return compile<Program>('o,depth', `${copies.join('')}return freeze(${object})`, {
      copy: (value: unknown, depth: number) => this.#value(value, depth),
      NOT_PLAIN,
      freeze: Object.freeze,
    });
  }
}

const NO_BYTES = new Uint8Array(0);

function isGoodName(key: string): boolean {
  return key !== '__proto__' && key.isWellFormed();
}

const copies = new PlainCopies();

/**
 * A deep copy that shares nothing with `value` and is frozen all through (bytes and dates, which cannot be frozen, are
 * copied). Throws {@link EncodeError} as {@link checkPlainData} does; `root` is what the value is called there.
 */
export function copyPlainData<T>(value: T, root = ''): T {
  return copies.copy(value, root);
}
