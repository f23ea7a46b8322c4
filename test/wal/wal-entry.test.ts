import { CairnError, DecodeError, EncodeError, FormatError, walEntryCodec, type WalEntry } from 'cairnlog';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeWhole } from '#src/codec/index.js';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { anyWalEntry } from '../support/wal-entries.js';

const MAX = Number.MAX_SAFE_INTEGER;

function encoded(entry: WalEntry): Buffer {
  const writer = new ByteWriter(1);
  walEntryCodec.encode(entry, writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length));
}

const decoded = (hex: string): WalEntry =>
  decodeWhole(walEntryCodec, new ByteReader(new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))));

describe('walEntryCodec', () => {
  const golden: [WalEntry, hex: string][] = [
    [{ type: 'AddSegment', segmentId: 1, docCount: 100 }, '00 01 64'],
    [{ type: 'AddSegment', segmentId: 300, docCount: 1000 }, '00 ac02 e807'],
    [{ type: 'AddSegment', segmentId: MAX, docCount: 0xffff_ffff }, '00 ffffffffffffff0f ffffffff0f'],
    [{ type: 'StartMerge', transactionId: 7, segmentIds: [1, 2] }, '01 07 02 01 02'],
    [{ type: 'CancelMerge', transactionId: 7, segmentIds: [1, 2] }, '02 07 02 01 02'],
    [
      { type: 'EndMerge', transactionId: 7, newSegmentId: 3, oldSegmentIds: [1, 2], remappedDeletes: [[3, 4]] },
      '03 07 03 02 01 02 01 03 04',
    ],
    [{ type: 'DeleteDocuments', deletes: [[1, 42]] }, '04 01 01 2a'],
    [{ type: 'DeleteDocuments', deletes: [] }, '04 00'],
    [
      { type: 'Checkpoint', checkpointPath: 'checkpoints/c1.chk', lastEntryId: 2 },
      `05 12 ${Buffer.from('checkpoints/c1.chk').toString('hex')} 02`,
    ],
  ];
  for (const [entry, hex] of golden)
    it(`writes ${JSON.stringify(entry)} as the crate does, and reads it`, () => {
      expect(encoded(entry).toString('hex')).to.equal(hex.replaceAll(' ', ''));
      expect(decoded(hex)).to.deep.equal(entry);
    });

  it('gives back every entry as it was', () =>
    check(
      fc.property(anyWalEntry, (entry) => {
        expect(decoded(encoded(entry).toString('hex'))).to.deep.equal(entry);
      }),
      500,
    ));

  it('takes any bytes without a foreign error, and gives back what it read from them', () =>
    check(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(6), (bytes, tag) => {
        const tagged = Buffer.from([tag, ...bytes]);
        let entry: WalEntry;
        try {
          entry = decoded(tagged.toString('hex'));
        } catch (error) {
          expect(error).to.be.instanceOf(CairnError);
          return;
        }
        expect(decoded(encoded(entry).toString('hex'))).to.deep.equal(entry);
      }),
      2000,
    ));

  const bad: [what: string, entry: unknown, field: string][] = [
    ['a fraction', { type: 'AddSegment', segmentId: 1.5, docCount: 1 }, 'segmentId'],
    ['a negative number', { type: 'AddSegment', segmentId: 1, docCount: -1 }, 'docCount'],
    ['-0', { type: 'AddSegment', segmentId: -0, docCount: 1 }, 'segmentId'],
    ['NaN', { type: 'StartMerge', transactionId: Number.NaN, segmentIds: [] }, 'transactionId'],
    ['a missing number', { type: 'Checkpoint', checkpointPath: 'x' }, 'lastEntryId'],
    ['a number as a string', { type: 'StartMerge', transactionId: 1, segmentIds: [1, '2'] }, 'segmentIds[1]'],
    ['no list', { type: 'CancelMerge', transactionId: 1, segmentIds: { length: 1 } }, 'segmentIds'],
    [
      'a hole in a list',
      { type: 'CancelMerge', transactionId: 1, segmentIds: Array.from({ length: 1 }) },
      'segmentIds[0]',
    ],
    ['an address of one number', { type: 'DeleteDocuments', deletes: [[1, 2], [3]] }, 'deletes[1]'],
    ['an address of null', { type: 'DeleteDocuments', deletes: [null] }, 'deletes[0]'],
    [
      'a bad document number',
      {
        type: 'DeleteDocuments',
        deletes: [
          [1, 2],
          [3, -4],
        ],
      },
      'deletes[1][1]',
    ],
    [
      'a bad segment in a remapped delete',
      { type: 'EndMerge', transactionId: 1, newSegmentId: 1, oldSegmentIds: [], remappedDeletes: [[0.5, 1]] },
      'remappedDeletes[0][0]',
    ],
    ['half of a surrogate pair', { type: 'Checkpoint', checkpointPath: 'x\ud800', lastEntryId: 1 }, 'checkpointPath'],
    ['a path that is no string', { type: 'Checkpoint', checkpointPath: 7, lastEntryId: 1 }, 'checkpointPath'],
    ['another type', { type: 'DropSegment' }, 'type'],
    ['no type', {}, 'type'],
    ['null', null, ''],
    ['a string', 'AddSegment', ''],
  ];
  for (const [what, entry, field] of bad)
    it(`refuses ${what} and names the field`, () => {
      expect(throws(() => encoded(entry as WalEntry), EncodeError).field).to.equal(field);
    });

  it('refuses integers above what the format can hold, on write and on read', () => {
    expect(throws(() => encoded({ type: 'AddSegment', segmentId: MAX + 1, docCount: 1 }), FormatError).field).to.equal(
      'segmentId',
    );
    expect(throws(() => encoded({ type: 'AddSegment', segmentId: 1, docCount: 2 ** 32 }), FormatError).field).to.equal(
      'docCount',
    );
    expect(throws(() => encoded({ type: 'DeleteDocuments', deletes: [[1, 2 ** 32]] }), FormatError).field).to.equal(
      'deletes[0][1]',
    );
    throws(() => decoded('00 ffffffffffffffffff01 01'), FormatError);
    throws(() => decoded('00 01 8080808010'), DecodeError);
    throws(() => decoded('04 01 01 8080808010'), DecodeError);
  });

  it('refuses every cut of an entry, and every byte behind it', () => {
    for (const [entry] of golden) {
      const hex = encoded(entry).toString('hex');
      for (let length = 0; length < hex.length; length += 2) throws(() => decoded(hex.slice(0, length)), DecodeError);
      expect(throws(() => decoded(`${hex}00`), DecodeError).message).to.include('left over');
    }
  });

  it('refuses unknown tags, lists that cannot be there, and paths that are not UTF-8', () => {
    for (const hex of ['06', 'ff', '04 ffffffffffffff0f 00', '01 01 7f 01', '05 02 c328 01'])
      throws(() => decoded(hex), DecodeError);
  });
});
