// Where the log ends: an interrupted write, which is cut, or damage, which is never touched.
//
// D is the highest id known to be on stable storage: from any whole control frame of the last segment (also one behind
// the damage), from segment order (a segment is synced before its successor exists), and from what the caller knows
// (checkpoints). What is missing at or below D was acknowledged: CorruptionError. What is missing above D never was,
// whatever the bytes look like: pages that were not synced may reach the disk in any order, or as zeros.
//
// The crate's segments (versions 2 and 3) have no control frames. There only a frame that ends too early, or zeros to
// the end of the file, count as interrupted, and only if no whole frame follows.

import { allocate } from '../bytes/allocate.js';
import { crc32 } from '../bytes/crc32.js';
import { readU32, readU64 } from '../bytes/u64.js';
import { CorruptionError, NotFoundError } from '../errors/index.js';
import type { FileHandle } from '../storage/index.js';
import { readFully } from '../storage/index.js';
import { FRAME_HEADER_BYTES, MAX_FRAME_BYTES, SEGMENT_HEADER_BYTES } from './format.js';
import { findDurableIdBehind, FrameScanner, type FrameBlock } from './frame-scanner.js';
import type { Segment } from './segment-chain.js';

/** The remains of an interrupted write at the end of a log. */
export interface TornTail {
  readonly segmentId: number;
  readonly path: string;
  /** Where it begins in the file. */
  readonly offset: number;
  /** From there to the end of the file. */
  readonly bytes: number;
  readonly reason: string;
}

/** How a scan of the last segment ended. */
export interface LogEnd {
  readonly lastEntryId: number;
  /** D, see the top of this file; at most `lastEntryId`. */
  readonly durableId: number;
  /** Everything behind this offset is later than entry `durableId`. */
  readonly durableEnd: number;
  /** Offset behind the last whole frame. */
  readonly validEnd: number;
  readonly tornTail: TornTail | undefined;
  readonly sealed: boolean;
  /** Highest id that is declared durable inside the segment, or by its being there. */
  readonly announcedId: number;
}

export function scannerOf(
  file: FileHandle,
  fileSize: number,
  segment: Segment,
  range: {
    readonly from?: number;
    readonly upTo?: number;
    readonly mark?: { id: number; offset: number };
    readonly ahead?: boolean;
  } = {},
): FrameScanner {
  const { header } = segment;
  const { mark, ...limits } = range;
  return new FrameScanner({
    file,
    fileSize,
    offset: mark?.offset ?? header.bytes,
    firstId: mark === undefined ? header.startEntryId : mark.id + 1,
    salt: header.salt,
    version: header.version as 2 | 3 | 4,
    ...limits,
  });
}

/** Judges how the scan of the last segment ended. Throws {@link CorruptionError} if anything up to D is not there. */
export async function judgeEnd(
  scanner: FrameScanner,
  file: FileHandle,
  fileSize: number,
  segment: Segment,
  knownDurableId: number,
): Promise<LogEnd> {
  const { damage, lastId, validEnd } = scanner;
  const { header, path, segmentId } = segment;
  const announcedId = Math.max(scanner.durableId, header.startEntryId - 1);
  let durableId = Math.max(announcedId, knownDurableId);
  if (header.version === 4 && (damage !== undefined || scanner.ended))
    durableId = Math.max(durableId, await findDurableIdBehind(file, validEnd, fileSize, header));
  if (damage !== undefined) {
    const facts = { path, offset: damage.offset, entryId: damage.nextId };
    if (lastId < durableId)
      throw new CorruptionError(
        `Damage: ${damage.reason}, but entries up to ${durableId} were on stable storage. ` +
          'Restore the file from a backup, or see what salvage can read',
        facts,
      );
    if (header.version !== 4) {
      const follower = damage.zeros
        ? undefined
        : await findFrameBehind(file, damage.offset, fileSize, header.version, lastId);
      if (follower !== undefined || !(damage.short || damage.zeros))
        throw new CorruptionError(
          follower === undefined
            ? `Damage: ${damage.reason}. Restore the file from a backup, or see what salvage can read`
            : `Damage: ${damage.reason}, and entry ${follower} follows it whole. Restore the file, or see what salvage can read`,
          facts,
        );
    }
  } else if (lastId < durableId) {
    throw new CorruptionError(
      `The log ends with entry ${lastId}, but entries up to ${durableId} were on stable storage. Restore it from a backup`,
      { path, offset: validEnd, entryId: lastId + 1 },
    );
  }
  return {
    lastEntryId: lastId,
    durableId,
    durableEnd: scanner.offsetBehind(durableId),
    validEnd,
    sealed: scanner.sealed,
    announcedId,
    tornTail:
      damage === undefined
        ? undefined
        : { segmentId, path, offset: damage.offset, bytes: damage.bytes, reason: damage.reason },
  };
}

