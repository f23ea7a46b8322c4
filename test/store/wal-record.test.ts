import { expect } from 'chai';
import { DecodeError, walEntryCodec, type WalEntry } from 'cairnlog';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import fc from 'fast-check';
import { decodeEntry, encodeEntry, metadataOrNone, type RecordEntry } from '#src/store/entry.js';
import { check } from '../support/seed.js';
import { texts } from '../support/texts.js';
import { throws } from '../support/rejects.js';
import { anyWalEntry } from '../support/wal-entries.js';

function encoded(entry: RecordEntry): Uint8Array {
  const writer = new ByteWriter();
  encodeEntry(entry, writer);
  return writer.bytes.slice(0, writer.length);
}

const record = (type: string, data: unknown, more: Partial<RecordEntry> = {}): RecordEntry => ({
  kind: 'record',
  stream: 'segments-main',
  version: 1,
  type,
  eventVersion: 1,
  recordedAt: 1000,
  data,
  metadata: metadataOrNone(undefined),
  receipt: undefined,
  ...more,
});

const added = record('AddSegment', { segmentId: 1, docCount: 100 });

/** The bytes of a bare WalEntry. */
function bare(entry: WalEntry): Uint8Array {
  const writer = new ByteWriter();
  walEntryCodec.encode(entry, writer);
  return writer.bytes.slice(0, writer.length);
}

describe('records of index segments in the log', () => {
  it('are WalEntry values with the stream, version and time behind them', () => {
    const stream = Buffer.from('segments-main');
    expect(Buffer.from(encoded(added))).to.deep.equal(
      Buffer.from([0x00, 0x01, 0x64, stream.length, ...stream, 1, 0xe8, 0x07]),
    );
  });

  it('come back exactly as they were, with metadata, receipts and versions of their events', async () => {
    const metadata = fc.oneof(fc.constant(metadataOrNone(undefined)), fc.record({ by: texts(), at: fc.nat() }));
    const receipt = fc.oneof(
      fc.constant(undefined),
      fc.record({ commandId: texts(), result: fc.constantFrom(undefined, null, 0, 'done', { deleted: 3 }) }),
    );
    await check(
      fc.property(
        anyWalEntry,
        texts(),
        fc.integer({ min: 1 }),
        fc.constantFrom(0, 1, 1_700_000_000_000, 0.5, -1, 2 ** 53),
        fc.integer({ min: 1, max: 3 }),
        metadata,
        receipt,
        ({ type, ...data }, stream, version, recordedAt, eventVersion, more, answer) => {
          const entry = record(type, data, {
            stream,
            version,
            recordedAt,
            eventVersion,
            metadata: more,
            receipt: answer,
          });
          const bytes = encoded(entry);
          const compact = type !== 'Checkpoint' && Number.isSafeInteger(recordedAt) && recordedAt >= 0;
          expect(bytes[0]! < 0x90, 'written as a WalEntry').to.equal(compact);
          const decoded = decodeEntry(new ByteReader(bytes));
          expect(decoded).to.deep.equal(entry);
          expect(encoded(decoded as RecordEntry)).to.deep.equal(bytes);
        },
      ),
      500,
    );
  });

  it('are written like all others if they are not quite what they seem', () => {
    const cases: [string, unknown][] = [
      ['AddSegment', { docCount: 100, segmentId: 1 }],
      ['AddSegment', { segmentId: 1, docCount: 100, note: 'mine' }],
      ['AddSegment', { segmentId: 'one', docCount: 100 }],
      ['AddSegment', { segmentId: 1.5, docCount: 100 }],
      ['AddSegment', { segmentId: 1, docCount: 2 ** 32 }],
      ['AddSegment', { type: 'AddSegment', segmentId: 1, docCount: 100 }],
      ['AddSegment', null],
      ['AddSegment', 'AddSegment'],
      ['DeleteDocuments', { deletes: [[1, 2, 3]] }],
      ['DeleteDocuments', { deletes: [[1, 2], null] }],
      ['StartMerge', { transactionId: 1, segmentIds: 'segmentId' }],
      ['Checkpoint', { checkpointPath: 'checkpoints/1', lastEntryId: 1 }],
      ['toString', {}],
    ];
    for (const [type, data] of cases) {
      const bytes = encoded(record(type, data));
      expect(bytes[0], JSON.stringify(data)).to.equal(0x98);
      const decoded = decodeEntry(new ByteReader(bytes)) as RecordEntry;
      expect(decoded).to.deep.equal(record(type, data));
      expect(JSON.stringify(decoded.data)).to.equal(JSON.stringify(data));
    }
  });

  it('are frozen all through', () => {
    const entry = record('EndMerge', {
      transactionId: 3,
      newSegmentId: 3,
      oldSegmentIds: [1],
      remappedDeletes: [[3, 4]],
    });
    const { data } = decodeEntry(new ByteReader(encoded(entry))) as { data: { remappedDeletes: number[][] } };
    expect(() => data.remappedDeletes[0]!.push(1)).to.throw(TypeError);
  });

  it('are not taken from a log without a store: its entries belong to no stream', () => {
    const error = throws(
      () => decodeEntry(new ByteReader(bare({ type: 'AddSegment', segmentId: 1, docCount: 100 }))),
      DecodeError,
    );
    expect(error.message).to.contain('RecoveryManager');
  });
});
