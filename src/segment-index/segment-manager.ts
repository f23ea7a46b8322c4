// The segments of a search index in a store: changes go in as commands, committed segments come out. A client of the
// store like any other: what it knows it has from `execute`, `load` and `changes`, so the index is recovered,
// checkpointed and truncated with everything else that the store holds, at one position.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { EventStore, ExecuteOptions, Loaded, Observable } from '../store/index.js';
import { latestOf, type Latest } from '../store/observables.js';
import type { DocAddress } from '../wal/index.js';
import { DocSet } from './doc-set.js';
import {
  concatenated,
  IndexSegments,
  lastUsedId,
  type EndedMerge,
  type IndexSegmentsState,
  type MergeState,
  type Remap,
  type SegmentState,
  type SourceState,
} from './index-segments.js';

/** An index segment, as of one version of the index. The same object as long as nothing of it changes. */
export interface LiveSegment {
  readonly segmentId: number;
  /** Documents in the segment, deleted ones included: their numbers are 0 to `docCount - 1`. */
  readonly docCount: number;
  /** Documents that are not deleted. */
  readonly liveDocs: number;
  readonly deletedDocs: DocSet;
}

/** A merge in flight. */
export interface Merge {
  /** Names the merge; also the id that the merged segment will have, so that its files can be named before it ends. */
  readonly transactionId: number;
  /** The same as `transactionId`. */
  readonly newSegmentId: number;
  /** What is merged, as it was when the merge began: documents that were not deleted then go into the merged segment. */
  readonly sources: readonly LiveSegment[];
  /** Documents of the merged segment. */
  readonly docCount: number;
  /**
   * The number that a document of a source has in the merged segment, where those of the first source come first, then
   * those of the next, each in order. Throws `InvalidArgumentError` for one that does not go there.
   */
  newDocId(segmentId: number, docId: number): number;
}

export interface SegmentManagerOptions {
  /** Name of the index, where a store holds several. Default `main`. */
  readonly id?: string | undefined;
  /**
   * Ids below this are not given out by `nextSegmentId`. For files that were written for a segment which a crash kept
   * from being added: 1 + the highest id that any file is named after.
   */
  readonly nextSegmentId?: number | undefined;
}

/** What a change may be told besides what it changes. */
export type ChangeOptions = Pick<ExecuteOptions, 'durability' | 'metadata'>;

export interface NewSegment {
  /** Default: a new one. */
  readonly segmentId?: number | undefined;
  /** How many documents it has, 0 to 2^32-1. */
  readonly docCount: number;
  /** Documents of other segments that these replace: deleted in the same instant, or nothing is done. */
  readonly deletes?: readonly DocAddress[] | undefined;
}

/** Where a change is in the store. */
export interface SegmentChange {
  /** Position of its last entry. */
  readonly position: number;
}

/**
 * Manages the segments of a search index that lives in a store, next to its aggregates and with the same recovery point.
 *
 * Files of segments are the caller's. Three rules make them survive any crash: write a segment's files, durable, before
 * you add it or end its merge; remove those of merged segments after `endMerge` has resolved; after a restart remove
 * those that neither `segments` nor `merges` speak of.
 *
 * @example
 * const store = await openStore({ dir: './data', aggregates: [IndexSegments] });
 * const index = await SegmentManager.open(store);
 * index.segments$.subscribe((segments) => searcher.reopen(segments));
 * const segmentId = index.nextSegmentId();
 * await writePostings(segmentId, documents);
 * await index.addSegment({ segmentId, docCount: documents.length });
 * await index.deleteDocuments([[segmentId, 3]]);
 */
export class SegmentManager {
  readonly id: string;
  readonly #store: EventStore;
  readonly #latest: Latest<Loaded<IndexSegmentsState>>;
  /** Merges that were in flight when the index was opened. */
  readonly #foundInFlight: ReadonlySet<number>;
  #nextId: number;

  private constructor(
    store: EventStore,
    id: string,
    latest: Latest<Loaded<IndexSegmentsState>>,
    nextSegmentId: number,
  ) {
    this.#store = store;
    this.id = id;
    this.#latest = latest;
    this.#foundInFlight = new Set(this.merges.keys());
    this.#nextId = nextSegmentId;
  }

  /**
   * Opens an index of a store, or begins one. Rejects with `InvalidArgumentError` if the store does not know
   * {@link IndexSegments}.
   */
  static async open(store: EventStore, options: SegmentManagerOptions = {}): Promise<SegmentManager> {
    const { id = 'main', nextSegmentId = 1 } = options;
    if (!Number.isSafeInteger(nextSegmentId) || nextSegmentId < 0)
      throw new InvalidArgumentError(`nextSegmentId must be an integer from 0, got ${shown(nextSegmentId)}`);
    const changes = store.changes(IndexSegments, id);
    // Nothing is committed between the two: load reads in the tick of its call.
    const loading = store.load(IndexSegments, id);
    const followed = latestOf<Loaded<IndexSegmentsState> | undefined>(changes as never, undefined);
    const first = (await loading) as Loaded<IndexSegmentsState>;
    const latest: Latest<Loaded<IndexSegmentsState>> = {
      get value() {
        return followed.value ?? first;
      },
      select: (pick) => followed.select((value) => pick(value ?? first)),
    };
    return new SegmentManager(store, id, latest, nextSegmentId);
  }

