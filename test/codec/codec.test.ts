import { DecodeError, type Codec } from 'cairnlog';
import { bytesCodec, ByteReader, ByteWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import { decodeWhole } from '#src/codec/index.js';
import { throws } from '../support/rejects.js';

describe('bytesCodec', () => {
  it('gives back the same bytes, as a copy', () => {
    const writer = new ByteWriter(4);
    const source = Uint8Array.of(0, 255, 3);
    bytesCodec.encode(source, writer);
    source.fill(9);
    const window = writer.bytes.subarray(0, writer.length);
    const read = bytesCodec.decode(new ByteReader(window));
    window.fill(9);
    expect([...read]).to.deep.equal([0, 255, 3]);
    expect(read.buffer.byteLength).to.equal(3);
  });

  it('takes no bytes at all', () => {
    expect(bytesCodec.decode(new ByteReader()).length).to.equal(0);
  });
});

describe('a codec that does not read everything', () => {
  const first: Codec<number> = {
    encode: (value, writer) => writer.u8(value),
    decode: (reader) => reader.u8(),
  };

  it('is told so: what is left over is not dropped in silence', () => {
    expect(decodeWhole(first, new ByteReader(Uint8Array.of(7)))).to.equal(7);
    const error = throws(() => decodeWhole(first, new ByteReader(Uint8Array.of(7, 8, 9))), DecodeError);
    expect(error.message).to.include('2 bytes are left over');
  });
});
