import { DecodeError, FormatError } from 'cairnlog';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import fc from 'fast-check';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { texts } from '../support/texts.js';

const MAX = Number.MAX_SAFE_INTEGER;

function written(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.bytes.subarray(0, writer.length);
}

/** LEB128 as the definition has it. */
function leb128(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 128n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 127n) | 128);
  }
}

describe('varints', () => {
  const edges = [0, 1, 127, 128, 16383, 16384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 49, MAX - 1, MAX];

  it('are LEB128 at every edge up to 2^53-1, and come back', () => {
    for (const value of edges) {
      const bytes = written((writer) => writer.varint(value));
      expect([...bytes], String(value)).to.deep.equal(leb128(BigInt(value)));
      const reader = new ByteReader(bytes);
      expect(reader.varint()).to.equal(value);
      expect(reader.remaining).to.equal(0);
    }
  });

  it('come back for any value', () =>
    check(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = written((writer) => writer.varint(value));
        expect([...bytes]).to.deep.equal(leb128(BigInt(value)));
        expect(new ByteReader(bytes).varint()).to.equal(value);
      }),
      500,
    ));

  it('are refused above 2^53-1 on both sides', () => {
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n])
      throws(() => new ByteReader(Uint8Array.from(leb128(value))).varint(), FormatError);
    for (const value of [MAX + 1, -1, 0.5, Number.NaN, Infinity])
      throws(() => new ByteWriter().varint(value), FormatError);
  });

  it('take overlong forms of up to ten bytes, and no eleventh', () => {
    expect(new ByteReader(Uint8Array.of(0x81, 0x80, 0x00)).varint()).to.equal(1);
    expect(new ByteReader(Uint8Array.from([...Array(9).fill(0x80), 0])).varint()).to.equal(0);
    throws(() => new ByteReader(Uint8Array.from([...Array(10).fill(0x80), 0])).varint(), DecodeError);
  });

  it('are refused above a lower limit, and when they are cut', () => {
    expect(new ByteReader(Uint8Array.from(leb128(2n ** 32n - 1n))).varint(0xffff_ffff)).to.equal(0xffff_ffff);
    throws(() => new ByteReader(Uint8Array.from(leb128(2n ** 32n))).varint(0xffff_ffff), DecodeError);
    throws(() => new ByteReader(Uint8Array.of(0x80)).varint(), DecodeError);
    throws(() => new ByteReader().varint(), DecodeError);
  });
});

describe('ByteWriter and ByteReader', () => {
  it('read back every kind of value in the order in which they were written', () =>
    check(
      fc.property(
        fc.array(
          fc.oneof(
            fc.record({ kind: fc.constant('u8' as const), value: fc.nat(255) }),
            fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
            fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
            fc.record({ kind: fc.constant('varint' as const), value: fc.maxSafeNat() }),
            fc.record({ kind: fc.constant('string' as const), value: texts() }),
            fc.record({ kind: fc.constant('view' as const), value: fc.uint8Array() }),
          ),
        ),
        (values) => {
          const bytes = written((writer) => {
            for (const item of values) {
              if (item.kind === 'string') writer.string(item.value);
              else if (item.kind === 'view') writer.write(item.value);
              else writer[item.kind](item.value);
            }
          });
          const reader = new ByteReader(bytes);
          for (const item of values) {
            if (item.kind === 'view') expect([...reader.view(item.value.length)]).to.deep.equal([...item.value]);
            else expect(reader[item.kind]()).to.equal(item.value);
          }
          expect(reader.remaining).to.equal(0);
        },
      ),
      200,
    ));

  it('refuse to read past the end, whatever is asked for, and allocate nothing for it', () => {
    const short = (): ByteReader => new ByteReader(Uint8Array.of(1, 2, 3));
    for (const read of [
      (reader: ByteReader) => reader.u32(),
      (reader: ByteReader) => reader.u64(),
      (reader: ByteReader) => reader.view(4),
      (reader: ByteReader) => new ByteReader(Uint8Array.from(leb128(BigInt(MAX)))).view(reader.varint() + MAX - 1),
      (reader: ByteReader) => reader.reset(Uint8Array.from(leb128(BigInt(MAX))), 0, 8).string(),
      (reader: ByteReader) => reader.reset(Uint8Array.from(leb128(BigInt(MAX))), 0, 8).count(1),
    ])
      throws(() => read(short()), DecodeError);
    throws(() => new ByteReader().u8(), DecodeError);
  });

  it('keep to their range of a larger buffer', () => {
    const reader = new ByteReader(Uint8Array.of(9, 1, 2, 9), 1, 3);
    expect([...reader.rest()]).to.deep.equal([1, 2]);
    expect(reader.remaining).to.equal(0);
    throws(() => reader.u8(), DecodeError);
  });

  it('refuse a list that claims more elements than there are bytes for', () => {
    expect(new ByteReader(Uint8Array.of(2, 0, 0, 0, 0)).count(2)).to.equal(2);
    throws(() => new ByteReader(Uint8Array.of(3, 0, 0, 0, 0)).count(2), DecodeError);
  });

  it('keep a byte order mark, and refuse what is not UTF-8', () => {
    const text = '\ufeffmark';
    expect(new ByteReader(written((writer) => writer.string(text))).string()).to.equal(text);
    throws(() => new ByteReader(Uint8Array.of(2, 0xc3, 0x28)).string(), DecodeError);
  });

  it('refuse 64-bit integers above 2^53-1', () => {
    throws(() => new ByteReader(new Uint8Array(8).fill(0xff)).u64(), FormatError);
  });

  it('stop growing at the limit, and keep what was there', () => {
    const writer = new ByteWriter(4);
    writer.u32(0x01020304);
    writer.restrict(100);
    writer.write(new Uint8Array(100));
    throws(() => writer.write(new Uint8Array(100)), FormatError);
    expect(writer.length).to.equal(104);
    expect([...writer.bytes.subarray(0, 4)]).to.deep.equal([4, 3, 2, 1]);
  });

  it('keep nothing of the bytes that went in', () => {
    const source = Uint8Array.of(1, 2, 3);
    const bytes = written((writer) => writer.write(source));
    source.fill(0);
    expect([...bytes]).to.deep.equal([1, 2, 3]);
  });

  it('own their memory: no stranger shares the backing store', () => {
    for (const size of [1, 16, 4096]) {
      const writer = new ByteWriter(size);
      expect(writer.bytes.buffer.byteLength).to.equal(size);
      expect(writer.bytes.byteOffset).to.equal(0);
    }
  });
});
