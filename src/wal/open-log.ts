// What happens between taking the lock and the first append: find the end of the log, cut what an interrupted write left
// behind it, and make sure that everything that is kept really is on stable storage.
//
// The last part is not paranoia. After a failed sync a page can be in the page cache, clean, and not on disk: a process
// that starts then reads it well, and loses it, and every acknowledged entry behind it, at the next power cut. Syncing
// again does not help, the page counts as written. Writing the same bytes again and then syncing does.

import { allocate } from '../bytes/allocate.js';
import { checkId, MAX_ID, readU32 } from '../bytes/u64.js';
import { AlreadyExistsError, CorruptionError, NotFoundError } from '../errors/index.js';
import type { Directory, FileHandle, Lock, RandomBytes } from '../storage/index.js';
import { makeDirectoryDurable, readFully, writeFully } from '../storage/index.js';
import { SEGMENT_HEADER_BYTES, SEGMENT_VERSION } from './format.js';
import { checkReaches, readEnd } from './inspect-log.js';
import type { LogLayout } from './layout.js';
import { readSegmentChain, type Segment } from './segment-chain.js';
import { SegmentFile, type SegmentPlan } from './segment-file.js';
import { drawSalt, type SegmentFill } from './staging.js';
import { judgeEnd, scannerOf, type LogEnd, type TornTail } from './tail.js';

const REWRITE_WINDOW_BYTES = 256 * 1024;

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
  readonly now: () => number;
  readonly random: RandomBytes;
}

export async function openLog(directory: Directory, layout: LogLayout, options: OpenLogOptions): Promise<OpenedLog> {
  if (typeof options.durableId === 'number') checkId(options.durableId, 'durableId');
  if (options.intent === 'resume' && (await layout.list(directory)).length === 0)
    throw new NotFoundError('There is no log to resume here; create one', { path: layout.folder });
  await makeDirectoryDurable(directory, layout.folder);
  // Before the segments are listed: a writer that rolls in between would leave us appending to a complete segment.
  const lock = await directory.lock(layout.lockPath);
  try {
    return { ...(await openLocked(directory, layout, options)), lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openLocked(
  directory: Directory,
  layout: LogLayout,
  options: OpenLogOptions,
): Promise<Omit<OpenedLog, 'lock'>> {
  const { intent } = options;
  const { segments, torn, logId } = await readSegmentChain(directory, layout);
  const durableId = typeof options.durableId === 'number' ? options.durableId : options.durableId(logId);
  if (intent === 'create' && (segments.length > 0 || torn !== undefined))
    throw new AlreadyExistsError('There is a log here already; open or resume it', { path: layout.folder });
  if (options.logId !== undefined && logId !== undefined && options.logId !== logId)
    throw new CorruptionError(
      `The log has the id ${logId}, its checkpoints say ${options.logId}: they do not belong together. Put the right files back`,
      { path: layout.folder },
    );
  const newLogId = logId ?? options.logId ?? drawLogId(options.random);
  const last = segments.at(-1);
  const firstEntryId = segments[0]?.header.startEntryId;

  if (last !== undefined && torn === undefined && last.header.version === SEGMENT_VERSION) {
    const repaired = await repair(directory, layout, last, durableId);
    const { header } = last;
    const plan: SegmentPlan = { ...header, logId: newLogId };
    const { end } = repaired;
    return {
      segment: SegmentFile.adopt(plan, repaired.file, end.validEnd),
      fill: {
        plan,
        createdAt: last.createdAt === 0 ? options.now() : last.createdAt,
        bytes: end.validEnd,
        hasEntries: end.lastEntryId >= header.startEntryId,
      },
      lastId: end.lastEntryId,
      announcedId: end.announcedId,
      sealed: end.sealed,
      report: {
        firstEntryId: firstEntryId!,
        lastEntryId: end.lastEntryId,
        segments: segments.length,
        tornTail: end.tornTail,
        rewrittenBytes: repaired.rewrittenBytes,
      },
    };
  }

  // A new segment is needed: the log is empty, or its last segment never came to be, or is of the crate's format.
  let lastId = durableId;
  let rewrittenBytes = 0;
  let tornTail: TornTail | undefined;
  if (last !== undefined && torn === undefined) {
    const repaired = await repair(directory, layout, last, durableId);
    await repaired.file.close();
    lastId = repaired.end.lastEntryId;
    rewrittenBytes = repaired.rewrittenBytes;
    tornTail = repaired.end.tornTail;
  } else if (last !== undefined) {
    lastId = (await readEnd(directory, last, undefined)).lastEntryId;
    checkReaches(lastId, durableId, last.path);
  }
  if (torn !== undefined)
    tornTail = { segmentId: torn.segmentId, path: torn.path, offset: 0, bytes: torn.size, reason: torn.reason };
  checkIdsAreLeft(lastId, layout);
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
    report: {
      firstEntryId: firstEntryId ?? lastId + 1,
      lastEntryId: lastId,
      segments: segments.length + 1,
      tornTail,
      rewrittenBytes,
    },
  };
}

/** A new segment's header holds the next id. */
function checkIdsAreLeft(lastId: number, layout: LogLayout): void {
  if (lastId >= MAX_ID) throw new CorruptionError('Entry ids are used up', { path: layout.folder, entryId: lastId });
}

/** Cuts the last segment behind its last whole frame and makes everything before that durable. Leaves the file open. */
async function repair(
  directory: Directory,
  layout: LogLayout,
  segment: Segment,
  knownDurableId: number,
): Promise<{ file: FileHandle; end: LogEnd; rewrittenBytes: number }> {
  const file = await directory.open(segment.path, 'update');
  try {
    const fileSize = await file.size();
    const end = await scanToEnd(file, fileSize, segment, knownDurableId);
    // A segment of the crate is not appended to: it gets a successor. Whether it can is known before anything is cut.
    if (segment.header.version !== SEGMENT_VERSION) checkIdsAreLeft(end.lastEntryId, layout);
    if (end.validEnd < fileSize) await file.truncate(end.validEnd);
    // Entries are only written to a segment whose header was synced. Without any, the header itself is in doubt.
    const from = end.durableEnd <= segment.header.bytes ? 0 : end.durableEnd;
    await rewrite(file, from, end.validEnd);
    await file.datasync();
    await directory.syncDirectory(layout.folder);
    return { file, end, rewrittenBytes: end.validEnd - from };
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

async function scanToEnd(file: FileHandle, fileSize: number, segment: Segment, durableId: number): Promise<LogEnd> {
  const scanner = scannerOf(file, fileSize, segment);
  while ((await scanner.next()) !== undefined);
  return judgeEnd(scanner, file, fileSize, segment, durableId);
}

async function rewrite(file: FileHandle, from: number, end: number): Promise<void> {
  const window = allocate(Math.min(REWRITE_WINDOW_BYTES, end - from));
  for (let at = from; at < end;) {
    const read = await readFully(file, window.subarray(0, Math.min(window.length, end - at)), at);
    if (read === 0) throw new CorruptionError('The file became shorter while it was repaired', { path: file.path });
    await writeFully(file, window.subarray(0, read), at);
    at += read;
  }
}

/** A random id from 1 to 2^53-1. */
function drawLogId(random: RandomBytes): number {
  const bytes = random(8);
  const drawn = (readU32(bytes, 0) & 0x1f_ffff) * 0x1_0000_0000 + readU32(bytes, 4);
  return Math.max(1, drawn);
}
