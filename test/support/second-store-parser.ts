// A second reading of a whole store, from the description of its formats alone: what must come of opening these files.
// It shares no code with the library.
//
// Checkpoint: 28 bytes of header ("VCKP", version 3, position, log id, CRC of the 24 bytes before), frames as in a log
// whose CRC begins at the header's CRC and whose ids count from 1, and a control frame with the number of items and of
// bytes. Its first item tells which checkpoint it builds on.

import { decode } from '@msgpack/msgpack';
import * as zlib from 'node:zlib';
import { readFrame, readHeader, secondReading } from './second-parser.js';

const crc = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

export type StoreVerdict =
  /** It opens, and holds everything up to this position. */
  | { readonly kind: 'opens'; readonly position: number }
  /** Something that was stored is missing. */
  | { readonly kind: 'refused'; readonly why: string }
  /** The log is damaged; where a checkpoint covers the damage, nothing is missing. */
  | { readonly kind: 'refused or whole'; readonly why: string };

export function secondStoreReading(files: ReadonlyMap<string, Uint8Array>): StoreVerdict {
  const log = secondReading(files);
  if (log.kind === 'refused') return { kind: 'refused or whole', why: log.why };
  const segments = [...files.keys()].filter((path) => /^wal\/wal_\d+\.log$/.test(path)).sort(byNumber);
  const header = segments.length === 0 ? undefined : readHeader(Buffer.from(files.get(segments[0]!)!), 'VWAL');
  const first = Number(header?.first ?? 1n);
  const last = Math.max(first - 1, log.entries.at(-1)?.entryId ?? 0);
  const checkpoints = new Map<number, number | undefined>();
  let damaged = 0;
  for (const [path, bytes] of files) {
    const position = /^checkpoints\/ckpt_(\d+)\.ckpt$/.exec(path)?.[1];
    if (position === undefined) continue;
    const checkpoint = readCheckpoint(Buffer.from(bytes), Number(position), header?.log);
    if (checkpoint === undefined) damaged++;
    else checkpoints.set(Number(position), checkpoint.base);
  }
  const ends = [...checkpoints.keys()].sort((a, b) => b - a);
  const ahead = ends.find((position) => position > last);
  if (ahead !== undefined) return { kind: 'refused', why: `a checkpoint at ${ahead}, and the log ends at ${last}` };
  const newest = ends.find((position) => isWhole(position, checkpoints));
  if (first > (newest ?? 0) + 1) return { kind: 'refused', why: `positions up to ${first - 1} are nowhere` };
  if (last === 0 && damaged > 0) return { kind: 'refused', why: 'nothing is left' };
  return { kind: 'opens', position: last };
}

function isWhole(position: number, checkpoints: ReadonlyMap<number, number | undefined>): boolean {
  if (!checkpoints.has(position)) return false;
  const base = checkpoints.get(position);
  return base === undefined || (base < position && isWhole(base, checkpoints));
}

function readCheckpoint(bytes: Buffer, position: number, log: bigint | undefined): { base?: number } | undefined {
  if (bytes.length < 28 || bytes.toString('latin1', 0, 4) !== 'VCKP' || bytes.readUInt32LE(4) !== 3) return undefined;
  const seed = bytes.readUInt32LE(24);
  if (crc!(bytes.subarray(0, 24)) !== seed || bytes.readBigUInt64LE(8) !== BigInt(position)) return undefined;
  if (log !== undefined && bytes.readBigUInt64LE(16) !== log) return undefined;
  const items: Buffer[] = [];
  let pieces: Buffer[] = [];
  let id = 0n;
  for (let at = 28; ;) {
    const frame = readFrame(bytes, at, seed);
    if (frame === undefined) return undefined;
    at = frame.end;
    if (frame.control) {
      const { payload } = frame;
      const isFooter = payload.length === 17 && payload[0] === 3 && at === bytes.length && pieces.length === 0;
      if (!isFooter || payload.readBigUInt64LE(9) !== BigInt(bytes.length)) return undefined;
      if (payload.readBigUInt64LE(1) !== BigInt(items.length)) return undefined;
      break;
    }
    if (frame.id !== ++id) return undefined;
    pieces.push(frame.payload);
    if (frame.more) continue;
    items.push(Buffer.concat(pieces));
    pieces = [];
  }
  if (items.length === 0) return undefined;
  const made = decode(items[0]!) as unknown[];
  return made[1] === 2 ? { base: made[4] as number } : {};
}

function byNumber(a: string, b: string): number {
  return Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0]);
}
