// cairnlog/checkpoint: checkpoint files, and publishing them.

export {
  CheckpointFile,
  type CheckpointInfo,
  type CheckpointReadOptions,
  type CheckpointWriteOptions,
} from './checkpoint-file.js';
export { checkpointPath, listCheckpoints, type ListedCheckpoint } from './checkpoint-folder.js';
export { CheckpointPublisher, type CheckpointPublisherOptions, type PublishResult } from './checkpoint-publisher.js';
