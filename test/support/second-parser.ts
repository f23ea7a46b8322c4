// A second reading of a log's bytes, written from the description of the format alone: it shares no code with the
// library, so that the two can only agree by both being right. It is slow, holds everything in memory and looks at every
// byte as often as it likes.
//
// Format: 40 bytes of header ("VWAL", version 4, first entry id, segment id, log id, salt, CRC of the 36 bytes before),
// then frames: length and flags, entry id, CRC, payload. The CRC covers length, id and payload and begins at the salt.

import * as zlib from 'node:zlib';

const crc = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

/** Absent before Node 20.15: then there is no second opinion. */
export const canRead = crc !== undefined;

export interface ReadEntry {
  readonly entryId: number;
  readonly text: string;
}

export type Verdict =
  | {
      readonly kind: 'log';
      readonly entries: readonly ReadEntry[];
      /** Highest id that the bytes prove to have been on stable storage. */
      readonly durableId: number;
      /** Where an interrupted write begins; `undefined` for a log that ends whole. */
      readonly cut: { readonly path: string; readonly offset: number } | undefined;
      /** Whole entries of this segment that lie behind the cut: the write before them did not arrive. */
      readonly entriesBehindCut: number;
    }
  | { readonly kind: 'refused'; readonly why: string };

export interface Frame {
  readonly end: number;
  readonly id: bigint;
  readonly more: boolean;
  readonly control: boolean;
  readonly payload: Buffer;
}

export interface Header {
  readonly first: bigint;
  readonly segment: bigint;
  readonly log: bigint;
  readonly salt: number;
}

class Refused extends Error {}

const HEADER = 40;
const MAX_FRAME = 16 + 16 * 1024 * 1024;
const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

/** Reads the files of a log: `wal/wal_<n>.log`, or the one file at `single`. */
export function secondReading(files: ReadonlyMap<string, Uint8Array>, single?: string): Verdict {
  try {
    return read(files, single);
  } catch (error) {
    if (error instanceof Refused) return { kind: 'refused', why: error.message };
    throw error;
  }
}

