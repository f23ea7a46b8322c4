// What happens between taking the lock and the first append: find the end of the log, cut what an interrupted write left
// behind it, and make sure that everything that is kept really is on stable storage.
//
// The last part is not paranoia. After a failed sync a page can be in the page cache, clean, and not on disk: a process
// that starts then reads it well, and loses it, and every acknowledged entry behind it, at the next power cut. Syncing
// again does not help, the page counts as written. Writing the same bytes again does not help either where the failed
// write was the first to its block: ext4 (seen on Linux 6.18) goes on to take that block for unwritten, and says that
// all is well. So unless there is only a rest of a sector to write that proven bytes begin, the segment is written anew,
// into a file that takes its place. It is the last segment, and this is done after a crash only; a disk without room for
// it gets the second best, the same bytes in place.

import { allocate } from '../bytes/allocate.js';
import { checkId, MAX_ID, readU32 } from '../bytes/u64.js';
import { AlreadyExistsError, CorruptionError, NotFoundError, StorageError } from '../errors/index.js';
import type { Directory, FileHandle, Lock, RandomBytes } from '../storage/index.js';
import { makeDirectoryDurable, readFully, writeFileAtomically, writeFully } from '../storage/index.js';
import { parentOf } from '../storage/path.js';
import { SEGMENT_HEADER_BYTES, SEGMENT_VERSION } from './format.js';
import { checkReaches, readEnd } from './inspect-log.js';
import type { LogLayout } from './layout.js';
import type { KnownLog, Mark } from './log-scan.js';
import { readSegmentChain, type Segment } from './segment-chain.js';
import { SegmentFile, type SegmentPlan } from './segment-file.js';
import { SpareSegments } from './spare-segments.js';
import { drawSalt, type SegmentFill } from './staging.js';
import { judgeEnd, scannerOf, type LogEnd, type TornTail } from './tail.js';

const COPY_WINDOW_BYTES = 256 * 1024;
/** No file system has smaller blocks. */
const SECTOR_BYTES = 512;

/** What opening a log for writing found and did. */
export interface OpenReport {
  /** First entry that the log still holds; `lastEntryId + 1` if it holds none. */
  readonly firstEntryId: number;
  readonly lastEntryId: number;
  readonly segments: number;
  /** What was cut off the end. */
  readonly tornTail: TornTail | undefined;
  /** Bytes that were written again because nothing proved them durable. */
  readonly rewrittenBytes: number;
}

export interface OpenedLog {
  readonly segment: SegmentFile;
  readonly fill: SegmentFill;
  readonly lastId: number;
  readonly announcedId: number;
  readonly sealed: boolean;
  readonly spares: SpareSegments | undefined;
  readonly lock: Lock;
  readonly report: OpenReport;
}

export interface OpenLogOptions {
  /** `create`: there must be no log yet. `resume`: there must be one. `open`: either. */
  readonly intent: 'create' | 'resume' | 'open';
  /** Entries up to here are known to be durable, from checkpoints; the next id is above it. */
  readonly durableId: number | ((logId: number | undefined) => number);
  /** Id that the log must have, or gets if there is none yet. */
  readonly logId: number | undefined;
  readonly preallocateBytes: number;
  readonly segmentBytes: number;
  readonly recycleSegments: number;
  readonly now: () => number;
  readonly random: RandomBytes;
}

/** A log under its lock that was read to its end and judged. Nothing of it was changed yet. */
export interface PreparedLog {
  /** What there is; `rewrittenBytes` and a segment that has to be made are those of {@link PreparedLog.start}. */
  readonly report: OpenReport;
  readonly logId: number;
  /** What readers need not look at again. */
  readonly known: KnownLog;
  /** Cuts what an interrupted write left, makes everything that is kept durable, and opens the log for appending. */
  start(): Promise<OpenedLog>;
  /** Gives the lock up instead. */
  abandon(): Promise<void>;
}

