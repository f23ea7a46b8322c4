// One checkpoint file: state as a sequence of items, written and read as a stream, so its size is not bounded by memory.
// A file is whole or it is not a checkpoint: it appears under its name by a rename, after its bytes are synced.

import { allocate } from '../bytes/allocate.js';
import { ByteReader } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { crc32 } from '../bytes/crc32.js';
import { checkId, readU32, writeU64 } from '../bytes/u64.js';
import { decodeWhole, type Codec } from '../codec/index.js';
import { CairnError, CorruptionError, DecodeError, FormatError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Directory, FileHandle } from '../storage/index.js';
import { readFully, writeFileAtomically, writeFully } from '../storage/index.js';
import {
  CONTROL_FOOTER,
  FLAG_CONTROL,
  FLAG_MORE,
  FOOTER_PAYLOAD_BYTES,
  FRAME_HEADER_BYTES,
  sealFrame,
} from '../wal/format.js';
import { FrameScanner } from '../wal/frame-scanner.js';
import {
  CHECKPOINT_HEADER_BYTES,
  CHECKPOINT_VERSION,
  decodeCheckpointHeader,
  encodeCheckpointHeader,
  type CheckpointHeader,
} from './format.js';

/** Bytes collected before they are written; between two writes the event loop runs. */
const WRITE_BYTES = 256 * 1024;
/** Bytes after which they are synced: the log's own syncs must not wait for much of a large checkpoint. */
const SYNC_BYTES = 1024 * 1024;
/**
 * Bytes that are checked at once: a new checkpoint is read back beside everything else, and who only wants to know what
 * a checkpoint builds on needs no more than its first item.
 */
const WINDOW_BYTES = 64 * 1024;
/** Longest part of an item in one frame. */
const PART_BYTES = 1024 * 1024;
/** The crate's limit for the payload of a checkpoint. */
const CRATE_MAX_PAYLOAD_BYTES = 256 * 1024 * 1024;
const FOOTER_FRAME_BYTES = FRAME_HEADER_BYTES + FOOTER_PAYLOAD_BYTES;

export interface CheckpointWriteOptions<T> {
  /** The items hold every entry of the log up to this one, and none after it. */
  readonly lastAppliedId: number;
  /** `logId` of the writer, so that the checkpoint is never applied to another log. */
  readonly logId?: number | undefined;
  readonly codec: Codec<T>;
  /** The state. Give them in a fixed order and the file's bytes are the same for the same state. */
  readonly items: Iterable<T> | AsyncIterable<T>;
}

export interface CheckpointReadOptions<T> {
  readonly codec: Codec<T>;
  /** Reads the payload of a version 1 or 2 file, which the crate wrote in one piece, as items. */
  readonly crateCodec?: Codec<readonly T[]> | undefined;
}

/** What a checkpoint file is, without its contents. */
export interface CheckpointInfo {
  readonly version: 1 | 2 | 3;
  readonly lastAppliedId: number;
  readonly logId: number | undefined;
  /** Items; `undefined` in the crate's files. */
  readonly count: number | undefined;
  /** Length of the file. */
  readonly bytes: number;
}

/**
 * Writes and reads checkpoint files.
 *
 * @example
 * await CheckpointFile.write(directory, 'checkpoints/ckpt_42.ckpt', { lastAppliedId: 42, codec, items: [state] });
 * const { lastAppliedId, items } = await CheckpointFile.read(directory, 'checkpoints/ckpt_42.ckpt', { codec });
 */
