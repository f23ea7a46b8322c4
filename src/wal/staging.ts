// Entries between `append` and the disk: encoded, numbered and checksummed in the tick of the call, so nothing of the
// caller's values is kept. Decides which segment an entry goes to, because its checksum begins with that segment's salt.

import { ByteWriter } from '../bytes/byte-writer.js';
import { MAX_ID, readU32 } from '../bytes/u64.js';
import type { Codec } from '../codec/index.js';
import { EncodeError, FormatError, InvalidArgumentError } from '../errors/index.js';
import type { RandomBytes } from '../storage/index.js';
import {
  CONTROL_FRAME_BYTES,
  FLAG_MORE,
  FRAME_HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  SEGMENT_HEADER_BYTES,
  sealFrame,
} from './format.js';
import type { SegmentPlan } from './segment-file.js';

/** Largest batch: a reader has to hold one whole to know that it is whole. */
export const MAX_BATCH_BYTES: number = 64 * 1024 * 1024;

/** Chunks are set aside once they take this much: so large that writes are few, so small that they stay in the cache. */
const CHUNK_BYTES = 256 * 1024;

/** Buffers that are used again, and up to which size: one is filled while another is written. */
const SPARES = 2;
const SPARE_BYTES = 8 * CHUNK_BYTES;

/** Frames of one segment, ready to be written in one piece. */
export interface Chunk {
  readonly plan: SegmentPlan;
  /** `bytes[CONTROL_FRAME_BYTES, length)` are the frames; the room before them is for a watermark. */
  readonly writer: ByteWriter;
  readonly firstId: number;
  /** `firstId - 1` while it is empty. */
  lastId: number;
}

export interface StagingOptions<E> {
  readonly codec: Codec<E>;
  readonly segmentBytes: number;
  readonly segmentMaxAgeMs: number;
  readonly bufferBytes: number;
  readonly highWaterMarkBytes: number;
  readonly rolls: boolean;
  readonly now: () => number;
  readonly random: RandomBytes;
}

/** The segment that entries are being assigned to, and how full it will be. */
export interface SegmentFill {
  readonly plan: SegmentPlan;
  readonly createdAt: number;
  /** Bytes written and staged. */
  bytes: number;
  hasEntries: boolean;
}

export class Staging<E> {
  lastId: number;
  /** Bytes staged and not yet given back with {@link recycle}. */
  bytes = 0;
  fill: SegmentFill;

  readonly #options: StagingOptions<E>;
  readonly #chunkBytes: number;
  readonly #full: Chunk[] = [];
  #tail: Chunk;
  readonly #spares: ByteWriter[] = [];
  #encoding = false;

  constructor(options: StagingOptions<E>, fill: SegmentFill, lastId: number) {
    this.#options = options;
    // Under a low mark in two halves: one is filled while the other is written.
    this.#chunkBytes = Math.min(CHUNK_BYTES, Math.ceil(options.highWaterMarkBytes / 2));
    this.fill = fill;
    this.lastId = lastId;
    this.#tail = this.#newChunk();
  }

  /** Whether anything waits to be taken. */
  get hasEntries(): boolean {
    return this.#full.length > 0 || this.#tail.lastId >= this.#tail.firstId;
  }

  /** Stages one entry and returns its id. On an error nothing is staged. */
  stage(entry: E): number {
    const id = this.#nextId(1);
    const start = this.#tail.writer.length;
    this.#encode(entry);
    const from = this.#place(start);
    const { writer } = this.#tail;
    sealFrame(writer.dataView, from, writer.length, id, 0, this.fill.plan.salt);
    this.#account(writer.length - from, id);
    return id;
  }

