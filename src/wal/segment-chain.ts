// The segments of a log as their names and headers tell it, checked for everything that can be checked without reading
// a frame: no hole, no stranger, headers that agree with their names and with each other.

import { CorruptionError, FormatError, NotFoundError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { readFully } from '../storage/index.js';
import {
  damagedHeader,
  decodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type TornHeader,
} from './format.js';
import { isZeroToEnd } from './frame-scanner.js';
import type { LogLayout, SegmentFile } from './layout.js';

export interface Segment extends SegmentFile {
  readonly header: SegmentHeader;
}

/** The last segment, when the crash came while it was being made: it never held an entry. */
interface TornSegment extends SegmentFile {
  readonly size: number;
  readonly reason: string;
}

export interface SegmentChain {
  readonly segments: readonly Segment[];
  readonly torn: TornSegment | undefined;
  /** `undefined` for an empty log and for one that only the crate wrote. */
  readonly logId: number | undefined;
}

// A writer that truncates while we look can take a listed segment away: then the list is read again.
const LISTING_ATTEMPTS = 10;

// A header is a few trips to the thread pool and a moment of work: one after the other, a long log is opened slowly.
const READS_AT_ONCE = 16;

export interface ChainOptions {
  /** The headers of segments before this one are not read, if it is there; that none is missing is checked by name. */
  readonly from?: number | undefined;
  /** Segments by id whose headers need not be read again: only who holds the lock knows that they are the same. */
  readonly known?: ReadonlyMap<number, Segment> | undefined;
}

export async function readSegmentChain(
  directory: Directory,
  layout: LogLayout,
  options: ChainOptions = {},
): Promise<SegmentChain> {
  for (let attempt = 1; ; attempt++) {
    const files = await layout.list(directory);
    try {
      return await readChain(directory, layout, files, options);
    } catch (error) {
      if (!(error instanceof NotFoundError) || attempt === LISTING_ATTEMPTS) throw error;
    }
  }
}

async function readChain(
  directory: Directory,
  layout: LogLayout,
  files: readonly SegmentFile[],
  { from, known }: ChainOptions,
): Promise<SegmentChain> {
  const isThere = files.some(({ segmentId }) => segmentId === from);
  const isWanted = ({ segmentId }: SegmentFile): boolean => !isThere || segmentId >= from!;
  const headers = readAhead(files.filter(isWanted), async (file) => {
    const segment = known?.get(file.segmentId);
    if (segment !== undefined) return segment;
    const isLast = file === files.at(-1);
    return readHeader(directory, layout, file, isLast && (files.length > 1 || file.segmentId === 1));
  });
  const segments: Segment[] = [];
  let torn: TornSegment | undefined;
  let logId: number | undefined;
  try {
    for (const [index, file] of files.entries()) {
      const previous = files[index - 1];
      if (previous !== undefined && file.segmentId !== previous.segmentId + 1)
        throw new CorruptionError(
          `Segment ${previous.segmentId + 1} is missing between ${previous.segmentId} and ${file.segmentId}. Put it back`,
          { path: layout.pathOf(previous.segmentId + 1) },
        );
      if (!isWanted(file)) continue;
      const read = await headers.next();
      if ('reason' in read) {
        torn = read;
        continue;
      }
      checkAgainst(read, segments.at(-1), logId);
      logId ??= read.header.logId;
      segments.push(read);
    }
  } finally {
    await headers.end();
  }
  return { segments, torn, logId };
}

/** Results in the order of `files`, while the next few are under way. Nothing is any more once `end` has resolved. */
function readAhead<R>(
  files: readonly SegmentFile[],
  read: (file: SegmentFile) => Promise<R>,
): { readonly next: () => Promise<R>; readonly end: () => Promise<unknown> } {
  const ahead: Promise<R>[] = [];
  let begun = 0;
  return {
    next: () => {
      while (begun < files.length && ahead.length < READS_AT_ONCE) {
        const reading = read(files[begun++]!);
        // Whether anybody asks for it depends on those before.
        reading.catch(() => undefined);
        ahead.push(reading);
      }
      return ahead.shift()!;
    },
    end: () => Promise.allSettled(ahead),
  };
}

async function readHeader(
  directory: Directory,
  layout: LogLayout,
  { segmentId, path }: SegmentFile,
  mayBeTorn: boolean,
): Promise<Segment | TornSegment> {
  const file = await directory.open(path, 'read');
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const read = async (): Promise<SegmentHeader | TornHeader> =>
      decodeSegmentHeader(bytes.subarray(0, await readFully(file, bytes, 0)), layout.magic, path);
    let header = await read();
    // A file that is used again gets its new header under another name.
    const isItself = !('torn' in header) && header.segmentId === segmentId;
    if (!isItself && (await directory.stat(path)) === undefined)
      throw new NotFoundError('The segment was truncated, and its file is used for another one', { path });
    if ('torn' in header) {
      const size = await file.size();
      // A segment is synced, with its name, before anything is appended to it. So one with a damaged header and
      // something behind it was damaged later.
      const isTorn = mayBeTorn && (await isZeroToEnd(file, SEGMENT_HEADER_BYTES, size));
      // Unless a writer has just been making it.
      const again = await read();
      if ('torn' in again) {
        if (!isTorn) throw damagedHeader(again, path);
        return { segmentId, path, size, reason: again.torn };
      }
      header = again;
    }
    if (header.segmentId !== segmentId)
      throw new CorruptionError(`The header says segment ${header.segmentId}: the file was renamed or replaced`, {
        path,
        offset: 16,
      });
    if (header.startEntryId === 0)
      throw new FormatError('Entry ids begin at 1, the header says 0', { path, offset: 8 });
    return { segmentId, path, header };
  } finally {
    await file.close();
  }
}

function checkAgainst(segment: Segment, previous: Segment | undefined, logId: number | undefined): void {
  const { path, header } = segment;
  if (logId !== undefined && header.logId !== undefined && header.logId !== logId)
    throw new CorruptionError(
      `The segment belongs to another log (${header.logId}, the ones before it to ${logId}). Put the right file back`,
      { path, offset: 24 },
    );
  if (previous !== undefined && header.startEntryId < previous.header.startEntryId)
    throw new CorruptionError(
      `The segment begins with entry ${header.startEntryId}, before the one that precedes it (${previous.header.startEntryId})`,
      { path, offset: 8 },
    );
}
