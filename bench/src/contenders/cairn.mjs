// Cairn: a WalWriter with walEntryCodec on the real file system.
//
// "A flush every 64" here: the policy every(64) asks for a write after each 64 appends. A write begins when the producer
// next lets go of the event loop, runs on libuv's thread pool, and carries all that is staged by then: so the size of a
// write is decided by how often the producer lets go. It is shown in three ways, from the loosest to the strictest:
//
//   cairn                        as the documentation shows it: appends until the high-water mark, drain(), goes on. The
//                                mark is set so low that no more than WINDOW entries are ahead of the operating system,
//                                as many as classic-level has in its queue; and the event loop is held for less than a
//                                tenth of a millisecond at a time.
//   cairn, a turn per block      gives the event loop a turn after each 64, in which their write is started or, while
//                                another is under way, left for the next; drains like the first.
//   cairn, each block awaited    goes on when the 64 are written: one write each, as the synchronous stores do it.

import { FsDirectory } from '../../../dist/storage/index.js';
import { every, WalReader, WalWriter, walEntryCodec } from '../../../dist/wal/index.js';
import { BLOCK, entryOf, WINDOW } from '../workload.mjs';

/** @import { Contender, Store } from '../contender.js' */

// Segments of the default size; where nothing is synced, larger than all that is appended: the end of a segment is
// synced in any case, and the other stores do not sync either.
const SEGMENT_BYTES = 10 * 1024 * 1024;
const SEGMENT_BYTES_WITHOUT_SYNC = 64 * 1024 * 1024;

// Frames of this workload take 20 to 22 bytes.
const WINDOW_BYTES = 20 * WINDOW;

/** @typedef {'drain' | 'turn' | 'await'} Pace */

/** @type {Contender} */
export const cairn = contender('drain', `every(${BLOCK}), drain() at a high-water mark of ${WINDOW_BYTES} bytes`);

/** @type {Contender} */
export const cairnTurnPerBlock = contender('turn', `as cairn, and a turn of the event loop after each ${BLOCK}`);

/** @type {Contender} */
export const cairnAwaitingEachBlock = contender('await', `await flush() after each ${BLOCK}`);

/**
 * @param {Pace} pace
 * @param {string} appends
 * @returns {Contender}
 */
function contender(pace, appends) {
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
        highWaterMarkBytes: WINDOW_BYTES,
        segmentBytes: level === 'fsync' ? SEGMENT_BYTES : SEGMENT_BYTES_WITHOUT_SYNC,
        // As databases do: so that a sync need not write the file's size as well.
        preallocateBytes: level === 'fsync' ? SEGMENT_BYTES : 0,
      });
      return store(directory, wal, pace);
    },
  };
}

/**
 * @param {FsDirectory} directory
 * @param {WalWriter<import('../../../dist/wal/index.js').WalEntry>} wal
 * @param {Pace} pace
 * @returns {Store}
 */
function store(directory, wal, pace) {
  return {
    async append(count) {
      let mostBehind = 0;
      for (let next = 0; next < count;) {
        for (const end = Math.min(count, next + BLOCK); next < end; next++) {
          if (wal.needsDrain) {
            mostBehind = Math.max(mostBehind, wal.lastEntryId - wal.flushedId);
            await wal.drain();
          }
          wal.append(entryOf(next));
        }
        mostBehind = Math.max(mostBehind, wal.lastEntryId - wal.flushedId);
        if (pace === 'await') await wal.flush();
        else if (pace === 'turn') await turnOfTheEventLoop();
      }
      await wal.flush();
      return { mostBehind };
    },
    async appendDurably(callers, meter) {
      const caller = async () => {
        while (meter.goesOn()) await wal.appendDurable(entryOf(meter.count++));
      };
      await Promise.all(Array.from({ length: callers }, caller));
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
