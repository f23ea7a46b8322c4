// Entries of the store in bytes: a record is written and read without the array that it is in MessagePack, and is one.

import { Decoder, Encoder } from '@msgpack/msgpack';
import { decodeEntry, encodeEntry, metadataOrNone, type RecordEntry, type StoreEntry } from '#src/store/entry.js';
import { CairnError, FormatError } from 'cairnlog';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import fc from 'fast-check';
import { check } from '../support/seed.js';
import { texts } from '../support/texts.js';

const encoder = new Encoder();
const decoder = new Decoder();
const none = metadataOrNone(undefined);

const text = fc.oneof(
  fc.constantFrom(
    '',
    'order-1',
    'OrderPlaced',
    'x'.repeat(31),
    'x'.repeat(32),
    'x'.repeat(64),
    'x'.repeat(65),
    'Größe',
  ),
  fc.string({ maxLength: 20 }),
  texts(),
);
const count = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constantFrom(2 ** 31, 2 ** 32, 1_780_000_000_000));
const data = fc.oneof(
  fc.constantFrom(null, 7, 'x', [1, { a: 2 }]),
  fc.record({ orderId: text, quantity: count, express: fc.boolean() }),
  fc.record({ id: text, lines: fc.array(fc.record({ sku: text, count })) }),
);
const records: fc.Arbitrary<RecordEntry> = fc.record({
  kind: fc.constant('record' as const),
  stream: text,
  version: count,
  type: text,
  eventVersion: count,
  recordedAt: count,
  data,
  metadata: fc.oneof(
    fc.constant(none),
    fc.dictionary(fc.constantFrom('user', 'trace'), text, { noNullPrototype: true }),
  ),
  receipt: fc.option(fc.record({ commandId: text, result: fc.option(data, { nil: undefined }) }), { nil: undefined }),
});

function arrayOf({ stream, version, type, eventVersion, recordedAt, data, metadata, receipt }: RecordEntry): unknown[] {
  const array = [0, stream, version, type, eventVersion, recordedAt, data, metadata === none ? null : metadata];
  if (receipt !== undefined) array.push(receipt.commandId);
  if (receipt?.result !== undefined) array.push(receipt.result);
  return array;
}

/** What the array in the bytes says. */
function expectedOf(bytes: Uint8Array): StoreEntry | 'refused' {
  let array: unknown;
  try {
    array = decoder.decode(bytes);
  } catch {
    return 'refused';
  }
  if (!Array.isArray(array) || array[0] !== 0) return 'refused';
  const [, stream, version, type, eventVersion, recordedAt, decoded, metadata, commandId, result] = array as never[];
  const receipt = array.length > 8 ? { commandId: commandId!, result } : undefined;
  return {
    kind: 'record',
    stream: stream!,
    version: version!,
    type: type!,
    eventVersion: eventVersion!,
    recordedAt: recordedAt!,
    data: decoded,
    metadata: metadata === null ? none : metadata!,
    receipt,
  };
}

function actualOf(reader: ByteReader): StoreEntry | 'refused' {
  try {
    const entry = decodeEntry(reader);
    expect(reader.position).to.equal(reader.end);
    return entry;
  } catch (error) {
    expect(error).to.be.instanceOf(CairnError);
    return 'refused';
  }
}

describe('records in the log', () => {
  it('are the bytes of one array, and come back frozen, whatever they hold and whatever came before', () =>
    check(
      fc.property(fc.array(records, { minLength: 1, maxLength: 6 }), (list) => {
        const writer = new ByteWriter(8);
        const reader = new ByteReader();
        // Types come again and in turns.
        for (const entry of [...list, list[0]!, list[0]!, ...list]) {
          const start = writer.length;
          encodeEntry(entry, writer);
          const bytes = writer.bytes.slice(start, writer.length);
          expect(Buffer.compare(bytes, encoder.encode(arrayOf(entry)))).to.equal(0);
          for (const decoded of [
            decodeEntry(reader.reset(writer.bytes, start, writer.length)),
            decodeEntry(reader.reset(bytes, 0, bytes.length)),
          ]) {
            expect(decoded).to.deep.equal(entry);
            expect(Object.keys(decoded)).to.deep.equal(Object.keys(entry));
            if (decoded.kind !== 'record') continue;
            if (entry.metadata === none) expect(decoded.metadata).to.equal(none);
            for (const part of [decoded.data, decoded.metadata, decoded.receipt?.result])
              expect(Object.isFrozen(part)).to.equal(true);
          }
        }
      }),
      150,
    ));

  it('are refused when they are cut off or damaged, or are what the damaged bytes say', () =>
    check(
      fc.property(records, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 30 }), (entry, damages) => {
        const writer = new ByteWriter(8);
        for (let round = 0; round < 40; round++) {
          writer.length = 0;
          encodeEntry(entry, writer);
          decodeEntry(new ByteReader(writer.bytes, 0, writer.length));
        }
        // With the bytes of the next one behind them.
        const buffer = new Uint8Array(writer.length + 40).fill(0x98);
        buffer.set(writer.bytes.subarray(0, writer.length));
        for (let end = 0; end < writer.length; end++)
          expect(actualOf(new ByteReader(buffer, 0, end)), `cut at ${end}`).to.equal('refused');
        for (const [place, byte] of damages) {
          const bytes = buffer.slice(0, writer.length + 40);
          bytes[2 + (place % (writer.length - 2))] = byte;
          const expected = expectedOf(bytes.slice(0, writer.length));
          const actual = actualOf(new ByteReader(bytes, 0, writer.length));
          // What becomes of bytes that are no UTF-8 is the one thing in which the library differs.
          if (/[^ -~]|\\u/.test(JSON.stringify([expected, actual])))
            expect(actual === 'refused').to.equal(expected === 'refused');
          else expect(actual).to.deep.equal(expected);
        }
      }),
      100,
    ));

  it('fill the bytes that are allowed, and no more', () => {
    const entry: RecordEntry = {
      kind: 'record',
      stream: 'order-1',
      version: 300,
      type: 'OrderPlaced',
      eventVersion: 1,
      recordedAt: 1_780_000_000_000,
      data: { orderId: 'o-1', note: 'x'.repeat(200), cents: 1999 },
      metadata: none,
      receipt: undefined,
    };
    const expected = encoder.encode(arrayOf(entry));
    for (let allowed = 0; allowed < expected.length + 400; allowed++) {
      const writer = new ByteWriter(8);
      writer.restrict(allowed);
      if (allowed < expected.length - 8) {
        expect(() => encodeEntry(entry, writer), `${allowed} allowed`).to.throw(FormatError);
        continue;
      }
      // Give or take what a number reserves.
      if (allowed <= expected.length) continue;
      encodeEntry(entry, writer);
      expect(Buffer.compare(writer.bytes.subarray(0, writer.length), expected)).to.equal(0);
    }
  });
});
