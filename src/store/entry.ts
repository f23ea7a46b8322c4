// What the store puts into its log, and its bytes. A domain entry is a MessagePack array, whose first byte is 0x90 or
// above; a WalEntry (the marks of checkpoints, the vocabulary of a search index) begins with its tag, 0 to 5. So both
// kinds live in one log and share one recovery point. wal-record.ts has the layout of the latter.
//
//   [0, stream, version, type, eventVersion, recordedAt, data, metadata]                     record
//   [0, stream, version, type, eventVersion, recordedAt, data, metadata, commandId, ...result]  last one of a command
//   [1, stream, version, commandId, ...result]   receipt of a command that decided on nothing
//   [2, subscription, position]                  the subscription has handled everything up to there
//   [3, subscription, position, error, attempts]  a record was parked, and handled is everything up to it
//   [4, subscription, position]                  a parked record was handled or given up
//   [5, subscription]                            the subscription is over, and holds nothing any more
//
// `...result` is one more element, or none where the command returned undefined.

import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import {
  Column,
  deepFreeze,
  MAX_DEPTH,
  MessagePackDecoder,
  MessagePackEncoder,
  NUMBER_BYTES,
  putNumber,
  putText,
  RepeatedText,
  SHORT_TEXT_BYTES,
  uncheckedMessagePackCodec,
} from '../codec/index.js';
import { DecodeError, EncodeError, FormatError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { walEntryCodec, type WalEntry } from '../wal/index.js';
import { largestField } from './largest-field.js';
import type { Metadata } from './record.js';
import { decodeWalRecord, encodeWalRecord, isWalType, type WalRecord } from './wal-record.js';

/** What a command answered, kept so that asking again gives the same answer. */
export interface Receipt {
  readonly commandId: string;
  /** Plain data, or undefined. */
  readonly result: unknown;
}

export interface RecordEntry {
  readonly kind: 'record';
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  /** Version of the data's shape, from 1: what upcasters start from. */
  readonly eventVersion: number;
  readonly recordedAt: number;
  readonly data: unknown;
  readonly metadata: Metadata;
  /** On the last record of a command that had an id. */
  readonly receipt: Receipt | undefined;
}

export type StoreEntry =
  | RecordEntry
  | { readonly kind: 'receipt'; readonly stream: string; readonly version: number; readonly receipt: Receipt }
  | { readonly kind: 'cursor'; readonly subscription: string; readonly position: number }
  | {
      readonly kind: 'parked';
      readonly subscription: string;
      readonly position: number;
      readonly error: string;
      readonly attempts: number;
    }
  | { readonly kind: 'unparked'; readonly subscription: string; readonly position: number }
  | { readonly kind: 'unsubscribed'; readonly subscription: string }
  /** The mark of a checkpoint. */
  | { readonly kind: 'wal'; readonly entry: WalEntry & { readonly type: 'Checkpoint' } };

const NO_METADATA: Metadata = Object.freeze({});
const FIRST_ARRAY_BYTE = 0x90;
const arrays = uncheckedMessagePackCodec<readonly unknown[]>({ frozen: true });

export function encodeEntry(entry: StoreEntry, writer: ByteWriter): void {
  if (entry.kind === 'wal') walEntryCodec.encode(entry.entry, writer);
  else if (entry.kind !== 'record') arrays.encode(toArray(entry), writer);
  else if (!isWalType(entry.type) || !encodeWalRecord(toWalRecord(entry), writer)) encodeRecord(entry, writer);
}

const encoder = new MessagePackEncoder();
const typeText = new RepeatedText();
/** Most that the items before the data take where {@link putFront} writes them. */
const FRONT_BYTES = 2 + 2 * SHORT_TEXT_BYTES + 3 * NUMBER_BYTES;

/** As one array would be encoded, without there being one. */
function encodeRecord(entry: RecordEntry, writer: ByteWriter): void {
  const { metadata, receipt } = entry;
  const result = receipt?.result;
  const count = receipt === undefined ? 8 : result === undefined ? 9 : 10;
  const end = writer.hasRoom(FRONT_BYTES) ? putFront(entry, count, writer) : 0;
  if (end > 0) writer.length = end;
  else {
    writer.u8(FIRST_ARRAY_BYTE + count);
    for (const item of [0, entry.stream, entry.version, entry.type, entry.eventVersion, entry.recordedAt])
      encoder.encode(item, writer, MAX_DEPTH);
  }
  encoder.encode(entry.data, writer, MAX_DEPTH);
  encoder.encode(metadata === NO_METADATA ? null : metadata, writer, MAX_DEPTH);
  if (receipt === undefined) return;
  encoder.encode(receipt.commandId, writer, MAX_DEPTH);
  if (result !== undefined) encoder.encode(result, writer, MAX_DEPTH);
}

/** Writes what comes before the data and returns where it ends; returns 0 for names that are not short or not ASCII. */
function putFront(entry: RecordEntry, count: number, { bytes, dataView: view, length }: ByteWriter): number {
  bytes[length] = FIRST_ARRAY_BYTE + count;
  bytes[length + 1] = 0;
  let at = putText(entry.stream, bytes, length + 2);
  if (at === 0) return 0;
  at = putNumber(entry.version, bytes, view, at);
  at = typeText.put(entry.type, bytes, view, at);
  if (at === 0) return 0;
  at = putNumber(entry.eventVersion, bytes, view, at);
  return putNumber(entry.recordedAt, bytes, view, at);
}

/** Of an entry that takes `size` bytes where `most` are allowed: names the field that is to blame. */
export function tooLarge(entry: StoreEntry, size: number, most: number): EncodeError {
  const { kind, ...fields } = entry;
  const field = largestField(fields).replace(/^receipt\./, '');
  const what = kind === 'record' ? `Event '${entry.type}' for '${entry.stream}'` : `An entry of kind '${kind}'`;
  return new EncodeError(
    `${what} takes ${size} bytes, at most ${most} are allowed; most of it is in '${field}'. Keep that elsewhere, or ` +
      'append it in parts',
    { field },
  );
}

export function decodeEntry(reader: ByteReader): StoreEntry {
  const first = reader.bytes[reader.position];
  if (first === undefined) throw new DecodeError('An entry of the store is empty');
  if (first >= FIRST_ARRAY_BYTE) return decodeRecord(reader) ?? fromArray(arrays.decode(reader));
  const decoded = decodeWalRecord(reader);
  return 'checkpointPath' in decoded ? { kind: 'wal', entry: decoded } : fromWalRecord(decoded);
}

const decoder = new MessagePackDecoder({ frozen: true });
const streamColumn = new Column();
const typeColumn = new Column();
const metadataColumn = new Column();
const commandColumn = new Column();
const resultColumn = new Column();
const otherColumn = new Column();
/** Of the data of events of one type, which mostly have one shape. */
const dataColumns = new Map<string, Column>();
const MOST_TYPES = 1024;
const MOST_CHARACTERS = 256;

/** A record, without the array in between; undefined, with nothing read, for all that is none or that is malformed. */
function decodeRecord(reader: ByteReader): RecordEntry | undefined {
  const { bytes, position, end } = reader;
  const count = bytes[position]! - FIRST_ARRAY_BYTE;
  if (count < 8 || count > 10 || bytes[position + 1] !== 0) return undefined;
  try {
    decoder.begin(bytes, position + 2, end);
    const stream = decoder.text(streamColumn) as string;
    const version = decoder.small(otherColumn) as number;
    const type = decoder.text(typeColumn) as string;
    const eventVersion = decoder.small(otherColumn) as number;
    const recordedAt = decoder.value(otherColumn) as number;
    const data = decoder.value(dataColumnOf(type));
    const metadata = decoder.value(metadataColumn) as Metadata | null;
    let receipt: Receipt | undefined;
    if (count > 8) {
      const commandId = decoder.value(commandColumn) as string;
      receipt = { commandId, result: count > 9 ? decoder.value(resultColumn) : undefined };
    }
    if (decoder.at !== end) return undefined;
    reader.position = end;
    return {
      kind: 'record',
      stream,
      version,
      type,
      eventVersion,
      recordedAt,
      data,
      metadata: metadata === null ? NO_METADATA : metadata,
      receipt,
    };
  } catch {
    // Decoding it as an array says what is wrong.
    return undefined;
  }
}

let lastType = '';
let lastColumn = otherColumn;

function dataColumnOf(type: string): Column {
  if (type === lastType) return lastColumn;
  let column = dataColumns.get(type);
  if (column === undefined) {
    if (dataColumns.size === MOST_TYPES || typeof type !== 'string' || type.length > MOST_CHARACTERS)
      return otherColumn;
    dataColumns.set(type, (column = new Column()));
  }
  lastType = type;
  return (lastColumn = column);
}

function toWalRecord(entry: RecordEntry): WalRecord {
  const { stream, version, recordedAt, type, eventVersion, data, metadata, receipt } = entry;
  const more: unknown[] = [];
  if (metadata !== NO_METADATA || receipt !== undefined || eventVersion !== 1)
    more.push(eventVersion, metadata === NO_METADATA ? null : metadata);
  if (receipt !== undefined) pushReceipt(more, receipt);
  return { stream, version, recordedAt, type, data, more };
}

function fromWalRecord({ stream, version, recordedAt, type, data, more }: WalRecord): RecordEntry {
  const [eventVersion = 1, metadata = null, commandId, result] = more as [
    number?,
    (Metadata | null)?,
    string?,
    unknown?,
  ];
  return {
    kind: 'record',
    stream,
    version,
    type,
    eventVersion,
    recordedAt,
    data: deepFreeze(data),
    metadata: metadata === null ? NO_METADATA : metadata,
    receipt: commandId === undefined ? undefined : { commandId, result },
  };
}

function toArray(entry: Exclude<StoreEntry, { kind: 'wal' | 'record' }>): unknown[] {
  switch (entry.kind) {
    case 'receipt': {
      const array: unknown[] = [1, entry.stream, entry.version];
      pushReceipt(array, entry.receipt);
      return array;
    }
    case 'cursor':
      return [2, entry.subscription, entry.position];
    case 'parked':
      return [3, entry.subscription, entry.position, entry.error, entry.attempts];
    case 'unparked':
      return [4, entry.subscription, entry.position];
    case 'unsubscribed':
      return [5, entry.subscription];
  }
}

function pushReceipt(array: unknown[], { commandId, result }: Receipt): void {
  array.push(commandId);
  if (result !== undefined) array.push(result);
}

function fromArray(array: readonly unknown[]): StoreEntry {
  if (!Array.isArray(array)) throw new DecodeError('Not an entry of a store; was the log written by something else?');
  const [kind, name, third] = array as [number, string, number];
  switch (kind) {
    case 0:
      return {
        kind: 'record',
        stream: name,
        version: third,
        type: array[3] as string,
        eventVersion: array[4] as number,
        recordedAt: array[5] as number,
        data: array[6],
        metadata: array[7] === null ? NO_METADATA : (array[7] as Metadata),
        receipt: array.length > 8 ? { commandId: array[8] as string, result: array[9] } : undefined,
      };
    case 1:
      return {
        kind: 'receipt',
        stream: name,
        version: third,
        receipt: { commandId: array[3] as string, result: array[4] },
      };
    case 2:
      return { kind: 'cursor', subscription: name, position: third };
    case 3:
      return {
        kind: 'parked',
        subscription: name,
        position: third,
        error: array[3] as string,
        attempts: array[4] as number,
      };
    case 4:
      return { kind: 'unparked', subscription: name, position: third };
    case 5:
      return { kind: 'unsubscribed', subscription: name };
    default:
      throw new FormatError(`An entry of kind ${shown(kind)}: a newer version of the library wrote it`);
  }
}

/** Metadata of records that were given none. */
export function metadataOrNone(metadata: Metadata | undefined): Metadata {
  return metadata ?? NO_METADATA;
}
