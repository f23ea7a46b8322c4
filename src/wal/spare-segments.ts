// Segments that checkpoints cover and that wait to be used again, as `wal_<id>.log.spare`. A file that is used again has
// its room on the disk and keeps its size, so a durable append writes the entry and nothing else: no zeros ahead of it,
// no allocation, no file size for the file system's journal.
//
// What keeps it safe, in the order in which it happens:
// - A file is offered here only once its spare name is on the disk. If it was changed before, a power cut could bring
//   the old name back, with the header of another segment behind it.
// - Its new header is synced before it gets the name of a segment, and that name before the first entry is written
//   (segment-file.ts). So a segment never has the header of an earlier life.
// - A power cut in the middle of a rename can leave both names, of one file. So one whose segment is still in the log,
//   or whose header is not that of its name, is never written to.
// - Frames of the earlier life do not pass for frames of this one: their checksums began with another salt, and their
//   ids are smaller. Behind the last write lies an end mark, so that they are not taken for an interrupted write either.
// - Who reads the old segment meanwhile sees that the header has changed (tail.ts).

import type { Directory } from '../storage/index.js';
import { readFully, renameDurable } from '../storage/index.js';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, SEGMENT_VERSION } from './format.js';
import { listSpares, sparePathOf, walLayout } from './layout.js';
import type { Segment } from './segment-chain.js';

/** A segment of another size is of no use: a small one would have to grow, a large one holds room that nobody uses. */
const SIZE_FACTOR = 2;

interface Spare {
  readonly segmentId: number;
  readonly path: string;
}

export class SpareSegments {
  /** Files that are kept, at most; 0: none, and what is covered is removed. */
  readonly capacity: number;
  readonly #directory: Directory;
  readonly #segmentBytes: number;
  readonly #logId: number;
  /** Their names are on the disk. */
  readonly #ready: Spare[] = [];

  private constructor(directory: Directory, capacity: number, segmentBytes: number, logId: number) {
    this.#directory = directory;
    this.capacity = capacity;
    this.#segmentBytes = segmentBytes;
    this.#logId = logId;
  }

  /** Finds what an earlier process kept, under the writer's lock, and removes what is too much of it. */
  static async find(
    directory: Directory,
    options: {
      readonly capacity: number;
      readonly segmentBytes: number;
      readonly logId: number;
      /** Ids of the segments that are in the log. */
      readonly segmentIds: readonly number[];
    },
  ): Promise<SpareSegments> {
    const { capacity, segmentBytes, logId, segmentIds } = options;
    const spares = new SpareSegments(directory, capacity, segmentBytes, logId);
    for (const spare of await listSpares(directory)) {
      const isWanted = spares.#ready.length < capacity && !segmentIds.includes(spare.segmentId);
      if (isWanted && (await spares.#hasSize(spare.path))) spares.#ready.push(spare);
      // One that stays costs its room and nothing else; the next process tries again.
      else await directory.remove(spare.path).catch(() => undefined);
    }
    // The process that renamed them may have ended before the names were on the disk.
    if (spares.#ready.length > 0) await directory.syncDirectory(walLayout.folder);
    return spares;
  }

  /** Takes in a covered segment, durably, instead of its being removed. False if it is not wanted: it is as it was. */
  async keep({ path, segmentId, header }: Segment): Promise<boolean> {
    if (this.#ready.length >= this.capacity) return false;
    if (header.version !== SEGMENT_VERSION || header.logId !== this.#logId) return false;
    if (!(await this.#hasSize(path))) return false;
    const spare = { segmentId, path: sparePathOf(segmentId) };
    // If it has both names, a rename would leave it both.
    if ((await this.#directory.stat(spare.path)) !== undefined) return false;
    await renameDurable(this.#directory, path, spare.path);
    this.#ready.push(spare);
    return true;
  }

  /** Path of a file that may be written over and become a segment. It is not offered again. */
  async take(): Promise<string | undefined> {
    for (let spare = this.#ready.shift(); spare !== undefined; spare = this.#ready.shift()) {
      if (await this.#isItself(spare)) return spare.path;
      await this.#directory.remove(spare.path).catch(() => undefined);
    }
    return undefined;
  }

  async #hasSize(path: string): Promise<boolean> {
    const { size = 0 } = (await this.#directory.stat(path)) ?? {};
    return size * SIZE_FACTOR >= this.#segmentBytes && size <= this.#segmentBytes * SIZE_FACTOR;
  }

  /** Whether the file is the segment that its name says, of this log: so its entries were covered, and are not needed. */
  async #isItself({ segmentId, path }: Spare): Promise<boolean> {
    try {
      const file = await this.#directory.open(path, 'read');
      try {
        const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
        const header = decodeSegmentHeader(bytes.subarray(0, await readFully(file, bytes, 0)), walLayout.magic, path);
        return !('torn' in header) && header.segmentId === segmentId && header.logId === this.#logId;
      } finally {
        await file.close();
      }
    } catch {
      // Whatever is wrong with it: a new file does as well.
      return false;
    }
  }
}
