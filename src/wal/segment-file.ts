// The one segment that is written to, through one descriptor from its first byte to its last. Owns the order in which a
// segment comes into being: header, sync, directory sync, and only then entries. So a segment whose header is damaged
// never held an entry, and one that exists proves that the one before it was synced.

import type { Directory, FileHandle } from '../storage/index.js';
import { writeFully, writeFullyDurably } from '../storage/index.js';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './format.js';
import type { LogLayout } from './layout.js';

/** A segment before or after it is a file. */
export interface SegmentPlan {
  readonly segmentId: number;
  readonly startEntryId: number;
  readonly logId: number;
  readonly salt: number;
}

const ZEROS_BYTES = 1024 * 1024;

export class SegmentFile {
  readonly plan: SegmentPlan;
  readonly path: string;
  /** Bytes in use; the file is longer where it was preallocated. */
  end: number;
  readonly #file: FileHandle;
  #fileSize: number;
  #unsynced: boolean;

  private constructor(plan: SegmentPlan, file: FileHandle, end: number, fileSize: number) {
    this.plan = plan;
    this.path = file.path;
    this.#file = file;
    this.end = end;
    this.#fileSize = fileSize;
    // The zeros of a new one. They need no sync, but durable writes would be slow while they are not on the disk.
    this.#unsynced = fileSize > end;
  }

  /** Takes over a segment that was opened and repaired; its bytes are synced. */
  static adopt(plan: SegmentPlan, file: FileHandle, end: number): SegmentFile {
    return new SegmentFile(plan, file, end, end);
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
      const fileSize = Math.max(SEGMENT_HEADER_BYTES, options.preallocateBytes);
      const zeros = Buffer.alloc(Math.min(ZEROS_BYTES, fileSize - SEGMENT_HEADER_BYTES));
      for (let at = SEGMENT_HEADER_BYTES; at < fileSize; at += zeros.length)
        await writeFully(file, zeros.subarray(0, Math.min(zeros.length, fileSize - at)), at);
      return new SegmentFile(plan, file, SEGMENT_HEADER_BYTES, fileSize);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#unsynced = true;
    await writeFully(this.#file, bytes, this.end);
    this.end += bytes.length;
  }

  /** Whether {@link appendDurably} may be used: it syncs the new bytes only, so there must be no others to sync. */
  get appendsDurably(): boolean {
    return !this.#unsynced && this.#file.writeDurably !== undefined;
  }

  /** {@link append} and {@link sync} in one step. */
  async appendDurably(bytes: Uint8Array): Promise<void> {
    this.#unsynced = true;
    await writeFullyDurably(this.#file, bytes, this.end);
    this.end += bytes.length;
    this.#unsynced = false;
  }

  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    await this.#file.datasync();
    this.#unsynced = false;
  }

  /** Syncs, and gives back what was preallocated and not used. */
  async finish(): Promise<void> {
    if (this.#fileSize > this.end) {
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