function read(files: ReadonlyMap<string, Uint8Array>, single: string | undefined): Verdict {
  const segments: { readonly number: number; readonly path: string; readonly bytes: Buffer }[] = [];
  for (const [path, bytes] of files) {
    const number = single === undefined ? /^wal\/wal_(\d+)\.log$/.exec(path)?.[1] : path === single ? '1' : undefined;
    if (number !== undefined) segments.push({ number: Number(number), path, bytes: Buffer.from(bytes) });
  }
  segments.sort((a, b) => a.number - b.number);
  const entries: ReadEntry[] = [];
  let log: bigint | undefined;
  let nextId: bigint | undefined;
  let durableId = 0n;
  for (const [index, { number, path, bytes }] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (index > 0 && number !== segments[index - 1]!.number + 1) throw new Refused('a segment is missing');
    const header = readHeader(bytes, single === undefined ? 'VWAL' : 'VRLG');
    if (header === undefined) {
      // A segment gets its first entry only after its header was synced.
      if (!isLast || (index === 0 && number !== 1) || !isZero(bytes.subarray(HEADER)))
        throw new Refused('a header is damaged');
      return { kind: 'log', entries, durableId: Number(durableId), cut: { path, offset: 0 }, entriesBehindCut: 0 };
    }
    if (header.segment !== BigInt(number)) throw new Refused('a file has the name of another segment');
    if (log !== undefined && header.log !== log) throw new Refused('a segment is of another log');
    log = header.log;
    if (nextId !== undefined && header.first !== nextId) throw new Refused('entries are missing between two segments');
    nextId = header.first;
    // That the segment exists says that everything before it was synced.
    durableId = durableId > header.first - 1n ? durableId : header.first - 1n;

    let at = HEADER;
    let good = HEADER;
    let batch: ReadEntry[] = [];
    let stopped = false;
    let ended = false;
    while (at < bytes.length) {
      const frame = readFrame(bytes, at, header.salt);
      const lastId: bigint = nextId - 1n + BigInt(batch.length);
      if (frame === undefined) stopped = true;
      else if (frame.control) {
        const declared = frame.payload.length === 9 ? frame.payload.readBigUInt64LE(1) : undefined;
        const kind = frame.payload[0];
        stopped =
          batch.length > 0 ||
          frame.id !== lastId ||
          (kind !== 1 && kind !== 2 && kind !== 4) ||
          declared === undefined ||
          declared > lastId;
        if (!stopped && declared! > durableId) durableId = declared!;
        ended = !stopped && kind === 4;
      } else stopped = frame.id !== lastId + 1n;
      if (stopped || ended) break;
      at = frame!.end;
      if (!frame!.control) {
        batch.push({ entryId: Number(frame!.id), text: frame!.payload.toString() });
        if (frame!.more) continue;
        entries.push(...batch);
        nextId += BigInt(batch.length);
        batch = [];
      }
      good = at;
    }
    if (batch.length > 0) stopped = true;
    if (!isLast) {
      const following = readHeader(segments[index + 1]!.bytes, single === undefined ? 'VWAL' : 'VRLG');
      if (following !== undefined && following.first !== nextId)
        throw new Refused('entries of a complete segment are missing');
      if (stopped && !isZero(bytes.subarray(good))) throw new Refused('a complete segment is damaged');
      if (following === undefined && stopped && index + 2 < segments.length) throw new Refused('a header is damaged');
      continue;
    }
    let entriesBehindCut = 0;
    if (stopped || ended)
      for (let offset = good; offset < bytes.length; offset++) {
        const frame = readFrame(bytes, offset, header.salt);
        if (frame === undefined) continue;
        if (!frame.control) {
          if (frame.id >= nextId) entriesBehindCut++;
          continue;
        }
        if (frame.payload.length !== 9) continue;
        const declared = frame.payload.readBigUInt64LE(1);
        if (declared <= frame.id && declared > durableId) durableId = declared;
      }
    if (nextId - 1n < durableId)
      throw new Refused(`entries up to ${durableId} were durable, the last is ${nextId - 1n}`);
    return {
      kind: 'log',
      entries,
      durableId: Number(durableId),
      cut: stopped ? { path, offset: good } : undefined,
      entriesBehindCut,
    };
  }
  return { kind: 'log', entries, durableId: Number(durableId), cut: undefined, entriesBehindCut: 0 };
}

/** `undefined`: what an interrupted creation may leave. */
export function readHeader(bytes: Buffer, magic: string): Header | undefined {
  if (bytes.length < 8 || bytes.toString('latin1', 0, 4) !== magic) return undefined;
  const version = bytes.readUInt32LE(4);
  // A version that somebody may have meant is another format, not a crash.
  if (version !== 4 && version !== 0 && version < 65536) throw new Refused(`version ${version}`);
  if (version !== 4 || bytes.length < HEADER) return undefined;
  if (crc!(bytes.subarray(0, 36)) !== bytes.readUInt32LE(36)) return undefined;
  return {
    first: bytes.readBigUInt64LE(8),
    segment: bytes.readBigUInt64LE(16),
    log: bytes.readBigUInt64LE(24),
    salt: bytes.readUInt32LE(32),
  };
}

export function readFrame(bytes: Buffer, at: number, salt: number): Frame | undefined {
  if (at + 16 > bytes.length) return undefined;
  const word = bytes.readUInt32LE(at);
  const flags = word >>> 28;
  const length = word % 2 ** 28;
  if (length < 16 || length > MAX_FRAME || (flags & 3) !== 0 || at + length > bytes.length) return undefined;
  const covered = Buffer.concat([bytes.subarray(at, at + 12), bytes.subarray(at + 16, at + length)]);
  if (crc!(covered, salt) !== bytes.readUInt32LE(at + 12)) return undefined;
  return {
    end: at + length,
    id: bytes.readBigUInt64LE(at + 4),
    more: (flags & 8) !== 0,
    control: (flags & 4) !== 0,
    payload: bytes.subarray(at + 16, at + length),
  };
}
