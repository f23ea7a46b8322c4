// LMDB through lmdb-js, noSync: a commit changes the page cache and does not sync.
//
// The fastest way we found: putSync() in a transactionSync() of 64 with LMDB's append flag (put() and waiting for each
// 64 to be flushed is slower by two thirds), an integer key, and a write map, with which a commit is a change of mapped
// memory. Without it a commit writes its pages with pwrite(), which is nearer to what the others do and slower; that is
// shown too, and what larger transactions would change. Replay: getRange() with an encoder that decodes from lmdb-js'
// own buffer, twice as fast as copies of the values.
//
// That is the peer that the targets count, because it stores the same bytes with the same codec as Cairn. Beside it
// stands `lmdb, as documented`: put(), whose writes the library gathers itself, and its own encoding, MessagePack.

import { open } from 'lmdb';
import { BLOCK, entryOf, WINDOW } from '../workload.mjs';
import { decode, encode } from './payload.mjs';

/** @import { Contender, Store } from '../contender.js' */

const MAP_BYTES = 256 * 1024 * 1024;

/** @type {Contender} */
export const lmdb = contender(true, BLOCK);

/** @type {Contender} */
export const lmdbWithoutWriteMap = contender(false, BLOCK);

/** @type {Contender} */
export const lmdbInLargeTransactions = contender(true, WINDOW);

/** @type {Contender} */
export const lmdbAsDocumented = {
  how: {
    append: `noSync, put() of objects, at most ${WINDOW} under way`,
    replay: 'getRange(), its default encoding (MessagePack)',
  },
  async open(folder) {
    const database = /** @type {Log} */ (open({ path: `${folder}/log.mdb`, noSync: true }));
    return {
      ...store(database, BLOCK),
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
 * @param {boolean} useWritemap
 * @param {number} block
 * @returns {Contender}
 */
function contender(useWritemap, block) {
  return {
    how: {
      append: `noSync, ${useWritemap ? 'useWritemap' : 'pwrite() at commit'}, ${block} putSync({ append: true }) per transactionSync()`,
      replay: 'getRange(), decoded from its own buffer',
    },
    async open(folder) {
      const database = /** @type {Log} */ (
        open({
          path: `${folder}/log.mdb`,
          noSync: true,
          useWritemap,
          mapSize: MAP_BYTES,
          keyEncoding: 'uint32',
          encoder: { encode, decode },
        })
      );
      return store(database, block);
    },
  };
}

/**
 * @param {Log} database
 * @param {number} block
 * @returns {Store}
 */
function store(database, block) {
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
    async replay() {
      let count = 0;
      let sum = 0;
      for (const { value } of database.getRange()) {
        if (value.type !== 'AddSegment') throw new Error(`Not an entry of ours: ${value.type}`);
        count++;
        sum += value.docCount;
      }
      return { count, sum };
    },
    close: () => database.close(),
  };
}

/** @typedef {import('lmdb').RootDatabase<ReturnType<typeof decode>, number>} Log */

/** @type {import('lmdb').PutOptions} */
const APPEND = { append: true };
