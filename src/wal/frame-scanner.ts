// Reads frames from a file in bounded windows, as far as they are whole, in order and dense, and says where and why it
// stopped. It judges nothing: whether what it stopped at is an interrupted write or damage is decided in tail.ts, where
// it is known what was durable. No length found in the file is believed before it is checked against the format's cap
// and the bytes that are really there.

import { allocate } from '../bytes/allocate.js';
import { crc32, crc32Behind } from '../bytes/crc32.js';
import { MAX_ID, readU32, readU64, TWO_32, writeU32 } from '../bytes/u64.js';
import { bytesOf, viewOf } from '../bytes/view.js';
import type { FileHandle } from '../storage/index.js';
import { readFully } from '../storage/index.js';
import {
  CONTROL_END,
  CONTROL_FOOTER,
  CONTROL_PAYLOAD_BYTES,
  CONTROL_SEAL,
  CONTROL_WATERMARK,
  FLAG_CONTROL,
  FLAG_MORE,
  FLAGS_UNUSED,
  FOOTER_PAYLOAD_BYTES,
  FRAME_HEADER_BYTES,
  LENGTH_MASK,
  MAX_FRAME_BYTES,
} from './format.js';

const WINDOW_BYTES = 512 * 1024;
/** Room in front of a window that is read ahead, for the frame that begins in the one before. */
const MARGIN_BYTES = 64 * 1024;

export interface ScanOptions {
  readonly file: FileHandle;
  /** Bytes of the file that are looked at; what is appended meanwhile is not seen. */
  readonly fileSize: number;
  /** Offset of the first frame. */
  readonly offset: number;
  /** Id that the first frame must have. */
  readonly firstId: number;
  readonly salt: number;
  /** 2 and 3 are the crate's: no flags, and in 2 a checksum of the payload alone. */
  readonly version: 2 | 3 | 4;
  /** Entries below are checked but not handed out. */
  readonly from?: number;
  /** Nothing of any entry above is checked or handed out. */
  readonly upTo?: number;
  /** Read at once, and looked at without letting go of the event loop. Default 512 KiB. */
  readonly windowBytes?: number;
  /** Hand out a batch only when its last frame is there. Default true. */
  readonly wholeBatches?: boolean;
  /**
   * Read the next window while entries of this one are looked at; it takes a second window of memory. Then
   * {@link FrameScanner.end} has to be awaited before the file is closed. Default false.
   */
  readonly ahead?: boolean;
}

/**
 * A run of entries in one window. `bytes[starts[i], ends[i])` is the payload of entry `firstId + i`, for each `i` below
 * `count`; what the lists hold beyond is of no meaning. Valid until the scanner is asked for the next one.
 */
export interface FrameBlock {
  readonly bytes: Uint8Array;
  readonly firstId: number;
  readonly count: number;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Whether the batch of entry `firstId + i` goes on with the next one; only without `wholeBatches`. */
  readonly more: readonly boolean[];
}

/** Why the scan ended before the end of the file. */
export interface Damage {
  /** Where the bytes begin that are not part of the log; a batch that is cut short begins at its first frame. */
  readonly offset: number;
  /** From there to the end of the file. */
  readonly bytes: number;
  readonly reason: string;
  /** Nothing but zeros: what preallocation leaves, or a file that grew before its data arrived. */
  readonly zeros: boolean;
  /** The bytes simply end too early, as after a write that was cut. */
  readonly short: boolean;
  /** Id of the first entry that is missing because of it. */
  readonly nextId: number;
}

interface Mark {
  readonly id: number;
  readonly offset: number;
}

/** A window that is being filled, behind its margin, with what follows the current one. */
interface NextWindow {
  readonly bytes: Uint8Array;
  /** Of the file, where it is read from. */
  readonly offset: number;
  /** Bytes that are asked for. */
  readonly count: number;
  /** Never rejects. */
  readonly read: Promise<{ readonly count: number } | { readonly error: unknown }>;
}

export class FrameScanner {
  /** Last id handed out or passed over; `firstId - 1` before the first. */
  lastId: number;
  /** Offset behind the last whole batch or control frame. */
  validEnd: number;
  /** Highest id that a control frame declares durable; 0 without one. */
  durableId = 0;
  /** Whether the last frame is a seal. */
  sealed = false;
  /** Whether the scan ended at an end mark; what lies behind it was not looked at. */
  ended = false;
  /** Contents of a checkpoint's footer, once met. */
  footer: { readonly count: number; readonly totalBytes: number; readonly end: number } | undefined;
  /** Set when the scan ended at something that is not a frame. */
  damage: Damage | undefined;

