// What a log of WalEntry values amounts to: the index segments there are, which of their documents are deleted, and the
// merges under way. The rules are the crate's, except where the crate loses something: merges in flight are part of the
// state, and a merged segment knows how many documents it has.

import type { WalEntry } from '../wal/index.js';

/** An index segment. */
export interface IndexSegment {
  /** Documents in the segment, deleted ones included: their numbers are 0 to `docCount - 1`. */
  readonly docCount: number;
  readonly deletedDocs: ReadonlySet<number>;
}

/** A merge that was started and neither ended nor cancelled. */
export interface MergeInFlight {
  readonly segmentIds: readonly number[];
  /** Documents alive in those segments when the merge began: as many go into the merged segment. */
  readonly liveDocs: number;
}

interface MutableSegment {
  docCount: number;
  readonly deletedDocs: Set<number>;
}

/**
 * The segments of a search index, as of some entry of its log.
 *
 * @example
 * const index = new SegmentIndex();
 * index.apply({ type: 'AddSegment', segmentId: 1, docCount: 100 });
 * index.apply({ type: 'DeleteDocuments', deletes: [[1, 42]] });
 * index.liveDocs(1); // 99
 */
export class SegmentIndex {
  readonly #segments = new Map<number, MutableSegment>();
  readonly #merges = new Map<number, MergeInFlight>();

  /** Segments by id. */
  get segments(): ReadonlyMap<number, IndexSegment> {
    return this.#segments;
  }

  /** Merges in flight by transaction id: after a crash, the ones to resume or cancel. */
  get merges(): ReadonlyMap<number, MergeInFlight> {
    return this.#merges;
  }

  /** Documents of a segment that are not deleted; 0 for an unknown one. */
  liveDocs(segmentId: number): number {
    const segment = this.#segments.get(segmentId);
    // The crate counts no documents in merged segments, but deletes in them: there the count is unknown, not negative.
    return segment === undefined ? 0 : Math.max(0, segment.docCount - segment.deletedDocs.size);
  }

  /**
   * Applies one entry. Total: what does not fit the state is ignored as the crate ignores it (deletes in unknown
   * segments, unknown sources of a merge), because an entry that is in the log cannot be refused any more.
   */
  apply(entry: WalEntry): void {
    switch (entry.type) {
      case 'AddSegment':
        this.restoreSegment(entry.segmentId, entry.docCount, []);
        return;
      case 'DeleteDocuments':
        for (const [segmentId, docId] of entry.deletes) this.#segments.get(segmentId)?.deletedDocs.add(docId);
        return;
      case 'StartMerge':
        this.restoreMerge(entry.transactionId, entry.segmentIds, this.#liveDocsOf(entry.segmentIds));
        return;
      case 'CancelMerge':
        this.#merges.delete(entry.transactionId);
        return;
      case 'EndMerge': {
        const remapped = entry.remappedDeletes.filter(([segmentId]) => segmentId === entry.newSegmentId);
        // Documents deleted while the merge ran are in the merged segment and among the remapped deletes. Without a
        // StartMerge to have counted them, they are added back to what is alive now.
        const docCount =
          this.#merges.get(entry.transactionId)?.liveDocs ??
          this.#liveDocsOf(entry.oldSegmentIds) + new Set(remapped.map(([, docId]) => docId)).size;
        for (const segmentId of entry.oldSegmentIds) this.#segments.delete(segmentId);
        this.restoreSegment(
          entry.newSegmentId,
          docCount,
          remapped.map(([, docId]) => docId),
        );
        this.#merges.delete(entry.transactionId);
        return;
      }
      case 'Checkpoint':
        return;
    }
  }

  /** Puts a segment in place, replacing one of the same id. */
  restoreSegment(segmentId: number, docCount: number, deletedDocs: Iterable<number>): void {
    this.#segments.set(segmentId, { docCount, deletedDocs: new Set(deletedDocs) });
  }

  /** Puts a merge in flight in place. */
  restoreMerge(transactionId: number, segmentIds: readonly number[], liveDocs: number): void {
    this.#merges.set(transactionId, { segmentIds: [...segmentIds], liveDocs });
  }

  #liveDocsOf(segmentIds: readonly number[]): number {
    let live = 0;
    for (const segmentId of new Set(segmentIds)) live += this.liveDocs(segmentId);
    return live;
  }
}
