// Taking a checkpoint, in the one order that can be interrupted anywhere:
//
//   1. sync the log up to the position        a checkpoint is never ahead of its log
//   2. write, sync, rename, directory sync    the file is whole and there, or not there
//   3. read it back                           nothing relies on it before every byte was checked
//   4. append the mark, durably               the log says that it exists
//   5. remove older checkpoints               the newest `retain` stay
//   6. truncate the log                       up to the oldest that stays, and no further
//
// A failure before 5 removes nothing; one in 5 or 6 leaves more than is needed. None of them harms the log's writer,
// except that a failing disk may fail the writer's own sync in 1 and 4.

import { checkId } from '../bytes/u64.js';
import type { Codec } from '../codec/index.js';
import { CairnError, CorruptionError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { makeDirectoryDurable, removeDurable } from '../storage/index.js';
import {
  WalMaintenance,
  type TruncateOptions,
  type TruncateReport,
  type WalEntry,
  type WalWriter,
} from '../wal/index.js';
import { Turns } from '../wal/turns.js';
import { CheckpointFile } from './checkpoint-file.js';
import {
  CHECKPOINT_FOLDER,
  checkpointPath,
  listCheckpoints,
  removeTemporaries,
  type ListedCheckpoint,
} from './checkpoint-folder.js';

/** Options of {@link CheckpointPublisher}; `makeEntry` may be left out where the log takes `WalEntry` values. */
export type CheckpointPublisherOptions<E, T> = PublisherOptions<E, T> &
  (WalEntry extends E ? { readonly makeEntry?: MakeEntry<E> | undefined } : { readonly makeEntry: MakeEntry<E> });

/** Makes the entry that marks a checkpoint in the log. Default: the `Checkpoint` of `WalEntry`. */
type MakeEntry<E> = (checkpointPath: string, lastAppliedId: number) => E;

interface PublisherOptions<E, T> {
  /** The open writer of the log that the state is made from. */
  readonly wal: WalWriter<E>;
  /** Codec of the state's items. */
  readonly codec: Codec<T>;
  /** Checkpoints that are kept. Default 2, at least 1. */
  readonly retain?: number | undefined;
  /** How covered segments leave the log; see `WalMaintenance.truncatePrefix`. */
  readonly truncate?: TruncateOptions | undefined;
}

/** What publishing a checkpoint came to. */
export interface PublishResult {
  readonly checkpointPath: string;
  readonly lastAppliedId: number;
  /** Length of the file. */
  readonly bytes: number;
  /** Id of the mark in the log. */
  readonly markEntryId: number;
  readonly removedCheckpoints: readonly string[];
  /** Entries up to here may leave the log: the position of the oldest checkpoint that is kept. */
  readonly coveredId: number;
  readonly truncation: TruncateReport;
}

/** One at a time for each log: each clears away what an interrupted one has left. */
const publications = new Turns();

/**
 * Publishes checkpoints of state that was made from a log.
 *
 * @example
 * const publisher = new CheckpointPublisher({ wal, codec: messagePackCodec<Account>() });
 * const { truncation } = await publisher.publish(accounts.values(), wal.lastEntryId);
 */
export class CheckpointPublisher<E, T> {
  readonly #options: CheckpointPublisherOptions<E, T>;
  readonly #retain: number;
  /** Checkpoints that were read to their ends. */
  readonly #whole: Set<string> = new Set();

  constructor(options: CheckpointPublisherOptions<E, T>) {
    this.#options = options;
    this.#retain = options.retain ?? 2;
    if (!Number.isSafeInteger(this.#retain) || this.#retain < 1)
      throw new InvalidArgumentError(`retain must be a whole number from 1, got ${shown(options.retain)}`);
  }

  /**
   * Writes `items` as the state after entry `lastAppliedId`, and truncates what checkpoints cover from then on.
   *
   * The log is truncated only once `retain` checkpoints exist: until then the log itself is what recovery falls back
   * to if the newest checkpoint turns out to be damaged.
   *
   * A synchronous iterable is read at once, in the tick of the call, so the state may change while the file is written.
   * An asynchronous one is read as it is written: what it reads from must stay as it was at `lastAppliedId`.
   *
   * Rejects with `InvalidArgumentError` for a position that the log has not reached or that is older than the newest
   * checkpoint, `CorruptionError` if the file does not read back as it was written, `StorageError` when the disk
   * refuses; the log and all older checkpoints are as before.
   *
   * Calls for one log follow one another, whichever publishers they are made on.
   */
  async publish(items: Iterable<T> | AsyncIterable<T>, lastAppliedId: number): Promise<PublishResult> {
    const { wal } = this.#options;
    const state = Symbol.iterator in items ? [...items] : items;
    checkId(lastAppliedId, 'lastAppliedId', 1);
    if (lastAppliedId > wal.lastEntryId)
      throw new InvalidArgumentError(
        `A checkpoint of entry ${lastAppliedId} is ahead of the log, which ends with ${wal.lastEntryId}`,
      );
    return publications.take(wal, () => this.#publish(state, lastAppliedId));
  }

  async #publish(state: Iterable<T> | AsyncIterable<T>, lastAppliedId: number): Promise<PublishResult> {
    const { wal, codec, truncate = {} } = this.#options;
    const { directory, logId } = wal;
    await makeDirectoryDurable(directory, CHECKPOINT_FOLDER);
    const newest = (await listCheckpoints(directory)).find(({ info }) => info?.logId === logId);
    if (newest !== undefined && newest.lastAppliedId > lastAppliedId)
      throw new InvalidArgumentError(
        `There is a checkpoint of entry ${newest.lastAppliedId} already; one of ${lastAppliedId} would be older`,
        { path: newest.path },
      );
    await removeTemporaries(directory);

    await wal.flushAndSync();
    const path = checkpointPath(lastAppliedId);
    const written = await CheckpointFile.write(directory, path, { lastAppliedId, logId, codec, items: state });
    await this.#readBack(path, written.bytes);
    this.#whole.add(path);
    const markEntryId = await wal.appendDurable(this.#mark(path, lastAppliedId));

    const { removed, coveredId } = await this.#retire();
    const truncation = await new WalMaintenance(wal).truncatePrefix(coveredId, truncate);
    return {
      checkpointPath: path,
      lastAppliedId,
      bytes: written.bytes,
      markEntryId,
      removedCheckpoints: removed,
      coveredId,
      truncation,
    };
  }

  async #readBack(path: string, bytes: number): Promise<void> {
    const { directory } = this.#options.wal;
    try {
      const found = await CheckpointFile.verify(directory, path);
      if (found.bytes !== bytes)
        throw new CorruptionError(`The checkpoint reads back with ${found.bytes} bytes, ${bytes} were written`, {
          path,
        });
    } catch (error) {
      // Not to be found by the next recovery; if even that fails, recovery sees the damage itself.
      await removeDurable(directory, path).catch(() => undefined);
      throw error;
    }
  }

  #mark(path: string, lastAppliedId: number): E {
    const { makeEntry } = this.#options;
    if (makeEntry !== undefined) return makeEntry(path, lastAppliedId);
    // The options' type lets makeEntry out only where E takes this.
    return { type: 'Checkpoint', checkpointPath: path, lastEntryId: lastAppliedId } satisfies WalEntry as E;
  }

  /**
   * Removes what is older than the newest whole checkpoints of this log; says what those that stay cover. Those that
   * count were read to their ends, each once: a damaged one to fall back to is none.
   */
  async #retire(): Promise<{ removed: string[]; coveredId: number }> {
    const { directory, logId } = this.#options.wal;
    const removed: string[] = [];
    const kept: ListedCheckpoint[] = [];
    for (const checkpoint of await listCheckpoints(directory)) {
      if (checkpoint.info?.logId !== logId) continue;
      if (kept.length === this.#retain) {
        await removeDurable(directory, checkpoint.path);
        removed.push(checkpoint.path);
      } else if (await this.#isWhole(checkpoint.path)) kept.push(checkpoint);
    }
    return { removed, coveredId: kept[this.#retain - 1]?.lastAppliedId ?? 0 };
  }

  async #isWhole(path: string): Promise<boolean> {
    if (this.#whole.has(path)) return true;
    try {
      await CheckpointFile.verify(this.#options.wal.directory, path);
    } catch (error) {
      // A disk that cannot be read is not a damaged checkpoint.
      if (!(error instanceof CairnError) || error.code === 'CAIRN_STORAGE') throw error;
      return false;
    }
    this.#whole.add(path);
    return true;
  }
}