  /** Stages entries that are recovered all together or not at all; returns the first id and the bytes of each frame. */
  stageBatch(entries: readonly E[]): { readonly firstId: number; readonly sizes: readonly number[] } {
    const firstId = this.#nextId(entries.length);
    const start = this.#tail.writer.length;
    const sizes: number[] = [];
    try {
      for (const [index, entry] of entries.entries()) {
        const before = this.#tail.writer.length;
        this.#encodeNth(entry, index);
        sizes.push(this.#tail.writer.length - before);
        if (this.#tail.writer.length - start > MAX_BATCH_BYTES)
          throw new FormatError(
            `A batch may take ${MAX_BATCH_BYTES} bytes; append it in several, or in larger entries`,
          );
      }
    } catch (error) {
      this.#tail.writer.length = start;
      throw error;
    }
    const from = this.#place(start);
    const { writer } = this.#tail;
    let at = from;
    for (const [index, size] of sizes.entries()) {
      const flags = index < sizes.length - 1 ? FLAG_MORE : 0;
      sealFrame(writer.dataView, at, at + size, firstId + index, flags, this.fill.plan.salt);
      at += size;
    }
    this.#account(writer.length - from, firstId + entries.length - 1);
    return { firstId, sizes };
  }

  /** The oldest frames, all of one segment; they are the caller's until {@link recycle}. */
  take(): Chunk | undefined {
    const chunk = this.#full.shift();
    if (chunk !== undefined) return chunk;
    const tail = this.#tail;
    if (tail.lastId < tail.firstId) return undefined;
    this.#tail = this.#newChunk();
    return tail;
  }

  /** A watermark was put in front of a chunk of this segment. */
  noteWatermark(plan: SegmentPlan): void {
    if (plan === this.fill.plan) this.fill.bytes += CONTROL_FRAME_BYTES;
  }

  /** Gives a written chunk's buffer back. */
  recycle(chunk: Chunk): void {
    this.bytes -= chunk.writer.length - CONTROL_FRAME_BYTES;
    if (this.#spares.length < SPARES && chunk.writer.bytes.length <= SPARE_BYTES) this.#spares.push(chunk.writer);
  }

  /** Forgets everything: the writer is poisoned. */
  clear(): void {
    this.#full.length = 0;
    this.#spares.length = 0;
    this.#tail = this.#newChunk();
    this.bytes = 0;
  }

  #nextId(count: number): number {
    if (this.lastId > MAX_ID - count) throw idsUsedUp();
    return this.lastId + 1;
  }

  #encodeNth(entry: E, index: number): void {
    try {
      this.#encode(entry);
    } catch (cause) {
      if (!(cause instanceof EncodeError || cause instanceof FormatError)) throw cause;
      const Class = cause instanceof EncodeError ? EncodeError : FormatError;
      const field = `[${index}]${cause.field ? `.${cause.field}` : ''}`;
      throw new Class(`Entry ${index} of the batch: ${cause.message}`, { field, cause });
    }
  }

  /** Encodes into the tail, behind room for the frame's header. On an error the tail is as it was. */
  #encode(entry: E): void {
    const { writer } = this.#tail;
    const start = writer.length;
    if (this.#encoding) throw appendedWhileEncoding();
    this.#encoding = true;
    try {
      writer.restrict(FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES);
      writer.reserve(FRAME_HEADER_BYTES);
      writer.length = start + FRAME_HEADER_BYTES;
      this.#options.codec.encode(entry, writer);
      const size = writer.length - start - FRAME_HEADER_BYTES;
      if (size > MAX_PAYLOAD_BYTES) throw tooLarge(size);
    } catch (error) {
      writer.length = start;
      throw error;
    } finally {
      this.#encoding = false;
    }
  }

  /**
   * Finds the segment for the bytes encoded from `start` on. Returns where they begin in the tail, which is another one
   * if they did not fit the segment.
   */
  #place(start: number): number {
    if (this.#fits(this.#tail.writer.length - start)) return start;
    this.#roll(start);
    return CONTROL_FRAME_BYTES;
  }

  /** Whether so many bytes more go to the current segment; the first ones always do. */
  #fits(size: number): boolean {
    const { rolls, segmentBytes, segmentMaxAgeMs, now } = this.#options;
    const { fill } = this;
    if (!rolls || !fill.hasEntries) return true;
    if (fill.bytes + size > segmentBytes) return false;
    return segmentMaxAgeMs === Infinity || !(now() - fill.createdAt >= segmentMaxAgeMs);
  }

  /** Sets the tail aside, and moves the bytes encoded from `start` on to the first chunk of the next segment. */
  #roll(start: number): void {
    const chunk = this.#tail;
    const { plan } = this.fill;
    const { now, random } = this.#options;
    this.fill = {
      plan: {
        segmentId: plan.segmentId + 1,
        startEntryId: this.lastId + 1,
        logId: plan.logId,
        salt: drawSalt(random),
      },
      createdAt: now(),
      bytes: SEGMENT_HEADER_BYTES,
      hasEntries: false,
    };
    const encoded = chunk.writer.bytes.subarray(start, chunk.writer.length);
    this.#tail = this.#newChunk();
    this.#tail.writer.restrict(encoded.length);
    this.#tail.writer.write(encoded);
    chunk.writer.length = start;
    if (chunk.lastId >= chunk.firstId) this.#full.push(chunk);
  }

  #account(size: number, lastId: number): void {
    this.#tail.lastId = lastId;
    this.lastId = lastId;
    this.fill.hasEntries = true;
    this.fill.bytes += size;
    this.bytes += size;
    if (this.#tail.writer.length < this.#chunkBytes) return;
    this.#full.push(this.#tail);
    this.#tail = this.#newChunk();
  }

  #newChunk(): Chunk {
    const writer = this.#spares.pop() ?? new ByteWriter(Math.max(this.#options.bufferBytes, 4096));
    writer.length = CONTROL_FRAME_BYTES;
    return { plan: this.fill.plan, writer, firstId: this.lastId + 1, lastId: this.lastId };
  }
}

// Made apart from the code that is hot: what is short is compiled into its callers.

function idsUsedUp(): FormatError {
  return new FormatError('Entry ids are used up: the next one would be above 2^53-1');
}

/** It would take the same id, and put its frame into the middle of the other one's payload. */
function appendedWhileEncoding(): InvalidArgumentError {
  return new InvalidArgumentError(
    'An entry was appended while another is being encoded, by its codec or by a getter of its value',
  );
}

function tooLarge(size: number): FormatError {
  return new FormatError(`An entry takes ${size} bytes, at most ${MAX_PAYLOAD_BYTES} are allowed; split it`);
}

export function drawSalt(random: RandomBytes): number {
  return readU32(random(4), 0);
}
