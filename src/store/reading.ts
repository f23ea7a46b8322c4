// Reading the past: records of the whole store or of one stream, in either direction, as far as they were committed when
// the reading began. Pulled: memory does not grow with the log, and whoever stops early leaves nothing open.

import { InvalidArgumentError, TruncatedError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { checkOptions } from './arguments.js';
import type { EventLog } from './event-log.js';
import type { Holds } from './holds.js';
import { recordFilter } from './record-filter.js';
import type { StoredRecord } from './record.js';
import type { AggregateTypes, Target } from './types.js';

export interface ReadOptions {
  /** First position that is wanted. Default: the first that the log still holds. */
  readonly from?: number | undefined;
  /** Last position that is wanted. Default, and at most: the last that is committed when reading begins. */
  readonly upTo?: number | undefined;
  /** Records to hand out at most. */
  readonly limit?: number | undefined;
  /** The newest first. Default false. */
  readonly backwards?: boolean | undefined;
  /** Only events of these types. */
  readonly types?: readonly string[] | undefined;
  /** Only these streams. */
  readonly streams?: readonly string[] | undefined;
  /** Only streams of these aggregates. */
  readonly aggregates?: readonly Target[] | undefined;
  /** Only records for which this is true. */
  readonly filter?: ((record: StoredRecord) => boolean) | undefined;
}

export interface ReadStreamOptions {
  /** First version that is wanted. Default: the first that the log still holds. */
  readonly fromVersion?: number | undefined;
  /** Last version that is wanted. Default, and at most: the last that is committed when reading begins. */
  readonly upToVersion?: number | undefined;
  /** Records to hand out at most. */
  readonly limit?: number | undefined;
  /** The newest first. Default false. */
  readonly backwards?: boolean | undefined;
}

/** What is read from. */
export interface ReadSource {
  readonly log: EventLog;
  readonly types: AggregateTypes;
  readonly holds: Holds;
  committedPosition(): number;
  /** Version of a stream, as of its last committed record. */
  committedVersion(stream: string): number;
  /** Committed records of the log in batches, both ends included. */
  read(from: number, upTo: number): AsyncIterable<readonly StoredRecord[]>;
}

/** Records in batches; see `EventStore.readAll`. */
export async function* readAll(
  source: ReadSource,
  options: ReadOptions,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  checkOptions('readAll', options);
  const { log } = source;
  const isWanted = selection(source.types, options);
  const committed = source.committedPosition();
  const { from = log.firstPosition, upTo = committed, limit = Infinity, backwards = false } = options;
  checkCount('from', from, 1);
  checkCount('upTo', upTo, 0);
  if (limit !== Infinity) checkCount('limit', limit, 0);
  if (from < log.firstPosition)
    throw new TruncatedError(`Position ${from} has left the log; the oldest that can be read is ${log.firstPosition}`, {
      entryId: from,
    });
  if (limit === 0) return;
  const range = { from, upTo: Math.min(upTo, committed) };
  let left = limit;
  for await (const records of inOrder(source, range, backwards, isWanted)) {
    yield records.length > left ? records.slice(0, left) : records;
    left -= records.length;
    if (left <= 0) return;
  }
}

/** Records in batches; see `EventStore.readStream`. */
export async function* readStream(
  source: ReadSource,
  stream: string,
  options: ReadStreamOptions,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  checkOptions('readStream', options);
  const { fromVersion, upToVersion, limit = Infinity, backwards = false } = options;
  if (fromVersion !== undefined) checkCount('fromVersion', fromVersion, 1);
  if (upToVersion !== undefined) checkCount('upToVersion', upToVersion, 0);
  if (limit !== Infinity) checkCount('limit', limit, 0);
  const first = fromVersion ?? 1;
  const last = Math.min(upToVersion ?? Infinity, source.committedVersion(stream));
  if (last < first || limit === 0) return;
  const range = { from: source.log.firstPosition, upTo: source.committedPosition() };
  const isWanted = (record: StoredRecord): boolean =>
    record.stream === stream && record.version >= first && record.version <= last;
  let left = limit;
  /** What should come next, where the caller named the first version: then everything from it on has to be there. */
  let next = backwards ? last : first;
  for await (const records of inOrder(source, range, backwards, isWanted)) {
    const wanted = records.length > left ? records.slice(0, left) : records;
    for (const [index, { version }] of wanted.entries()) {
      if (fromVersion !== undefined && version !== next) {
        if (index > 0) yield wanted.slice(0, index);
        throw leftTheLog(stream, next, version);
      }
      next = version + (backwards ? -1 : 1);
    }
    yield wanted;
    left -= wanted.length;
    // The rest of the log cannot hold any more of it.
    if (left === 0 || next < first || next > last) return;
  }
  if (fromVersion !== undefined) throw leftTheLog(stream, next, backwards ? next + 1 : undefined);
}

function leftTheLog(stream: string, version: number, oldest: number | undefined): TruncatedError {
  const rest = oldest === undefined ? 'the log holds none of its records' : `the oldest that can be read is ${oldest}`;
  return new TruncatedError(`Version ${version} of '${stream}' has left the log; ${rest}`);
}

type Wanted = (record: StoredRecord) => boolean;

/** All filters of the options as one. */
function selection(known: AggregateTypes, { aggregates, streams, types, filter }: ReadOptions): Wanted {
  if (filter !== undefined && typeof filter !== 'function')
    throw new InvalidArgumentError(
      `filter must be a function, got ${shown(filter)}; aggregates, streams and types are options of readAll itself`,
    );
  return recordFilter({ aggregates, streams, types, where: filter }, known) ?? (() => true);
}

async function* inOrder(
  source: ReadSource,
  { from, upTo }: { readonly from: number; readonly upTo: number },
  backwards: boolean,
  isWanted: Wanted,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  let needed = from;
  const release = source.holds.add(() => ({ name: 'a reader', position: needed - 1 }));
  try {
    if (backwards) {
      // A log is read forwards: part by part from the last, and what is wanted of each is turned around.
      for (const part of [...(await source.log.parts())].reverse()) {
        if (part.firstPosition > upTo) continue;
        if ((part.lastPosition ?? Infinity) < from) return;
        const wanted: StoredRecord[] = [];
        const end = Math.min(upTo, part.lastPosition ?? upTo);
        for await (const records of source.read(Math.max(from, part.firstPosition), end))
          for (const record of records) if (isWanted(record)) wanted.push(record);
        if (wanted.length > 0) yield wanted.reverse();
      }
    } else
      for await (const records of source.read(from, upTo)) {
        needed = records[0]!.position;
        const wanted = records.filter(isWanted);
        if (wanted.length > 0) yield wanted;
      }
  } finally {
    release();
  }
}

function checkCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`${name} must be a whole number from ${least}, got ${shown(value)}`);
}
