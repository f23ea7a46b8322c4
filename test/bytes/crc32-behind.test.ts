import { expect } from 'chai';
import { crc32, crc32Behind } from '#src/bytes/crc32.js';
import { viewOf } from '#src/bytes/view.js';

const WORDS = [0x8000_0015, 0xffff_fffe, 0x001f_ffff] as const;
const SEED = 0xdead_beef;
const START = 3;

describe('crc32Behind', () => {
  it('covers words and the bytes behind them as if they lay together, at every length', () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => (index * 167 + 13) & 0xff);
    const before = bytes.slice();
    const words = Buffer.alloc(12);
    for (const [index, word] of WORDS.entries()) words.writeUInt32LE(word, 4 * index);
    for (let end = START; end <= bytes.length; end++) {
      const joined = Buffer.concat([words, bytes.subarray(START, end)]);
      const actual = crc32Behind(...WORDS, viewOf(bytes), START, end, SEED);
      expect(actual, `${end - START} bytes`).to.equal(crc32(joined, 0, joined.length, SEED));
    }
    expect(bytes, 'the bytes themselves').to.deep.equal(before);
  });
});
