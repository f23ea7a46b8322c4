// Which values survive MessagePack exactly, the path of the first one that would not, and copies of those that do.

import { EncodeError } from '../errors/index.js';
import { compile, literal } from './compile.js';
import { MOST_FIELDS, Shapes, type Place } from './shapes.js';

/** Levels of nesting a value may have. */
export const MAX_DEPTH = 100;

/**
 * Throws {@link EncodeError} with the path of the first field that would not come back as it is. `root`: what the value
 * is called in that path, such as `data`.
 */
export function checkPlainData(value: unknown, root = ''): void {
  const problem = findProblem(value, 1);
  if (problem === undefined) return;
  const field = (root + problem.path.reverse().join('')).replace(/^\./, '');
  throw new EncodeError(`${field === '' ? 'The value' : `Field '${field}'`} ${problem.what}`, { field });
}

interface Problem {
  readonly what: string;
  /** Steps from the bad field up to the value: the way back is only walked when something is wrong. */
  readonly path: string[];
}

function findProblem(value: unknown, depth: number): Problem | undefined {
  switch (typeof value) {
    case 'boolean':
      return undefined;
    case 'string':
      return value.isWellFormed() ? undefined : bad('has half of a surrogate pair, which UTF-8 cannot hold');
    case 'number':
      return value === 0 && Object.is(value, -0) ? bad('is -0, which would come back as 0') : undefined;
    case 'undefined':
      return bad('is undefined, which would come back as null; use null or leave the field out');
    case 'bigint':
      return bad('is a bigint; use a number up to 2^53-1 or a string');
    case 'function':
      return bad('is a function');
    case 'symbol':
      return bad('is a symbol');
    case 'object':
      return value === null ? undefined : findProblemInObject(value, depth);
  }
}

function findProblemInObject(value: object, depth: number): Problem | undefined {
  if (depth > MAX_DEPTH) return bad(`is nested deeper than ${MAX_DEPTH} levels; does it refer to itself?`);
  if (Array.isArray(value)) return findProblemInArray(value, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return findProblemInFields(value, depth);
  if (value instanceof Date)
    return Number.isNaN(value.getTime())
      ? bad('is an invalid Date')
      : prototype === Date.prototype
        ? undefined
        : bad('is an instance of a class derived from Date');
  if (value instanceof Uint8Array) return undefined;
  const name = (value.constructor as { name?: string } | undefined)?.name ?? 'a class';
  return bad(`is an instance of ${name}, which would come back as a plain object; convert it to plain data first`);
}

function findProblemInArray(value: readonly unknown[], depth: number): Problem | undefined {
  for (let index = 0; index < value.length; index++) {
    const problem = findProblem(value[index], depth + 1);
    if (problem !== undefined) {
      problem.path.push(`[${index}]`);
      return problem;
    }
  }
  return findProblemInKeys(value, value.length);
}

/** Keys that an encoder would pass over. `length`: of an array. */
function findProblemInKeys(value: object, length: number | undefined): Problem | undefined {
  if (length !== undefined && Object.keys(value).length !== length) return bad('is an array with named properties');
  return hasSymbols(value) ? bad('has a symbol as a key') : undefined;
}

function hasSymbols(value: object): boolean {
  return Object.getOwnPropertySymbols(value).length > 0;
}

function findProblemInFields(value: object, depth: number): Problem | undefined {
  const fields = value as Record<string, unknown>;
  for (const key in fields) {
    // A null prototype has no hasOwnProperty; a plain one adds no enumerable keys unless somebody patched it.
    if (!Object.hasOwn(fields, key)) continue;
    const problem =
      key === '__proto__'
        ? bad('is named __proto__, which decoders refuse')
        : !key.isWellFormed()
          ? bad('has half of a surrogate pair in its name')
          : findProblem(fields[key], depth + 1);
    if (problem !== undefined) {
      problem.path.push(/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);
      return problem;
    }
  }
  return findProblemInKeys(value, undefined);
}

function bad(what: string): Problem {
  return { what, path: [] };
}

/**
 * A deep copy that shares nothing with `value` and is frozen all through (bytes and dates, which cannot be frozen, are
 * copied). Throws {@link EncodeError} as {@link checkPlainData} does.
 */
export function copyPlainData<T>(value: T, root = ''): T {
  const copied = copy(value, 1);
  if (copied === NOT_PLAIN) {
    // Only now is it worth finding out what it is, and where.
    checkPlainData(value, root);
    throw new EncodeError('The value changed while it was copied');
  }
  return copied as T;
}

const NOT_PLAIN = Symbol('not plain');

/** Copies an object of one shape; `depth` is that of its fields. */
type Program = (value: Record<string, unknown>, depth: number) => object | typeof NOT_PLAIN;

const NO_BYTES = new Uint8Array(0);
/** Names that were met have been checked. */
const shapes = new Shapes<Program>(programOf);

function copyFields(value: Record<string, unknown>, depth: number): object | typeof NOT_PLAIN {
  const keys = Object.keys(value);
  if (keys.length > MOST_FIELDS) return copyFieldByField(value, keys, depth);
  let place = shapes.beginning(keys.length);
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]!;
    const known = place.behind(key);
    if (known === undefined && !isGoodName(key)) return NOT_PLAIN;
    place = known ?? shapes.add(key, NO_BYTES, place);
  }
  // The keys are those of the shape, in its order.
  if (place.program !== undefined) return place.program(value, depth + 1);
  shapes.count(place);
  return copyFieldByField(value, keys, depth);
}

