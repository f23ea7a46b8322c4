// No store at all, but the limit of one with this codec. Appending: a loop that encodes entries into a buffer and hands it
// to the operating system, without frames, checksums, or anything that finds them again (the places of the entries are
// kept in memory). Replay: a loop that decodes them from a warm buffer, one behind the other.

import * as fs from 'node:fs';
import { ByteReader, ByteWriter, walEntryCodec } from '../../../dist/wal/index.js';
import { WINDOW } from '../workload.mjs';
import { EVENTS, unpackEvent } from './events-payload.mjs';
import { SEGMENTS } from './segments-payload.mjs';

/** @import { Contender } from '../contender.js' */
/** @import { Codec } from '../../../dist/wal/index.js' */

const reader = new ByteReader();

/** @type {Contender} */
export const bareCodec = contender("Cairn's codec", walEntryCodec, SEGMENTS.entryOf, (entry) =>
  SEGMENTS.amountOf(entry),
);

/** @type {Contender} */
export const bareCodecOfEvents = contender(
  EVENTS.storedAs,
  {
    encode: (entry, writer) => writer.write(EVENTS.encode(entry)),
    decode: ({ bytes, position, end }) => unpackEvent(bytes, position, end),
  },
  EVENTS.entryOf,
  EVENTS.amountOf,
);

/**
 * @template E
 * @param {string} what
 * @param {Codec<E>} codec
 * @param {(index: number) => E} entryOf
 * @param {(entry: E) => number} amountOf
 * @returns {Contender}
 */
function contender(what, codec, entryOf, amountOf) {
  /** Where each entry ends. @type {number[]} */
  let ends = [];
  return {
    how: {
      append: `encoded into a buffer, and a writeSync() for each ${WINDOW}; ${what}`,
      replay: `decoded from a warm buffer, nothing read or checked; ${what}`,
    },
    async open(folder) {
      const path = `${folder}/entries`;
      const descriptor = fs.openSync(path, 'a+');
      const warm = fs.readFileSync(path);
      return {
        async append(count) {
          ends = [];
          const writer = new ByteWriter(1024 * 1024);
          let written = 0;
          for (let next = 0; next < count;) {
            writer.length = 0;
            for (const end = Math.min(count, next + WINDOW); next < end; next++) {
              codec.encode(entryOf(next), writer);
              ends.push(written + writer.length);
            }
            written += fs.writeSync(descriptor, writer.bytes, 0, writer.length);
          }
          return { mostBehind: WINDOW };
        },
        async replay() {
          let sum = 0;
          let at = 0;
          for (const end of ends) {
            sum += amountOf(codec.decode(reader.reset(warm, at, end)));
            at = end;
          }
          return { count: ends.length, sum };
        },
        close: async () => fs.closeSync(descriptor),
      };
    },
  };
}
