import { expect } from 'chai';
import fc from 'fast-check';
import * as zlib from 'node:zlib';
import { crc32 } from '#src/bytes/crc32.js';
import { check } from '../support/seed.js';

const native = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

describe('crc32', () => {
  it('gives the published check values', () => {
    const bytes = new TextEncoder().encode('123456789');
    expect(crc32(bytes, 0, 9)).to.equal(0xcbf43926);
    expect(crc32(bytes, 4, 4)).to.equal(0);
  });

  it('agrees with zlib for every size around the switch from one library to the other', function () {
    if (native === undefined) return this.skip();
    const bytes = Uint8Array.from({ length: 1100 }, (_, index) => (index * 73 + (index >> 3)) & 0xff);
    for (let size = 0; size <= 1000; size++) {
      const start = size % 97;
      const range = bytes.subarray(start, start + size);
      for (const seed of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
        if (crc32(bytes, start, start + size, seed) !== native(range, seed))
          expect.fail(`differs for ${size} bytes with the seed ${seed}`);
    }
  });

  it('is unsigned, and goes on from a seed as if that were the CRC of the bytes before', () =>
    check(
      fc.property(fc.uint8Array({ maxLength: 900 }), fc.nat(900), (bytes, cut) => {
        const at = Math.min(cut, bytes.length);
        const whole = crc32(bytes, 0, bytes.length);
        expect(whole).to.be.within(0, 0xffff_ffff);
        expect(crc32(bytes, at, bytes.length, crc32(bytes, 0, at))).to.equal(whole);
      }),
      300,
    ));
});
