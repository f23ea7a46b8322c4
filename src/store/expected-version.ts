// What an append may demand of a stream's version, and what it is told when that is not so.

import { CairnError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

/** The stream must not exist: no record was ever appended to it. */
export const NO_STREAM = 0;
/** The stream must have records, however many. */
export const STREAM_EXISTS = 'STREAM_EXISTS';
/** No demand. */
export const ANY = 'ANY';

/** A version, or one of {@link NO_STREAM}, {@link STREAM_EXISTS} and {@link ANY}. */
export type ExpectedVersion = number | typeof STREAM_EXISTS | typeof ANY;

/**
 * A stream is at another version than was demanded. Nothing was appended.
 *
 * @example
 * if (error instanceof ConcurrencyError) console.log(error.stream, error.expected, error.actual);
 */
export class ConcurrencyError extends CairnError {
  readonly code = 'CAIRN_CONCURRENCY';
  readonly stream: string;
  /** What was demanded: a version, or `STREAM_EXISTS`. */
  readonly expected: ExpectedVersion;
  /** Version of the stream, appends included that are not acknowledged yet; 0 if it does not exist. */
  readonly actual: number;

  constructor(stream: string, expected: ExpectedVersion, actual: number) {
    const wanted =
      expected === NO_STREAM ? 'not to exist' : expected === STREAM_EXISTS ? 'to exist' : `at version ${expected}`;
    const found = actual === 0 ? 'it does not exist' : `it is at version ${actual}`;
    super(`Stream '${stream}' was expected ${wanted}, but ${found}. Load it again and decide anew`);
    this.stream = stream;
    this.expected = expected;
    this.actual = actual;
  }
}

/** Throws {@link ConcurrencyError} unless the stream's version is as expected. */
export function checkVersion(stream: string, expected: ExpectedVersion, actual: number): void {
  if (expected === ANY) return;
  if (expected === STREAM_EXISTS ? actual > 0 : expected === actual) return;
  if (expected !== STREAM_EXISTS && (!Number.isSafeInteger(expected) || expected < 0))
    throw new InvalidArgumentError(
      `expectedVersion must be a version from 0, STREAM_EXISTS or ANY, got ${shown(expected)}`,
    );
  throw new ConcurrencyError(stream, expected, actual);
}
