// No store at all, but the limit of a replay: a loop that decodes entries from a buffer in memory, one behind the other,
// without a disk, frames or checksums.

import { ByteReader, ByteWriter, messagePackCodec } from '../../../dist/wal/index.js';
import { EVENTS } from './events-payload.mjs';
import { SEGMENTS } from './segments-payload.mjs';

/** @import { Contender } from '../contender.js' */

/** @type {Contender} */
export const bareDecode = contender("Cairn's codec", SEGMENTS.encode, SEGMENTS.decode, SEGMENTS.entryOf, (entry) =>
  SEGMENTS.amountOf(entry),
);

/** @typedef {readonly [number, string, number, string, number, number, { quantity: number }, null]} Positional */

/** @type {import('../../../dist/wal/index.js').Codec<Positional>} */
const codec = messagePackCodec();
const reader = new ByteReader();

/** @type {Contender} */
export const bareDecodeOfEvents = contender(
  'an array per record as Cairn has it, @msgpack/msgpack',
  (/** @type {Positional} */ entry) => {
    const writer = new ByteWriter(256);
    codec.encode(entry, writer);
    return writer.bytes.subarray(0, writer.length);
  },
  (bytes) => codec.decode(reader.reset(bytes, 0, bytes.length)),
  (index) => {
    const { stream, version, type, recordedAt, data } = EVENTS.entryOf(index);
    return /** @type {const} */ ([0, stream, version, type, 1, recordedAt, data, null]);
  },
  (entry) => entry[6].quantity,
);

/**
 * @template E
 * @param {string} what
 * @param {(entry: E) => Uint8Array} encode
 * @param {(bytes: Uint8Array) => E} decode
 * @param {(index: number) => E} entryOf
 * @param {(entry: E) => number} amountOf
 * @returns {Contender}
 */
function contender(what, encode, decode, entryOf, amountOf) {
  /** @type {Uint8Array[]} */
  const entries = [];
  return {
    how: { append: '', replay: `each decoded from its place in memory, nothing read or checked: ${what}` },
    open: async () => ({
      async append(count) {
        const bytes = [];
        for (let index = 0; index < count; index++) bytes.push(Buffer.from(encode(entryOf(index))));
        const buffer = Buffer.concat(bytes);
        let at = 0;
        for (const { length } of bytes) entries.push(buffer.subarray(at, (at += length)));
        return { mostBehind: 0 };
      },
      async replay() {
        let sum = 0;
        for (const bytes of entries) sum += amountOf(decode(bytes));
        return { count: entries.length, sum };
      },
      close: async () => {},
    }),
  };
}
