// LevelDB through classic-level, sync: false: a write goes to its log file and is not synced.
//
// The fastest way we found: chained batches of 64, with up to 16 under way (it has a queue of its own and runs on
// libuv's thread pool; waiting for each is slower by a third). Keys are 8 bytes, big-endian. Replay: values().nextv().

import { ClassicLevel } from 'classic-level';
import { BLOCK, WINDOW } from '../workload.mjs';
import { EVENTS } from './events-payload.mjs';
import { SEGMENTS_AS_MESSAGE_PACK } from './segments-payload.mjs';

/** @import { Contender, Store } from '../contender.js' */
/** @import { Payload } from '../payload.js' */

const PAGE_ROWS = 1024;
const PAGE_BYTES = 1024 * 1024;

/** @type {Contender} */
export const classicLevel = contender(SEGMENTS_AS_MESSAGE_PACK);

/** @type {Contender} */
export const classicLevelOfEvents = contender(EVENTS);

/**
 * @template E
 * @param {Payload<E>} payload
 * @returns {Contender}
 */
function contender(payload) {
  return {
    how: {
      append: `sync: false, chained batches of ${BLOCK}, at most ${WINDOW / BLOCK} under way; ${payload.storedAs}`,
      replay: `values().nextv(${PAGE_ROWS}); ${payload.storedAs}`,
    },
    async open(folder) {
      const database = /** @type {ClassicLevel<Uint8Array, Uint8Array>} */ (
        new ClassicLevel(`${folder}/log.ldb`, { keyEncoding: 'view', valueEncoding: 'view' })
      );
      await database.open();
      return store(database, payload);
    },
  };
}

/**
 * @template E
 * @param {ClassicLevel<Uint8Array, Uint8Array>} database
 * @param {Payload<E>} payload
 * @returns {Store}
 */
function store(database, { entryOf, encode, decode, amountOf }) {
  return {
    async append(count) {
      const key = new Uint8Array(8);
      const keyView = new DataView(key.buffer);
      /** @type {Promise<void>[]} */
      const writes = [];
      for (let next = 0; next < count;) {
        const batch = database.batch();
        for (const end = Math.min(count, next + BLOCK); next < end; next++) {
          keyView.setUint32(4, next + 1);
          batch.put(key, encode(entryOf(next)));
        }
        writes.push(batch.write());
        if (writes.length === WINDOW / BLOCK) await writes.shift();
      }
      await Promise.all(writes);
      return { mostBehind: WINDOW };
    },
    async replay() {
      let count = 0;
      let sum = 0;
      const iterator = database.values({ highWaterMarkBytes: PAGE_BYTES, fillCache: false });
      for (;;) {
        const values = await iterator.nextv(PAGE_ROWS);
        if (values.length === 0) break;
        for (const value of values) sum += amountOf(decode(value));
        count += values.length;
      }
      await iterator.close();
      return { count, sum };
    },
    close: () => database.close(),
  };
}
