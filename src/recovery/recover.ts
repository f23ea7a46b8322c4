// State from the best checkpoint and the log entries after it. Reads only; takes no lock and changes nothing.

import { CheckpointFile, type CheckpointInfo, type ListedCheckpoint } from '../checkpoint/index.js';
import { checkId } from '../bytes/u64.js';
import type { Codec } from '../codec/index.js';
import { CairnError, NotFoundError, RecoveryError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import type { Directory } from '../storage/index.js';
import { WalReader, type ReplayMode, type WalRecord } from '../wal/index.js';
import { checkReplayMode } from '../wal/log-scan.js';
import { StartingPoints, type Start } from './choose-checkpoint.js';
import type { RecoveryReport } from './report.js';

export interface RecoverOptions<E, T, S> {
  /** Codec of the log's entries. */
  readonly walCodec: Codec<E>;
  /** Codec of the checkpoints' items. */
  readonly checkpointCodec: Codec<T>;
  /** Reads checkpoints that the crate wrote. */
  readonly crateCodec?: Codec<readonly T[]> | undefined;
  /** State before the first entry. Called again for each checkpoint that is tried, so it must make a new one. */
  readonly init: () => S;
  /**
   * Puts one item of a checkpoint into the state; returns the state, which may be the same object. What it throws ends
   * the recovery.
   */
  readonly restore: (state: S, item: T) => S;
  /** Applies one log entry; returns the state, which may be the same object. What it throws ends the recovery. */
  readonly apply: (state: S, record: WalRecord<E>) => S;
  /** What an interrupted write at the end of the log is. Default `bestEffort`: where the log ends. */
  readonly mode?: ReplayMode | undefined;
  /** Recover the state after this entry instead of after the last one. */
  readonly upTo?: number | undefined;
  /** Use this checkpoint and no other. Default: the newest of the folder that can be used. */
  readonly checkpointPath?: string | undefined;
}

/** Recovered state, and how it was recovered. */
export interface Recovery<S> {
  readonly state: S;
  /** State holds every entry up to this one. */
  readonly lastEntryId: number;
  readonly report: RecoveryReport;
}

/**
 * Recovers state from the newest usable checkpoint and the log after it.
 *
 * What it shows of the log's end is only as durable as its writer made it; after a crash open a `WalWriter` first,
 * which makes it so.
 *
 * Rejects with `RecoveryError` when no checkpoint and log together lead to the present without a gap, or when `restore`
 * or `apply` throws (its error is the `cause`); with `CorruptionError`, `DecodeError`, `TornTailError` (strict) as
 * replay does.
 *
 * @example
 * const { state, report } = await recoverWithWal(directory, {
 *   walCodec, checkpointCodec,
 *   init: () => new Map<string, number>(),
 *   restore: (balances, [id, balance]) => balances.set(id, balance),
 *   apply: (balances, { entry }) => balances.set(entry.id, (balances.get(entry.id) ?? 0) + entry.amount),
 * });
 */
export async function recoverWithWal<E, T, S>(
  directory: Directory,
  options: RecoverOptions<E, T, S>,
): Promise<Recovery<S>> {
  const { mode = 'bestEffort', upTo, checkpointPath } = options;
  checkReplayMode(mode);
  if (upTo !== undefined) checkId(upTo, 'upTo');
  const begun = performance.now();
  const listed = checkpointPath === undefined ? undefined : [await explicit(directory, checkpointPath, upTo)];
  const points = await StartingPoints.find(directory, upTo, listed);
  const refused = listed === undefined ? undefined : points.skipped[0];
  if (refused !== undefined)
    throw new RecoveryError(`The checkpoint cannot be used: ${refused.reason}. Choose another one, or none`, {
      path: refused.path,
    });
  const { start, state: restored, info } = await restoreBest(directory, options, points, listed !== undefined);

  let state = restored;
  let entriesReplayed = 0;
  const reader = new WalReader(directory, { codec: options.walCodec });
  const replayed = await reader.replayEach(
    (record) => {
      state = applied(options, state, record);
      entriesReplayed++;
    },
    {
      mode,
      durableId: points.durableId,
      ...(points.log.exists ? { from: start.replayFrom } : {}),
      ...(upTo === undefined ? {} : { upTo }),
    },
  );
  const lastEntryId = Math.max(start.replayFrom - 1, entriesReplayed === 0 ? 0 : replayed.lastEntryId);
  return {
    state,
    lastEntryId,
    report: {
      checkpoint:
        start.checkpoint === undefined
          ? undefined
          : { path: start.checkpoint.path, lastAppliedId: start.checkpoint.lastAppliedId, bytes: info?.bytes ?? 0 },
      skippedCheckpoints: points.skipped,
      entriesReplayed,
      bytesReplayed: replayed.bytes,
      lastEntryId,
      tornTail: replayed.tornTail,
      milliseconds: performance.now() - begun,
    },
  };
}

async function explicit(directory: Directory, path: string, upTo: number | undefined): Promise<ListedCheckpoint> {
  // Unlike one in the folder, a checkpoint that was asked for by name must be there and be usable.
  const info = await CheckpointFile.inspect(directory, path);
  if (upTo !== undefined && info.lastAppliedId > upTo)
    throw new RecoveryError(
      `The checkpoint holds entries up to ${info.lastAppliedId}, later than the ${upTo} asked for. Choose an older one`,
      { path, entryId: upTo },
    );
  return { path, lastAppliedId: info.lastAppliedId, info, problem: undefined };
}

/** Restores from the best starting point that turns out to be readable. */
async function restoreBest<E, T, S>(
  directory: Directory,
  options: RecoverOptions<E, T, S>,
  points: StartingPoints,
  isExplicit: boolean,
): Promise<{ start: Start; state: S; info: CheckpointInfo | undefined }> {
  for (;;) {
    const start = points.best();
    let state = options.init();
    if (start.checkpoint === undefined) return { start, state, info: undefined };
    const codecs = {
      codec: options.checkpointCodec,
      ...(options.crateCodec === undefined ? {} : { crateCodec: options.crateCodec }),
    };
    try {
      const info = await CheckpointFile.stream(directory, start.checkpoint.path, codecs, (item) => {
        state = putBack(options, state, item, start.checkpoint!.path);
      });
      return { start, state, info };
    } catch (error) {
      // Only what is wrong with the file itself is a reason to try another.
      if (isExplicit || !isUnusable(error)) throw error;
      points.skip(error.message);
    }
  }
}

function isUnusable(error: unknown): error is CairnError {
  return (
    error instanceof NotFoundError ||
    (error instanceof CairnError && (error.code === 'CAIRN_CORRUPTION' || error.code === 'CAIRN_FORMAT'))
  );
}

/** An error of `restore` must not pass for one of the checkpoint, whatever its class. */
function putBack<E, T, S>(options: RecoverOptions<E, T, S>, state: S, item: T, path: string): S {
  try {
    return options.restore(state, item);
  } catch (cause) {
    throw new RecoveryError(`Restoring a checkpoint's item failed: ${messageOf(cause)}`, { path, cause });
  }
}

function applied<E, T, S>(options: RecoverOptions<E, T, S>, state: S, record: WalRecord<E>): S {
  try {
    return options.apply(state, record);
  } catch (cause) {
    throw new RecoveryError(`Applying an entry failed: ${messageOf(cause)}`, {
      entryId: record.entryId,
      cause,
    });
  }
}
