// Which values survive MessagePack exactly, and the path of the first one that would not.

import { EncodeError } from '../errors/index.js';

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

export interface Problem {
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

export function findProblemInObject(value: object, depth: number): Problem | undefined {
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
export function findProblemInKeys(value: object, length: number | undefined): Problem | undefined {
  if (length !== undefined && Object.keys(value).length !== length) return bad('is an array with named properties');
  return hasSymbols(value) ? bad('has a symbol as a key') : undefined;
}

export function hasSymbols(value: object): boolean {
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
