// Cairn's log with the store's entries: WalWriter and WalReader with the very codec with which the store writes records,
// so stream, version, type, version of the event, time, data and metadata. What the store does besides (copies, versions
// of streams, states, promises) the peers of this race do not do; it is shown beside, in cairn-events.mjs.
//
// Appends as the documentation shows it: until the high-water mark, drain(), goes on. The mark is set so low that no more
// than about WINDOW events are ahead of the operating system.

import { FsDirectory } from '../../../dist/storage/index.js';
import { decodeEntry, encodeEntry, metadataOrNone } from '../../../dist/store/entry.js';
import { every, WalReader, WalWriter } from '../../../dist/wal/index.js';
import { eventOf, STREAMS } from '../event-workload.mjs';
import { BLOCK, WINDOW } from '../workload.mjs';

/** @import { Contender } from '../contender.js' */
/** @import { StoreEntry } from '../../../dist/store/entry.js' */

/** Nothing is synced, and the end of a segment would be: see cairn.mjs. */
const SEGMENT_BYTES = 64 * 1024 * 1024;
/** Frames of this workload take about 136 bytes. */
const WINDOW_BYTES = 136 * WINDOW;

/** @type {import('../../../dist/wal/index.js').Codec<StoreEntry>} */
const codec = { encode: encodeEntry, decode: decodeEntry };
const metadata = metadataOrNone(undefined);

/** @type {Contender} */
export const cairnEventLog = {
  how: {
    append: `WalWriter with the store's codec, every(${BLOCK}), drain() at a high-water mark of ${WINDOW_BYTES} bytes`,
    replay: "WalReader.replayEach() with the store's codec: CRCs checked, data frozen",
  },
  async open(folder) {
    const directory = await FsDirectory.open(folder);
    const wal = await WalWriter.open(directory, {
      codec,
      flushPolicy: every(BLOCK),
      highWaterMarkBytes: WINDOW_BYTES,
      segmentBytes: SEGMENT_BYTES,
    });
    return {
      async append(count) {
        let mostBehind = 0;
        for (let next = 0; next < count; next++) {
          if (wal.needsDrain) {
            mostBehind = Math.max(mostBehind, wal.lastEntryId - wal.flushedId);
            await wal.drain();
          }
          wal.append(entryOf(next));
        }
        await wal.flush();
        return { mostBehind };
      },
      async replay() {
        let count = 0;
        let sum = 0;
        await new WalReader(directory, { codec }).replayEach(({ entry }) => {
          if (entry.kind !== 'record' || entry.type !== 'OrderPlaced') throw new Error('Not an event of ours');
          count++;
          sum += /** @type {import('../event-workload.mjs').OrderPlaced['data']} */ (entry.data).quantity;
        });
        return { count, sum };
      },
      close: () => wal.close(),
    };
  },
};

/**
 * @param {number} index
 * @returns {StoreEntry}
 */
function entryOf(index) {
  const { stream, event } = eventOf(index);
  return {
    kind: 'record',
    stream,
    version: Math.floor(index / STREAMS) + 1,
    type: event.type,
    eventVersion: 1,
    recordedAt: Date.now(),
    data: event.data,
    metadata,
    receipt: undefined,
  };
}
