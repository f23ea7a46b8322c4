// `AddSegment` entries in the bytes that Cairn's own codec gives them.

import { ByteReader, ByteWriter, walEntryCodec } from '../../../dist/wal/index.js';
import { entryOf } from '../workload.mjs';

const writer = new ByteWriter(64);
const reader = new ByteReader();

/** @type {import('../payload.js').Payload<import('../../../dist/wal/index.js').WalEntry>} */
export const SEGMENTS = {
  storedAs: "the bytes of Cairn's codec",
  entryOf,
  encode(entry) {
    writer.length = 0;
    walEntryCodec.encode(entry, writer);
    return writer.bytes.subarray(0, writer.length);
  },
  reusesBytes: true,
  decode: (bytes) => walEntryCodec.decode(reader.reset(bytes, 0, bytes.length)),
  amountOf(entry) {
    if (entry.type !== 'AddSegment') throw new Error(`Not an entry of ours: ${entry.type}`);
    return entry.docCount;
  },
};
