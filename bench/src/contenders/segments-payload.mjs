// `AddSegment` entries as the stores keep them. A store brings its own encoding: Cairn its codec, the peers msgpackr, the
// fastest general one that npm has (lmdb's own), with the structure given here once, so that no names are stored. Beside
// that, what peers would reach with the codec that is part of Cairn: a third of the bytes, and no field is named.

import { Packr } from 'msgpackr';
import { ByteReader, ByteWriter, walEntryCodec } from '../../../dist/wal/index.js';
import { entryOf } from '../workload.mjs';

const writer = new ByteWriter(64);
const reader = new ByteReader();

/** @typedef {import('../payload.js').Payload<import('../../../dist/wal/index.js').WalEntry>} Segments */

/** In the bytes that Cairn's codec gives them. @type {Segments} */
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

const packr = new Packr({ structures: [['type', 'segmentId', 'docCount']] });

/** @type {Segments} */
export const SEGMENTS_AS_MESSAGE_PACK = {
  ...SEGMENTS,
  storedAs: 'MessagePack of msgpackr with a shared structure',
  encode: (entry) => packr.pack(entry),
  reusesBytes: false,
  decode: (bytes) => packr.unpack(bytes),
};
