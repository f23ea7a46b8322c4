// LMDB through lmdb-js, noSync: a commit changes the page cache and does not sync.
//
// The fastest way we found: putSync() in a transactionSync() of 64 with LMDB's append flag (put() and waiting for each
// 64 to be flushed is slower by two thirds), an integer key, and a write map, with which a commit is a change of mapped
// memory (without it a commit writes its pages with pwrite(), which is slower). What larger transactions would change is
// shown too. Replay: getRange() with an encoder that decodes from lmdb-js' own buffer, twice as fast as copies of the
// values.
//
// That is the peer that the targets count. Beside it stand `lmdb, Cairn's codec`: the same with the bytes of Cairn's
// codec, which only programs that have Cairn can do; and `lmdb, as documented`: put(), whose writes the library gathers
// itself, and its own encoding, MessagePack with the structures that it finds.
//
// Durable: put() and then `flushed`, as documented, which is when a transaction has been synced; put() of all who call
// in the same turn shares one. The append flag and the codec are the same.

import { open } from 'lmdb';
import { BLOCK, entryOf, WINDOW } from '../workload.mjs';
import { EVENTS } from './events-payload.mjs';
import { SEGMENTS, SEGMENTS_AS_MESSAGE_PACK } from './segments-payload.mjs';

/** @import { Contender, Store } from '../contender.js' */
/** @import { Payload } from '../payload.js' */

const MAP_BYTES = 512 * 1024 * 1024;

/** @type {Contender} */
export const lmdb = contender(SEGMENTS_AS_MESSAGE_PACK, BLOCK);

/** @type {Contender} */
export const lmdbWithCodec = contender(SEGMENTS, BLOCK);

/** @type {Contender} */
export const lmdbInLargeTransactions = contender(SEGMENTS_AS_MESSAGE_PACK, WINDOW);

/** @type {Contender} */
export const lmdbOfEvents = contender(EVENTS, BLOCK);

/** @type {Contender} */
export const lmdbAsDocumented = {
  how: {
    append: `noSync, put() of objects, at most ${WINDOW} under way`,
    replay: 'getRange(), its default encoding (MessagePack)',
  },
  async open(folder) {
    const database = /** @type {Log<any>} */ (open({ path: `${folder}/log.mdb`, noSync: true }));
    return {
      ...store(database, SEGMENTS, BLOCK),
      async append(count) {
        /** @type {Promise<boolean>[]} */
        const writes = [];
        for (let next = 0; next < count;) {
          /** @type {Promise<boolean> | undefined} */
          let last;
          for (const end = Math.min(count, next + BLOCK); next < end; next++)
            last = database.put(next + 1, entryOf(next));
          if (last !== undefined) writes.push(last);
          if (writes.length === WINDOW / BLOCK) await writes.shift();
        }
        await Promise.all(writes);
        return { mostBehind: WINDOW };
      },
    };
  },
};

/**
 * @template E
 * @param {Payload<E>} payload
 * @param {number} block
 * @returns {Contender}
 */
function contender(payload, block) {
  const { storedAs, encode, decode, reusesBytes } = payload;
  return {
    how: {
      append: `noSync, useWritemap, ${block} putSync({ append: true }) per transactionSync(); ${storedAs}`,
      replay: `getRange(), decoded from its own buffer; ${storedAs}`,
      durable: 'await put(), await flushed: callers that wait together share a transaction and a sync',
    },
    async open(folder, level) {
      const synced = level === 'fsync';
      // put() reads the bytes later, on another thread.
      const encoder =
        synced && reusesBytes
          ? { encode: (/** @type {E} */ entry) => Buffer.from(encode(entry)), decode }
          : { encode, decode };
      const database = /** @type {Log<E>} */ (
        open({
          path: `${folder}/log.mdb`,
          keyEncoding: 'uint32',
          encoder,
          ...(synced ? {} : { noSync: true, useWritemap: true, mapSize: MAP_BYTES }),
        })
      );
      return store(database, payload, block);
    },
  };
}

/**
 * @template E
 * @param {Log<E>} database
 * @param {Payload<E>} payload
 * @param {number} block
 * @returns {Store}
 */
function store(database, { entryOf, amountOf }, block) {
  return {
    async append(count) {
      for (let next = 0; next < count;) {
        const end = Math.min(count, next + block);
        database.transactionSync(() => {
          for (; next < end; next++) database.putSync(next + 1, entryOf(next), APPEND);
        });
      }
      return { mostBehind: block };
    },
    async appendDurably(callers, meter) {
      const caller = async () => {
        while (meter.goesOn()) {
          const index = meter.count++;
          await database.put(index + 1, entryOf(index));
          await database.flushed;
        }
      };
      await Promise.all(Array.from({ length: callers }, caller));
    },
    async replay() {
      let count = 0;
      let sum = 0;
      for (const { value } of database.getRange()) {
        count++;
        sum += amountOf(value);
      }
      return { count, sum };
    },
    close: () => database.close(),
  };
}

/**
 * @template E
 * @typedef {import('lmdb').RootDatabase<E, number>} Log
 */

/** @type {import('lmdb').PutOptions} */
const APPEND = { append: true };