export const CheckpointFile = {
  /**
   * Writes a checkpoint, durably and all or nothing, in the place of whatever was at `path`. On an error the path is as
   * it was, unless the error came from the last directory sync: then the new file is there but may not survive.
   */
  async write<T>(directory: Directory, path: string, options: CheckpointWriteOptions<T>): Promise<CheckpointInfo> {
    const { lastAppliedId, logId = 0, codec, items } = options;
    checkId(lastAppliedId, 'lastAppliedId');
    checkId(logId, 'logId');
    let written = { count: 0, bytes: 0 };
    await writeFileAtomically(directory, path, async (file) => {
      written = await writeItems(file, encodeCheckpointHeader(lastAppliedId, logId), codec, items);
    });
    return { version: CHECKPOINT_VERSION, lastAppliedId, logId: logId === 0 ? undefined : logId, ...written };
  },

  /** Reads a checkpoint whose state fits into memory. Errors as in {@link CheckpointFile.stream}. */
  async read<T>(
    directory: Directory,
    path: string,
    options: CheckpointReadOptions<T>,
  ): Promise<CheckpointInfo & { readonly items: T[] }> {
    const items: T[] = [];
    const info = await CheckpointFile.stream(directory, path, options, (item) => void items.push(item));
    return { ...info, items };
  },

  /**
   * Calls `visit` with each item in order. Throws `NotFoundError`, `FormatError` for another format or a newer version,
   * `CorruptionError` unless every byte of the file is right, `DecodeError` for an item the codec cannot read. Damage
   * may show only after some items were visited: throw away what was made of them then.
   */
  async stream<T>(
    directory: Directory,
    path: string,
    options: CheckpointReadOptions<T>,
    visit: (item: T) => void,
  ): Promise<CheckpointInfo> {
    const reader = new ByteReader();
    const decode = (bytes: Uint8Array, start: number, end: number, number: number): void => {
      let item: T;
      try {
        item = decodeWhole(options.codec, reader.reset(bytes, start, end));
      } catch (cause) {
        const what = cause instanceof CairnError ? cause.message : `The codec failed: ${shown(cause)}`;
        throw new DecodeError(`Item ${number} of the checkpoint: ${what}`, { path, cause });
      }
      visit(item);
    };
    return withFile(directory, path, async (file, size, header) => {
      if (header.version === CHECKPOINT_VERSION) return readItems(file, size, header, decode);
      const payload = await readCratePayload(file, size, header);
      if (options.crateCodec === undefined)
        throw new FormatError(`The crate wrote this checkpoint (version ${header.version}); pass a crateCodec`, {
          path,
        });
      for (const item of decodeWhole(options.crateCodec, new ByteReader(payload))) visit(item);
      return { ...describe(header), count: undefined, bytes: size };
    });
  },

  /**
   * Checks every byte and decodes nothing. Errors as in {@link CheckpointFile.stream}. `pause` is awaited between two
   * pieces of at most 64 KiB, for who has more urgent things to do.
   */
  verify(directory: Directory, path: string, pause?: () => Promise<void> | undefined): Promise<CheckpointInfo> {
    return withFile(directory, path, async (file, size, header) => {
      if (header.version === CHECKPOINT_VERSION) return readItems(file, size, header, () => undefined, pause);
      await readCratePayload(file, size, header);
      return { ...describe(header), count: undefined, bytes: size };
    });
  },

  /** Reads the header and the footer only: enough to see that the file was not cut. */
  inspect(directory: Directory, path: string): Promise<CheckpointInfo> {
    return withFile(directory, path, async (file, size, header) => {
      if (header.version !== CHECKPOINT_VERSION) return { ...describe(header), count: undefined, bytes: size };
      const bytes = Buffer.alloc(FOOTER_FRAME_BYTES);
      const offset = size - bytes.length;
      if (offset < CHECKPOINT_HEADER_BYTES) throw notWhole(path, size, 'it ends before its footer');
      await readFully(file, bytes, offset);
      const scanner = new FrameScanner({
        file,
        fileSize: size,
        offset,
        firstId: readU32(bytes, 4) + readU32(bytes, 8) * 0x1_0000_0000 + 1,
        salt: header.checksum,
        version: 4,
      });
      while ((await scanner.next()) !== undefined);
      return { ...describe(header), ...checkFooter(scanner, size, path) };
    });
  },
};

async function withFile<R>(
  directory: Directory,
  path: string,
  use: (file: FileHandle, size: number, header: CheckpointHeader) => Promise<R>,
): Promise<R> {
  const file = await directory.open(path, 'read');
  try {
    const size = await file.size();
    const bytes = Buffer.alloc(Math.min(CHECKPOINT_HEADER_BYTES, size));
    await readFully(file, bytes, 0);
    return await use(file, size, decodeCheckpointHeader(bytes, path));
  } finally {
    await file.close();
  }
}

function describe({ version, lastAppliedId, logId }: CheckpointHeader): Omit<CheckpointInfo, 'count' | 'bytes'> {
  return { version, lastAppliedId, logId };
}

async function writeItems<T>(
  file: FileHandle,
  header: Uint8Array,
  codec: Codec<T>,
  items: Iterable<T> | AsyncIterable<T>,
): Promise<{ count: number; bytes: number }> {
  const salt = readU32(header, 24);
  const out = new ByteWriter(WRITE_BYTES + PART_BYTES);
  let offset = 0;
  let frameId = 0;
  let count = 0;
  let synced = 0;
  const flush = async (): Promise<void> => {
    await writeFully(file, out.bytes.subarray(0, out.length), offset);
    offset += out.length;
    out.length = 0;
    if (offset - synced < SYNC_BYTES) return;
    await file.datasync();
    synced = offset;
  };
  /** Makes what was encoded behind `frame` and the room for its header a frame. */
  const seal = (frame: number, flags: number): void =>
    sealFrame(out.dataView, frame, out.length, ++frameId, flags, salt);
  const begin = (): number => {
    out.reserve(FRAME_HEADER_BYTES);
    out.length += FRAME_HEADER_BYTES;
    return out.length - FRAME_HEADER_BYTES;
  };
  const sealParts = async (item: Uint8Array): Promise<void> => {
    for (let start = 0; start < item.length; start += PART_BYTES) {
      const frame = begin();
      out.write(item.subarray(start, start + PART_BYTES));
      seal(frame, start + PART_BYTES < item.length ? FLAG_MORE : 0);
      if (out.length >= WRITE_BYTES) await flush();
    }
  };
  out.write(header);
  await eachOf(items, (value) => {
    // An empty item still takes a frame.
    const frame = begin();
    codec.encode(value, out);
    count++;
    const start = frame + FRAME_HEADER_BYTES;
    if (out.length - start > PART_BYTES) {
      const item = out.bytes.slice(start, out.length);
      out.length = frame;
      return sealParts(item);
    }
    seal(frame, 0);
    return out.length >= WRITE_BYTES ? flush() : undefined;
  });
  const bytes = offset + out.length + FOOTER_FRAME_BYTES;
  const frame = out.length;
  out.reserve(FOOTER_FRAME_BYTES);
  out.length += FOOTER_FRAME_BYTES;
  out.bytes[frame + FRAME_HEADER_BYTES] = CONTROL_FOOTER;
  writeU64(out.bytes, frame + FRAME_HEADER_BYTES + 1, count);
  writeU64(out.bytes, frame + FRAME_HEADER_BYTES + 9, bytes);
  sealFrame(out.dataView, frame, out.length, frameId, FLAG_CONTROL, salt);
  await flush();
  return { count, bytes };
}

