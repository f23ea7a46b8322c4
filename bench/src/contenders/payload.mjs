// How the peers store an entry: the bytes that Cairn's own codec gives it, as the value of an ascending integer key.

import { ByteReader, ByteWriter, walEntryCodec } from '../../../dist/wal/index.js';

const writer = new ByteWriter(64);
const reader = new ByteReader();

/**
 * Bytes of an entry, valid until the next call: for stores that copy at once.
 *
 * @param {import('../../../dist/wal/index.js').WalEntry} entry
 */
export function encode(entry) {
  writer.length = 0;
  walEntryCodec.encode(entry, writer);
  return writer.bytes.subarray(0, writer.length);
}

/** @param {Uint8Array} bytes */
export function decode(bytes) {
  return walEntryCodec.decode(reader.reset(bytes, 0, bytes.length));
}

/**
 * `docCount` of a decoded entry.
 *
 * @param {Uint8Array} bytes
 */
export function docCountOf(bytes) {
  const entry = decode(bytes);
  if (entry.type !== 'AddSegment') throw new Error(`Not an entry of ours: ${entry.type}`);
  return entry.docCount;
}
