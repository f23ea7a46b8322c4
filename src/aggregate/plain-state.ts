// What reducers may leave in a state: plain data, because a checkpoint has to bring it back as it was. Only what a
// reducer changed is looked at: states share everything else with the one before, and that was looked at then.

import { checkPlainData } from '../codec/index.js';
import { EncodeError } from '../errors/index.js';

/**
 * Throws {@link EncodeError} with the path of the first field of `state` that is new since `before` and is not plain
 * data, and freezes what is not frozen. Returns whether there is a -0 in what is new: no reason to refuse a state, as
 * `-x` makes one of 0, but it would not come back.
 */
export function checkState(state: object, before: unknown): boolean {
  path.length = 0;
  return check(state, before, 1);
}

/** Of the value that is looked at, for messages. */
const path: (string | number)[] = [];

function check(value: unknown, before: unknown, depth: number): boolean {
  // A field that is undefined is not the same as one that is not there.
  if (Object.is(value, before) && value !== undefined) return false;
  if (typeof value === 'number') return Object.is(value, -0);
  if (typeof value !== 'object' || value === null || depth > DEEPEST) {
    if (typeof value !== 'boolean' && value !== null) leaf(value);
    return false;
  }
  let negativeZero = false;
  if (Array.isArray(value)) {
    const old: readonly unknown[] = Array.isArray(before) ? before : [];
    // An array that immer made of another one has no other keys.
    if (old.length === 0 && Object.keys(value).length !== value.length) leaf(value);
    for (let index = 0; index < value.length; index++) {
      path.push(index);
      if (check(value[index], old[index], depth + 1)) negativeZero = true;
      path.pop();
    }
  } else {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      leaf(value);
      return false;
    }
    const old = (typeof before === 'object' && before !== null ? before : NOTHING) as Record<string, unknown>;
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(old, key) && (key === '__proto__' || !key.isWellFormed())) leaf(value);
      path.push(key);
      if (check((value as Record<string, unknown>)[key], old[key], depth + 1)) negativeZero = true;
      path.pop();
    }
    if (Object.getOwnPropertySymbols(value).length > 0) leaf(value);
  }
  // immer freezes what it finished, and stops at what is frozen already: inside, something may not be.
  if (!Object.isFrozen(value)) Object.freeze(value);
  return negativeZero;
}

const NOTHING: object = Object.freeze(Object.create(null) as object);
/** Checked by the codec as a whole from here on: it knows what is too deep, and what refers to itself. */
const DEEPEST = 100;

function leaf(value: unknown): void {
  checkPlainData(value, path.map(step).join('').replace(/^\./, ''));
  if (typeof value === 'object' && path.length >= DEEPEST)
    throw new EncodeError(`The state is nested deeper than ${DEEPEST} levels; does it refer to itself?`);
}

function step(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
