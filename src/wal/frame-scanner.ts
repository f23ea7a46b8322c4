// Reads frames from a file in bounded windows, as far as they are whole, in order and dense, and says where and why it
// stopped. It judges nothing: whether what it stopped at is an interrupted write or damage is decided in tail.ts, where
// it is known what was durable. No length found in the file is believed before it is checked against the format's cap
// and the bytes that are really there.

import { allocate } from '../bytes/allocate.js';
import { crc32, crc32Behind } from '../bytes/crc32.js';
import { readU32, readU64, writeU32 } from '../bytes/u64.js';
import type { FileHandle } from '../storage/index.js';
import { readFully } from '../storage/index.js';
import {
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

const WINDOW_BYTES = 256 * 1024;

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
  /** Hand out a batch only when its last frame is there. Default true. */
  readonly wholeBatches?: boolean;
}

/**
 * A run of entries in one window. `bytes[starts[i], ends[i])` is the payload of entry `firstId + i`.
 * Valid until the scanner is asked for the next one.
 */
export interface FrameBlock {
  readonly bytes: Uint8Array;
  readonly firstId: number;
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

export class FrameScanner {
  /** Last id handed out or passed over; `firstId - 1` before the first. */
  lastId: number;
  /** Offset behind the last whole batch or control frame. */
  validEnd: number;
  /** Highest id that a control frame declares durable; 0 without one. */
  durableId = 0;
  /** Whether the last frame is a seal. */
  sealed = false;
  /** Contents of a checkpoint's footer, once met. */
  footer: { readonly count: number; readonly totalBytes: number; readonly end: number } | undefined;
  /** Set when the scan ended at something that is not a frame. */
  damage: Damage | undefined;

  readonly #options: ScanOptions;
  readonly #from: number;
  readonly #upTo: number;
  readonly #wholeBatches: boolean;
  /** What there is to read: less than at first if the file is cut meanwhile, as by a writer that repairs or shrinks it. */
  #fileSize: number;
  #window: Uint8Array;
  /** File offset of the window's first byte. */
  #base: number;
  /** Bytes of the window that are filled, and the first of them that is not consumed. */
  #filled = 0;
  #position = 0;
  #done = false;
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
    this.#window = allocate(Math.min(WINDOW_BYTES, Math.max(0, options.fileSize - options.offset)));
  }