  /** The committed segments by id, ascending. The same object as long as no segment changes. */
  get segments(): ReadonlyMap<number, LiveSegment> {
    return segmentsOf(this.#latest.value.state);
  }

  /**
   * The committed segments now, and whenever they change; what is added and deleted together is seen together.
   * Segments that did not change are the same objects as before. Completes when the store is closed.
   *
   * @example index.segments$.subscribe((segments) => searcher.reopen(segments));
   */
  get segments$(): Observable<ReadonlyMap<number, LiveSegment>> {
    return this.#latest.select(({ state }) => segmentsOf(state));
  }

  /** Merges in flight by transaction id. */
  get merges(): ReadonlyMap<number, Merge> {
    return mergesOf(this.#latest.value.state);
  }

  /**
   * Merges that were in flight when the index was opened, and still are: what a crash has interrupted. Write the merged
   * segment and `endMerge`, or `cancelMerge`; until then their segments cannot be merged again.
   *
   * @example for (const { transactionId } of index.interruptedMerges) await index.cancelMerge(transactionId);
   */
  get interruptedMerges(): readonly Merge[] {
    return [...this.merges.values()].filter(({ transactionId }) => this.#foundInFlight.has(transactionId));
  }

  /**
   * A new id, for naming files before the segment is added. Above every id that the index ever had, also those of
   * segments that are gone, and never the same twice. An id that was given out and not used before the process died is
   * not in the log: see {@link SegmentManagerOptions.nextSegmentId}.
   *
   * @example const segmentId = index.nextSegmentId(); // name files after it, then addSegment({ segmentId, ... })
   */
  nextSegmentId(): number {
    const next = Math.max(this.#nextId, lastUsedId(this.#latest.value.state) + 1);
    if (!Number.isSafeInteger(next)) throw new InvalidArgumentError('There is no segment id left below 2^53');
    this.#nextId = next + 1;
    return next;
  }

  /**
   * Adds a segment. Resolves once that is as durable as asked.
   *
   * Rejects with `SegmentIdUsedError` for an id that was used before; with `UnknownSegmentError` and
   * `UnknownDocumentError` for deletes that name what is not there. Then nothing was added or deleted.
   *
   * @example await index.addSegment({ docCount: 1, deletes: [[1, 8]] }); // an update: the new version for the old
   */
  async addSegment(
    segment: NewSegment,
    options: ChangeOptions = {},
  ): Promise<SegmentChange & { readonly segmentId: number; readonly deleted: number }> {
    const { docCount, deletes = [], segmentId = this.nextSegmentId() } = segment;
    // Before it is committed already: another one must not be given this id meanwhile.
    if (Number.isSafeInteger(segmentId)) this.#nextId = Math.max(this.#nextId, segmentId + 1);
    const { position, result } = await this.#store.execute(
      IndexSegments,
      this.id,
      (index) => index.addSegment(segmentId, docCount, deletes),
      options,
    );
    return { segmentId, deleted: result, position };
  }

  /**
   * Deletes documents, all of them or, where one is not there, none. Those that are deleted already are passed over.
   * Resolves to how many were not. Documents of segments that are being merged can be deleted: the merged segment takes
   * over those deletes when the merge ends.
   *
   * Rejects with `UnknownSegmentError`, also when a merge has replaced the segment meanwhile: look the document up in
   * the segments there are now. Rejects with `UnknownDocumentError` for a number that the segment does not have.
   *
   * @example const { deleted } = await index.deleteDocuments([[1, 7], [2, 0]]);
   */
  async deleteDocuments(
    deletes: readonly DocAddress[],
    options: ChangeOptions = {},
  ): Promise<SegmentChange & { readonly deleted: number }> {
    const { position, result } = await this.#store.execute(
      IndexSegments,
      this.id,
      (index) => index.deleteDocuments(deletes),
      options,
    );
    return { deleted: result, position };
  }

  /**
   * Begins a merge of segments; searches, deletes and other merges go on. Write the documents that are alive in
   * `sources` (as they are there, not as they have become since) as segment `newSegmentId`, then call `endMerge`.
   *
   * Rejects with `UnknownSegmentError`, with `SegmentInMergeError` for a segment that is in another merge, with
   * `InvalidArgumentError` for none at all.
   *
   * @example
   * const merge = await index.startMerge([1, 2]);
   * await writeMerged(merge.newSegmentId, merge.sources);
   * await index.endMerge(merge.transactionId);
   */
  async startMerge(segmentIds: readonly number[], options: ChangeOptions = {}): Promise<Merge & SegmentChange> {
    const transactionId = this.nextSegmentId();
    const { position, result } = await this.#store.execute(
      IndexSegments,
      this.id,
      (index) => {
        index.startMerge(transactionId, segmentIds);
        return index.state.merges[transactionId]!;
      },
      options,
    );
    return { ...mergeOf(transactionId, result), position };
  }

  /**
   * Puts the merged segment in the place of its sources. Documents that were deleted since the merge began are deleted
   * in the merged segment: the numbers they have there are those of {@link Merge.newDocId}, or what `remap` says, which
   * is called for each of them, at once, and must not give a number twice.
   *
   * Rejects with `UnknownMergeError` if it is not in flight, with `InvalidArgumentError` for what `remap` cannot mean.
   *
   * @example const { carriedDeletes } = await index.endMerge(merge.transactionId);
   */
  async endMerge(
    transactionId: number,
    options: ChangeOptions & { readonly remap?: Remap | undefined } = {},
  ): Promise<SegmentChange & EndedMerge> {
    const { remap, ...rest } = options;
    const { position, result } = await this.#store.execute(
      IndexSegments,
      this.id,
      (index) => index.endMerge(transactionId, remap),
      rest,
    );
    return { ...result, position };
  }

