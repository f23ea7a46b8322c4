// Records of the log, decoded and upcast, as everybody but reducers sees them.

import { ByteReader } from '../bytes/byte-reader.js';
import { currentEventVersion, upcast } from '../aggregate/index.js';
import { DecodeError } from '../errors/index.js';
import { decodeEntry, deepFreeze, type StoreEntry } from './entry.js';
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
    if (entry.kind === 'record') yield currentRecord(types, entry, position);
  }
}

function decodeAt(reader: ByteReader, position: number): StoreEntry {
  try {
    return decodeEntry(reader);
  } catch (cause) {
    throw new DecodeError(cause instanceof Error ? cause.message : String(cause), { entryId: position, cause });
  }
}

/** The record that an entry is, with its data in the current version of its event. */
export function currentRecord(
  types: AggregateTypes,
  entry: StoreEntry & { readonly kind: 'record' },
  position: number,
): StoredRecord {
  const record = recordOf(entry, position);
  const { type, eventVersion } = entry;
  const definition = types.ofStream(record.stream);
  if (definition === undefined || currentEventVersion(definition, type) === eventVersion) return record;
  return Object.freeze({ ...record, data: deepFreeze(upcast(definition, type, record.data, eventVersion)) });
}
