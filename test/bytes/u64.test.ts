import { FormatError, InvalidArgumentError } from 'cairnlog';
import { expect } from 'chai';
import fc from 'fast-check';
import { checkId, MAX_ID, readId, readU32, readU64, writeU32, writeU64 } from '#src/bytes/u64.js';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';

const TWO_32 = 2 ** 32;
const edges = [0, 1, 255, 256, 2 ** 31 - 1, 2 ** 31, TWO_32 - 1, TWO_32, TWO_32 + 1, 2 ** 52, MAX_ID - 1, MAX_ID];

describe('64-bit integers', () => {
  it('are stored as a DataView stores them, at every edge', () => {
    for (const value of edges) {
      const bytes = new Uint8Array(12).fill(0xaa);
      writeU64(bytes, 2, value);
      expect(new DataView(bytes.buffer).getBigUint64(2, true)).to.equal(BigInt(value));
      expect([bytes[1], bytes[10]]).to.deep.equal([0xaa, 0xaa]);
      expect(readU64(bytes, 2)).to.equal(value);
    }
  });

  it('come back for any value up to 2^53-1', () =>
    check(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = new Uint8Array(8);
        writeU64(bytes, 0, value);
        expect(readU64(bytes, 0)).to.equal(value);
      }),
      300,
    ));

  it('are refused, never rounded, above 2^53-1', () => {
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, value, true);
      expect(readU64(bytes, 0)).to.equal(undefined);
      const error = throws(() => readId(bytes, 0, 'The id', 'wal/wal_1.log'), FormatError);
      expect([error.path, error.offset]).to.deep.equal(['wal/wal_1.log', 0]);
    }
  });

  it('in 32 bits are unsigned', () => {
    const bytes = new Uint8Array(4);
    for (const value of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      writeU32(bytes, 0, value);
      expect(readU32(bytes, 0)).to.equal(value);
    }
  });
});

describe('checkId', () => {
  it('takes integers from the least to 2^53-1', () => {
    for (const value of [0, 7, MAX_ID]) checkId(value, 'id');
    checkId(1, 'id', 1);
  });

  it('refuses everything else', () => {
    for (const value of [-1, 0.5, MAX_ID + 1, Number.NaN, Infinity, '1' as never, 1n as never, null as never])
      throws(() => checkId(value, 'id'), InvalidArgumentError);
    throws(() => checkId(0, 'id', 1), InvalidArgumentError);
  });
});