  /**
   * Gives a merge up. Deletes that came meanwhile stay. Rejects with `UnknownMergeError` if it is not in flight.
   *
   * @example await index.cancelMerge(merge.transactionId);
   */
  async cancelMerge(transactionId: number, options: ChangeOptions = {}): Promise<SegmentChange> {
    const { position } = await this.#store.execute(
      IndexSegments,
      this.id,
      (index) => index.cancelMerge(transactionId),
      options,
    );
    return { position };
  }

  /**
   * Takes a checkpoint of the store, the index in it, and truncates what checkpoints cover.
   *
   * @example const { position, truncation } = await index.checkpoint();
   */
  checkpoint(): ReturnType<EventStore['checkpoint']> {
    return this.#store.checkpoint();
  }
}

const shownSegments = new WeakMap<object, LiveSegment>();
const shownMaps = new WeakMap<object, ReadonlyMap<number, LiveSegment>>();

type Shown<S> = { readonly [K in keyof S]: S[K] };

/**
 * The segments of an index in a state of {@link IndexSegments}, for states that come from elsewhere.
 *
 * @example const before = segmentsOf((await store.at(1000)).load(IndexSegments, 'main').state);
 */
export function segmentsOf(state: {
  readonly segments: Readonly<Record<string, Shown<SegmentState>>>;
}): ReadonlyMap<number, LiveSegment> {
  const { segments } = state;
  let map = shownMaps.get(segments);
  if (map === undefined) {
    map = new Map(
      Object.keys(segments)
        .map(Number)
        .sort((a, b) => a - b)
        .map((segmentId) => [segmentId, asShown(segmentId, segments[segmentId]!)]),
    );
    shownMaps.set(segments, map);
  }
  return map;
}

function mergesOf({ merges }: { readonly merges: Readonly<Record<string, MergeState>> }): Map<number, Merge> {
  return new Map(
    Object.keys(merges)
      .map(Number)
      .sort((a, b) => a - b)
      .map((transactionId) => [transactionId, mergeOf(transactionId, merges[transactionId]!)]),
  );
}

function mergeOf(transactionId: number, { sources }: { readonly sources: readonly Shown<SourceState>[] }): Merge {
  const live = sources.map((source) => asShown(source.segmentId, source));
  let remap: Remap | undefined;
  return {
    transactionId,
    newSegmentId: transactionId,
    sources: live,
    docCount: live.reduce((sum, { liveDocs }) => sum + liveDocs, 0),
    newDocId(segmentId, docId) {
      const source = live.find((segment) => segment.segmentId === segmentId);
      if (source === undefined || !(docId >= 0 && docId < source.docCount) || source.deletedDocs.has(docId))
        throw new InvalidArgumentError(
          `Document ${shown(docId)} of index segment ${shown(segmentId)} does not go into merge ${transactionId}: ` +
            'it is not there, or was deleted when the merge began',
        );
      return (remap ??= concatenated(sources))(segmentId, docId);
    },
  };
}

function asShown(segmentId: number, state: Shown<SegmentState>): LiveSegment {
  let segment = shownSegments.get(state);
  if (segment === undefined) {
    const { docCount, deleted, deletedCount } = state;
    const deletedDocs = new DocSet(deleted, deletedCount);
    segment = Object.freeze({ segmentId, docCount, liveDocs: docCount - deletedCount, deletedDocs });
    shownSegments.set(state, segment);
  }
  return segment;
}
