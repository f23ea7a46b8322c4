// The life of the index segments: everything here that has to do with the log. Three rules make it survive any crash:
//
//   1. A postings file is durable before the entry that makes its segment visible is appended.
//   2. An entry is durable before it is applied to the state that searches and later changes look at.
//   3. A postings file is removed only after the entry that makes its segment go away is durable.
//
// So whatever moment a crash picks, every segment that the log speaks of has its file, and what may be left over are
// files that no segment speaks of: removeOrphans() finds those.

import {
  CheckpointPublisher,
  CorruptionError,
  RecoveryManager,
  SegmentIndex,
  walEntryCodec,
  WalWriter,
  type Directory,
  type PublishResult,
  type Recovery,
  type RecoveryReport,
  type WalEntry,
} from 'cairnlog';
import { listCheckpoints } from 'cairnlog/checkpoint';
import {
  segmentIndexItemCodec,
  toCheckpointState,
  type MergeInFlight,
  type SegmentIndexItem,
} from 'cairnlog/segment-index';
import { makeDirectoryDurable } from 'cairnlog/storage';
import { Addresses } from './addresses.js';
import type { Document } from './documents.js';
import { Merge } from './merge.js';
import { buildPostings, type Postings, type SegmentView } from './postings.js';
import * as files from './postings-file.js';

/** Tiny, so that this small log has several files and truncation has something to remove. The default is 10 MiB. */
const WAL_SEGMENT_BYTES = 512;

export class Indexer {
  readonly wal: WalWriter<WalEntry>;
  /** How the index was recovered when it was opened. */
  readonly recovery: RecoveryReport;

  readonly #publisher: CheckpointPublisher<WalEntry, SegmentIndexItem>;
  readonly #state: SegmentIndex;
  readonly #postings: Map<number, Postings>;
  readonly #addresses = new Addresses();
  #nextSegmentId: number;
  #lastTurn: Promise<unknown> = Promise.resolve();

  private constructor(
    wal: WalWriter<WalEntry>,
    { state, report }: Recovery<SegmentIndex>,
    postings: Map<number, Postings>,
    nextSegmentId: number,
  ) {
    this.wal = wal;
    this.recovery = report;
    this.#state = state;
    this.#postings = postings;
    this.#nextSegmentId = nextSegmentId;
    this.#publisher = new CheckpointPublisher({ wal, codec: segmentIndexItemCodec });
    for (const segmentId of state.segments.keys()) this.#addresses.note(segmentId, this.#view(segmentId));
  }

  /** Opens the index, or begins one. */
  static async open(directory: Directory): Promise<Indexer> {
    await makeDirectoryDurable(directory, files.POSTINGS_FOLDER);
    // What checkpoints know of the log: with it, a log that lost entries is refused instead of written on.
    const newest = (await listCheckpoints(directory)).find(({ info }) => info !== undefined)?.info;
    // The writer first: it takes the lock, and cuts off what an interrupted write left at the end of the log.
    const wal = await WalWriter.open(directory, {
      codec: walEntryCodec,
      segmentBytes: WAL_SEGMENT_BYTES,
      ...(newest?.logId === undefined ? {} : { durableId: newest.lastAppliedId, logId: newest.logId }),
    });
    try {
      const recovery = await new RecoveryManager(directory).recoverLatestBestEffort();
      const postings = new Map<number, Postings>();
      for (const [segmentId, { docCount }] of recovery.state.segments)
        postings.set(segmentId, await readPostingsOf(directory, segmentId, docCount));
      return new Indexer(wal, recovery, postings, 1 + (await files.highestSegmentId(directory)));
    } catch (error) {
      // What went wrong first is what matters.
      await wal.close().catch(() => undefined);
      throw error;
    }
  }

