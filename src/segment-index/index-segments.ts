// The segments of a search index as an aggregate of a store: its events are the WalEntry vocabulary, its commands decide
// what may be said in it. The state is what `SegmentIndex` makes of the same entries, as plain data, and besides what is
// needed to carry deletes over a merge: which documents were deleted when it began.

import { defineAggregate, type CommandContext, type DefinedAggregate, type Event } from '../aggregate/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { DocAddress, WalEntry } from '../wal/index.js';
import { addDocs, DocSet, hasDoc, type DocChunks } from './doc-set.js';
import {
  SegmentIdUsedError,
  SegmentInMergeError,
  UnknownDocumentError,
  UnknownMergeError,
  UnknownSegmentError,
} from './segment-errors.js';

type WalType = Exclude<WalEntry['type'], 'Checkpoint'>;
type DataOf<T extends WalType> = Omit<Extract<WalEntry, { readonly type: T }>, 'type'>;
/** The vocabulary as events: `{ type, data }` with the other fields of the WalEntry as data. */
export type IndexEvent = { readonly [T in WalType]: Event<T, DataOf<T>> }[WalType];

/** As it is checkpointed. */
export interface SegmentState {
  /** Documents in the segment, deleted ones included. */
  docCount: number;
  deleted: DocChunks;
  deletedCount: number;
}

/** A source of a merge, as it was when the merge began. */
export interface SourceState extends SegmentState {
  segmentId: number;
}

/** A merge in flight; its sources in the order in which their documents are numbered anew. */
export interface MergeState {
  sources: readonly SourceState[];
}

export interface IndexSegmentsState {
  /** By segment id. */
  segments: Record<string, SegmentState>;
  /** By transaction id. */
  merges: Record<string, MergeState>;
  /** Ids that segments and merges ever had, as ranges, both ends included, ascending. */
  usedIds: [first: number, last: number][];
}

/** Where a merge that numbers documents in its own way has put one. */
export type Remap = (segmentId: number, docId: number) => number;

export type IndexCommands = {
  readonly addSegment: (segmentId: number, docCount: number, deletes: readonly DocAddress[]) => number;
  readonly startMerge: (transactionId: number, segmentIds: readonly number[]) => void;
  readonly endMerge: (transactionId: number, remap: Remap | undefined) => EndedMerge;
  readonly cancelMerge: (transactionId: number) => void;
  readonly deleteDocuments: (deletes: readonly DocAddress[]) => number;
};

/** What a merge came to. */
export interface EndedMerge {
  /** Id of the merged segment. */
  readonly segmentId: number;
  /** Documents in it, those deleted while the merge ran included. */
  readonly docCount: number;
  /** Documents that were deleted while the merge ran: they are in the merged segment, and deleted there. */
  readonly carriedDeletes: number;
}

const MAX_U32 = 0xffff_ffff;

/**
 * The aggregate behind `SegmentManager`: name it in `openStore({ aggregates })` of a store that holds an index.
 *
 * @example const store = await openStore({ dir: './data', aggregates: [Account, IndexSegments] });
 */
