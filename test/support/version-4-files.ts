// WAL segments of version 4, written and taken apart with zlib's CRC and nothing of the library: for logs that its
// writer would never make, and for finding the frame that a test wants to damage.

import { crc32 } from 'node:zlib';
import { u32, u64 } from './crate-files.js';

const MORE = 0x8000_0000;
const CONTROL = 0x4000_0000;
export const HEADER_BYTES = 40;

export interface FrameSpec {
  readonly entryId: number | bigint;
  readonly payload: Uint8Array | string;
  /** The batch goes on in the next frame. */
  readonly more?: boolean;
  /** A watermark or seal instead of an entry. */
  readonly control?: boolean;
}

export const LOG_ID = 0x1234_5678;
export const SALT = 0xfeed_beef;

export function header(segmentId: number, startEntryId: number | bigint, magic = 'VWAL'): Buffer {
  const before = Buffer.concat([Buffer.from(magic), u32(4), u64(startEntryId), u64(segmentId), u64(LOG_ID), u32(SALT)]);
  return Buffer.concat([before, u32(crc32(before))]);
}

export function frame({ entryId, payload, more = false, control = false }: FrameSpec, salt = SALT): Buffer {
  const bytes = Buffer.from(payload as string);
  const word = 16 + bytes.length + (more ? MORE : 0) + (control ? CONTROL : 0);
  const before = Buffer.concat([u32(word), u64(entryId)]);
  return Buffer.concat([before, u32(crc32(bytes, crc32(before, salt))), bytes]);
}

/** The frame that declares everything up to `durableId` durable. */
export function watermark(lastEntryId: number, durableId: number): Buffer {
  return frame({ entryId: lastEntryId, payload: Buffer.concat([Buffer.of(1), u64(durableId)]), control: true });
}

/** The frame of a clean close. */
export function seal(lastEntryId: number): Buffer {
  return frame({ entryId: lastEntryId, payload: Buffer.concat([Buffer.of(2), u64(lastEntryId)]), control: true });
}

export interface FoundFrame {
  readonly offset: number;
  readonly end: number;
  readonly entryId: number;
  readonly control: boolean;
}

/** The frames of a whole segment, or of any whole bytes behind a header. */
export function framesOf(bytes: Buffer, offset = HEADER_BYTES): FoundFrame[] {
  const found: FoundFrame[] = [];
  for (let at = offset; at < bytes.length;) {
    const word = bytes.readUInt32LE(at);
    const end = at + (word & 0x0fff_ffff);
    found.push({ offset: at, end, entryId: Number(bytes.readBigUInt64LE(at + 4)), control: (word & CONTROL) !== 0 });
    at = end;
  }
  return found;
}

/** The frame of an entry. */
export function frameOf(bytes: Buffer, entryId: number): FoundFrame {
  return framesOf(bytes).find((found) => !found.control && found.entryId === entryId)!;
}
