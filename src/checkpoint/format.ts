// Bytes of a checkpoint file, version 3, and the header of the crate's versions 1 and 2. All integers little-endian.
//
//   Header, 28 bytes                        Then frames as in a WAL segment, their ids counting from 1, seeded with the
//   off size field                          header's crc: so a frame of another checkpoint does not fit. An item that is
//     0    4 magic "VCKP"                   larger than one frame goes on in the next (flag `more`).
//     4    4 version = 3
//     8    8 lastAppliedId                  Last, a control frame, the footer: kind u8 = 3 · number of items u64 ·
//    16    8 logId, 0 for none              length of the whole file u64. Anything behind it is damage.
//    24    4 crc32 of the 24 bytes before
//
// Nothing in the file depends on time or chance: the same state at the same position of the same log is the same bytes.

import { crc32 } from '../bytes/crc32.js';
import { readId, readU32, writeU32, writeU64 } from '../bytes/u64.js';
import { CorruptionError, FormatError } from '../errors/index.js';

export const CHECKPOINT_VERSION = 3;
export const CHECKPOINT_HEADER_BYTES = 28;
const CHECKPOINT_MAGIC = 'VCKP';

export interface CheckpointHeader {
  /** 3, or 1 and 2 for files of the crate. */
  readonly version: 1 | 2 | 3;
  /** The state holds every entry up to this one, and none after it. */
  readonly lastAppliedId: number;
  /** The log that the state was made from; `undefined` in the crate's files and where none was given. */
  readonly logId: number | undefined;
  /** Version 3: seed of the frame checksums. 1 and 2: checksum of what the version covers. */
  readonly checksum: number;
  /** Versions 1 and 2. */
  readonly payloadBytes: number | undefined;
}

export function encodeCheckpointHeader(lastAppliedId: number, logId: number): Uint8Array {
  const bytes = Buffer.alloc(CHECKPOINT_HEADER_BYTES);
  bytes.write(CHECKPOINT_MAGIC, 0, 'latin1');
  writeU32(bytes, 4, CHECKPOINT_VERSION);
  writeU64(bytes, 8, lastAppliedId);
  writeU64(bytes, 16, logId);
  writeU32(bytes, 24, crc32(bytes, 0, 24));
  return bytes;
}

export function decodeCheckpointHeader(bytes: Uint8Array, path: string): CheckpointHeader {
  if (bytes.length < CHECKPOINT_HEADER_BYTES)
    throw new CorruptionError(`A checkpoint begins with ${CHECKPOINT_HEADER_BYTES} bytes, here are ${bytes.length}`, {
      path,
      offset: 0,
    });
  const magic = Buffer.from(bytes.subarray(0, 4)).toString('latin1');
  if (magic !== CHECKPOINT_MAGIC)
    throw new FormatError(`Not a checkpoint: it begins with ${JSON.stringify(magic)} instead of ${CHECKPOINT_MAGIC}`, {
      path,
      offset: 0,
    });
  const version = readU32(bytes, 4);
  if (version !== 1 && version !== 2 && version !== 3)
    throw new FormatError(
      `Version ${version} of the checkpoint format is not one that this library reads (1, 2, 3). ` +
        'A newer version of the library may have written it',
      { path, offset: 4 },
    );
  const checksum = readU32(bytes, 24);
  if (version === CHECKPOINT_VERSION && crc32(bytes, 0, 24) !== checksum)
    throw new CorruptionError("The checkpoint's header is damaged: its checksum does not fit", { path, offset: 24 });
  const lastAppliedId = readId(bytes, 8, 'lastAppliedId', path);
  // Bytes 16 to 24 are the log's id in version 3, the payload's length before.
  const third = readId(bytes, 16, version === CHECKPOINT_VERSION ? 'logId' : 'The payload length', path);
  return {
    version,
    lastAppliedId,
    logId: version === CHECKPOINT_VERSION && third !== 0 ? third : undefined,
    checksum,
    payloadBytes: version === CHECKPOINT_VERSION ? undefined : third,
  };
}

/** Whether this is a whole header of a version after this one, and not a damaged one: those have the same layout. */
export function isNewerCheckpoint(bytes: Uint8Array): boolean {
  return (
    bytes.length >= CHECKPOINT_HEADER_BYTES &&
    Buffer.from(bytes.subarray(0, 4)).toString('latin1') === CHECKPOINT_MAGIC &&
    readU32(bytes, 4) > CHECKPOINT_VERSION &&
    crc32(bytes, 0, 24) === readU32(bytes, 24)
  );
}
