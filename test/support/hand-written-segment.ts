// Segments of the log's two elder formats, written from their byte tables and not by the library: what it must read.

import * as zlib from 'node:zlib';

/** `wal/wal_<id>.log` of version 2 (checksum of the payload alone) or 3 (of length, id and payload). */
export function elderSegment(
  version: 2 | 3,
  segmentId: number,
  startEntryId: number,
  entries: readonly string[],
): Uint8Array {
  const header = Buffer.alloc(24);
  header.write('VWAL', 0, 'latin1');
  header.writeUInt32LE(version, 4);
  header.writeBigUInt64LE(BigInt(startEntryId), 8);
  header.writeBigUInt64LE(BigInt(segmentId), 16);
  return Buffer.concat([header, ...entries.map((entry, index) => elderFrame(version, startEntryId + index, entry))]);
}

export function elderFrame(version: 2 | 3, entryId: number, entry: string): Uint8Array {
  const payload = Buffer.from(entry, 'utf8');
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + payload.length, 0);
  head.writeBigUInt64LE(BigInt(entryId), 4);
  const covered = version === 2 ? payload : Buffer.concat([head.subarray(0, 12), payload]);
  head.writeUInt32LE(zlib.crc32(covered), 12);
  return Buffer.concat([head, payload]);
}
