// SQLite through better-sqlite3, in WAL mode: `id INTEGER PRIMARY KEY, value BLOB`.
//
// Buffered, synchronous=OFF: a commit writes to the -wal file and does not sync. The fastest way we found to add a
// block is one INSERT of 64 rows, which is a transaction by itself (faster than 64 runs of a one-row INSERT in a
// transaction, by a third). Durable, synchronous=FULL: one one-row INSERT, one transaction, one sync per event.
// Replay reads pages of values by key with pluck().all(), faster than iterate().

import Database from 'better-sqlite3';
import { BLOCK } from '../workload.mjs';
import { EVENTS, EVENTS_AS_JSON } from './events-payload.mjs';
import { SEGMENTS, SEGMENTS_AS_MESSAGE_PACK } from './segments-payload.mjs';

/** @import { Contender, Store } from '../contender.js' */
/** @import { Payload } from '../payload.js' */

const PAGE_ROWS = 1000;

/** @type {Contender} */
export const betterSqlite3 = contender(SEGMENTS_AS_MESSAGE_PACK);

/** @type {Contender} */
export const betterSqlite3WithCodec = contender(SEGMENTS);

/** @type {Contender} */
export const betterSqlite3OfEvents = contender(EVENTS);

/** @type {Contender} */
export const betterSqlite3OfJson = contender(EVENTS_AS_JSON);

/**
 * @template E
 * @param {Payload<E>} payload
 * @returns {Contender}
 */
function contender(payload) {
  return {
    how: {
      append: `WAL mode, synchronous=OFF, one INSERT of ${BLOCK} rows per transaction; ${payload.storedAs}`,
      replay: `pages of ${PAGE_ROWS} values by key, pluck().all(); ${payload.storedAs}`,
      durable: 'WAL mode, synchronous=FULL, one transaction per event',
    },
    async open(folder, level) {
      const database = new Database(`${folder}/log.db`);
      database.pragma('journal_mode = WAL');
      database.pragma(`synchronous = ${level === 'fsync' ? 'FULL' : 'OFF'}`);
      database.exec('CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, value BLOB NOT NULL)');
      return store(database, payload);
    },
  };
}

/**
 * @template E
 * @param {import('better-sqlite3').Database} database
 * @param {Payload<E>} payload
 * @returns {Store}
 */
function store(database, { entryOf, encode, reusesBytes, decode, amountOf }) {
  const insertOne = database.prepare('INSERT INTO log (id, value) VALUES (?, ?)');
  const insertBlock = database.prepare(
    `INSERT INTO log (id, value) VALUES ${Array.from({ length: BLOCK }, () => '(?, ?)').join(', ')}`,
  );
  const page = database.prepare('SELECT value FROM log WHERE id > ? ORDER BY id LIMIT ?').pluck();
  return {
    async append(count) {
      const parameters = Array.from({ length: 2 * BLOCK });
      let next = 0;
      for (; next + BLOCK <= count; next += BLOCK) {
        for (let index = 0; index < BLOCK; index++) {
          parameters[2 * index] = next + index + 1;
          const bytes = encode(entryOf(next + index));
          // All 64 values are bound before they are read.
          parameters[2 * index + 1] = reusesBytes ? Buffer.from(bytes) : bytes;
        }
        insertBlock.run(parameters);
      }
      database.transaction(() => {
        for (; next < count; next++) insertOne.run(next + 1, encode(entryOf(next)));
      })();
      return { mostBehind: BLOCK };
    },
    async appendDurably(_callers, meter) {
      // Its calls are synchronous: callers take turns.
      for (; meter.goesOn(); meter.count++) insertOne.run(meter.count + 1, encode(entryOf(meter.count)));
    },
    async replay() {
      let count = 0;
      let sum = 0;
      for (;;) {
        const values = /** @type {Uint8Array[]} */ (page.all(count, PAGE_ROWS));
        for (const value of values) sum += amountOf(decode(value));
        count += values.length;
        if (values.length < PAGE_ROWS) return { count, sum };
      }
    },
    async close() {
      database.close();
    },
  };
}