export const IndexSegments: DefinedAggregate<IndexSegmentsState, IndexEvent, IndexCommands> = defineAggregate(
  'segments',
  {
    version: 1,
    initial: { segments: {}, merges: {}, usedIds: [] } as IndexSegmentsState,
    // Total, as SegmentIndex.apply is: what does not fit is passed over, because what is in a log cannot be refused.
    reduce: {
      AddSegment: (state: IndexSegmentsState, { data }: Event<'AddSegment', DataOf<'AddSegment'>>) => {
        state.segments[data.segmentId] = { docCount: data.docCount, deleted: [], deletedCount: 0 };
        use(state.usedIds, data.segmentId);
      },
      DeleteDocuments: (state: IndexSegmentsState, { data }: Event<'DeleteDocuments', DataOf<'DeleteDocuments'>>) => {
        for (const [segmentId, docIds] of bySegment(data.deletes)) {
          const segment = state.segments[segmentId];
          if (segment !== undefined) remove(segment, docIds);
        }
      },
      StartMerge: (state: IndexSegmentsState, { data }: Event<'StartMerge', DataOf<'StartMerge'>>) => {
        const sources = [...new Set(data.segmentIds)].flatMap((segmentId) => {
          const segment = state.segments[segmentId];
          return segment === undefined ? [] : [{ segmentId, ...segment, deleted: [...segment.deleted] }];
        });
        state.merges[data.transactionId] = { sources };
        use(state.usedIds, data.transactionId);
      },
      CancelMerge: (state: IndexSegmentsState, { data }: Event<'CancelMerge', DataOf<'CancelMerge'>>) => {
        delete state.merges[data.transactionId];
      },
      EndMerge: (state: IndexSegmentsState, { data }: Event<'EndMerge', DataOf<'EndMerge'>>) => {
        const { transactionId, newSegmentId, oldSegmentIds, remappedDeletes } = data;
        const deleted = bySegment(remappedDeletes).get(newSegmentId) ?? [];
        const merge = state.merges[transactionId];
        const merged: SegmentState = { docCount: 0, deleted: [], deletedCount: 0 };
        // Without a StartMerge that counted them, what was deleted meanwhile is added to what is alive now.
        merged.docCount =
          merge === undefined
            ? liveDocs(oldSegmentIds.map((id) => state.segments[id])) + new Set(deleted).size
            : liveDocs(merge.sources);
        for (const segmentId of oldSegmentIds) delete state.segments[segmentId];
        delete state.merges[transactionId];
        remove(merged, deleted);
        state.segments[newSegmentId] = merged;
        use(state.usedIds, newSegmentId);
      },
    },
    commands: (index: CommandContext<IndexSegmentsState, IndexEvent>): IndexCommands => ({
      addSegment(segmentId, docCount, deletes) {
        checkId(segmentId, 'segmentId');
        if (!Number.isInteger(docCount) || docCount < 0 || docCount > MAX_U32 || Object.is(docCount, -0))
          throw new InvalidArgumentError(`docCount must be an integer from 0 to 2^32-1, got ${shown(docCount)}`);
        if (isUsed(index.state.usedIds, segmentId)) throw new SegmentIdUsedError(segmentId);
        index.emit('AddSegment', { segmentId, docCount });
        return emitDeletes(index, deletes);
      },

      startMerge(transactionId, segmentIds) {
        checkId(transactionId, 'transactionId');
        if (!Array.isArray(segmentIds) || segmentIds.length === 0)
          throw new InvalidArgumentError('A merge needs at least one index segment');
        if (isUsed(index.state.usedIds, transactionId)) throw new SegmentIdUsedError(transactionId);
        const { segments, merges } = index.state;
        for (const segmentId of segmentIds as number[]) {
          checkId(segmentId, 'segmentId');
          if (segments[segmentId] === undefined) throw unknown(index.state, segmentId);
          for (const [other, { sources }] of Object.entries(merges))
            if (sources.some((source) => source.segmentId === segmentId))
              throw new SegmentInMergeError(segmentId, Number(other));
        }
        if (new Set(segmentIds).size < segmentIds.length)
          throw new InvalidArgumentError(`An index segment is named twice in the merge of ${segmentIds.join(', ')}`);
        const live = liveDocs(segmentIds.map((id) => segments[id]));
        if (live > MAX_U32)
          throw new InvalidArgumentError(
            `The merged segment would have ${live} documents, at most 2^32-1 are possible`,
          );
        index.emit('StartMerge', { transactionId, segmentIds });
      },

      endMerge(transactionId, remap) {
        const { segments } = index.state;
        const { sources } = mergeOf(index.state, transactionId);
        const docCount = liveDocs(sources);
        const carried = carriedDeletes(sources, segments, remap ?? concatenated(sources));
        for (const docId of carried)
          if (!Number.isInteger(docId) || docId < 0 || docId >= docCount)
            throw new InvalidArgumentError(
              `remap must give a number from 0 to ${docCount - 1} for every document that was alive when the merge ` +
                `began, got ${shown(docId)}; without one, its delete would be lost`,
            );
        if (new Set(carried).size < carried.length)
          throw new InvalidArgumentError('remap gave the same number to two documents; a delete would be lost');
        const oldSegmentIds = sources.map(({ segmentId }) => segmentId);
        const remappedDeletes = carried.sort((a, b) => a - b).map((docId): DocAddress => [transactionId, docId]);
        index.emit('EndMerge', { transactionId, newSegmentId: transactionId, oldSegmentIds, remappedDeletes });
        return { segmentId: transactionId, docCount, carriedDeletes: carried.length };
      },

      cancelMerge(transactionId) {
        const { sources } = mergeOf(index.state, transactionId);
        index.emit('CancelMerge', { transactionId, segmentIds: sources.map(({ segmentId }) => segmentId) });
      },

      deleteDocuments: (deletes) => emitDeletes(index, deletes),
    }),
  },
);

