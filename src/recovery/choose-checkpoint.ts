// Which checkpoint to start from: the newest that is whole and belongs to this log; else the one before, as long as the
// log still reaches back to it; else none, if the log reaches back to its first entry. Where no way leads to the present
// without a gap, recovery refuses and says which entries are missing. A checkpoint ahead of its log is such a gap: the
// log is synced before a checkpoint is written, so it has lost entries that were durable.

import { listCheckpoints, type ListedCheckpoint } from '../checkpoint/index.js';
import { RecoveryError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { inspectLog, type LogExtent } from '../wal/inspect-log.js';
import type { SkippedCheckpoint } from './report.js';

/** A way to recover: from a checkpoint, or from nothing, and then with the log from `replayFrom`. */
export interface Start {
  readonly checkpoint: ListedCheckpoint | undefined;
  readonly replayFrom: number;
}

export class StartingPoints {
  readonly skipped: SkippedCheckpoint[] = [];
  /** Entries up to here are on stable storage: a checkpoint is only written after its log was synced. */
  readonly durableId: number;
  readonly log: LogExtent;
  readonly #candidates: ListedCheckpoint[];
  /** A checkpoint of another log: the log, or the checkpoint, is not where it belongs. */
  #foreign: ListedCheckpoint | undefined;

  private constructor(log: LogExtent, candidates: ListedCheckpoint[], durableId: number) {
    this.log = log;
    this.#candidates = candidates;
    this.durableId = durableId;
  }

  /** Looks at the log and at the given checkpoints (default: all in the folder). */
  static async find(
    directory: Directory,
    upTo: number | undefined,
    listed?: readonly ListedCheckpoint[],
  ): Promise<StartingPoints> {
    const checkpoints = listed ?? (await listCheckpoints(directory));
    let claimed = 0;
    const log = await inspectLog(directory, {
      durableId: (logId) => {
        for (const { info } of checkpoints)
          if (info !== undefined && belongs(info.logId, logId)) claimed = Math.max(claimed, info.lastAppliedId);
        // Whether the log goes on to a checkpoint later than the point in time is not looked at.
        return (claimed = Math.min(claimed, upTo ?? claimed));
      },
      upTo,
    });
    const points = new StartingPoints(log, [...checkpoints], claimed);
    points.#sortOut(log.logId, upTo);
    return points;
  }

  /** The best way left. Throws {@link RecoveryError} when there is none. */
  best(): Start {
    const { log } = this;
    const next = this.#candidates[0];
    if (next !== undefined && reaches(log, next.lastAppliedId))
      return { checkpoint: next, replayFrom: next.lastAppliedId + 1 };
    // From the beginning: right for a log that has all its entries, and where nothing was ever written.
    const nothingThere = !log.exists && this.skipped.length === 0;
    if (next === undefined && this.#foreign === undefined && ((log.exists && log.firstEntryId === 1) || nothingThere))
      return { checkpoint: undefined, replayFrom: 1 };
    throw this.#noWay(next);
  }

  /** The checkpoint of the best way cannot be used after all. */
  skip(reason: string): void {
    const skipped = this.#candidates.shift();
    if (skipped !== undefined) this.#skip(skipped, reason);
  }

  #sortOut(logId: number | undefined, upTo: number | undefined): void {
    for (let index = 0; index < this.#candidates.length;) {
      const candidate = this.#candidates[index]!;
      const reason =
        candidate.problem?.message ??
        (!belongs(candidate.info?.logId, logId)
          ? `it belongs to log ${candidate.info?.logId}, this one is ${logId}`
          : upTo !== undefined && candidate.lastAppliedId > upTo
            ? `it holds entries after ${upTo}`
            : undefined);
      if (reason === undefined) {
        index++;
        continue;
      }
      this.#candidates.splice(index, 1);
      this.#skip(candidate, reason);
      if (candidate.info !== undefined && !belongs(candidate.info.logId, logId)) this.#foreign = candidate;
    }
  }

  #skip({ path, lastAppliedId }: ListedCheckpoint, reason: string): void {
    this.skipped.push({ path, lastAppliedId, reason });
  }

  #noWay(next: ListedCheckpoint | undefined): RecoveryError {
    const { log, skipped } = this;
    const because = skipped.map(({ path, reason }) => `${path}: ${reason}`).join('; ');
    const logHas = log.exists ? `The log begins with entry ${log.firstEntryId}` : 'The log has no segments';
    const gap =
      next === undefined
        ? this.#foreign !== undefined && log.firstEntryId === 1
          ? 'but the checkpoints belong to another log: was the WAL lost, or were folders mixed up?'
          : log.exists
            ? `entries 1 to ${log.firstEntryId - 1} are missing, and no checkpoint holds them`
            : 'and no checkpoint can be used'
        : `the best checkpoint ends with ${next.lastAppliedId}: entries ${next.lastAppliedId + 1} to ${log.firstEntryId - 1} are missing`;
    return new RecoveryError(
      `${logHas}; ${gap}.${because === '' ? '' : ` Not usable: ${because}.`} Restore the missing files from a backup`,
      { path: next?.path ?? skipped[0]?.path, entryId: (next?.lastAppliedId ?? 0) + 1 },
    );
  }
}

/** A checkpoint or log without an id, from the crate or written by hand, is taken at its word. */
function belongs(checkpointLogId: number | undefined, logId: number | undefined): boolean {
  return checkpointLogId === undefined || logId === undefined || checkpointLogId === logId;
}

function reaches(log: LogExtent, lastAppliedId: number): boolean {
  return !log.exists || log.firstEntryId <= lastAppliedId + 1;
}
