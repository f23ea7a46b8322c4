// Cairn: a WalWriter with walEntryCodec on the real file system.
//
// "A flush every 64" here: the policy every(64) asks for a write after each 64 appends, and the producer then gives the
// event loop a turn, in which that write is started (on libuv's thread pool) and finished ones are taken in. The commit
// loop has one write in flight and takes all that is staged when it begins the next, so a write may carry several
// blocks. The producer never blocks the event loop, and never runs more than WINDOW entries ahead of the operating
// system: then it waits. How far ahead it got is reported. With `awaitEach` it waits for each block.

import { FsDirectory } from '../../../dist/storage/index.js';
import { every, WalReader, WalWriter, walEntryCodec } from '../../../dist/wal/index.js';
import { BLOCK, entryOf, WINDOW } from '../workload.mjs';

/** @import { Contender, Store } from '../contender.js' */

const SEGMENT_BYTES = 10 * 1024 * 1024;

/** @type {Contender} */
export const cairn = contender(false, `every(${BLOCK}), at most ${WINDOW} entries ahead of the OS`);

/** @type {Contender} */
export const cairnAwaitingEachBlock = contender(true, `await flush() after each ${BLOCK}`);

/**
 * @param {boolean} awaitEach
 * @param {string} appends
 * @returns {Contender}
 */
function contender(awaitEach, appends) {
  return {
    how: {
      append: appends,
      replay: 'WalReader.replayEach(), the CRC of every entry is checked',
      durable: 'appendDurable() into preallocated segments: callers that wait together share a sync',
    },
    async open(folder, level) {
      const directory = await FsDirectory.open(folder);
      const wal = await WalWriter.open(directory, {
        codec: walEntryCodec,
        flushPolicy: every(BLOCK),
        segmentBytes: SEGMENT_BYTES,
        // As databases do: so that a sync need not write the file's size as well.
        preallocateBytes: level === 'fsync' ? SEGMENT_BYTES : 0,
      });
      return store(directory, wal, awaitEach);
    },
  };
}

/**
 * @param {FsDirectory} directory
 * @param {WalWriter<import('../../../dist/wal/index.js').WalEntry>} wal
 * @param {boolean} awaitEach
 * @returns {Store}
 */
function store(directory, wal, awaitEach) {
  return {
    async append(count) {
      let mostBehind = 0;
      for (let next = 0; next < count;) {
        for (const end = Math.min(count, next + BLOCK); next < end; next++) wal.append(entryOf(next));
        const behind = wal.lastEntryId - wal.flushedId;
        if (behind > mostBehind) mostBehind = behind;
        if (awaitEach || behind > WINDOW - BLOCK) await wal.flush();
        else await turnOfTheEventLoop();
      }
      await wal.flush();
      return { mostBehind };
    },
    async appendDurably(callers, milliseconds) {
      const until = performance.now() + milliseconds;
      let count = 0;
      const caller = async () => {
        while (performance.now() < until) await wal.appendDurable(entryOf(count++));
      };
      await Promise.all(Array.from({ length: callers }, caller));
      return count;
    },
    async replay() {
      let count = 0;
      let sum = 0;
      await new WalReader(directory, { codec: walEntryCodec }).replayEach(({ entry }) => {
        if (entry.type !== 'AddSegment') throw new Error(`Not an entry of ours: ${entry.type}`);
        count++;
        sum += entry.docCount;
      });
      return { count, sum };
    },
    close: () => wal.close(),
  };
}

/** @returns {Promise<void>} */
function turnOfTheEventLoop() {
  return new Promise((resolve) => setImmediate(resolve));
}