/** Says which documents are deleted, those only that were not. All of them or, if one cannot be, none. */
function emitDeletes(index: CommandContext<IndexSegmentsState, IndexEvent>, addresses: readonly DocAddress[]): number {
  if (!Array.isArray(addresses)) throw new InvalidArgumentError('deletes must be a list of [segmentId, docId]');
  const { state } = index;
  for (const address of addresses as unknown[]) {
    if (!Array.isArray(address) || address.length !== 2)
      throw new InvalidArgumentError('Each of deletes must be [segmentId, docId]');
    const [segmentId, docId] = address as [number, number];
    checkId(segmentId, 'segmentId');
    checkId(docId, 'docId');
    const segment = state.segments[segmentId];
    if (segment === undefined) throw unknown(state, segmentId);
    if (docId >= segment.docCount) throw new UnknownDocumentError(segmentId, docId, segment.docCount);
  }
  const deletes = [...bySegment(addresses)]
    .sort(([a], [b]) => a - b)
    .flatMap(([segmentId, docIds]) =>
      [...new Set(docIds)]
        .filter((docId) => !hasDoc(state.segments[segmentId]!.deleted, docId))
        .sort((a, b) => a - b)
        .map((docId): DocAddress => [segmentId, docId]),
    );
  if (deletes.length > 0) index.emit('DeleteDocuments', { deletes });
  return deletes.length;
}

/** New numbers of the documents that were alive when the merge began and are deleted now. */
function carriedDeletes(
  sources: readonly SourceState[],
  segments: Readonly<Record<string, SegmentState>>,
  remap: Remap,
): number[] {
  const carried: number[] = [];
  for (const { segmentId, deleted } of sources) {
    const now = segments[segmentId]!;
    for (const docId of new DocSet(now.deleted, now.deletedCount))
      if (!hasDoc(deleted, docId)) carried.push(remap(segmentId, docId));
  }
  return carried;
}

/**
 * How documents are numbered in a merged segment unless the merge says otherwise: those of the first source, then those
 * of the next, each in order, without what was deleted when it began.
 */
export function concatenated(sources: readonly SourceState[]): Remap {
  const starts = new Map<number, { readonly first: number; readonly deletedDocs: readonly number[] }>();
  let first = 0;
  for (const { segmentId, docCount, deleted, deletedCount } of sources) {
    starts.set(segmentId, { first, deletedDocs: [...new DocSet(deleted, deletedCount)] });
    first += docCount - deletedCount;
  }
  return (segmentId, docId) => {
    const { first: start, deletedDocs } = starts.get(segmentId)!;
    return start + docId - countBelow(deletedDocs, docId);
  };
}

function countBelow(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The highest id that was ever used; 0 if there is none. */
export function lastUsedId({ usedIds }: { readonly usedIds: readonly (readonly number[])[] }): number {
  return usedIds.at(-1)?.[1] ?? 0;
}

function mergeOf(state: { readonly merges: Readonly<Record<string, MergeState>> }, transactionId: number): MergeState {
  checkId(transactionId, 'transactionId');
  const merge = state.merges[transactionId];
  if (merge === undefined) throw new UnknownMergeError(transactionId);
  return merge;
}

function unknown(state: { readonly usedIds: readonly (readonly [number, number])[] }, id: number): UnknownSegmentError {
  return new UnknownSegmentError(id, isUsed(state.usedIds, id));
}

function liveDocs(segments: readonly (SegmentState | undefined)[]): number {
  let live = 0;
  for (const segment of new Set(segments)) live += segment === undefined ? 0 : segment.docCount - segment.deletedCount;
  return live;
}

/** For reducers only: changes the draft of a segment. */
function remove(segment: SegmentState, docIds: readonly number[]): void {
  const { docCount } = segment;
  segment.deletedCount += addDocs(
    segment.deleted as Uint8Array[],
    docIds.filter((docId) => docId < docCount),
  );
}

function bySegment(addresses: readonly DocAddress[]): Map<number, number[]> {
  const docIds = new Map<number, number[]>();
  for (const [segmentId, docId] of addresses) {
    const list = docIds.get(segmentId);
    if (list === undefined) docIds.set(segmentId, [docId]);
    else list.push(docId);
  }
  return docIds;
}

function isUsed(ranges: readonly (readonly [first: number, last: number])[], id: number): boolean {
  return ranges.some(([first, last]) => first <= id && id <= last);
}

/** Adds an id to the ranges, joining those that it connects. */
function use(ranges: [first: number, last: number][], id: number): void {
  const at = ranges.findIndex(([, last]) => last >= id - 1);
  const range = ranges[at];
  if (range === undefined) {
    ranges.push([id, id]);
  } else if (id < range[0] - 1) {
    ranges.splice(at, 0, [id, id]);
  } else {
    range[0] = Math.min(range[0], id);
    range[1] = Math.max(range[1], id);
    const next = ranges[at + 1];
    if (next !== undefined && next[0] === range[1] + 1) {
      range[1] = next[1];
      ranges.splice(at + 1, 1);
    }
  }
}

function checkId(value: unknown, name: string): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0 || Object.is(value, -0))
    throw new InvalidArgumentError(`${name} must be an integer from 0 to 2^53-1, got ${shown(value)}`);
}
