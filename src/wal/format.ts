// Bytes of a WAL segment, version 4, and what is needed to read the crate's versions 2 and 3. docs/format.md has the
// same tables in prose. All integers are little-endian; ids are u64 on disk and at most 2^53-1.
//
//   Header, 40 bytes                            Frame, 16 bytes and the payload
//   off size field                              off size field
//     0    4 magic "VWAL" ("VRLG": record log)    0    4 length of the whole frame (low 28 bits), flags (high bits)
//     4    4 version = 4                          4    8 entry id
//     8    8 startEntryId                        12    4 crc32 of length, entry id and payload, seeded with the salt
//    16    8 segmentId                           16    n payload
//    24    8 logId
//    32    4 salt                               Control frame: flag `control`, entry id = the last one before it,
//    36    4 crc32 of the 36 bytes before       payload = kind u8 (1 watermark, 2 seal, 4 end mark) · durableId u64
//
// Why the salt: bytes of another segment, of an earlier life of the same blocks, or of a log that was stored as a
// payload can never pass for frames of this segment. Why control frames: they say how far the log was known to be on
// stable storage, which is what tells damage from an interrupted write. Why end marks: a file that was preallocated or is
// used again goes on behind the log's end; the mark says that what follows is not a write that was interrupted.

import { crc32, crc32Behind } from '../bytes/crc32.js';
import { readId, readU32, TWO_32, writeU32, writeU64 } from '../bytes/u64.js';
import { CorruptionError, FormatError } from '../errors/index.js';

export const SEGMENT_VERSION = 4;
export const SEGMENT_HEADER_BYTES = 40;
/** Header of the crate's versions 2 and 3: the first 24 bytes of ours. */
const CRATE_HEADER_BYTES = 24;

export const FRAME_HEADER_BYTES = 16;
/** Largest payload of one entry: 16 MiB, inclusive. */
export const MAX_PAYLOAD_BYTES: number = 16 * 1024 * 1024;
export const MAX_FRAME_BYTES: number = FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES;

export const LENGTH_MASK = 0x0fff_ffff;
/** The same batch goes on in the next frame. */
export const FLAG_MORE = 0x8000_0000;
/** Not a record. */
export const FLAG_CONTROL = 0x4000_0000;
/** Bits that no version uses yet: set in a frame, they are damage. */
export const FLAGS_UNUSED = 0x3000_0000;

export const CONTROL_WATERMARK = 1;
export const CONTROL_SEAL = 2;
/** Ends a checkpoint file: kind u8 · count u64 · total bytes u64. */
export const CONTROL_FOOTER = 3;
export const FOOTER_PAYLOAD_BYTES = 17;
/** The log ends here, whatever follows; the next write takes its place. */
export const CONTROL_END = 4;
export const CONTROL_PAYLOAD_BYTES = 9;
export const CONTROL_FRAME_BYTES: number = FRAME_HEADER_BYTES + CONTROL_PAYLOAD_BYTES;

/** First four bytes of a segment file. */
export type SegmentMagic = 'VWAL' | 'VRLG';

export interface SegmentHeader {
  readonly magic: SegmentMagic;
  /** 4, or 2 and 3 for segments that the crate wrote. */
  readonly version: number;
  /** Id of the first entry. */
  readonly startEntryId: number;
  readonly segmentId: number;
  /** Drawn once per log; `undefined` in the crate's versions. */
  readonly logId: number | undefined;
  /** Seed of every frame checksum; 0 in the crate's versions. */
  readonly salt: number;
  /** Bytes the header takes. */
  readonly bytes: number;
}

export function encodeSegmentHeader(header: {
  magic: SegmentMagic;
  startEntryId: number;
  segmentId: number;
  logId: number;
  salt: number;
}): Uint8Array {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.write(header.magic, 0, 'latin1');
  writeU32(bytes, 4, SEGMENT_VERSION);
  writeU64(bytes, 8, header.startEntryId);
  writeU64(bytes, 16, header.segmentId);
  writeU64(bytes, 24, header.logId);
  writeU32(bytes, 32, header.salt);
  writeU32(bytes, 36, crc32(bytes, 0, 36));
  return bytes;
}

/** A header that was not written whole: what a crash leaves while a segment is being made. */
export interface TornHeader {
  readonly torn: string;
}

