// The one segment that is written to, through one descriptor from its first entry to its last. Owns the order in which a
// segment comes into being: header, sync, directory sync, and only then entries. So a segment whose header is damaged
// never held an entry, and one that exists proves that the one before it was synced. A file that is used again gets its
// header, and that synced, while it still has the name of a spare one.

import { viewOf } from '../bytes/view.js';
import { AlreadyExistsError, StorageError } from '../errors/index.js';
import type { Directory, FileHandle } from '../storage/index.js';
import { renameDurable, writeFully, writeFullyDurably } from '../storage/index.js';
import {
  CONTROL_END,
  CONTROL_FRAME_BYTES,
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  writeControlFrame,
} from './format.js';
import type { LogLayout } from './layout.js';

/** A segment before or after it is a file. */
export interface SegmentPlan {
  readonly segmentId: number;
  readonly startEntryId: number;
  readonly logId: number;
  readonly salt: number;
}

const ZEROS_BYTES = 1024 * 1024;
/** What a system says that has no room for more. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export class SegmentFile {
  readonly plan: SegmentPlan;
  readonly path: string;
  /** Bytes in use; the file is longer where it was preallocated or is used again. */
  end: number;
  /** Whether something of an earlier life may follow: then each write ends with an end mark. */
  readonly isUsedAgain: boolean;
  readonly #file: FileHandle;
  #fileSize: number;
  #unsynced: boolean;

  private constructor(
    plan: SegmentPlan,
    file: FileHandle,
    sizes: { readonly end: number; readonly fileSize: number },
    isUsedAgain = false,
  ) {
    this.plan = plan;
    this.path = file.path;
    this.#file = file;
    this.end = sizes.end;
    this.isUsedAgain = isUsedAgain;
    this.#fileSize = sizes.fileSize;
    // The zeros of a new one. They need no sync, but durable writes would be slow while they are not on the disk.
    this.#unsynced = !isUsedAgain && this.#fileSize > this.end;
  }

  /** Takes over a segment that was opened and repaired; its bytes are synced, and it ends with them. */
  static async adopt(plan: SegmentPlan, file: FileHandle, end: number, preallocateBytes: number): Promise<SegmentFile> {
    try {
      return new SegmentFile(plan, file, { end, fileSize: await writeZeros(file, end, preallocateBytes) });
    } catch (error) {
      const isFull = error instanceof StorageError && FULL.has(error.errno ?? '');
      if (!isFull) throw error;
      // A log on a full disk can be opened: it is the first thing to do about it.
      await file.truncate(end);
      return new SegmentFile(plan, file, { end, fileSize: end });
    }
  }

  /**
   * Makes the file. `replace`: what an earlier attempt to make this segment left behind is written over.
   * `preallocateBytes`: zeros are written up to this size, so that appends need not grow the file.
   */
  static async create(
    directory: Directory,
    layout: LogLayout,
    plan: SegmentPlan,
    options: { readonly replace: boolean; readonly preallocateBytes: number },
  ): Promise<SegmentFile> {
    const file = await directory.open(layout.pathOf(plan.segmentId), options.replace ? 'update' : 'create');
    try {
      if (options.replace) await file.truncate(0);
      await writeFully(file, encodeSegmentHeader({ magic: layout.magic, ...plan }), 0);
      await file.datasync();
      await directory.syncDirectory(layout.folder);
      // Only behind a durable header: else a crash could leave a damaged one with something behind it, which is how a
      // segment that held entries and was damaged later looks. The zeros go to the disk with the first entries.
      const fileSize = await writeZeros(file, SEGMENT_HEADER_BYTES, options.preallocateBytes);
      return new SegmentFile(plan, file, { end: SEGMENT_HEADER_BYTES, fileSize });
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  /** Makes the segment out of a file that was one before: `spare` is its path, see spare-segments.ts. */
  static async useAgain(
    directory: Directory,
    layout: LogLayout,
    plan: SegmentPlan,
    spare: string,
  ): Promise<SegmentFile> {
    const path = layout.pathOf(plan.segmentId);
    // A rename would replace it.
    if ((await directory.stat(path)) !== undefined) throw new AlreadyExistsError('The file exists already', { path });
    const head = Buffer.alloc(SEGMENT_HEADER_BYTES + CONTROL_FRAME_BYTES);
    head.set(encodeSegmentHeader({ magic: layout.magic, ...plan }));
    const before = plan.startEntryId - 1;
    writeControlFrame(viewOf(head), SEGMENT_HEADER_BYTES, CONTROL_END, before, before, plan.salt);
    const unnamed = await directory.open(spare, 'update');
    let fileSize: number;
    try {
      fileSize = await unnamed.size();
      await writeFully(unnamed, head, 0);
      await unnamed.datasync();
    } finally {
      await unnamed.close();
    }
    await renameDurable(directory, spare, path);
    const file = await directory.open(path, 'update');
    return new SegmentFile(plan, file, { end: SEGMENT_HEADER_BYTES, fileSize }, true);
  }

  /** `markBytes`: so many of them, the last, are an end mark, which the next append is written over. */
  async append(bytes: Uint8Array, markBytes = 0): Promise<void> {
    this.#unsynced = true;
    await writeFully(this.#file, bytes, this.end);
    this.end += bytes.length - markBytes;
  }

  /** Whether {@link appendDurably} may be used: it syncs the new bytes only, so there must be no others to sync. */
  get appendsDurably(): boolean {
    return !this.#unsynced && this.#file.writeDurably !== undefined;
  }

  /** {@link append} and {@link sync} in one step. */
  async appendDurably(bytes: Uint8Array, markBytes = 0): Promise<void> {
    this.#unsynced = true;
    await writeFullyDurably(this.#file, bytes, this.end);
    this.end += bytes.length - markBytes;
    this.#unsynced = false;
  }

  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    await this.#file.datasync();
    this.#unsynced = false;
  }

  /** Syncs, and gives back what was not used, unless `keepsRoom`: it will be when the file is used again. */
  async finish(keepsRoom: boolean): Promise<void> {
    if (this.#fileSize > this.end && !keepsRoom) {
      await this.#file.truncate(this.end);
      this.#fileSize = this.end;
      this.#unsynced = true;
    }
    await this.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Fills a file that ends at `from` up to `size`. Returns the size it has then. */
async function writeZeros(file: FileHandle, from: number, size: number): Promise<number> {
  if (size <= from) return from;
  const zeros = Buffer.alloc(Math.min(ZEROS_BYTES, size - from));
  for (let at = from; at < size; at += zeros.length)
    await writeFully(file, zeros.subarray(0, Math.min(zeros.length, size - at)), at);
  return size;
}
