// The one segment that is written to, through one descriptor from its first entry to its last. Owns the order in which a
// segment comes into being: header, sync, directory sync, and only then entries. So a segment whose header is damaged
// never held an entry, and one that exists proves that the one before it was synced. A file that is used again gets its
// header, and that synced, while it still has the name of a spare one.
//
// Where the file goes on behind the log's end, with zeros or with what it held in an earlier life, an end mark lies
// between the two: so that nobody takes the rest for an interrupted write. The next append is written over it.

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
  readonly #file: FileHandle;
  #fileSize: number;
  #unsynced: boolean;

  private constructor(
    plan: SegmentPlan,
    file: FileHandle,
    sizes: { readonly end: number; readonly fileSize: number; readonly unsynced: boolean },
  ) {
    this.plan = plan;
    this.path = file.path;
    this.#file = file;
    this.end = sizes.end;
    this.#fileSize = sizes.fileSize;
    this.#unsynced = sizes.unsynced;
  }

  /** Takes over a segment that was opened and repaired; its bytes, up to entry `lastId`, are synced, and it ends with them. */
  static async adopt(
    plan: SegmentPlan,
    file: FileHandle,
    {
      end,
      lastId,
      preallocateBytes,
    }: { readonly end: number; readonly lastId: number; readonly preallocateBytes: number },
  ): Promise<SegmentFile> {
    try {
      const fileSize = await preallocate(file, end, preallocateBytes, endMark(plan, lastId));
      return new SegmentFile(plan, file, { end, fileSize, unsynced: fileSize > end });
    } catch (error) {
      const isFull = error instanceof StorageError && FULL.has(error.errno ?? '');
      if (!isFull) throw error;
      // A log on a full disk can be opened: it is the first thing to do about it.
      await file.truncate(end);
      return new SegmentFile(plan, file, { end, fileSize: end, unsynced: true });
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
      // segment that held entries and was damaged later looks. The zeros go to the disk with the first entries: they
      // need no sync, but durable writes would be slow while they are on their way.
      const end = SEGMENT_HEADER_BYTES;
      const mark = endMark(plan, plan.startEntryId - 1);
      const fileSize = await preallocate(file, end, options.preallocateBytes, mark);
      return new SegmentFile(plan, file, { end, fileSize, unsynced: fileSize > end });
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
    const header = encodeSegmentHeader({ magic: layout.magic, ...plan });
    const head = Buffer.concat([header, endMark(plan, plan.startEntryId - 1)]);
    const unnamed = await directory.open(spare, 'update');
    let fileSize: number;
    try {
      fileSize = Math.max(head.length, await unnamed.size());
      await writeFully(unnamed, head, 0);
      await unnamed.datasync();
    } finally {
      await unnamed.close();
    }
    await renameDurable(directory, spare, path);
    const file = await directory.open(path, 'update');
    return new SegmentFile(plan, file, { end: SEGMENT_HEADER_BYTES, fileSize, unsynced: false });
  }

  /** Whether there will be room behind so many bytes more: then they have to be followed by an end mark. */
  hasRoomBehind(bytes: number): boolean {
    return this.end + bytes < this.#fileSize;
  }

  /** `markBytes`: so many of them, the last, are an end mark. */
  async append(bytes: Uint8Array, markBytes: number): Promise<void> {
    this.#unsynced = true;
    await writeFully(this.#file, bytes, this.end);
    this.#appended(bytes.length, markBytes);
  }

  /** Whether {@link appendDurably} may be used: it syncs the new bytes only, so there must be no others to sync. */
  get appendsDurably(): boolean {
    return !this.#unsynced && this.#file.writeDurably !== undefined;
  }

  /** {@link append} and {@link sync} in one step. */
  async appendDurably(bytes: Uint8Array, markBytes: number): Promise<void> {
    this.#unsynced = true;
    await writeFullyDurably(this.#file, bytes, this.end);
    this.#appended(bytes.length, markBytes);
    this.#unsynced = false;
  }

  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    await this.#file.datasync();
    this.#unsynced = false;
  }

  /**
   * Syncs, and gives back what was not used. `mayBeUsedAgain`: not what is left of a file that is more than half full,
   * which will be used then.
   */
  async finish(mayBeUsedAgain: boolean): Promise<void> {
    const keepsRoom = mayBeUsedAgain && this.end * 2 >= this.#fileSize;
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

  #appended(bytes: number, markBytes: number): void {
    this.end += bytes - markBytes;
    this.#fileSize = Math.max(this.#fileSize, this.end + markBytes);
  }
}

function endMark(plan: SegmentPlan, lastId: number): Uint8Array {
  const mark = Buffer.alloc(CONTROL_FRAME_BYTES);
  writeControlFrame(viewOf(mark), 0, CONTROL_END, lastId, lastId, plan.salt);
  return mark;
}

/** Writes the end mark behind what is in the file, and zeros up to `size`. Returns the size that the file has then. */
async function preallocate(file: FileHandle, end: number, size: number, mark: Uint8Array): Promise<number> {
  if (size <= end) return end;
  const fileSize = Math.max(size, end + mark.length);
  const piece = Buffer.alloc(Math.min(ZEROS_BYTES, fileSize - end));
  piece.set(mark);
  for (let at = end; at < fileSize; at += piece.length) {
    await writeFully(file, piece.subarray(0, Math.min(piece.length, fileSize - at)), at);
    if (at === end) piece.fill(0, 0, mark.length);
  }
  return fileSize;
}