/**
 * Reads a segment header from the first bytes of a file (40 of them if it has as many).
 * `torn`: too short, or all zeros, or a checksum that does not fit; whether a crash may have left it so is for the
 * caller to decide. Throws {@link FormatError} for another format or version.
 */
export function decodeSegmentHeader(bytes: Uint8Array, magic: SegmentMagic, path: string): SegmentHeader | TornHeader {
  if (bytes.length < 8) return { torn: `only ${bytes.length} bytes of the header are there` };
  if (bytes.every((byte) => byte === 0)) return { torn: 'the header is all zeros' };
  const found = Buffer.from(bytes.subarray(0, 4)).toString('latin1');
  const version = readU32(bytes, 4);
  if (found !== magic) {
    if (found === 'VWAL' || found === 'VRLG')
      throw new FormatError(`This is a ${found} file where a ${magic} file should be; was it moved?`, { path });
    return { torn: `it begins with ${JSON.stringify(found)} instead of ${magic}` };
  }
  if (magic === 'VWAL' && (version === 2 || version === 3)) return decodeCrateHeader(bytes, version, path);
  // What a crash leaves of a version field is zeros; any other small number was written by something.
  if (version !== SEGMENT_VERSION && version !== 0 && version <= 0xffff)
    throw new FormatError(
      `Version ${version} of the ${magic} format is not one that this library reads ` +
        `(${magic === 'VWAL' ? '2, 3, 4' : SEGMENT_VERSION}). ` +
        'A newer version of the library may have written it',
      { path, offset: 4 },
    );
  if (version !== SEGMENT_VERSION) return { torn: `its version field says ${version}` };
  if (bytes.length < SEGMENT_HEADER_BYTES) return { torn: `only ${bytes.length} bytes of the header are there` };
  if (crc32(bytes, 0, 36) !== readU32(bytes, 36)) return { torn: 'its checksum does not fit' };
  return {
    magic,
    version,
    startEntryId: readId(bytes, 8, 'The first entry id', path),
    segmentId: readId(bytes, 16, 'The segment id', path),
    logId: readId(bytes, 24, 'The log id', path),
    salt: readU32(bytes, 32),
    bytes: SEGMENT_HEADER_BYTES,
  };
}

function decodeCrateHeader(bytes: Uint8Array, version: number, path: string): SegmentHeader | TornHeader {
  if (bytes.length < CRATE_HEADER_BYTES) return { torn: `only ${bytes.length} bytes of the header are there` };
  return {
    magic: 'VWAL',
    version,
    startEntryId: readId(bytes, 8, 'The first entry id', path),
    segmentId: readId(bytes, 16, 'The segment id', path),
    logId: undefined,
    salt: 0,
    bytes: CRATE_HEADER_BYTES,
  };
}

/** Completes a frame whose payload already lies at `[start + 16, end)`. */
export function sealFrame(
  view: DataView,
  start: number,
  end: number,
  entryId: number,
  flags: number,
  salt: number,
): void {
  const length = (end - start) | flags;
  const idLow = entryId >>> 0;
  const idHigh = entryId < TWO_32 ? 0 : Math.floor(entryId / TWO_32);
  view.setUint32(start, length, true);
  view.setUint32(start + 4, idLow, true);
  view.setUint32(start + 8, idHigh, true);
  view.setUint32(start + 12, crc32Behind(length, idLow, idHigh, view, start + FRAME_HEADER_BYTES, end, salt), true);
}

/** Writes a whole control frame at `start`. */
export function writeControlFrame(
  view: DataView,
  start: number,
  kind: number,
  lastEntryId: number,
  durableId: number,
  salt: number,
): void {
  const payload = start + FRAME_HEADER_BYTES;
  view.setUint8(payload, kind);
  view.setUint32(payload + 1, durableId % TWO_32, true);
  view.setUint32(payload + 5, Math.floor(durableId / TWO_32), true);
  sealFrame(view, start, start + CONTROL_FRAME_BYTES, lastEntryId, FLAG_CONTROL, salt);
}

/** The damage of a header that should have been whole. */
export function damagedHeader(torn: TornHeader, path: string): CorruptionError {
  return new CorruptionError(
    `The segment's header is damaged: ${torn.torn}. Restore the file from a backup, or see what salvage can read`,
    { path, offset: 0 },
  );
}
