// Opening a log for writing and recovering its state, in the one order that is right after a crash: what checkpoints
// prove about the log is known before it is opened, and what recovery shows was made durable by opening.

import { CHECKPOINT_FOLDER } from '../checkpoint/checkpoint-folder.js';
import { listCheckpoints, type ListedCheckpoint } from '../checkpoint/index.js';
import type { Directory } from '../storage/index.js';
import { WalWriter, type WalWriterOptions } from '../wal/index.js';
import { walLayout } from '../wal/layout.js';
import { recoverWithWal, type RecoverOptions, type Recovery } from './recover.js';

export interface OpenWithRecoveryOptions<E, T, S> extends Omit<RecoverOptions<E, T, S>, 'upTo' | 'mode'> {
  /** How the log is written from now on. */
  readonly wal?: Omit<WalWriterOptions<E>, 'codec' | 'durableId' | 'logId'> | undefined;
}

/** Recovered state, and the writer that continues its log. */
export interface OpenedWithRecovery<E, S> extends Recovery<S> {
  readonly wal: WalWriter<E>;
}

/**
 * Opens the log and recovers the state from the newest usable checkpoint and the log after it. A log that is gone
 * altogether goes on behind its newest checkpoint, under its old id. `report.tornTail` is what
 * opening cut off. If recovery fails the writer is closed again; errors are those of `WalWriter.open` and
 * {@link recoverWithWal}.
 *
 * @example
 * const { wal, state, report } = await openWithRecovery(directory, { walCodec, checkpointCodec, init, restore, apply });
 */
export async function openWithRecovery<E, T, S>(
  directory: Directory,
  options: OpenWithRecoveryOptions<E, T, S>,
): Promise<OpenedWithRecovery<E, S>> {
  const { durableId, logId } = provenBy(await listCheckpoints(directory));
  const isGone = (await walLayout.list(directory)).length === 0;
  const wal = await WalWriter.open(directory, {
    ...options.wal,
    codec: options.walCodec,
    durableId,
    ...(isGone && logId !== undefined ? { logId } : {}),
  });
  try {
    const recovery = await recoverWithWal(directory, { ...options, mode: 'bestEffort' });
    // A process that died may have left the checkpoint's name unsynced; the log may be truncated because of it.
    if (recovery.report.checkpoint !== undefined) await directory.syncDirectory(CHECKPOINT_FOLDER);
    return { ...recovery, report: { ...recovery.report, tornTail: wal.opened.tornTail }, wal };
  } catch (error) {
    await wal.close().catch(() => undefined);
    throw error;
  }
}

/** What checkpoints prove about their log: it reaches at least as far as they do. And the id of the newest one's log. */
function provenBy(checkpoints: readonly ListedCheckpoint[]): {
  readonly durableId: (logId: number | undefined) => number;
  readonly logId: number | undefined;
} {
  const whole = checkpoints.flatMap(({ info }) => (info === undefined ? [] : [info]));
  const isOwn = (id: number | undefined, logId: number | undefined): boolean =>
    id === undefined || logId === undefined || id === logId;
  return {
    durableId: (logId) => whole.find((info) => isOwn(info.logId, logId))?.lastAppliedId ?? 0,
    logId: whole[0]?.logId,
  };
}