  readonly #options: ScanOptions;
  readonly #from: number;
  readonly #upTo: number;
  readonly #wholeBatches: boolean;
  readonly #windowBytes: number;
  /** What there is to read: less than at first if the file is cut meanwhile, as by a writer that repairs or shrinks it. */
  #fileSize: number;
  #window: Uint8Array;
  /** Of the window. */
  #view: DataView;
  /** File offset of the window's first byte. */
  #base: number;
  /** Bytes of the window that are filled, and the first of them that is not consumed. */
  #filled = 0;
  #position = 0;
  #done = false;
  #next: NextWindow | undefined;
  /** The window before this one. */
  #spare: Uint8Array | undefined;
  /** Whether a window that was read ahead has become the current one. */
  #turned = false;
  /** Bytes that the next frame needs to be whole; the window grows to it. */
  #needed = FRAME_HEADER_BYTES;
  /** Ends of some entries above `durableId`, and of the last known one at or below it: see {@link offsetBehind}. */
  #marks: Mark[] = [];
  #durableMark: Mark;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #more: boolean[] = [];

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#from = options.from ?? 0;
    this.#upTo = options.upTo ?? Number.MAX_SAFE_INTEGER;
    this.#wholeBatches = options.wholeBatches ?? true;
    this.#fileSize = options.fileSize;
    this.lastId = options.firstId - 1;
    this.validEnd = options.offset;
    this.#base = options.offset;
    this.#durableMark = { id: this.lastId, offset: options.offset };
    this.#windowBytes = options.windowBytes ?? WINDOW_BYTES;
    this.#window = allocate(Math.min(this.#windowBytes, Math.max(0, options.fileSize - options.offset)));
    this.#view = viewOf(this.#window);
  }

  /** The next entries, or `undefined` at the end; then {@link damage} says whether it was the end of the file. */
  async next(): Promise<FrameBlock | undefined> {
    const ahead = this.#options.ahead === true;
    while (!this.#done) {
      // Whoever has come to a second window is likely to come to a third: it is read while this one is looked at.
      if (ahead && this.#turned) this.#readAhead();
      const block = this.#parse();
      if (block !== undefined) {
        if (ahead) this.#readAhead();
        return block;
      }
      if (this.#done) break;
      const unread = this.#fileSize - (this.#base + this.#filled);
      if (unread > 0) {
        await this.#fill();
        continue;
      }
      this.#done = true;
      if (this.#filled > this.#position) this.#cutShort();
    }
    if (this.damage?.reason === ZERO_LENGTH) await this.#lookForZeros(this.damage);
    return undefined;
  }

  /** Resolves when nothing is being read any more. */
  async end(): Promise<void> {
    await this.#next?.read;
  }

  /**
   * An offset at or before the end of entry `id`, as near to it as is known: all bytes that were written later, control
   * frames too, lie behind it.
   */
  offsetBehind(id: number): number {
    let { offset } = this.#durableMark;
    for (const mark of this.#marks) if (mark.id <= id) offset = mark.offset;
    return offset;
  }

  #parse(): FrameBlock | undefined {
    const { version, salt } = this.#options;
    const from = this.#from;
    const upTo = this.#upTo;
    const wholeBatches = this.#wholeBatches;
    const bytes = this.#window;
    const view = this.#view;
    const filled = this.#filled;
    const unread = this.#fileSize - this.#base;
    const starts = this.#starts;
    const ends = this.#ends;
    const more = this.#more;
    let position = this.#position;
    let id = this.lastId;
    let count = 0;
    let firstId = 0;
    let inBatch = false;
    // State as of the last whole batch: what is handed out, and where the next parse begins.
    let wholeCount = 0;
    let wholePosition = position;
    let wholeId = id;
    let problem: string | undefined;
    let short = false;
    const mayBePlain = version !== 2;

    for (;;) {
      if (!inBatch) {
        wholeCount = count;
        wholePosition = position;
        wholeId = id;
        if (id >= upTo) {
          this.#done = true;
          break;
        }
      }
      if (mayBePlain && !inBatch && id + 1 >= from && this.footer === undefined) {
        const plain = this.#plainFrames(position, id + 1, count);
        if (plain > count) {
          if (count === 0) firstId = id + 1;
          id += plain - count;
          position = ends[plain - 1]!;
          count = plain;
          this.sealed = false;
          continue;
        }
      }
      if (filled - position < FRAME_HEADER_BYTES) {
        this.#needed = position - wholePosition + FRAME_HEADER_BYTES;
        break;
      }
      const word = view.getUint32(position, true);
      if (!isFrameLength(word, version)) {
        problem = word === 0 ? ZERO_LENGTH : `its length field says ${word}`;
        break;
      }
      const flags = version === 4 ? word & ~LENGTH_MASK : 0;
      const end = position + (version === 4 ? word & LENGTH_MASK : word);
      if (end > unread) {
        problem = 'a frame is cut short';
        short = true;
        break;
      }
      if (end > filled) {
        this.#needed = end - wholePosition;
        break;
      }
      const aboveCeiling = id >= upTo;
      if (!aboveCeiling && !checksumFits(view, position, end, version, salt)) {
        problem = 'its checksum does not fit';
        break;
      }
      const entryId = idAt(view, position);
      if ((flags & FLAG_CONTROL) !== 0) {
        if (inBatch) {
          problem = 'a control frame is inside a batch';
          break;
        }
        this.lastId = id;
        problem = entryId === id ? this.#control(bytes, position, end) : 'a control frame names another entry';
        if (problem !== undefined) break;
        if (this.ended) {
          this.#done = true;
          break;
        }
        position = end;
        continue;
      }
      if (entryId !== id + 1 || entryId > MAX_ID) {
        problem = `it holds entry ${entryId > MAX_ID ? 'above 2^53-1' : entryId} where entry ${id + 1} belongs`;
        break;
      }
      if (this.footer !== undefined) {
        problem = 'a frame follows the footer';
        break;
      }
      id = entryId;
      this.sealed = false;
      const goesOn = (flags & FLAG_MORE) !== 0;
      if (!aboveCeiling && id >= from) {
        if (count === 0) firstId = id;
        starts[count] = position + FRAME_HEADER_BYTES;
        ends[count] = end;
        if (!wholeBatches) more[count] = goesOn;
        count++;
      }
      position = end;
      inBatch = wholeBatches && goesOn;
    }

    this.#position = wholePosition;
    this.lastId = wholeId;
    this.validEnd = this.#base + wholePosition;
    if (problem !== undefined) this.#damaged(problem, { short });
    if (wholeCount === 0) return undefined;
    this.#mark(this.lastId, this.validEnd);
    return { bytes, firstId, count: wholeCount, starts, ends, more };
  }

  /**
   * Takes in the frames from `position` on that are plain, as most are: a whole record by itself, with the next id and
   * a checksum that fits. Returns the count of entries with them. Any other frame is for {@link #parse} to look at.
   */
  #plainFrames(position: number, id: number, count: number): number {
    const { salt } = this.#options;
    const upTo = this.#upTo;
    const wholeBatches = this.#wholeBatches;
    const more = this.#more;
    const view = this.#view;
    const filled = this.#filled;
    const starts = this.#starts;
    const ends = this.#ends;
    for (let start = position, next = id; filled - start >= FRAME_HEADER_BYTES && next <= upTo; next++) {
      const length = view.getUint32(start, true);
      const end = start + length;
      if (length < FRAME_HEADER_BYTES || length > MAX_FRAME_BYTES || end > filled) break;
      const idLow = view.getUint32(start + 4, true);
      const idHigh = view.getUint32(start + 8, true);
      if (idHigh * TWO_32 + idLow !== next) break;
      const stored = view.getUint32(start + 12, true);
      const payload = start + FRAME_HEADER_BYTES;
      if (crc32Behind(length, idLow, idHigh, view, payload, end, salt) !== stored) break;
      starts[count] = payload;
      ends[count] = end;
      if (!wholeBatches) more[count] = false;
      count++;
      start = end;
    }
    return count;
  }

  /** Takes in a control frame at the current end. Returns what is wrong with it, if anything is. */
  #control(bytes: Uint8Array, position: number, end: number): string | undefined {
    const payload = position + FRAME_HEADER_BYTES;
    const kind = bytes[payload];
    if (kind === CONTROL_FOOTER && end - payload === FOOTER_PAYLOAD_BYTES) {
      const count = readU64(bytes, payload + 1);
      const totalBytes = readU64(bytes, payload + 9);
      if (count === undefined || totalBytes === undefined) return 'its footer counts above 2^53-1';
      this.footer = { count, totalBytes, end: this.#base + end };
      return undefined;
    }
    const isKnown = kind === CONTROL_WATERMARK || kind === CONTROL_SEAL || kind === CONTROL_END;
    if (!isKnown || end - payload !== CONTROL_PAYLOAD_BYTES) return 'it is a control frame of an unknown kind';
    const durableId = readU64(bytes, payload + 1);
    if (durableId === undefined || durableId > this.lastId) return 'a control frame is ahead of the log';
    this.ended = kind === CONTROL_END;
    if (!this.ended) this.sealed = kind === CONTROL_SEAL;
    this.#mark(this.lastId, this.#base + position);
    if (durableId > this.durableId) {
      this.durableId = durableId;
      this.#durableMark = { id: durableId, offset: this.offsetBehind(durableId) };
      this.#marks = this.#marks.filter((mark) => mark.id > durableId);
    }
    return undefined;
  }

  /** Notes where entry `id` ends. The first note counts: later ones lie behind control frames. */
  #mark(id: number, offset: number): void {
    if (id <= (this.#marks.at(-1)?.id ?? this.#durableMark.id)) return;
    if (id <= this.durableId) this.#durableMark = { id, offset };
    else this.#marks.push({ id, offset });
  }

  /** The file ends before the frame or batch does. What is there of it must be the beginning of one. */
  #cutShort(): void {
    const left = this.#window.subarray(this.#position, this.#filled);
    const word = left.length < 4 ? undefined : readU32(left, 0);
    if (word === 0 || left.every((byte) => byte === 0)) this.#damaged(ZERO_LENGTH);
    else if (word !== undefined && !isFrameLength(word, this.#options.version))
      this.#damaged(`its length field says ${word}`);
    else this.#damaged('a frame or batch is cut short', { short: true });
  }

  #damaged(reason: string, kind: { short?: boolean } = {}): void {
    this.#done = true;
    const short = kind.short ?? false;
    const wasCut = short && this.#fileSize < this.#options.fileSize;
    this.damage = {
      offset: this.validEnd,
      bytes: this.#fileSize - this.validEnd,
      reason: wasCut ? 'the file became shorter while it was read' : reason,
      zeros: false,
      short,
      nextId: this.lastId + 1,
    };
  }

  #readAhead(): void {
    const offset = this.#base + this.#filled;
    const count = Math.min(this.#windowBytes, this.#fileSize - offset);
    // For a frame that is larger than that, the window grows.
    if (this.#done || this.#next !== undefined || count <= 0 || this.#needed > this.#windowBytes) return;
    const bytes = this.#spare ?? allocate(MARGIN_BYTES + this.#windowBytes);
    this.#spare = undefined;
    const read = readFully(this.#options.file, bytes.subarray(MARGIN_BYTES, MARGIN_BYTES + count), offset).then(
      (got) => ({ count: got }),
      (error: unknown) => ({ error }),
    );
    this.#next = { bytes, offset, count, read };
  }

  /** Goes on with the window that was read ahead, and what is left of this one in front of it. */
  async #turn({ bytes, offset, count, read }: NextWindow): Promise<void> {
    const outcome = await read;
    this.#next = undefined;
    if ('error' in outcome) throw outcome.error;
    const rest = this.#window.subarray(this.#position, this.#filled);
    let window = bytes;
    let start = MARGIN_BYTES - rest.length;
    if (start < 0) {
      window = allocate(rest.length + outcome.count);
      window.set(bytes.subarray(MARGIN_BYTES, MARGIN_BYTES + outcome.count), rest.length);
      start = 0;
    }
    window.set(rest, start);
    this.#spare = this.#window.length === MARGIN_BYTES + this.#windowBytes ? this.#window : undefined;
    this.#window = window;
    this.#view = viewOf(window);
    this.#base = offset - rest.length - start;
    this.#position = start;
    this.#filled = start + rest.length + outcome.count;
    this.#turned = true;
    if (outcome.count < count) this.#fileSize = offset + outcome.count;
  }

  /** Moves what is left to the front of the window, makes the window fit what is needed, and reads on. */
  async #fill(): Promise<void> {
    if (this.#next !== undefined) {
      await this.#turn(this.#next);
      return;
    }
    const left = this.#filled - this.#position;
    const unread = this.#fileSize - (this.#base + this.#filled);
    let window = this.#window;
    if (this.#needed > window.length) {
      // `#needed` is at most a checked frame beyond what is already here, so this follows real bytes of the file.
      const size = Math.min(Math.max(this.#needed, window.length * 2), left + unread);
      window = allocate(size);
      window.set(this.#window.subarray(this.#position, this.#filled));
    } else {
      window.copyWithin(0, this.#position, this.#filled);
    }
    this.#base += this.#position;
    this.#position = 0;
    if (window !== this.#window) this.#view = viewOf(window);
    this.#window = window;
    const count = Math.min(window.length - left, unread);
    const read = await readFully(this.#options.file, window.subarray(left, left + count), this.#base + left);
    this.#filled = left + read;
    // The file was cut while we read it: what is left is all there is, and is read to its end.
    if (read < count) this.#fileSize = this.#base + this.#filled;
  }

  /** A zero length is never a frame. Zeros to the end are an unused rest of the file, anything else is not. */
  async #lookForZeros(damage: Damage): Promise<void> {
    const zeros = await isZeroToEnd(this.#options.file, damage.offset, this.#fileSize);
    // A batch that was begun lies before the zeros: then it is not all zeros from where the damage begins.
    this.damage = { ...damage, zeros, reason: zeros ? 'nothing but zeros follows' : ZERO_LENGTH };
  }
}

const ZERO_LENGTH = 'a frame of length zero';

function isFrameLength(word: number, version: number): boolean {
  const length = version === 4 ? word & LENGTH_MASK : word;
  if (version === 4 && (word & FLAGS_UNUSED) !== 0) return false;
  return length >= FRAME_HEADER_BYTES && length <= MAX_FRAME_BYTES;
}

function checksumFits(view: DataView, start: number, end: number, version: number, salt: number): boolean {
  const stored = view.getUint32(start + 12, true);
  const payload = start + FRAME_HEADER_BYTES;
  if (version === 2) return crc32(bytesOf(view), payload, end) === stored;
  const length = view.getUint32(start, true);
  const idLow = view.getUint32(start + 4, true);
  const idHigh = view.getUint32(start + 8, true);
  return crc32Behind(length, idLow, idHigh, view, payload, end, salt) === stored;
}

/** The entry id of a frame. Above 2^53-1 it is rounded, and still above. */
function idAt(view: DataView, start: number): number {
  return view.getUint32(start + 8, true) * TWO_32 + view.getUint32(start + 4, true);
}

/** Whether there is nothing but zeros from `offset` on. */
export async function isZeroToEnd(file: FileHandle, offset: number, fileSize: number): Promise<boolean> {
  const window = allocate(Math.min(WINDOW_BYTES, Math.max(0, fileSize - offset)));
  for (let at = offset; at < fileSize;) {
    const read = await readFully(file, window.subarray(0, Math.min(window.length, fileSize - at)), at);
    if (read === 0) return true;
    for (let index = 0; index < read; index++) if (window[index] !== 0) return false;
    at += read;
  }
  return true;
}

/**
 * Looks behind damage or an end mark for control frames that are whole, and returns the highest id that they declare
 * durable; 0 when there is none. They are found by their length field and proven by their checksum, which the salt makes
 * unforgeable by bytes that merely look alike; and by their ids, because what a file that is used again still holds of
 * its earlier life is of entries before the segment.
 */
export async function findDurableIdBehind(
  file: FileHandle,
  offset: number,
  fileSize: number,
  { salt, startEntryId }: { readonly salt: number; readonly startEntryId: number },
): Promise<number> {
  const frameBytes = FRAME_HEADER_BYTES + CONTROL_PAYLOAD_BYTES;
  const pattern = Buffer.alloc(4);
  writeU32(pattern, 0, frameBytes | FLAG_CONTROL);
  let durableId = 0;
  const window = allocate(Math.min(WINDOW_BYTES, Math.max(0, fileSize - offset)));
  for (let at = offset; at < fileSize;) {
    const read = await readFully(file, window.subarray(0, Math.min(window.length, fileSize - at)), at);
    const filled = Buffer.from(window.buffer, 0, read);
    const view = viewOf(filled);
    for (let found = filled.indexOf(pattern); found >= 0; found = filled.indexOf(pattern, found + 1)) {
      if (found + frameBytes > read || !checksumFits(view, found, found + frameBytes, 4, salt)) continue;
      const lastId = readU64(filled, found + 4) ?? 0;
      const declared = readU64(filled, found + FRAME_HEADER_BYTES + 1) ?? 0;
      if (lastId >= startEntryId - 1 && declared <= lastId) durableId = Math.max(durableId, declared);
    }
    if (read < window.length || at + read >= fileSize) break;
    // Frames across the edge are looked at again from the next window's start.
    at += read - (frameBytes - 1);
  }
  return durableId;
}
