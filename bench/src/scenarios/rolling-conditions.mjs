// What runs in the processes of rolling: a log with many durable callers that rolls and is truncated all the time, with
// files that grow, with zeros ahead, and with truncated segments that are used again.

import { FsDirectory } from '../../../dist/storage/index.js';
import { bytesCodec, WalMaintenance, WalReader, WalWriter } from '../../../dist/wal/index.js';
import { quantile } from '../statistics.mjs';

/** @import { Size } from '../scenario.js' */
/** @import { SegmentedOptions } from '../../../dist/wal/index.js' */

export const CALLERS = 256;
/** As many as a domain event takes. */
export const ENTRY_BYTES = 140;
/** Rolled this often before it is measured: from then on there are segments to be used again. */
const WARM_ROLLS = 6;
const SPARE_SEGMENTS = 4;

/** @typedef {{ how: { rolling: string }, files: (segmentBytes: number) => SegmentedOptions & { preallocateBytes?: number } }} Condition */

/** @typedef {{ operations: number, milliseconds: number, p50: number, p99: number, p999: number, max: number, rolls: number }} Measured Latencies in milliseconds. */

/** @type {Record<string, () => Promise<Condition>>} */
const contenders = {
  'growing files': async () => ({
    how: { rolling: 'each write makes the file longer, and with it the journal of the file system' },
    files: () => ({}),
  }),
  'zeros ahead': async () => ({
    how: { rolling: 'preallocateBytes: a new segment is filled with zeros, which the first sync writes' },
    files: (segmentBytes) => ({ preallocateBytes: segmentBytes }),
  }),
  'used again': async () => ({
    how: {
      rolling: `preallocateBytes and recycleSegments: ${SPARE_SEGMENTS} truncated segments are kept for new ones`,
    },
    files: (segmentBytes) => ({ preallocateBytes: segmentBytes, recycleSegments: SPARE_SEGMENTS }),
  }),
};

export default { contenders, uses: /** @type {const} */ ('rolling'), prepare, round, finish };

/** @type {WalWriter<Uint8Array> | undefined} */
let wal;

/**
 * `entries`: the bytes of a segment.
 *
 * @param {Condition} under
 * @param {string} folder
 * @param {Size} size
 */
async function prepare({ files }, folder, { entries: segmentBytes }) {
  const directory = await FsDirectory.open(folder);
  wal = await WalWriter.open(directory, { codec: bytesCodec, segmentBytes, ...files(segmentBytes) });
  const opened = wal;
  await append(opened, () => opened.currentSegmentId < WARM_ROLLS);
}

/**
 * @param {Condition} _under
 * @param {string} _folder
 * @param {Size} size
 * @returns {Promise<Measured>}
 */
async function round(_under, _folder, { milliseconds }) {
  if (wal === undefined) throw new Error('Not prepared');
  const segment = wal.currentSegmentId;
  const begun = performance.now();
  const latencies = await append(wal, () => performance.now() - begun < milliseconds);
  const took = performance.now() - begun;
  const rolls = wal.currentSegmentId - segment;
  await check(wal);
  const sorted = Float64Array.from(latencies).sort();
  const at = (/** @type {number} */ share) => quantile(/** @type {any} */ (sorted), share);
  return {
    operations: sorted.length,
    milliseconds: took,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    max: at(1),
    rolls,
  };
}

async function finish() {
  await wal?.close();
}

/**
 * @param {WalWriter<Uint8Array>} to
 * @param {() => boolean} goesOn
 */
async function append(to, goesOn) {
  const maintenance = new WalMaintenance(to);
  const entry = Buffer.alloc(ENTRY_BYTES);
  /** @type {number[]} */
  const latencies = [];
  let truncating = Promise.resolve();
  let truncatedIn = to.currentSegmentId;
  const caller = async () => {
    while (goesOn()) {
      const since = performance.now();
      entry.writeDoubleLE(to.nextEntryId);
      const id = await to.appendDurable(entry);
      latencies.push(performance.now() - since);
      if (to.currentSegmentId < truncatedIn + 2) continue;
      truncatedIn = to.currentSegmentId;
      truncating = truncating.then(async () => void (await maintenance.truncatePrefix(id)));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  await truncating;
  return latencies;
}

/**
 * What is left of the log is what was appended last, and nothing of what its files held before.
 *
 * @param {WalWriter<Uint8Array>} of
 */
async function check(of) {
  const { lastEntryId } = await new WalReader(of.directory, { codec: bytesCodec }).replayEach(
    ({ entryId, entry }) => {
      if (entry.length !== ENTRY_BYTES || Buffer.from(entry.buffer, entry.byteOffset).readDoubleLE() !== entryId)
        throw new Error(`Wrong result: entry ${entryId} is not what was appended`);
    },
    { mode: 'bestEffort' },
  );
  if (lastEntryId !== of.lastEntryId) throw new Error(`Wrong result: ${lastEntryId} of ${of.lastEntryId} entries`);
}
