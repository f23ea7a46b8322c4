// A segment index as items of a checkpoint: sorted, so that the same index is the same bytes. And the crate's form of
// it, one postcard value, for reading what the crate wrote.

import type { ByteReader } from '../bytes/byte-reader.js';
import { DecodeError } from '../errors/index.js';
import type { Codec } from '../wal/index.js';
import type { SegmentIndex } from './segment-index.js';

/** One part of a checkpointed index. */
export type SegmentIndexItem =
  | {
      readonly kind: 'segment';
      readonly segmentId: number;
      readonly docCount: number;
      /** Ascending. */
      readonly deletedDocs: readonly number[];
    }
  | {
      readonly kind: 'merge';
      readonly transactionId: number;
      readonly segmentIds: readonly number[];
      readonly liveDocs: number;
    };

const MAX_U32 = 0xffff_ffff;

/** The index as items, in a fixed order. */
export function* toCheckpointState(index: SegmentIndex): Generator<SegmentIndexItem, void, undefined> {
  for (const segmentId of ascending(index.segments.keys())) {
    const { docCount, deletedDocs } = index.segments.get(segmentId)!;
    yield { kind: 'segment', segmentId, docCount, deletedDocs: ascending(deletedDocs) };
  }
  for (const transactionId of ascending(index.merges.keys()))
    yield { kind: 'merge', transactionId, ...index.merges.get(transactionId)! };
}

/** Puts an item back. */
export function restoreItem(index: SegmentIndex, item: SegmentIndexItem): SegmentIndex {
  if (item.kind === 'segment') index.restoreSegment(item.segmentId, item.docCount, item.deletedDocs);
  else index.restoreMerge(item.transactionId, item.segmentIds, item.liveDocs);
  return index;
}

/** Positional, like the log's entries; deleted documents are stored as distances. */
export const segmentIndexItemCodec: Codec<SegmentIndexItem> = {
  encode(item, writer) {
    if (item.kind === 'segment') {
      writer.u8(0);
      writer.varint(item.segmentId);
      writer.varint(item.docCount);
      writer.varint(item.deletedDocs.length);
      let previous = 0;
      for (const docId of item.deletedDocs) {
        writer.varint(docId - previous);
        previous = docId;
      }
    } else {
      writer.u8(1);
      writer.varint(item.transactionId);
      writer.varint(item.liveDocs);
      writer.varint(item.segmentIds.length);
      for (const segmentId of item.segmentIds) writer.varint(segmentId);
    }
  },
  decode(reader) {
    const tag = reader.u8();
    if (tag === 0) {
      const segmentId = reader.varint();
      const docCount = reader.varint();
      const deletedDocs: number[] = [];
      let docId = 0;
      for (let left = reader.count(1); left > 0; left--) deletedDocs.push((docId += reader.varint(MAX_U32)));
      return { kind: 'segment', segmentId, docCount, deletedDocs };
    }
    if (tag === 1) {
      const transactionId = reader.varint();
      const liveDocs = reader.varint();
      const segmentIds: number[] = [];
      for (let left = reader.count(1); left > 0; left--) segmentIds.push(reader.varint());
      return { kind: 'merge', transactionId, segmentIds, liveDocs };
    }
    throw new DecodeError(`No part of a segment index has the tag ${tag}; was the checkpoint written for other state?`);
  },
};

/** The crate's `CheckpointState`: a list of segments, each its id, document count and deleted documents. */
export const crateCheckpointCodec: Codec<readonly SegmentIndexItem[]> = {
  encode(items, writer) {
    const segments = items.filter((item) => item.kind === 'segment');
    writer.varint(segments.length);
    for (const { segmentId, docCount, deletedDocs } of segments) {
      writer.varint(segmentId);
      writer.varint(docCount);
      writer.varint(deletedDocs.length);
      for (const docId of deletedDocs) writer.varint(docId);
    }
  },
  decode(reader) {
    const items: SegmentIndexItem[] = [];
    for (let left = reader.count(3); left > 0; left--) items.push(readCrateSegment(reader));
    return items;
  },
};

function readCrateSegment(reader: ByteReader): SegmentIndexItem {
  const segmentId = reader.varint();
  const docCount = reader.varint(MAX_U32);
  const deletedDocs: number[] = [];
  for (let left = reader.count(1); left > 0; left--) deletedDocs.push(reader.varint(MAX_U32));
  return { kind: 'segment', segmentId, docCount, deletedDocs };
}

function ascending(numbers: Iterable<number>): number[] {
  return [...numbers].sort((a, b) => a - b);
}