/** The program for a shape: it has looked at no value, so each one is copied by what it turns out to be. */
function programOf(fields: readonly Place<Program>[]): Program | undefined {
  const copies = fields.map(
    ({ name }, index) => `const c${index}=copy(o[${literal(name)}],depth);if(c${index}===bad)return bad;`,
  );
  const made = fields.map(({ name }, index) => `${literal(name)}:c${index}`);
  return compile<Program>('o,depth', `${copies.join('')}return freeze({${made.join()}})`, {
    copy,
    bad: NOT_PLAIN,
    freeze: Object.freeze,
  });
}

function copyFieldByField(
  value: Record<string, unknown>,
  keys: readonly string[],
  depth: number,
): object | typeof NOT_PLAIN {
  const fields: Record<string, unknown> = {};
  for (const key of keys) {
    const field = isGoodName(key) ? copy(value[key], depth + 1) : NOT_PLAIN;
    if (field === NOT_PLAIN) return NOT_PLAIN;
    fields[key] = field;
  }
  return Object.freeze(fields);
}

function isGoodName(key: string): boolean {
  return key !== '__proto__' && key.isWellFormed();
}

function copy(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'string':
      return value.isWellFormed() ? value : NOT_PLAIN;
    case 'number':
      return value === 0 && Object.is(value, -0) ? NOT_PLAIN : value;
    case 'object':
      return value === null ? null : copyObject(value, depth);
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      return NOT_PLAIN;
  }
}

function copyObject(value: object, depth: number): unknown {
  if (depth > MAX_DEPTH) return NOT_PLAIN;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (let index = 0; index < value.length; index++) {
      const item = copy(value[index], depth + 1);
      if (item === NOT_PLAIN) return NOT_PLAIN;
      list.push(item);
    }
    return findProblemInKeys(value, value.length) === undefined ? Object.freeze(list) : NOT_PLAIN;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    const fields = copyFields(value as Record<string, unknown>, depth);
    return fields === NOT_PLAIN || hasSymbols(value) ? NOT_PLAIN : fields;
  }
  if (findProblemInObject(value, depth) !== undefined) return NOT_PLAIN;
  return value instanceof Date ? new Date(value) : new Uint8Array(value as Uint8Array);
}
