// The life of the index segments: postings go into files, everything else goes through the SegmentManager into a store.
// Three rules make both together survive any crash:
//
//   1. A postings file is durable before its segment is added, or the merge that makes it is ended.
//   2. A searcher sees only what the store has committed: it is reopened by a subscription to `segments$`.
//   3. The postings files of merged segments are removed only after the end of the merge is durable.
//
// So whatever moment a crash picks, every segment of the store has its file, and what may be left over are files that
// no segment speaks of: removeOrphans() finds those.

import {
  CorruptionError,
  IndexSegments,
  openStore,
  SegmentManager,
  type Directory,
  type EventStore,
  type LiveSegment,
  type Merge,
  type StoreRecovery,
} from 'cairnlog';
import { makeDirectoryDurable } from 'cairnlog/storage';
import { Addresses } from './addresses.js';
import type { Document } from './documents.js';
import { buildPostings, mergePostings, type Postings } from './postings.js';
import * as files from './postings-file.js';
import { Searcher } from './searcher.js';

/** Tiny, so that this small log has several files and truncation has something to remove. The default is 10 MiB. */
const WAL_SEGMENT_BYTES = 1024;

/** A merge under way, with the contents of the segment that it makes. */
export interface MergeJob extends Merge {
  readonly postings: Postings;
  /** Whether the postings are in their file. */
  isWritten: boolean;
}

export class Indexer {
  /** Always open on what is committed. */
  readonly searcher: Searcher;

  readonly #directory: Directory;
  readonly #store: EventStore;
  readonly #segments: SegmentManager;
  readonly #postings: Map<number, Postings>;
  readonly #addresses = new Addresses();
  #lastTurn: Promise<unknown> = Promise.resolve();

  private constructor(
    directory: Directory,
    store: EventStore,
    segments: SegmentManager,
    postings: Map<number, Postings>,
  ) {
    this.#directory = directory;
    this.#store = store;
    this.#segments = segments;
    this.#postings = postings;
    this.searcher = new Searcher((segmentId) => this.#postings.get(segmentId)!);
    // Now, and from here on whenever segments have changed.
    segments.segments$.subscribe({
      next: (current) => this.searcher.reopen(current),
      // The store cannot write any more: whoever changes something is told. What is committed can still be searched.
      error: () => undefined,
    });
    for (const segment of segments.segments.values()) this.#addresses.note(segment, this.#postings);
  }

  /** Opens the index, or begins one. */
  static async open(directory: Directory): Promise<Indexer> {
    await makeDirectoryDurable(directory, files.POSTINGS_FOLDER);
    // Other aggregates could live in the same store, and would be recovered to the same position.
    const store = await openStore({
      dir: directory,
      aggregates: [IndexSegments],
      files: { segmentBytes: WAL_SEGMENT_BYTES },
    });
    try {
      const segments = await SegmentManager.open(store, {
        // Files that a crash left behind may have ids that the store has never heard of.
        nextSegmentId: 1 + (await files.highestSegmentId(directory)),
      });
      const postings = new Map<number, Postings>();
      for (const segment of segments.segments.values())
        postings.set(segment.segmentId, await readPostingsOf(directory, segment));
      return new Indexer(directory, store, segments, postings);
    } catch (error) {
      // What went wrong first is what matters.
      await store.close().catch(() => undefined);
      throw error;
    }
  }

  /** How the store was recovered when it was opened. */
  get recovery(): StoreRecovery {
    return this.#store.recovery;
  }

  /** The segments there are. */
  get segments(): ReadonlyMap<number, LiveSegment> {
    return this.#segments.segments;
  }

  /** Merges that a crash has interrupted. */
  get interruptedMerges(): readonly Merge[] {
    return this.#segments.interruptedMerges;
  }

  /** Adds documents as one new segment. A document whose path is there already takes its place. */
  async add(documents: readonly Document[]): Promise<void> {
    const segmentId = this.#segments.nextSegmentId();
    const postings = buildPostings(documents);
    await files.writePostings(this.#directory, segmentId, postings);
    await this.#inTurn(async () => {
      // In reach before the segment is: the searcher opens it in the moment it is committed.
      this.#postings.set(segmentId, postings);
      // In one step: after a crash there are all of the new documents and none of the old ones, or the other way round.
      const deletes = this.#addresses.of(documents.map(({ path }) => path));
      await this.#segments.addSegment({ segmentId, docCount: documents.length, deletes });
      this.#addresses.note(this.segments.get(segmentId)!, this.#postings);
    });
  }

