import { CairnError, DecodeError, SegmentIndex } from 'cairnlog';
import {
  crateCheckpointCodec,
  restoreItem,
  segmentIndexItemCodec,
  toCheckpointState,
  type SegmentIndexItem,
} from 'cairnlog/segment-index';
import { ByteReader, ByteWriter, type Codec } from 'cairnlog/wal';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeWhole } from '#src/codec/index.js';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { anyWalEntry, crowdedWalEntry } from '../support/wal-entries.js';

function encoded<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new ByteWriter(8);
  codec.encode(value, writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length));
}

const decoded = <T>(codec: Codec<T>, bytes: Uint8Array): T => decodeWhole(codec, new ByteReader(bytes));

describe('The checkpoint of a segment index', () => {
  const entries = fc.array(fc.oneof({ weight: 4, arbitrary: crowdedWalEntry }, { weight: 1, arbitrary: anyWalEntry }), {
    maxLength: 40,
  });

  it('gives back the index as it was, merges in flight included, and goes on alike', () =>
    check(
      fc.property(entries, entries, (before, after) => {
        const index = new SegmentIndex();
        for (const entry of before) index.apply(entry);
        const items = [...toCheckpointState(index)];
        const restored = items
          .map((item) => decoded(segmentIndexItemCodec, encoded(segmentIndexItemCodec, item)))
          .reduce(restoreItem, new SegmentIndex());
        expect([...toCheckpointState(restored)]).to.deep.equal(items);
        for (const entry of after) {
          index.apply(entry);
          restored.apply(entry);
        }
        expect([...toCheckpointState(restored)]).to.deep.equal([...toCheckpointState(index)]);
      }),
      200,
    ));

  it('is the same bytes for the same index, in whichever order it came about', () => {
    const one = new SegmentIndex();
    const other = new SegmentIndex();
    for (const [index, ids] of [
      [one, [3, 10, 2]],
      [other, [10, 2, 3]],
    ] as const) {
      for (const segmentId of ids) index.apply({ type: 'AddSegment', segmentId, docCount: segmentId });
      for (const docId of index === one ? [9, 1, 5] : [5, 9, 1])
        index.apply({ type: 'DeleteDocuments', deletes: [[10, docId]] });
      for (const transactionId of index === one ? [8, 4] : [4, 8])
        index.apply({ type: 'StartMerge', transactionId, segmentIds: [2, 3] });
    }
    const bytes = (index: SegmentIndex): string =>
      [...toCheckpointState(index)].map((item) => encoded(segmentIndexItemCodec, item).toString('hex')).join(' ');
    expect(bytes(one)).to.equal(bytes(other));
    expect(
      [...toCheckpointState(one)].map((item) => (item.kind === 'segment' ? item.segmentId : item.transactionId)),
    ).to.deep.equal([2, 3, 10, 4, 8]);
  });

  it('is refused when it is cut, or holds something else', () => {
    const items: SegmentIndexItem[] = [
      { kind: 'segment', segmentId: 300, docCount: 1000, deletedDocs: [0, 7, 4_000_000_000] },
      { kind: 'merge', transactionId: 5, segmentIds: [1, 2, 300], liveDocs: 77 },
    ];
    for (const item of items) {
      const bytes = encoded(segmentIndexItemCodec, item);
      expect(decoded(segmentIndexItemCodec, bytes)).to.deep.equal(item);
      for (let length = 0; length < bytes.length; length++)
        throws(() => decoded(segmentIndexItemCodec, bytes.subarray(0, length)), DecodeError);
    }
    throws(() => decoded(segmentIndexItemCodec, Uint8Array.of(2)), DecodeError);
    throws(() => decoded(segmentIndexItemCodec, Uint8Array.of(0, 1, 1, 0x7f, 1)), DecodeError);
  });

  it('is never anything but a typed error, whatever the bytes', () =>
    check(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        for (const codec of [segmentIndexItemCodec, crateCheckpointCodec] as Codec<unknown>[])
          try {
            decoded(codec, bytes);
          } catch (error) {
            expect(error).to.be.instanceOf(CairnError);
          }
      }),
      1000,
    ));

  it("in the crate's form is the crate's bytes", () => {
    const items: SegmentIndexItem[] = [{ kind: 'segment', segmentId: 1, docCount: 5, deletedDocs: [4] }];
    expect(encoded(crateCheckpointCodec, items).toString('hex')).to.equal('0101050104');
    expect(decoded(crateCheckpointCodec, Buffer.from('0101050104', 'hex'))).to.deep.equal(items);
    expect(decoded(crateCheckpointCodec, Buffer.from('00', 'hex'))).to.deep.equal([]);
  });
});
