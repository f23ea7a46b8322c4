// cairnlog/segment-index: the state that a log of WalEntry values amounts to, its checkpoints, and its recovery.

export { SegmentIndex, type IndexSegment, type MergeInFlight } from './segment-index.js';
export {
  crateCheckpointCodec,
  restoreItem,
  segmentIndexItemCodec,
  toCheckpointState,
  type SegmentIndexItem,
} from './checkpoint-state.js';
export { RecoveryManager, type RecoveryManagerOptions } from './recovery-manager.js';