/**
 * `for await`, but what the iterator has at hand, and what `use` does at once, costs no turn of the microtask queue: a
 * million items are a million turns else.
 */
async function eachOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  use: (value: T) => Promise<void> | undefined,
): Promise<void> {
  const values = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let isDone = false;
  try {
    for (;;) {
      const pending = values.next();
      const next = 'done' in pending ? pending : await pending;
      isDone = next.done === true;
      if (next.done === true) return;
      const used = use(next.value);
      if (used !== undefined) await used;
    }
  } finally {
    if (!isDone) await values.return?.();
  }
}

async function readItems(
  file: FileHandle,
  size: number,
  header: CheckpointHeader,
  visit: (bytes: Uint8Array, start: number, end: number, number: number) => void,
  pause?: () => Promise<void> | undefined,
): Promise<CheckpointInfo> {
  const scanner = new FrameScanner({
    file,
    fileSize: size,
    offset: CHECKPOINT_HEADER_BYTES,
    firstId: 1,
    salt: header.checksum,
    version: 4,
    wholeBatches: false,
    windowBytes: WINDOW_BYTES,
  });
  let count = 0;
  // Parts of an item that takes several frames, copied out of the window.
  let parts: Uint8Array[] = [];
  for (let block = await scanner.next(); block !== undefined; block = await scanner.next()) {
    for (let index = 0; index < block.count; index++) {
      const start = block.starts[index]!;
      const end = block.ends[index]!;
      if (block.more[index]! || parts.length > 0) parts.push(block.bytes.slice(start, end));
      if (block.more[index]!) continue;
      count++;
      if (parts.length === 0) {
        visit(block.bytes, start, end, count);
      } else {
        const whole = Buffer.concat(parts);
        parts = [];
        visit(whole, 0, whole.length, count);
      }
    }
    const pausing = pause?.();
    if (pausing !== undefined) await pausing;
  }
  const footer = checkFooter(scanner, size, file.path);
  if (parts.length > 0 || footer.count !== count)
    throw notWhole(file.path, size, `its footer counts ${footer.count} items, ${count} are there`);
  return { ...describe(header), ...footer };
}

function checkFooter(scanner: FrameScanner, size: number, path: string): { count: number; bytes: number } {
  const { damage, footer } = scanner;
  if (damage !== undefined) throw notWhole(path, damage.offset, damage.reason);
  if (footer === undefined) throw notWhole(path, size, 'it has no footer');
  if (footer.totalBytes !== size || footer.end !== size)
    throw notWhole(path, size, `its footer says ${footer.totalBytes} bytes, the file has ${size}`);
  return { count: footer.count, bytes: size };
}

function notWhole(path: string, offset: number, reason: string): CorruptionError {
  return new CorruptionError(`The checkpoint is damaged: ${reason}. Recover from the one before it`, { path, offset });
}

/** The payload of a file of the crate: one piece behind the header. */
async function readCratePayload(file: FileHandle, size: number, header: CheckpointHeader): Promise<Uint8Array> {
  const { path } = file;
  const length = header.payloadBytes!;
  if (length > CRATE_MAX_PAYLOAD_BYTES)
    throw new FormatError(`The payload claims ${length} bytes, at most ${CRATE_MAX_PAYLOAD_BYTES} are allowed`, {
      path,
    });
  // Checked against the file before it is allocated. More than it claims is damage as well.
  if (length !== size - CHECKPOINT_HEADER_BYTES)
    throw notWhole(path, size, `its payload should take ${length} bytes and takes ${size - CHECKPOINT_HEADER_BYTES}`);
  const bytes = allocate(size);
  await readFully(file, bytes, 0);
  // Version 1 covers the payload, version 2 the header before the checksum as well.
  const seed = header.version === 1 ? 0 : crc32(bytes, 0, 24);
  if (crc32(bytes, CHECKPOINT_HEADER_BYTES, size, seed) !== header.checksum)
    throw notWhole(path, CHECKPOINT_HEADER_BYTES, 'its checksum does not fit');
  return bytes.subarray(CHECKPOINT_HEADER_BYTES);
}
