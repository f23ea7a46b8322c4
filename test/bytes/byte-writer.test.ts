import { ByteWriter } from 'cairnlog/wal';
import { FormatError } from 'cairnlog';
import { expect } from 'chai';

const source = Uint8Array.from({ length: 400 }, (_, index) => (index * 151 + 7) & 0xff);

describe('ByteWriter copies a range of bytes', () => {
  // In a buffer of its own whose first bytes are somebody else's, as a pooled one is.
  const buffer = new Uint8Array(500);
  buffer.set(source, 33);
  const view = new DataView(buffer.buffer, 33, source.length);

  it('of any length, from and to any place, and nothing beside it', () => {
    for (let start = 0; start < 9; start++)
      for (let count = 0; count <= 200; count++) {
        const writer = new ByteWriter(4);
        for (let before = 0; before < start; before++) writer.u8(0xee);
        writer.writeRange(view, start, start + count);
        const expected = [...new Uint8Array(start).fill(0xee), ...source.subarray(start, start + count)];
        expect([...writer.bytes.subarray(0, writer.length)], `${count} from ${start}`).to.deep.equal(expected);
      }
  });

  it('at most as many as are allowed', () => {
    const writer = new ByteWriter(4);
    writer.restrict(100);
    expect(() => writer.writeRange(view, 0, 300)).to.throw(FormatError, '100 bytes');
    expect(writer.length).to.equal(0);
  });
});
