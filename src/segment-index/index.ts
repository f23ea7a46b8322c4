// cairnlog/segment-index: the segments of a search index, as a part of a store, or recovered from a log of their own.

export { SegmentIndex, type IndexSegment, type MergeInFlight } from './segment-index.js';
export {
  crateCheckpointCodec,
  restoreItem,
  segmentIndexItemCodec,
  toCheckpointState,
  type SegmentIndexItem,
} from './checkpoint-state.js';
export { RecoveryManager, type RecoveryManagerOptions } from './recovery-manager.js';
export {
  SegmentManager,
  segmentsOf,
  type ChangeOptions,
  type LiveSegment,
  type Merge,
  type NewSegment,
  type SegmentChange,
  type SegmentManagerOptions,
} from './segment-manager.js';
export {
  IndexSegments,
  type EndedMerge,
  type IndexEvent,
  type IndexSegmentsState,
  type Remap,
} from './index-segments.js';
export type { DocSet } from './doc-set.js';
export {
  SegmentIdUsedError,
  SegmentInMergeError,
  UnknownDocumentError,
  UnknownMergeError,
  UnknownSegmentError,
} from './segment-errors.js';