/**
 * {@link judgeEnd} for readers, who hold no lock. A writer that is at work beside them fills preallocated zeros while they
 * look at them: what seemed to be the end, or damage in front of what was written meanwhile, may be whole by now. Then
 * there is `more`, a scanner that goes on from there, and its first block. Otherwise `end` returns or throws the verdict.
 * Throws {@link NotFoundError} for a segment that is no longer there.
 */
export async function endOrMore(
  scanner: FrameScanner,
  file: FileHandle,
  fileSize: number,
  segment: Segment,
  knownDurableId: number,
  range: { readonly from?: number; readonly upTo?: number },
): Promise<
  | { readonly more: FrameScanner; readonly block: FrameBlock | undefined }
  | { readonly more: undefined; readonly end: () => LogEnd }
> {
  const end = await judgeEnd(scanner, file, fileSize, segment, knownDurableId).then(
    (verdict) => () => verdict,
    (error: unknown) => (): never => {
      throw error;
    },
  );
  // Also where nothing is wrong: cut short, a file that is used again may end where a frame did.
  await checkStillThere(file, segment);
  if (scanner.damage !== undefined || scanner.ended) {
    // What was written meanwhile may have made the file longer.
    const more = scannerOf(file, await file.size(), segment, {
      ...range,
      mark: { id: scanner.lastId, offset: scanner.validEnd },
    });
    const block = await more.next();
    if (more.validEnd > scanner.validEnd) return { more, block };
  }
  return { more: undefined, end };
}

/**
 * Checks that a segment with a successor is whole and leads up to it. Throws {@link NotFoundError} for one that is no
 * longer there.
 */
export async function checkSealedSegment(
  scanner: FrameScanner,
  file: FileHandle,
  segment: Segment,
  nextStartId: number | undefined,
): Promise<void> {
  const { damage, lastId } = scanner;
  const complete = nextStartId === undefined || lastId + 1 === nextStartId;
  if (damage !== undefined || lastId + 1 !== nextStartId) await checkStillThere(file, segment);
  // Zeros behind the last entry, which the next header confirms to be the last, are an unused rest of the file.
  if (complete && (damage === undefined || damage.zeros)) return;
  const what =
    damage === undefined || (damage.zeros && !complete)
      ? lastId < nextStartId!
        ? `Entries ${lastId + 1} to ${nextStartId! - 1} are missing`
        : `Entries ${nextStartId} to ${lastId} of the next segment are`
      : `Damage: ${damage.reason}`;
  throw new CorruptionError(
    `${what} in a segment that was complete before the next one was begun. Restore the file from a backup, or see what salvage can read`,
    { path: segment.path, offset: scanner.validEnd, entryId: lastId + 1 },
  );
}

/**
 * Throws {@link NotFoundError} if the file, which was opened before, has been truncated and is being used again. The
 * writer changes its header before anything else, so that damage seen under an unchanged header is damage.
 */
async function checkStillThere(file: FileHandle, { header, path }: Segment): Promise<void> {
  if (header.version !== 4) return;
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const read = await readFully(file, bytes, 0);
  if (read === bytes.length && readU64(bytes, 16) === header.segmentId && readU32(bytes, 32) === header.salt) return;
  throw new NotFoundError('The segment was truncated, and its file is used for another one', { path });
}

/** Id of a whole frame of the crate's format behind `offset` that continues the log, if there is one. */
async function findFrameBehind(
  file: FileHandle,
  offset: number,
  fileSize: number,
  version: number,
  lastId: number,
): Promise<number | undefined> {
  const window = allocate(64 * 1024);
  for (let at = offset + 1; at + FRAME_HEADER_BYTES < fileSize;) {
    const read = await readFully(file, window.subarray(0, Math.min(window.length, fileSize - at)), at);
    for (let index = 0; index + FRAME_HEADER_BYTES <= read; index++) {
      const length = readU32(window, index);
      const id = readU64(window, index + 4);
      if (length <= FRAME_HEADER_BYTES || length > MAX_FRAME_BYTES || at + index + length > fileSize) continue;
      // Ids are dense: one that a segment of this size could not reach is not an id.
      if (id === undefined || id <= lastId || id - lastId > fileSize / FRAME_HEADER_BYTES) continue;
      const frame = allocate(length);
      if ((await readFully(file, frame, at + index)) < length) continue;
      const seed = version === 2 ? 0 : crc32(frame, 0, 12);
      if (crc32(frame, FRAME_HEADER_BYTES, length, seed) === readU32(frame, 12)) return id;
    }
    if (read < window.length) break;
    at += read - (FRAME_HEADER_BYTES - 1);
  }
  return undefined;
}
