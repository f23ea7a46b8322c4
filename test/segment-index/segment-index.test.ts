import { SegmentIndex, type WalEntry } from 'cairnlog';
import { expect } from 'chai';
import fc from 'fast-check';
import { afterEntry, emptyIndex, type NaiveIndex } from '../support/naive-index.js';
import { check } from '../support/seed.js';
import { anyWalEntry, crowdedWalEntry } from '../support/wal-entries.js';

function indexOf(...entries: WalEntry[]): SegmentIndex {
  const index = new SegmentIndex();
  for (const entry of entries) index.apply(entry);
  return index;
}

function plain(index: SegmentIndex): NaiveIndex {
  return {
    segments: [...index.segments]
      .map(([segmentId, { docCount, deletedDocs }]) => ({
        segmentId,
        docCount,
        deleted: [...deletedDocs].sort((a, b) => a - b),
      }))
      .sort((a, b) => a.segmentId - b.segmentId),
    merges: [...index.merges]
      .map(([transactionId, { segmentIds, liveDocs }]) => ({ transactionId, segmentIds, liveDocs }))
      .sort((a, b) => a.transactionId - b.transactionId),
  };
}

const add = (segmentId: number, docCount: number): WalEntry => ({ type: 'AddSegment', segmentId, docCount });
const del = (...deletes: [number, number][]): WalEntry => ({ type: 'DeleteDocuments', deletes });
const start = (transactionId: number, ...segmentIds: number[]): WalEntry => ({
  type: 'StartMerge',
  transactionId,
  segmentIds,
});
const cancel = (transactionId: number): WalEntry => ({ type: 'CancelMerge', transactionId, segmentIds: [] });
const end = (
  transactionId: number,
  newSegmentId: number,
  oldSegmentIds: number[],
  ...remappedDeletes: [number, number][]
): WalEntry => ({
  type: 'EndMerge',
  transactionId,
  newSegmentId,
  oldSegmentIds,
  remappedDeletes,
});
const segment = (index: SegmentIndex, id: number): [docCount: number, deleted: number[]] | undefined => {
  const found = index.segments.get(id);
  return found === undefined ? undefined : [found.docCount, [...found.deletedDocs]];
};

describe('SegmentIndex', () => {
  it('follows the rules entry by entry, as a naive model does', () =>
    check(
      fc.property(
        fc.array(fc.oneof({ weight: 9, arbitrary: crowdedWalEntry }, { weight: 1, arbitrary: anyWalEntry })),
        (entries) => {
          const index = new SegmentIndex();
          let model = emptyIndex;
          for (const entry of entries) {
            index.apply(entry);
            model = afterEntry(model, entry);
            expect(plain(index)).to.deep.equal(model);
          }
          for (const { segmentId, docCount, deleted } of model.segments)
            expect(index.liveDocs(segmentId)).to.equal(Math.max(0, docCount - deleted.length));
        },
      ),
      500,
    ));

  it('replaces a segment that is added again, with its deletes', () => {
    expect(segment(indexOf(add(1, 10), del([1, 3]), add(1, 20)), 1)).to.deep.equal([20, []]);
  });

  it('takes deletes once, in known segments only', () => {
    const index = indexOf(del([1, 1]), add(1, 10), del([1, 3], [2, 4], [1, 3]), del([1, 3]));
    expect(segment(index, 1)).to.deep.equal([10, [3]]);
    expect([index.segments.size, index.liveDocs(1), index.liveDocs(2)]).to.deep.equal([1, 9, 0]);
  });

  it('shows nothing of a merge until it ends, but knows that it is under way', () => {
    const index = indexOf(add(1, 10), add(2, 5), del([1, 0]), start(7, 1, 2));
    expect([...index.segments.keys()]).to.deep.equal([1, 2]);
    expect([...index.merges]).to.deep.equal([[7, { segmentIds: [1, 2], liveDocs: 14 }]]);
    index.apply(cancel(7));
    expect([index.merges.size, index.segments.size]).to.deep.equal([0, 2]);
    index.apply(cancel(7));
  });

  it('counts the documents of a merged segment: those alive when the merge began', () => {
    const index = indexOf(add(1, 10), add(2, 5), del([1, 0]), start(7, 1, 2), del([2, 1]), end(7, 3, [1, 2], [3, 9]));
    expect(plain(index)).to.deep.equal({ segments: [{ segmentId: 3, docCount: 14, deleted: [9] }], merges: [] });
    expect(index.liveDocs(3)).to.equal(13);
  });

  it('counts them without a start too', () => {
    expect(segment(indexOf(add(1, 10), add(2, 5), del([1, 0], [2, 1]), end(7, 3, [1, 2], [3, 9])), 3)).to.deep.equal([
      14,
      [9],
    ]);
  });

  it('keeps of the remapped deletes those of the merged segment', () => {
    const index = indexOf(add(1, 10), add(8, 4), end(7, 3, [1], [3, 2], [1, 5], [8, 1], [3, 2]));
    expect(segment(index, 3)).to.deep.equal([11, [2]]);
    expect(segment(index, 8)).to.deep.equal([4, []]);
  });

  it('passes over sources that are not there, and deletes that come after the merge', () => {
    const index = indexOf(add(1, 10), end(7, 3, [1, 2, 99]), del([1, 1]));
    expect(plain(index).segments).to.deep.equal([{ segmentId: 3, docCount: 10, deleted: [] }]);
  });

  it('lets a merged segment take the id of a source, or of one that was added before', () => {
    expect(plain(indexOf(add(1, 10), del([1, 1]), end(7, 1, [1]))).segments).to.deep.equal([
      { segmentId: 1, docCount: 9, deleted: [] },
    ]);
    expect(plain(indexOf(add(1, 10), add(3, 99), end(7, 3, [1]))).segments).to.deep.equal([
      { segmentId: 3, docCount: 10, deleted: [] },
    ]);
  });

  it('keeps several merges apart, and begins one anew that is started twice', () => {
    const index = indexOf(add(1, 10), add(2, 5), start(1, 1), start(2, 2), add(2, 50), start(2, 1, 2), end(1, 3, [1]));
    expect([...index.merges]).to.deep.equal([[2, { segmentIds: [1, 2], liveDocs: 60 }]]);
  });

  it('keeps nothing of the lists it is given', () => {
    const entry = { type: 'StartMerge' as const, transactionId: 1, segmentIds: [1, 2] };
    const index = indexOf(entry);
    entry.segmentIds.push(3);
    expect(index.merges.get(1)?.segmentIds).to.deep.equal([1, 2]);
  });

  it('counts a document once, even if the merge names its segment twice', () => {
    expect(indexOf(add(1, 10), start(1, 1, 1)).merges.get(1)?.liveDocs).to.equal(10);
  });

  it('never counts below nothing', () => {
    expect(indexOf(add(1, 1), del([1, 0], [1, 5], [1, 6])).liveDocs(1)).to.equal(0);
  });
});
