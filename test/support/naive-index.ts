// The rules of a segment index in the plainest form there is: lists that are searched and rebuilt at every entry. Shares
// nothing with the library, and is what the library is compared with.

import type { WalEntry } from 'cairnlog';

export interface NaiveSegment {
  readonly segmentId: number;
  readonly docCount: number;
  readonly deleted: readonly number[];
}

export interface NaiveMerge {
  readonly transactionId: number;
  readonly segmentIds: readonly number[];
  readonly liveDocs: number;
}

export interface NaiveIndex {
  readonly segments: readonly NaiveSegment[];
  readonly merges: readonly NaiveMerge[];
}

export const emptyIndex: NaiveIndex = { segments: [], merges: [] };

const distinct = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((a, b) => a - b);

function alive(index: NaiveIndex, segmentIds: readonly number[]): number {
  return index.segments
    .filter(({ segmentId }) => segmentIds.includes(segmentId))
    .reduce((sum, { docCount, deleted }) => sum + Math.max(0, docCount - deleted.length), 0);
}

const withSegment = (segments: readonly NaiveSegment[], segment: NaiveSegment): NaiveSegment[] =>
  [...segments.filter(({ segmentId }) => segmentId !== segment.segmentId), segment].sort(
    (a, b) => a.segmentId - b.segmentId,
  );

const withoutMerge = (merges: readonly NaiveMerge[], id: number): NaiveMerge[] =>
  merges.filter(({ transactionId }) => transactionId !== id);

/** The index after an entry; the one before is left as it was. */
export function afterEntry(index: NaiveIndex, entry: WalEntry): NaiveIndex {
  const { segments, merges } = index;
  if (entry.type === 'AddSegment')
    return {
      segments: withSegment(segments, { segmentId: entry.segmentId, docCount: entry.docCount, deleted: [] }),
      merges,
    };
  if (entry.type === 'DeleteDocuments')
    return {
      segments: segments.map((segment) => ({
        ...segment,
        deleted: distinct([
          ...segment.deleted,
          ...entry.deletes.filter(([segmentId]) => segmentId === segment.segmentId).map(([, docId]) => docId),
        ]),
      })),
      merges,
    };
  if (entry.type === 'StartMerge') {
    const { transactionId, segmentIds } = entry;
    const merge = { transactionId, segmentIds, liveDocs: alive(index, segmentIds) };
    return {
      segments,
      merges: [...withoutMerge(merges, transactionId), merge].sort((a, b) => a.transactionId - b.transactionId),
    };
  }
  if (entry.type === 'CancelMerge') return { segments, merges: withoutMerge(merges, entry.transactionId) };
  if (entry.type === 'EndMerge') {
    const { transactionId, newSegmentId, oldSegmentIds, remappedDeletes } = entry;
    const deleted = distinct(remappedDeletes.filter(([id]) => id === newSegmentId).map(([, docId]) => docId));
    const started = merges.find((merge) => merge.transactionId === transactionId);
    const docCount = started?.liveDocs ?? alive(index, oldSegmentIds) + deleted.length;
    return {
      segments: withSegment(
        segments.filter(({ segmentId }) => !oldSegmentIds.includes(segmentId)),
        { segmentId: newSegmentId, docCount, deleted },
      ),
      merges: withoutMerge(merges, transactionId),
    };
  }
  return index;
}
