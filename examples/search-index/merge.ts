// A merge under way: the contents of the merged segment as of its start, and where each document went, so that deletes
// that arrive meanwhile can follow their documents.

import type { WalEntry } from 'cairnlog';
import type { DocAddress } from 'cairnlog/wal';
import { mergePostings, type Postings, type SegmentView } from './postings.js';

export class Merge {
  readonly transactionId: number;
  readonly segmentIds: readonly number[];
  readonly newSegmentId: number;
  /** Contents of the merged segment. */
  readonly postings: Postings;
  /** Whether the postings are in their file. */
  isWritten = false;
  readonly #newNumbers: ReadonlyMap<number, readonly (number | undefined)[]>;

  /** To be made right after StartMerge was applied: what is alive then goes into the merged segment. */
  constructor(transactionId: number, newSegmentId: number, sources: ReadonlyMap<number, SegmentView>) {
    const { postings, newNumbers } = mergePostings([...sources.values()]);
    this.transactionId = transactionId;
    this.newSegmentId = newSegmentId;
    this.segmentIds = [...sources.keys()];
    this.postings = postings;
    this.#newNumbers = new Map(this.segmentIds.map((segmentId, index) => [segmentId, newNumbers[index]!]));
  }

  /** The entry that puts the merged segment in the place of the old ones, given what is deleted in those by now. */
  end(deletedDocs: (segmentId: number) => Iterable<number>): WalEntry & { readonly type: 'EndMerge' } {
    const remappedDeletes: DocAddress[] = [];
    for (const [segmentId, newNumbers] of this.#newNumbers)
      for (const number of deletedDocs(segmentId)) {
        // What was deleted before the merge began has no new number.
        const newNumber = newNumbers[number];
        if (newNumber !== undefined) remappedDeletes.push([this.newSegmentId, newNumber]);
      }
    const { transactionId, newSegmentId, segmentIds } = this;
    return { type: 'EndMerge', transactionId, newSegmentId, oldSegmentIds: segmentIds, remappedDeletes };
  }
}
