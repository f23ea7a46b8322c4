// Reading a log that recovery refuses: every frame that is whole by its checksum, wherever it lies, and a list of every
// byte range and id that is not. Nothing is repaired, skipped in silence, or written.

import { allocate } from '../bytes/allocate.js';
import { crc32 } from '../bytes/crc32.js';
import { readU32, readU64 } from '../bytes/u64.js';
import { CairnError, NotFoundError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { readFully } from '../storage/index.js';
import {
  CONTROL_END,
  decodeSegmentHeader,
  FLAG_CONTROL,
  FRAME_HEADER_BYTES,
  LENGTH_MASK,
  MAX_FRAME_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './format.js';
import { isZeroToEnd } from './frame-scanner.js';
import type { LogLayout, SegmentFile } from './layout.js';

/** A whole entry of a damaged log. */
export interface SalvagedEntry {
  readonly entryId: number;
  /** As the codec wrote it; a copy. */
  readonly payload: Uint8Array;
  readonly path: string;
  readonly offset: number;
}

/** A part of a file that is not readable. */
export interface Loss {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
  readonly reason: string;
}

export interface SalvageReport {
  /** Entries that were handed out. */
  readonly entries: number;
  readonly lost: readonly Loss[];
  /** Ranges of ids, both ends included, that no whole frame was found for. */
  readonly missing: readonly { readonly from: number; readonly to: number }[];
}

// A frame has to be whole in the window to be recognised: one of the largest frames and the search before it.
const WINDOW_BYTES = 2 * MAX_FRAME_BYTES;

export async function salvageLog(
  directory: Directory,
  layout: LogLayout,
  visit: (entry: SalvagedEntry) => void,
): Promise<SalvageReport> {
  const lost: Loss[] = [];
  const missing: { from: number; to: number }[] = [];
  let entries = 0;
  let lastId: number | undefined;
  let unused: Loss | undefined;
  for (const segment of await layout.list(directory)) {
    const begins = (startEntryId: number): void => {
      // Zeros before a segment that goes on with the next entry were never anything else.
      if (unused !== undefined && startEntryId !== (lastId ?? 0) + 1) lost.push(unused);
      unused = undefined;
    };
    unused = await salvageSegment(directory, layout, segment, lost, begins, (entry) => {
      // An id that was seen already: a copied or renamed segment. The first one counts.
      if (lastId !== undefined && entry.entryId <= lastId) {
        lost.push({ ...entry, bytes: entry.payload.length, reason: `entry ${entry.entryId} was found before` });
        return;
      }
      if (lastId !== undefined && entry.entryId > lastId + 1) missing.push({ from: lastId + 1, to: entry.entryId - 1 });
      lastId = entry.entryId;
      entries++;
      visit(entry);
    });
  }
  if (unused !== undefined) lost.push(unused);
  return { entries, lost, missing };
}

/** Resolves to the zeros that the file ends with, if it does: a loss, or room that was never used. */
async function salvageSegment(
  directory: Directory,
  layout: LogLayout,
  { path }: SegmentFile,
  lost: Loss[],
  begins: (startEntryId: number) => void,
  found: (entry: SalvagedEntry) => void,
): Promise<Loss | undefined> {
  const file = await directory.open(path, 'read').catch((error: unknown) => {
    // A writer beside this has truncated it.
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const size = await file.size();
    const first = Buffer.alloc(Math.min(SEGMENT_HEADER_BYTES, size));
    await readFully(file, first, 0);
    const header = headerOf(first, layout, path);
    begins('torn' in header ? 0 : header.startEntryId);
    if ('torn' in header) {
      lost.push({
        path,
        offset: 0,
        bytes: size,
        reason: `${header.torn}; without it no frame can be told from chance`,
      });
      return undefined;
    }
    const window = allocate(Math.min(WINDOW_BYTES, Math.max(0, size - header.bytes)));
    let badFrom: number | undefined;
    let behindEndMark: number | undefined;
    const endLoss = (offset: number): void => {
      if (badFrom !== undefined && offset > badFrom)
        lost.push({ path, offset: badFrom, bytes: offset - badFrom, reason: 'no whole frame' });
      badFrom = undefined;
    };
    for (let base = header.bytes; base < size;) {
      const filled = await readFully(file, window.subarray(0, Math.min(window.length, size - base)), base);
      if (filled === 0) break;
      const isEnd = base + filled >= size;
      let position = 0;
      // Leave what may be the beginning of a frame that reaches past the window for the next one.
      while (position < filled && (isEnd || filled - position >= MAX_FRAME_BYTES)) {
        const length = wholeFrameAt(window, position, filled, header);
        if (length === 0) {
          badFrom ??= base + position;
          position++;
          continue;
        }
        endLoss(base + position);
        const control = header.version === 4 && (readU32(window, position) & FLAG_CONTROL) !== 0;
        if (control && window[position + FRAME_HEADER_BYTES] === CONTROL_END) behindEndMark = base + position + length;
        if (!control)
          found({
            entryId: readU64(window, position + 4)!,
            payload: window.slice(position + FRAME_HEADER_BYTES, position + length),
            path,
            offset: base + position,
          });
        position += length;
      }
      base += position;
    }
    // An earlier life of the file.
    if (badFrom !== undefined && badFrom === behindEndMark) return undefined;
    if (badFrom !== undefined && (await isZeroToEnd(file, badFrom, size)))
      return { path, offset: badFrom, bytes: size - badFrom, reason: 'no whole frame' };
    endLoss(size);
    return undefined;
  } finally {
    await file.close();
  }
}

function headerOf(bytes: Uint8Array, layout: LogLayout, path: string): SegmentHeader | { torn: string } {
  try {
    return decodeSegmentHeader(bytes, layout.magic, path);
  } catch (error) {
    if (error instanceof CairnError) return { torn: error.message };
    throw error;
  }
}

/** Length of the whole frame at `position`; 0 if there is none. */
function wholeFrameAt(bytes: Uint8Array, position: number, filled: number, header: SegmentHeader): number {
  if (filled - position < FRAME_HEADER_BYTES) return 0;
  const word = readU32(bytes, position);
  const length = header.version === 4 ? word & LENGTH_MASK : word;
  if (length < FRAME_HEADER_BYTES || length > MAX_FRAME_BYTES || position + length > filled) return 0;
  const id = readU64(bytes, position + 4);
  if (id === undefined || id < header.startEntryId - 1) return 0;
  const seed = header.version === 2 ? 0 : crc32(bytes, position, position + 12, header.salt);
  return crc32(bytes, position + FRAME_HEADER_BYTES, position + length, seed) === readU32(bytes, position + 12)
    ? length
    : 0;
}
