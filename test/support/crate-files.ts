// Files as the crate writes them: WAL segments of versions 2 and 3, checkpoints of versions 1 and 2. Made from the
// layouts alone, with zlib's CRC and nothing of the library, so that a mistake in its reader cannot hide in here.
//
//   Segment header, 24 bytes                  Frame, 16 bytes and the payload     Checkpoint header, 28 bytes
//     0  4 "VWAL"                               0  4 length of the whole frame      0  4 "VCKP"
//     4  4 version                              4  8 entry id                       4  4 version
//     8  8 id of the first entry               12  4 crc32                          8  8 last applied id
//    16  8 segment id                          16  n payload                       16  8 payload length
//                                                                                  24  4 crc32
//
// The CRC of a frame covers the payload (version 2), or length, entry id and payload (version 3); that of a checkpoint
// the payload (version 1), or the header before the CRC and the payload (version 2).

import type { Directory } from 'cairnlog';
import { crc32 } from 'node:zlib';
import { put } from './directory-contents.js';

export type CrateVersion = 2 | 3;

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Takes a bigint, too: the crate's ids may be above 2^53-1. */
export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function crateHeader(version: number, startEntryId: number | bigint, segmentId: number | bigint): Buffer {
  return Buffer.concat([Buffer.from('VWAL'), u32(version), u64(startEntryId), u64(segmentId)]);
}

export function crateFrame(version: CrateVersion, entryId: number | bigint, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload as string);
  const length = u32(16 + bytes.length);
  const covered = version === 2 ? bytes : Buffer.concat([length, u64(entryId), bytes]);
  return Buffer.concat([length, u64(entryId), u32(crc32(covered)), bytes]);
}

/** A segment whose entries have the ids from `startEntryId` on. */
export function crateSegment(
  version: CrateVersion,
  segmentId: number,
  startEntryId: number,
  payloads: readonly (Uint8Array | string)[],
): Buffer {
  const frames = payloads.map((payload, index) => crateFrame(version, startEntryId + index, payload));
  return Buffer.concat([crateHeader(version, startEntryId, segmentId), ...frames]);
}

export function crateCheckpoint(version: 1 | 2, lastAppliedId: number, payload: Uint8Array): Buffer {
  const header = Buffer.concat([Buffer.from('VCKP'), u32(version), u64(lastAppliedId), u64(payload.length)]);
  const covered = version === 1 ? payload : Buffer.concat([header, payload]);
  return Buffer.concat([header, u32(crc32(covered)), payload]);
}

/** Writes `wal/wal_1.log` and on. Each segment is its entries' payloads; ids count on through all of them. */
export async function putCrateLog(
  directory: Directory,
  version: CrateVersion,
  segments: readonly (readonly (Uint8Array | string)[])[],
): Promise<void> {
  let nextId = 1;
  for (const [index, payloads] of segments.entries()) {
    await put(directory, `wal/wal_${index + 1}.log`, crateSegment(version, index + 1, nextId, payloads));
    nextId += payloads.length;
  }
}
