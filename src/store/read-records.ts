// Records of the log, decoded and upcast, as everybody but reducers sees them.

import { ByteReader } from '../bytes/byte-reader.js';
import { currentEventVersion, upcast } from '../aggregate/index.js';
import { DecodeError } from '../errors/index.js';
import { decodeEntry, type StoreEntry } from './entry.js';
import type { EventLog } from './event-log.js';
import type { StoredRecord } from './record.js';
import { recordOf } from './store-state.js';
import type { AggregateTypes } from './types.js';

/** Records from `from` to `upTo`, both included. Rejects with `TruncatedError` if the log begins later. */
export async function* readRecords(
  log: EventLog,
  types: AggregateTypes,
  from: number,
  upTo: number,
): AsyncGenerator<StoredRecord, void, undefined> {
  const reader = new ByteReader();
  for await (const { position, payload } of log.read(from, upTo)) {
    const entry = decodeAt(reader.reset(payload, 0, payload.length), position);
    if (entry.kind === 'record') yield current(types, recordOf(entry, position), entry.eventVersion);
  }
}

function decodeAt(reader: ByteReader, position: number): StoreEntry {
  try {
    return decodeEntry(reader);
  } catch (cause) {
    throw new DecodeError(cause instanceof Error ? cause.message : String(cause), { entryId: position, cause });
  }
}

/** The record with its data in the current version of its event. */
function current(types: AggregateTypes, record: StoredRecord, eventVersion: number): StoredRecord {
  const definition = types.ofStream(record.stream);
  if (definition === undefined || currentEventVersion(definition, record.type) === eventVersion) return record;
  return Object.freeze({ ...record, data: upcast(definition, record.type, record.data, eventVersion) });
}
