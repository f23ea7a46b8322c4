// Reading the past: records of the whole store or of one stream, in either direction, as far as they were committed when
// the reading began. Pulled: memory does not grow with the log, and whoever stops early leaves nothing open.

import type { Event } from '../aggregate/index.js';
import { InvalidArgumentError, TruncatedError } from '../errors/index.js';
import type { EventLog } from './event-log.js';
import type { Holds } from './holds.js';
import type { StoredRecord } from './record.js';
import type { AggregateTypes, Target } from './types.js';

export interface ReadOptions {
  /** First position that is wanted. Default: the first that the log still holds. */
  readonly from?: number;
  /** Last position that is wanted. Default, and at most: the last that is committed when reading begins. */
  readonly upTo?: number;
  /** Records to hand out at most. */
  readonly limit?: number;
  /** The newest first. Default false. */
  readonly backwards?: boolean;
  /** Only events of these types. */
  readonly types?: readonly string[];
  /** Only these streams. */
  readonly streams?: readonly string[];
  /** Only streams of these aggregates. */
  readonly aggregates?: readonly Target[];
  /** Only records for which this is true. */
  readonly filter?: (record: StoredRecord) => boolean;
}

export interface ReadStreamOptions {
  /** First version that is wanted. Default: the first that the log still holds. */
  readonly fromVersion?: number;
  /** Last version that is wanted. Default, and at most: the last that is committed when reading begins. */
  readonly upToVersion?: number;
  /** Records to hand out at most. */
  readonly limit?: number;
  /** The newest first. Default false. */
  readonly backwards?: boolean;
}

/** What is read from. */
export interface ReadSource {
  readonly log: EventLog;
  readonly types: AggregateTypes;
  readonly holds: Holds;
  committedPosition(): number;
  /** Version of a stream, as of its last committed record. */
  committedVersion(stream: string): number;
  /** Committed records of the log, both ends included. */
  read(from: number, upTo: number): AsyncIterable<StoredRecord>;
}

/** See `EventStore.readAll`. */
export async function* readAll<E extends Event>(
  source: ReadSource,
  options: ReadOptions,
): AsyncGenerator<StoredRecord<E>, void, undefined> {
  const { log } = source;
  const committed = source.committedPosition();
  const { from = log.firstPosition, upTo = committed, limit = Infinity, backwards = false } = options;
  checkCount('from', from, 1);
  checkCount('upTo', upTo, 0);
  if (limit !== Infinity) checkCount('limit', limit, 0);
  if (from < log.firstPosition)
    throw new TruncatedError(`Position ${from} has left the log; the oldest that can be read is ${log.firstPosition}`, {
      entryId: from,
    });
  const range = { from, upTo: Math.min(upTo, committed) };
  const records = inOrder(source, range, backwards, selection(source.types, options));
  yield* taken(records as AsyncGenerator<StoredRecord<E>, void, undefined>, limit);
}

/** See `EventStore.readStream`. */
export async function* readStream<E extends Event>(
  source: ReadSource,
  stream: string,
  options: ReadStreamOptions,
): AsyncGenerator<StoredRecord<E>, void, undefined> {
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
  for await (const record of inOrder(source, range, backwards, isWanted)) {
    if (fromVersion !== undefined && record.version !== next) throw leftTheLog(stream, next, record.version);
    next = record.version + (backwards ? -1 : 1);
    yield record as StoredRecord<E>;
    // The rest of the log cannot hold any more of it.
    if (--left === 0 || next < first || next > last) return;
  }
  if (fromVersion !== undefined) throw leftTheLog(stream, next, backwards ? next + 1 : undefined);
}

function leftTheLog(stream: string, version: number, oldest: number | undefined): TruncatedError {
  const rest = oldest === undefined ? 'the log holds none of its records' : `the oldest that can be read is ${oldest}`;
  return new TruncatedError(`Version ${version} of '${stream}' has left the log; ${rest}`);
}

type Wanted = (record: StoredRecord) => boolean;

/** All filters of the options as one. */
function selection(types: AggregateTypes, options: ReadOptions): Wanted {
  const { filter } = options;
  const wantedTypes = options.types === undefined ? undefined : new Set(options.types);
  const wantedStreams = options.streams === undefined ? undefined : new Set(options.streams);
  const definitions =
    options.aggregates === undefined ? undefined : new Set(options.aggregates.map((target) => types.of(target)));
  return (record) => {
    if (wantedTypes !== undefined && !wantedTypes.has(record.type)) return false;
    if (wantedStreams !== undefined && !wantedStreams.has(record.stream)) return false;
    if (definitions !== undefined && !definitions.has(types.ofStream(record.stream)!)) return false;
    return filter === undefined || filter(record);
  };
}

async function* inOrder(
  source: ReadSource,
  { from, upTo }: { readonly from: number; readonly upTo: number },
  backwards: boolean,
  isWanted: Wanted,
): AsyncGenerator<StoredRecord, void, undefined> {
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
        for await (const record of source.read(Math.max(from, part.firstPosition), end))
          if (isWanted(record)) wanted.push(record);
        yield* wanted.reverse();
      }
    } else
      for await (const record of source.read(from, upTo)) {
        needed = record.position;
        if (isWanted(record)) yield record;
      }
  } finally {
    release();
  }
}

async function* taken<T>(items: AsyncGenerator<T, void, undefined>, limit: number): AsyncGenerator<T, void, undefined> {
  let left = limit;
  if (left <= 0) return;
  for await (const item of items) {
    yield item;
    if (--left <= 0) return;
  }
}

function checkCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`${name} must be a whole number from ${least}, got ${String(value)}`);
}
