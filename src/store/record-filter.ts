// Which records somebody wants: said in data, or by a function.

import { isAsync } from '../aggregate/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { checkList, checkTexts, isObject } from './arguments.js';
import type { StoredRecord } from './record.js';
import type { AggregateTypes } from './types.js';

/** Records of any of these; where several are given, all of them have to agree. */
export interface RecordSelection {
  /** Aggregates of the store: classes, and what `defineAggregate` returned. */
  readonly aggregates?: readonly object[] | undefined;
  /** Streams by their whole names, `name-id`. */
  readonly streams?: readonly string[] | undefined;
  /** Event types. */
  readonly types?: readonly string[] | undefined;
  readonly where?: ((record: StoredRecord) => boolean) | undefined;
}

export type RecordFilter = RecordSelection | ((record: StoredRecord) => boolean);

const KEYS: readonly string[] = ['aggregates', 'streams', 'types', 'where'] satisfies (keyof RecordSelection)[];

/** The filter as a function; `undefined` if everything passes. Throws {@link InvalidArgumentError}. */
export function recordFilter(
  filter: RecordFilter | undefined,
  types: AggregateTypes,
): ((record: StoredRecord) => boolean) | undefined {
  if (filter === undefined) return undefined;
  if (typeof filter === 'function') {
    checkAnswersAtOnce('A filter', filter);
    return filter;
  }
  if (!isObject(filter as unknown))
    throw new InvalidArgumentError(
      `A filter is a function or { aggregates, streams, types, where }, got ${shown(filter)}`,
    );
  const unknown = Object.keys(filter).find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`A filter has no '${unknown}'; it knows ${KEYS.join(', ')}`);
  const { where } = filter;
  // A text in the place of a list would be taken for its letters, and let nothing pass.
  checkList('aggregates', filter.aggregates, 'aggregates: [Account]');
  checkTexts('streams', filter.streams);
  checkTexts('types', filter.types);
  if (where !== undefined && typeof where !== 'function')
    throw new InvalidArgumentError(`where must be a function, got ${shown(where)}`);
  if (where !== undefined) checkAnswersAtOnce('where', where);
  const definitions = setOf(filter.aggregates?.map((target) => types.of(target)));
  const streams = setOf(filter.streams);
  const eventTypes = setOf(filter.types);
  return (record) =>
    (eventTypes === undefined || eventTypes.has(record.type)) &&
    (streams === undefined || streams.has(record.stream)) &&
    (definitions === undefined || isOf(definitions, types.ofStream(record.stream))) &&
    (where === undefined || where(record));
}

/** A promise is true, so everything would pass. */
function checkAnswersAtOnce(name: string, filter: (record: StoredRecord) => boolean): void {
  if (isAsync(filter)) throw new InvalidArgumentError(`${name} must answer at once; the function is async`);
}

function setOf<T>(list: readonly T[] | undefined): ReadonlySet<T> | undefined {
  return list === undefined ? undefined : new Set(list);
}

function isOf<T>(set: ReadonlySet<T>, value: T | undefined): boolean {
  return value !== undefined && set.has(value);
}
