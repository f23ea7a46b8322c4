// The writer of a WAL: segments `wal/wal_<id>.log` below a directory.

import type { Directory } from '../storage/index.js';
import { walLayout } from './layout.js';
import type { KnownLog } from './log-scan.js';
import {
  LogWriter,
  openForWriting,
  prepareForWriting,
  type LogWriterOptions,
  type SegmentedOptions,
} from './log-writer.js';
import type { OpenReport } from './open-log.js';

/** Options of {@link WalWriter}. */
export interface WalWriterOptions<E> extends LogWriterOptions<E>, SegmentedOptions {}

/** A log that is locked and was read to its end, but not changed yet; see {@link WalWriter.prepare}. */
export interface PreparedWal<E> {
  /** What there is; `rewrittenBytes` is only known once it was started. */
  readonly opened: OpenReport;
  readonly logId: number;
  /** What a scan need not look at again. */
  readonly known: KnownLog;
  /** Cuts off an interrupted write, makes durable what is kept, and opens the log. */
  start(): Promise<WalWriter<E>>;
  /** Gives the lock up instead; nothing was changed. */
  abandon(): Promise<void>;
}

/**
 * Appends entries to a write-ahead log. One writer at a time: the lock is the kernel's and ends with the process.
 *
 * @example
 * const directory = await FsDirectory.open('./data');
 * await using wal = await WalWriter.open(directory, { codec: walEntryCodec });
 * const id = wal.append({ type: 'AddSegment', segmentId: 1, docCount: 100 }); // staged
 * await wal.flush();                                                          // survives this process
 * await wal.appendDurable({ type: 'DeleteDocuments', deletes: [[1, 42]] });   // survives a power cut
 */
export class WalWriter<E> extends LogWriter<E> {
  /**
   * Opens the log, or begins one. An interrupted write at its end is cut off (`opened.tornTail` says what and why), and
   * everything that is kept is on stable storage when this resolves.
   *
   * Rejects with `LockError` while another writer has it, `CorruptionError` when entries that were on stable storage
   * are damaged or missing, `FormatError` for files of a newer version. Then nothing was changed. Only headers and the
   * last segment are read for that; damage inside an earlier one shows when it is replayed.
   */
  static open<E>(directory: Directory, options: WalWriterOptions<E>): Promise<WalWriter<E>> {
    return WalWriter.#start(directory, options, 'open');
  }

  /** Begins a log; rejects with `AlreadyExistsError` if there is one. */
  static create<E>(directory: Directory, options: WalWriterOptions<E>): Promise<WalWriter<E>> {
    return WalWriter.#start(directory, options, 'create');
  }

  /** Opens a log; rejects with `NotFoundError` if there is none. */
  static resume<E>(directory: Directory, options: WalWriterOptions<E>): Promise<WalWriter<E>> {
    return WalWriter.#start(directory, options, 'resume');
  }

  /**
   * The first half of {@link WalWriter.open}: locks the log and judges how it ends, but changes nothing. For whoever
   * has to see more before the end may be cut, as a store does that first recovers its state. Errors as in `open`.
   */
  static async prepare<E>(directory: Directory, options: WalWriterOptions<E>): Promise<PreparedWal<E>> {
    const prepared = await prepareForWriting(directory, walLayout, options, 'open');
    return {
      opened: prepared.report,
      logId: prepared.logId,
      known: prepared.known,
      start: async () => new WalWriter(directory, walLayout, options, await prepared.start()),
      abandon: () => prepared.abandon(),
    };
  }

  static async #start<E>(
    directory: Directory,
    options: WalWriterOptions<E>,
    intent: 'open' | 'create' | 'resume',
  ): Promise<WalWriter<E>> {
    const opened = await openForWriting(directory, walLayout, options, intent);
    return new WalWriter(directory, walLayout, options, opened);
  }
}
