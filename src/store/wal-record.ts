// Records whose events are `WalEntry` values, the vocabulary of a search index, in the log: in the bytes that a log of
// nothing else gives those values, and behind them what the store adds. So one log holds both kinds of entry, and the
// record of an AddSegment takes a quarter of the bytes. Nothing above this file sees the difference.
//
//   WalEntry · stream · version · recordedAt                  text and integers as they are in a WalEntry
//   WalEntry · stream · version · recordedAt · MessagePack   array: event version, metadata or null, command id, ...result
//
// There is no flag for it: a WalEntry begins with its tag, 0 to 4 here, and a MessagePack array never does. Whatever
// would not come back exactly as it is (other fields, other numbers) is not written this way.

import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { uncheckedMessagePackCodec } from '../codec/index.js';
import { DecodeError, EncodeError, FormatError } from '../errors/index.js';
import { walEntryCodec, type WalEntry } from '../wal/index.js';

/** A record, as far as it can be written here. */
export interface WalRecord {
  readonly stream: string;
  readonly version: number;
  readonly recordedAt: number;
  /** Type of the WalEntry. */
  readonly type: string;
  /** Its other fields. */
  readonly data: unknown;
  /** Whatever else the record has; empty for most. */
  readonly more: readonly unknown[];
}

/** Fields in the order in which decoding gives them. `Checkpoint` is missing: that one is the store's own. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ['AddSegment', 'segmentId,docCount'],
  ['StartMerge', 'transactionId,segmentIds'],
  ['CancelMerge', 'transactionId,segmentIds'],
  ['EndMerge', 'transactionId,newSegmentId,oldSegmentIds,remappedDeletes'],
  ['DeleteDocuments', 'deletes'],
]);

const arrays = uncheckedMessagePackCodec<readonly unknown[]>({ frozen: true });

/** Whether a type of event is in the vocabulary: only then is it worth asking {@link encodeWalRecord}. */
export function isWalType(type: string): boolean {
  return FIELDS.has(type);
}

/** Writes the record and returns true; returns false, having written nothing, for one that would not come back as it is. */
export function encodeWalRecord(record: WalRecord, writer: ByteWriter): boolean {
  const { stream, version, recordedAt, type, data, more } = record;
  if (typeof data !== 'object' || data === null || Object.keys(data).join() !== FIELDS.get(type)) return false;
  if (!Number.isSafeInteger(recordedAt) || recordedAt < 0) return false;
  const start = writer.length;
  try {
    walEntryCodec.encode({ type, ...data } as WalEntry, writer);
  } catch (error) {
    if (!(error instanceof EncodeError || error instanceof FormatError)) throw error;
    writer.length = start;
    return false;
  }
  writer.string(stream);
  writer.varint(version);
  writer.varint(recordedAt);
  if (more.length > 0) arrays.encode(more, writer);
  return true;
}

/** The record, or the mark of a checkpoint. */
export function decodeWalRecord(reader: ByteReader): WalRecord | (WalEntry & { readonly type: 'Checkpoint' }) {
  const entry = walEntryCodec.decode(reader);
  if (entry.type === 'Checkpoint') return entry;
  if (reader.remaining === 0)
    throw new DecodeError(
      `A bare ${entry.type} belongs to no stream: this is the log of a segment index without a store. Recover it with RecoveryManager`,
    );
  const { type, ...data } = entry;
  return {
    stream: reader.string(),
    version: reader.varint(),
    recordedAt: reader.varint(),
    type,
    data,
    more: reader.remaining > 0 ? arrays.decode(reader) : [],
  };
}
