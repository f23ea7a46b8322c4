// The vocabulary of a search-index log, and its bytes: positional, a tag and then integers as LEB128. The layout is the
// one that the crate's `postcard` gives its `WalEntry`, so one codec reads both lineages and an AddSegment takes three
// bytes. The tag, 0 to 5, also tells these entries from domain records, which begin with a MessagePack array.

import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import type { Codec } from '../codec/index.js';
import { DecodeError, EncodeError, FormatError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

/** A document: its index segment, and its number in there from 0. */
export type DocAddress = readonly [segmentId: number, docId: number];

/**
 * What can happen to a search index. "Segment" here is always an index segment, never a file of the log.
 * Segment and transaction ids are integers from 0 to 2^53-1, document counts and numbers from 0 to 2^32-1.
 */
export type WalEntry =
  /** A new segment became visible. */
  | { readonly type: 'AddSegment'; readonly segmentId: number; readonly docCount: number }
  /** A merge of these segments began; nothing is visible of it yet. */
  | { readonly type: 'StartMerge'; readonly transactionId: number; readonly segmentIds: readonly number[] }
  /** The merge was given up. */
  | { readonly type: 'CancelMerge'; readonly transactionId: number; readonly segmentIds: readonly number[] }
  /** The merged segment replaces the old ones; deletes that came meanwhile are given in its own numbers. */
  | {
      readonly type: 'EndMerge';
      readonly transactionId: number;
      readonly newSegmentId: number;
      readonly oldSegmentIds: readonly number[];
      readonly remappedDeletes: readonly DocAddress[];
    }
  /** Documents that are not found any more. */
  | { readonly type: 'DeleteDocuments'; readonly deletes: readonly DocAddress[] }
  /** State up to `lastEntryId` was written to a checkpoint file. */
  | { readonly type: 'Checkpoint'; readonly checkpointPath: string; readonly lastEntryId: number };

const TYPES = ['AddSegment', 'StartMerge', 'CancelMerge', 'EndMerge', 'DeleteDocuments', 'Checkpoint'] as const;
const MAX_U32 = 0xffff_ffff;

/**
 * Codec of {@link WalEntry}: compact, positional, and byte for byte the crate's.
 *
 * @example
 * const wal = await WalWriter.open(directory, { codec: walEntryCodec });
 * wal.append({ type: 'AddSegment', segmentId: 1, docCount: 100 });
 */
export const walEntryCodec: Codec<WalEntry> = {
  encode(entry, writer) {
    if (typeof entry !== 'object' || entry === null) throw new EncodeError('A WalEntry must be an object');
    switch (entry.type) {
      case 'AddSegment':
        writer.u8(0);
        id(writer, entry.segmentId, 'segmentId');
        u32(writer, entry.docCount, 'docCount');
        return;
      case 'StartMerge':
      case 'CancelMerge':
        writer.u8(entry.type === 'StartMerge' ? 1 : 2);
        id(writer, entry.transactionId, 'transactionId');
        ids(writer, entry.segmentIds, 'segmentIds');
        return;
      case 'EndMerge':
        writer.u8(3);
        id(writer, entry.transactionId, 'transactionId');
        id(writer, entry.newSegmentId, 'newSegmentId');
        ids(writer, entry.oldSegmentIds, 'oldSegmentIds');
        addresses(writer, entry.remappedDeletes, 'remappedDeletes');
        return;
      case 'DeleteDocuments':
        writer.u8(4);
        addresses(writer, entry.deletes, 'deletes');
        return;
      case 'Checkpoint':
        writer.u8(5);
        if (typeof entry.checkpointPath !== 'string' || !entry.checkpointPath.isWellFormed())
          throw new EncodeError("Field 'checkpointPath' must be a well-formed string", { field: 'checkpointPath' });
        writer.string(entry.checkpointPath);
        id(writer, entry.lastEntryId, 'lastEntryId');
        return;
      default:
        throw new EncodeError(
          `Field 'type' must be one of ${TYPES.join(', ')}, got ${shown((entry as { type?: unknown } | null)?.type)}`,
          { field: 'type' },
        );
    }
  },
  decode(reader) {
    const tag = reader.u8();
    switch (tag) {
      case 0:
        return { type: 'AddSegment', segmentId: reader.varint(), docCount: reader.varint(MAX_U32) };
      case 1:
        return { type: 'StartMerge', transactionId: reader.varint(), segmentIds: readIds(reader) };
      case 2:
        return { type: 'CancelMerge', transactionId: reader.varint(), segmentIds: readIds(reader) };
      case 3:
        return {
          type: 'EndMerge',
          transactionId: reader.varint(),
          newSegmentId: reader.varint(),
          oldSegmentIds: readIds(reader),
          remappedDeletes: readAddresses(reader),
        };
      case 4:
        return { type: 'DeleteDocuments', deletes: readAddresses(reader) };
      case 5:
        return { type: 'Checkpoint', checkpointPath: reader.string(), lastEntryId: reader.varint() };
      default:
        throw new DecodeError(`No WalEntry has the tag ${tag}; was it written with another codec?`);
    }
  },
};

function id(writer: ByteWriter, value: number, field: string): void {
  if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) throw badInteger(value, '2^53-1', field);
  writer.varint(value);
}

function u32(writer: ByteWriter, value: number, field: string): void {
  if (!Number.isInteger(value) || value < 0 || value > MAX_U32 || Object.is(value, -0))
    throw badInteger(value, '2^32-1', field);
  writer.varint(value);
}

function ids(writer: ByteWriter, values: readonly number[], field: string): void {
  writer.varint(lengthOf(values, field));
  for (let index = 0; index < values.length; index++) id(writer, values[index]!, `${field}[${index}]`);
}

function addresses(writer: ByteWriter, values: readonly DocAddress[], field: string): void {
  writer.varint(lengthOf(values, field));
  for (let index = 0; index < values.length; index++) {
    const address = values[index]!;
    if (lengthOf(address, `${field}[${index}]`) !== 2)
      throw new EncodeError(`Field '${field}[${index}]' must be [segmentId, docId]`, { field: `${field}[${index}]` });
    id(writer, address[0], `${field}[${index}][0]`);
    u32(writer, address[1], `${field}[${index}][1]`);
  }
}

function lengthOf(values: unknown, field: string): number {
  if (!Array.isArray(values)) throw new EncodeError(`Field '${field}' must be an array`, { field });
  return values.length;
}

function badInteger(value: number, most: string, field: string): EncodeError | FormatError {
  const message = `Field '${field}' must be an integer from 0 to ${most}, got ${shown(value)}`;
  // Too large is a limit of the format; anything else was never an integer of any format.
  return Number.isInteger(value) && value > 0
    ? new FormatError(message, { field })
    : new EncodeError(message, { field });
}

function readIds(reader: ByteReader): number[] {
  const list: number[] = [];
  for (let left = reader.count(1); left > 0; left--) list.push(reader.varint());
  return list;
}

function readAddresses(reader: ByteReader): [number, number][] {
  const list: [number, number][] = [];
  for (let left = reader.count(2); left > 0; left--) list.push([reader.varint(), reader.varint(MAX_U32)]);
  return list;
}