/** Takes the lock and reads how the log ends. Errors are those of opening; then nothing was changed. */
export async function prepareLog(
  directory: Directory,
  layout: LogLayout,
  options: OpenLogOptions,
): Promise<PreparedLog> {
  if (typeof options.durableId === 'number') checkId(options.durableId, 'durableId');
  if (options.intent === 'resume' && (await layout.list(directory)).length === 0)
    throw new NotFoundError('There is no log to resume here; create one', { path: layout.folder });
  await makeDirectoryDurable(directory, layout.folder);
  // Before the segments are listed: a writer that rolls in between would leave us appending to a complete segment.
  const lock = await directory.lock(layout.lockPath);
  try {
    return await prepareLocked(directory, layout, options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function prepareLocked(
  directory: Directory,
  layout: LogLayout,
  options: OpenLogOptions,
  lock: Lock,
): Promise<PreparedLog> {
  const { segments, torn, logId } = await readSegmentChain(directory, layout);
  const durableId = typeof options.durableId === 'number' ? options.durableId : options.durableId(logId);
  if (options.intent === 'create' && (segments.length > 0 || torn !== undefined))
    throw new AlreadyExistsError('There is a log here already; open or resume it', { path: layout.folder });
  if (options.logId !== undefined && logId !== undefined && options.logId !== logId)
    throw new CorruptionError(
      `The log has the id ${logId}, its checkpoints say ${options.logId}: they do not belong together. Put the right files back`,
      { path: layout.folder },
    );
  const newLogId = logId ?? options.logId ?? drawLogId(options.random);
  const last = segments.at(-1);
  // A segment behind the last whole one was begun, so that one is complete, and nothing of it is in doubt.
  const examined = last === undefined || torn !== undefined ? undefined : await examine(directory, last, durableId);
  try {
    let lastId = durableId;
    let tornTail = examined?.end.tornTail;
    if (examined !== undefined) {
      lastId = examined.end.lastEntryId;
    } else if (last !== undefined) {
      lastId = (await readEnd(directory, last, undefined)).lastEntryId;
      checkReaches(lastId, durableId, last.path);
    }
    if (torn !== undefined)
      tornTail = { segmentId: torn.segmentId, path: torn.path, offset: 0, bytes: torn.size, reason: torn.reason };
    // A segment of the crate is not appended to: it gets a successor, as the empty log does.
    const goesOn = examined !== undefined && last?.header.version === SEGMENT_VERSION;
    if (!goesOn) checkIdsAreLeft(lastId, layout);
    const report = (rewrittenBytes: number): OpenReport => ({
      firstEntryId: segments[0]?.header.startEntryId ?? lastId + 1,
      lastEntryId: lastId,
      segments: segments.length + (goesOn ? 0 : 1),
      tornTail,
      rewrittenBytes,
    });
    const start = async (): Promise<OpenedLog> => {
      const rewrittenBytes = examined === undefined ? 0 : await repair(directory, layout, examined, options.random);
      const spares = layout.rolls
        ? await SpareSegments.find(directory, {
            capacity: options.recycleSegments,
            segmentBytes: options.segmentBytes,
            logId: newLogId,
            segmentIds: segments.map(({ segmentId }) => segmentId),
          })
        : undefined;
      if (goesOn)
        return { ...(await adopt(examined, newLogId, options)), spares, lock, report: report(rewrittenBytes) };
      await examined?.file.close();
      const plan: SegmentPlan = {
        segmentId: torn?.segmentId ?? (last === undefined ? 1 : last.segmentId + 1),
        startEntryId: lastId + 1,
        logId: newLogId,
        salt: drawSalt(options.random),
      };
      const segment = await SegmentFile.create(directory, layout, plan, {
        replace: torn !== undefined,
        preallocateBytes: options.preallocateBytes,
      });
      return {
        segment,
        fill: { plan, createdAt: options.now(), bytes: SEGMENT_HEADER_BYTES, hasEntries: false },
        lastId,
        announcedId: lastId,
        sealed: false,
        spares,
        lock,
        report: report(rewrittenBytes),
      };
    };
    const abandon = async (): Promise<void> => {
      try {
        await examined?.file.close();
      } finally {
        await lock.release();
      }
    };
    return {
      report: report(0),
      logId: newLogId,
      known: { segments, marks: examined?.marks ?? [] },
      start: () =>
        start().catch(async (error: unknown) => {
          await abandon().catch(() => undefined);
          throw error;
        }),
      abandon,
    };
  } catch (error) {
    await examined?.file.close().catch(() => undefined);
    throw error;
  }
}

/** Goes on in the last segment. */
async function adopt(
  { file, end, segment, createdAt }: Examined,
  logId: number,
  { now, preallocateBytes, recycleSegments }: OpenLogOptions,
): Promise<Omit<OpenedLog, 'lock' | 'report' | 'spares'>> {
  const { header } = segment;
  const plan: SegmentPlan = { ...header, logId };
  return {
    segment: await SegmentFile.adopt(plan, file, {
      end: end.validEnd,
      lastId: end.lastEntryId,
      preallocateBytes,
    }),
    fill: {
      plan,
      // A file that is used again is older than the segment that is in it.
      createdAt: createdAt === 0 || recycleSegments > 0 ? now() : createdAt,
      bytes: end.validEnd,
      hasEntries: end.lastEntryId >= header.startEntryId,
    },
    lastId: end.lastEntryId,
    announcedId: end.announcedId,
    sealed: end.sealed,
  };
}

/** A new segment's header holds the next id. */
function checkIdsAreLeft(lastId: number, layout: LogLayout): void {
  if (lastId >= MAX_ID) throw new CorruptionError('Entry ids are used up', { path: layout.folder, entryId: lastId });
}

/** The last segment, open, and how it ends. */
interface Examined {
  readonly segment: Segment;
  /** Milliseconds since 1970; 0 if unknown. */
  readonly createdAt: number;
  /** Another one once the segment was written anew. */
  file: FileHandle;
  readonly fileSize: number;
  readonly end: LogEnd;
  readonly marks: readonly Mark[];
}

async function examine(directory: Directory, segment: Segment, knownDurableId: number): Promise<Examined> {
  const file = await directory.open(segment.path, 'update');
  try {
    const createdAt = (await directory.stat(segment.path))?.createdAt ?? 0;
    const fileSize = await file.size();
    const scanner = scannerOf(file, fileSize, segment);
    const marks: Mark[] = [];
    while ((await scanner.next()) !== undefined) marks.push({ id: scanner.lastId, offset: scanner.validEnd });
    const end = await judgeEnd(scanner, file, fileSize, segment, knownDurableId);
    return { segment, createdAt, file, fileSize, end, marks };
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

/**
 * Cuts the last segment behind its last whole frame and makes everything before that durable. Returns the bytes that
 * nothing proved to be so. Leaves the file open.
 */
async function repair(
  directory: Directory,
  layout: LogLayout,
  examined: Examined,
  random: RandomBytes,
): Promise<number> {
  const { segment, fileSize, end } = examined;
  // Entries are only written to a segment whose header was synced. Without any, the header itself is in doubt.
  const from = end.durableEnd <= segment.header.bytes ? 0 : end.durableEnd;
  if (isInWrittenSector(from, end.validEnd) || !(await writeAnew(directory, examined, random))) {
    const { file } = examined;
    if (end.validEnd < fileSize) await file.truncate(end.validEnd);
    await copy(file, file, from, end.validEnd);
    await file.datasync();
  }
  await directory.syncDirectory(layout.folder);
  return end.validEnd - from;
}

/** Whether there is nothing to write but in a sector that is known to have been written before. */
function isInWrittenSector(from: number, end: number): boolean {
  return from > 0 && Math.ceil(from / SECTOR_BYTES) === Math.ceil(end / SECTOR_BYTES);
}

/** Puts a new file with the same bytes in the segment's place. False if there is no room for it. */
async function writeAnew(directory: Directory, examined: Examined, random: RandomBytes): Promise<boolean> {
  const { segment, file, end } = examined;
  await removeUnfinished(directory, segment.path);
  let isWritten = false;
  const fill = async (anew: FileHandle): Promise<void> => {
    await copy(file, anew, 0, end.validEnd);
    // A disk may say only now that it is full.
    await anew.datasync();
    isWritten = true;
  };
  try {
    await writeFileAtomically(directory, segment.path, fill, random);
  } catch (error) {
    const isFull = error instanceof StorageError && (error.errno === 'ENOSPC' || error.errno === 'EDQUOT');
    // Later on it may have taken the old one's place already.
    if (isFull && !isWritten) return false;
    throw error;
  }
  examined.file = await directory.open(segment.path, 'update');
  await file.close().catch(() => undefined);
  return true;
}

/** What an earlier process was writing anew when it ended. */
async function removeUnfinished(directory: Directory, path: string): Promise<void> {
  const folder = parentOf(path);
  for (const name of await directory.list(folder)) {
    const found = folder === '' ? name : `${folder}/${name}`;
    if (found.startsWith(`${path}.`) && /^[0-9a-f]{12}\.tmp$/.test(found.slice(path.length + 1)))
      await directory.remove(found).catch(() => undefined);
  }
}

async function copy(source: FileHandle, target: FileHandle, from: number, end: number): Promise<void> {
  const window = allocate(Math.min(COPY_WINDOW_BYTES, end - from));
  for (let at = from; at < end;) {
    const read = await readFully(source, window.subarray(0, Math.min(window.length, end - at)), at);
    if (read === 0) throw new CorruptionError('The file became shorter while it was repaired', { path: source.path });
    await writeFully(target, window.subarray(0, read), at);
    at += read;
  }
}

/** A random id from 1 to 2^53-1. */
function drawLogId(random: RandomBytes): number {
  const bytes = random(8);
  const drawn = (readU32(bytes, 0) & 0x1f_ffff) * 0x1_0000_0000 + readU32(bytes, 4);
  return Math.max(1, drawn);
}
