// Recovery of a segment index over a bare log, without a store.

import { recoverWithWal, type Recovery } from '../recovery/index.js';
import type { Directory } from '../storage/index.js';
import { walEntryCodec, type ReplayMode } from '../wal/index.js';
import { crateCheckpointCodec, restoreItem, segmentIndexItemCodec, toCheckpointState } from './checkpoint-state.js';
import type { SegmentIndexItem } from './checkpoint-state.js';
import { SegmentIndex } from './segment-index.js';

export interface RecoveryManagerOptions {
  /** Recover the index after this entry instead of after the last one. */
  readonly upTo?: number | undefined;
}

/**
 * Recovers a {@link SegmentIndex} from its log and checkpoints, of this library or of the crate. Changes nothing.
 *
 * @example
 * const { state, report } = await new RecoveryManager(directory).recoverLatestBestEffort();
 * for (const [transactionId, { segmentIds }] of state.merges) wal.append({ type: 'CancelMerge', transactionId, segmentIds });
 */
export class RecoveryManager {
  readonly #directory: Directory;

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  /** From the given checkpoint. `TornTailError` if the log ends in an interrupted write. */
  recover(checkpointPath: string, options?: RecoveryManagerOptions): Promise<Recovery<SegmentIndex>> {
    return this.#recover('strict', options, checkpointPath);
  }

  /** From the given checkpoint, up to an interrupted write at the end of the log. */
  recoverBestEffort(checkpointPath: string, options?: RecoveryManagerOptions): Promise<Recovery<SegmentIndex>> {
    return this.#recover('bestEffort', options, checkpointPath);
  }

  /** From the newest usable checkpoint, or from the log alone. */
  recoverLatest(options?: RecoveryManagerOptions): Promise<Recovery<SegmentIndex>> {
    return this.#recover('strict', options);
  }

  /** From the newest usable checkpoint, or from the log alone, up to an interrupted write at its end. */
  recoverLatestBestEffort(options?: RecoveryManagerOptions): Promise<Recovery<SegmentIndex>> {
    return this.#recover('bestEffort', options);
  }

  /** The index as items for `CheckpointPublisher.publish`, with `segmentIndexItemCodec`. */
  toCheckpointState(index: SegmentIndex): Iterable<SegmentIndexItem> {
    return toCheckpointState(index);
  }

  #recover(
    mode: ReplayMode,
    options: RecoveryManagerOptions = {},
    checkpointPath?: string,
  ): Promise<Recovery<SegmentIndex>> {
    return recoverWithWal(this.#directory, {
      walCodec: walEntryCodec,
      checkpointCodec: segmentIndexItemCodec,
      crateCodec: crateCheckpointCodec,
      init: () => new SegmentIndex(),
      restore: restoreItem,
      apply: (index, { entry }) => {
        index.apply(entry);
        return index;
      },
      mode,
      upTo: options.upTo,
      ...(checkpointPath === undefined ? {} : { checkpointPath }),
    });
  }
}
