import { expect } from 'chai';
import * as zlib from 'node:zlib';
import { crc32, crc32Behind } from '#src/bytes/crc32.js';

const BYTES = Uint8Array.from({ length: 1024 }, (_, index) => (index * 167 + 13) & 0xff);

describe('crc32', () => {
  it('is CRC-32/IEEE', () => {
    expect(crc32(new TextEncoder().encode('123456789'), 0, 9)).to.equal(0xcbf43926);
  });

  it('goes on from a seed, whichever library takes which part', () => {
    const whole = crc32(BYTES, 0, BYTES.length);
    for (let cut = 0; cut <= BYTES.length; cut++)
      expect(crc32(BYTES, cut, BYTES.length, crc32(BYTES, 0, cut)), `cut at ${cut}`).to.equal(whole);
  });

  it('covers words and the bytes behind them as if they lay together, at every length', () => {
    const words = [0x8000_0015, 0xffff_fffe, 0x001f_ffff] as const;
    const joined = Buffer.alloc(12 + BYTES.length);
    for (const [index, word] of words.entries()) joined.writeUInt32LE(word, 4 * index);
    joined.set(BYTES, 12);
    const before = BYTES.slice();
    for (let size = 0; size < BYTES.length - 3; size++) {
      const expected = crc32(
        Buffer.concat([joined.subarray(0, 12), BYTES.subarray(3, 3 + size)]),
        0,
        12 + size,
        0xdeadbeef,
      );
      expect(crc32Behind(...words, BYTES, 3, 3 + size, 0xdeadbeef), `${size} bytes`).to.equal(expected);
    }
    expect(BYTES).to.deep.equal(before);
  });

  it('agrees with zlib, where this Node has it', function () {
    const native = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;
    if (native === undefined) this.skip();
    for (let size = 0; size <= 64; size++)
      expect(crc32(BYTES, 0, size, 7)).to.equal(native!(BYTES.subarray(0, size), 7));
  });
});