  /** The segments as they are now, for the searcher. */
  get segments(): SegmentView[] {
    return [...this.#state.segments.keys()].map((segmentId) => this.#view(segmentId));
  }

  /** Merges that were begun and neither ended nor cancelled, by their transaction. */
  get merges(): ReadonlyMap<number, MergeInFlight> {
    return this.#state.merges;
  }

  /** Adds documents as one new segment. A document whose path is there already takes its place. */
  async add(documents: readonly Document[]): Promise<void> {
    const segmentId = this.#nextSegmentId++;
    const postings = buildPostings(documents);
    await files.writePostings(this.wal.directory, segmentId, postings);
    await this.#inTurn(async () => {
      const entries: WalEntry[] = [{ type: 'AddSegment', segmentId, docCount: documents.length }];
      const deletes = this.#addresses.of(documents.map(({ path }) => path));
      if (deletes.length > 0) entries.push({ type: 'DeleteDocuments', deletes });
      // One batch: after a crash there are all of the new documents and none of the old ones, or the other way round.
      await this.#commit(entries);
      this.#postings.set(segmentId, postings);
      this.#addresses.note(segmentId, this.#view(segmentId));
    });
  }

  /** Deletes documents. Resolves to the paths of those that were there. */
  remove(paths: readonly string[]): Promise<string[]> {
    return this.#inTurn(async () => {
      const known = paths.filter((path) => this.#addresses.has(path));
      if (known.length > 0) await this.#commit([{ type: 'DeleteDocuments', deletes: this.#addresses.of(known) }]);
      this.#addresses.forget(known);
      return known;
    });
  }

  /** Begins to merge the `count` segments with the fewest live documents. Changes may go on meanwhile. */
  startMerge(count: number): Promise<Merge> {
    return this.#inTurn(async () => {
      const taken = new Set([...this.#state.merges.values()].flatMap(({ segmentIds }) => segmentIds));
      const segmentIds = [...this.#state.segments.keys()]
        .filter((segmentId) => !taken.has(segmentId))
        .sort((a, b) => this.#state.liveDocs(a) - this.#state.liveDocs(b) || a - b)
        .slice(0, count);
      // A merge is named after the entry that starts it: ids of entries are never used twice.
      const transactionId = this.wal.nextEntryId;
      await this.#commit([{ type: 'StartMerge', transactionId, segmentIds }]);
      const sources = new Map(segmentIds.map((segmentId) => [segmentId, this.#view(segmentId)]));
      return new Merge(transactionId, this.#nextSegmentId++, sources);
    });
  }

  /** Writes the postings of the merged segment, which nobody sees before endMerge(). */
  async writeMerged(merge: Merge): Promise<void> {
    await files.writePostings(this.wal.directory, merge.newSegmentId, merge.postings);
    merge.isWritten = true;
  }

  /** Puts the merged segment in the place of the old ones. Resolves to the number of deletes that came meanwhile. */
  endMerge(merge: Merge): Promise<number> {
    return this.#inTurn(async () => {
      if (!merge.isWritten) throw new Error('writeMerged() comes before endMerge(): see rule 1');
      const end = merge.end((segmentId) => this.#view(segmentId).deletedDocs);
      await this.#commit([end]);
      this.#postings.set(merge.newSegmentId, merge.postings);
      this.#addresses.note(merge.newSegmentId, this.#view(merge.newSegmentId));
      for (const segmentId of merge.segmentIds) {
        this.#postings.delete(segmentId);
        await files.removePostings(this.wal.directory, segmentId);
      }
      return end.remappedDeletes.length;
    });
  }

  /** Cancels the merges that a crash has interrupted. Resolves to their transactions. */
  cancelMerges(): Promise<number[]> {
    return this.#inTurn(async () => {
      const entries = [...this.#state.merges].map(
        ([transactionId, { segmentIds }]) => ({ type: 'CancelMerge', transactionId, segmentIds }) as const,
      );
      await this.#commit(entries);
      return entries.map(({ transactionId }) => transactionId);
    });
  }

  /** Removes postings files that no segment speaks of. Right after opening only: later it could be one being written. */
  removeOrphans(): Promise<string[]> {
    return files.removePostingsExcept(this.wal.directory, this.#postings);
  }

  /** Writes a checkpoint and removes the part of the log that is not needed any more. Changes may go on meanwhile. */
  async checkpoint(): Promise<PublishResult> {
    // Copied in one turn, so that items and entry id belong together whatever happens while the file is written.
    const { items, lastEntryId } = await this.#inTurn(async () => ({
      items: [...toCheckpointState(this.#state)],
      lastEntryId: this.wal.lastEntryId,
    }));
    return this.#publisher.publish(items, lastEntryId);
  }

  async close(): Promise<void> {
    await this.#lastTurn;
    await this.wal.close();
  }

  /** Appends entries that are recovered all together or not at all; applies them once they are durable. */
  async #commit(entries: readonly WalEntry[]): Promise<void> {
    await this.wal.appendBatchDurable(entries);
    for (const entry of entries) this.#state.apply(entry);
  }

  /**
   * Changes run one after the other. Without that, a document could be deleted from a segment that is just being
   * replaced: the delete would name a segment that is gone by then, and the document would come back.
   */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(change);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  #view(segmentId: number): SegmentView {
    const { deletedDocs } = this.#state.segments.get(segmentId)!;
    return { postings: this.#postings.get(segmentId)!, deletedDocs };
  }
}

async function readPostingsOf(directory: Directory, segmentId: number, docCount: number): Promise<Postings> {
  const postings = await files.readPostings(directory, segmentId);
  if (postings.documents.length !== docCount)
    throw new CorruptionError(
      `Segment ${segmentId} has ${docCount} documents by the log and ${postings.documents.length} in its file`,
    );
  return postings;
}