  /** The next entries, or `undefined` at the end; then {@link damage} says whether it was the end of the file. */
  async next(): Promise<FrameBlock | undefined> {
    while (!this.#done) {
      const block = this.#parse();
      if (block !== undefined) return block;
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
    const fileSize = this.#fileSize;
    const bytes = this.#window;
    const filled = this.#filled;
    const starts = this.#starts;
    const ends = this.#ends;
    starts.length = 0;
    ends.length = 0;
    this.#more.length = 0;
    let position = this.#position;
    let id = this.lastId;
    let blockFirstId = 0;
    // State as of the last whole batch: what is handed out, and where the next parse begins.
    let wholeCount = 0;
    let inBatch = false;

    for (;;) {
      if (!inBatch) {
        wholeCount = starts.length;
        this.#position = position;
        this.lastId = id;
        this.validEnd = this.#base + position;
        if (id >= this.#upTo) {
          this.#done = true;
          break;
        }
      }
      if (filled - position < FRAME_HEADER_BYTES) {
        this.#needed = position - this.#position + FRAME_HEADER_BYTES;
        break;
      }
      const word = readU32(bytes, position);
      if (word === 0) {
        this.#damaged(ZERO_LENGTH);
        break;
      }
      const flags = version === 4 ? word & ~LENGTH_MASK : 0;
      const length = version === 4 ? word & LENGTH_MASK : word;
      if (!isFrameLength(word, version)) {
        this.#damaged(`its length field says ${word}`);
        break;
      }
      const offset = this.#base + position;
      if (offset + length > fileSize) {
        this.#damaged('a frame is cut short', { short: true });
        break;
      }
      if (filled - position < length) {
        this.#needed = position - this.#position + length;
        break;
      }
      const end = position + length;
      const aboveCeiling = id >= this.#upTo;
      if (!aboveCeiling && !checksumFits(bytes, position, end, version, salt)) {
        this.#damaged('its checksum does not fit');
        break;
      }
      const entryId = readU64(bytes, position + 4);
      if ((flags & FLAG_CONTROL) !== 0) {
        if (inBatch) {
          this.#damaged('a control frame is inside a batch');
          break;
        }
        const problem = entryId === id ? this.#control(bytes, position, end) : 'a control frame names another entry';
        if (problem !== undefined) {
          this.#damaged(problem);
          break;
        }
        position = end;
        continue;
      }
      if (entryId !== id + 1) {
        this.#damaged(`it holds entry ${entryId ?? 'above 2^53-1'} where entry ${id + 1} belongs`);
        break;
      }
      if (this.footer !== undefined) {
        this.#damaged('a frame follows the footer');
        break;
      }
      id = entryId;
      position = end;
      this.sealed = false;
      if (!aboveCeiling && id >= this.#from) {
        if (starts.length === 0) blockFirstId = id;
        starts.push(end - length + FRAME_HEADER_BYTES);
        ends.push(end);
        if (!this.#wholeBatches) this.#more.push((flags & FLAG_MORE) !== 0);
      }
      inBatch = this.#wholeBatches && (flags & FLAG_MORE) !== 0;
    }

    if (starts.length > wholeCount) {
      starts.length = wholeCount;
      ends.length = wholeCount;
    }
    if (wholeCount === 0) return undefined;
    this.#mark(this.lastId, this.validEnd);
    return { bytes, firstId: blockFirstId, starts, ends, more: this.#more };
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
    if ((kind !== CONTROL_WATERMARK && kind !== CONTROL_SEAL) || end - payload !== CONTROL_PAYLOAD_BYTES)
      return 'it is a control frame of an unknown kind';
    const durableId = readU64(bytes, payload + 1);
    if (durableId === undefined || durableId > this.lastId) return 'a control frame is ahead of the log';
    this.sealed = kind === CONTROL_SEAL;
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

  /** Moves what is left to the front of the window, makes the window fit what is needed, and reads on. */
  async #fill(): Promise<void> {
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

function checksumFits(bytes: Uint8Array, start: number, end: number, version: number, salt: number): boolean {
  const stored = readU32(bytes, start + 12);
  if (version === 2) return crc32(bytes, start + FRAME_HEADER_BYTES, end) === stored;
  const length = readU32(bytes, start);
  const idLow = readU32(bytes, start + 4);
  const idHigh = readU32(bytes, start + 8);
  return crc32Behind(length, idLow, idHigh, bytes, start + FRAME_HEADER_BYTES, end, salt) === stored;
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
 * Looks behind damage for control frames that are whole, and returns the highest id that they declare durable; 0 when
 * there is none. They are found by their length field and proven by their checksum, which the salt makes unforgeable
 * by bytes that merely look alike.
 */
export async function findDurableIdBehind(
  file: FileHandle,
  offset: number,
  fileSize: number,
  salt: number,
): Promise<number> {
  const frameBytes = FRAME_HEADER_BYTES + CONTROL_PAYLOAD_BYTES;
  const pattern = Buffer.alloc(4);
  writeU32(pattern, 0, frameBytes | FLAG_CONTROL);
  let durableId = 0;
  const window = allocate(Math.min(WINDOW_BYTES, Math.max(0, fileSize - offset)));
  for (let at = offset; at < fileSize;) {
    const read = await readFully(file, window.subarray(0, Math.min(window.length, fileSize - at)), at);
    const filled = Buffer.from(window.buffer, 0, read);
    for (let found = filled.indexOf(pattern); found >= 0; found = filled.indexOf(pattern, found + 1)) {
      if (found + frameBytes > read || !checksumFits(filled, found, found + frameBytes, 4, salt)) continue;
      const lastId = readU64(filled, found + 4) ?? 0;
      const declared = readU64(filled, found + FRAME_HEADER_BYTES + 1) ?? 0;
      if (declared <= lastId) durableId = Math.max(durableId, declared);
    }
    if (read < window.length || at + read >= fileSize) break;
    // Frames across the edge are looked at again from the next window's start.
    at += read - (frameBytes - 1);
  }
  return durableId;
}
