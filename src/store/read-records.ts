// Records of the log, decoded and upcast, as everybody but reducers sees them.

import { ByteReader } from '../bytes/byte-reader.js';
import { currentEventVersion, upcast } from '../aggregate/index.js';
import { deepFreeze } from '../codec/index.js';
import { DecodeError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { decodeEntry, type StoreEntry } from './entry.js';
import type { EventLog } from './event-log.js';
import type { StoredRecord } from './record.js';
import { recordOf } from './store-state.js';
import type { AggregateTypes } from './types.js';

/** Entries that are decoded in one go, so that who stops early has paid for few in vain. */
const BATCH_ENTRIES = 64;

/**
 * Records from `from` to `upTo`, both included, some at a time: between two batches there is a promise, between two
 * records of a batch there is none. Rejects with `TruncatedError` if the log begins later.
 */
export async function* readRecords(
  log: EventLog,
  types: AggregateTypes,
  from: number,
  upTo: number,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  const reader = new ByteReader();
  for await (const { firstPosition, count, bytes, starts, ends } of log.read(from, upTo))
    for (let index = 0; index < count;) {
      const records: StoredRecord[] = [];
      for (const end = Math.min(count, index + BATCH_ENTRIES); index < end; index++) {
        const position = firstPosition + index;
        const entry = decodeAt(reader.reset(bytes, starts[index]!, ends[index]!), position);
        if (entry.kind === 'record') records.push(currentRecord(types, entry, position));
      }
      if (records.length > 0) yield records;
    }
}

function decodeAt(reader: ByteReader, position: number): StoreEntry {
  try {
    return decodeEntry(reader);
  } catch (cause) {
    throw new DecodeError(messageOf(cause), { entryId: position, cause });
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