  /** Deletes documents. Resolves to the paths of those that were there. */
  remove(paths: readonly string[]): Promise<string[]> {
    return this.#inTurn(async () => {
      const known = paths.filter((path) => this.#addresses.has(path));
      await this.#segments.deleteDocuments(this.#addresses.of(known));
      this.#addresses.forget(known);
      return known;
    });
  }

  /** Begins to merge the `count` segments with the fewest live documents. Changes may go on meanwhile. */
  async startMerge(count: number): Promise<MergeJob> {
    const taken = new Set(
      [...this.#segments.merges.values()].flatMap(({ sources }) => sources.map(({ segmentId }) => segmentId)),
    );
    const chosen = [...this.segments.values()]
      .filter(({ segmentId }) => !taken.has(segmentId))
      .sort((a, b) => a.liveDocs - b.liveDocs || a.segmentId - b.segmentId)
      .slice(0, count);
    const merge = await this.#segments.startMerge(chosen.map(({ segmentId }) => segmentId));
    // What is alive in the sources as the merge has them, not as they have become since: what is deleted from here on
    // is carried over when the merge ends.
    const postings = mergePostings(
      merge.sources.map(({ segmentId, deletedDocs }) => ({ postings: this.#postings.get(segmentId)!, deletedDocs })),
    );
    return { ...merge, postings, isWritten: false };
  }

  /** Writes the postings of the merged segment, which nobody sees before endMerge(). */
  async writeMerged(merge: MergeJob): Promise<void> {
    await files.writePostings(this.#directory, merge.newSegmentId, merge.postings);
    merge.isWritten = true;
  }

  /** Puts the merged segment in the place of the old ones. Resolves to the number of deletes that came meanwhile. */
  endMerge(merge: MergeJob): Promise<number> {
    return this.#inTurn(async () => {
      if (!merge.isWritten) throw new Error('writeMerged() comes before endMerge(): see rule 1');
      this.#postings.set(merge.newSegmentId, merge.postings);
      const { carriedDeletes } = await this.#segments.endMerge(merge.transactionId);
      this.#addresses.note(this.segments.get(merge.newSegmentId)!, this.#postings);
      for (const { segmentId } of merge.sources) {
        this.#postings.delete(segmentId);
        await files.removePostings(this.#directory, segmentId);
      }
      return carriedDeletes;
    });
  }

  /** Cancels the merges that a crash has interrupted. Resolves to their transactions. */
  async cancelMerges(): Promise<number[]> {
    const cancelled = this.interruptedMerges.map(({ transactionId }) => transactionId);
    for (const transactionId of cancelled) await this.#segments.cancelMerge(transactionId);
    return cancelled;
  }

  /** Removes postings files that no segment speaks of. Right after opening only: later it could be one being written. */
  removeOrphans(): Promise<string[]> {
    return files.removePostingsExcept(this.#directory, this.segments);
  }

  /** Writes a checkpoint and removes the part of the log that is not needed any more. Changes may go on meanwhile. */
  checkpoint(): ReturnType<SegmentManager['checkpoint']> {
    return this.#segments.checkpoint();
  }

  async close(): Promise<void> {
    await this.#lastTurn;
    await this.#store.close();
  }

  /**
   * Changes that go by addresses run one after the other. Without that, a document could be looked up in a segment that
   * is just being replaced: its delete would be refused with UnknownSegmentError, and would have to be tried again.
   */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(change);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }
}

async function readPostingsOf(directory: Directory, { segmentId, docCount }: LiveSegment): Promise<Postings> {
  const postings = await files.readPostings(directory, segmentId);
  if (postings.documents.length !== docCount)
    throw new CorruptionError(
      `Segment ${segmentId} has ${docCount} documents by the store and ${postings.documents.length} in its file`,
    );
  return postings;
}
