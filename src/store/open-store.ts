// Opening a store: from options to a store whose state is recovered.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { FsDirectory, type Directory } from '../storage/index.js';
import { boot, type StoreRecovery } from './boot.js';
import { checkedClock } from './checked-clock.js';
import { checkPolicy, type CheckpointPolicy } from './checkpointer.js';
import { checkDurability, type Durability } from './durability.js';
import type { Engine, EngineSource } from './event-log.js';
import { EventStore, type Target } from './event-store.js';
import { prepareFileEngine, type FileEngineOptions } from './file-engine.js';
import { reportSubscriberError } from './observables.js';
import { checkOpenOptions } from './open-options.js';
import { checkProjection, type ProjectionDefinition } from './projection.js';
import { StoreState } from './store-state.js';
import { nodeTimers, type After } from './timers.js';
import { AggregateTypes } from './types.js';

export interface OpenStoreOptions {
  /** Folder on disk, or a {@link Directory}. Either this or `engine`. */
  readonly dir?: string | Directory | undefined;
  /** Another engine than files, opened and closed by the store: `memoryEngine()`, or one of your own. */
  readonly engine?: EngineSource | undefined;
  /** Classes decorated with `@Aggregate`, and what `defineAggregate` returned. */
  readonly aggregates?: readonly Target[] | undefined;
  readonly projections?: readonly ProjectionDefinition[] | undefined;
  /** Names of aggregates that are no longer defined and whose states may be lost; their records stay in the log. */
  readonly forget?: readonly string[] | undefined;
  /** What an acknowledgement means unless a call says otherwise. Default: the strongest that the engine has. */
  readonly durability?: Durability | undefined;
  /** When checkpoints are taken in the background. Default: every 100,000 entries. */
  readonly checkpoint?: CheckpointPolicy | undefined;
  /** Folder inside `dir` that covered WAL segments are moved to, instead of being removed. */
  readonly archive?: string | undefined;
  /** How many answers to commands with an id are kept. Default 10,000. */
  readonly receipts?: number | undefined;
  /** Staged bytes past which executions and appends wait, from 1. Default 16 MiB. */
  readonly highWaterMarkBytes?: number | undefined;
  /** Of the engine on files. */
  readonly files?: FileEngineOptions | undefined;
  /** Milliseconds since 1970, for `recordedAt` and the age of segments. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** How the store waits: for the next checkpoint by interval, and before a retry. Default: the timers of Node. */
  readonly after?: After | undefined;
  /** Milliseconds since some moment, for durations in reports and the rate of replay. Default `performance.now`. */
  readonly elapsed?: (() => number) | undefined;
  /** Source of the ids that files get. Default `crypto.randomBytes`. */
  readonly random?: ((size: number) => Uint8Array) | undefined;
  /**
   * Told what a checkpoint that the policy asked for failed with; it is tried again by the policy, and
   * `store.checkpointStatus` shows it. Default: a process warning with the code `CAIRN_CHECKPOINT`.
   */
  readonly onCheckpointFailure?: ((error: Error) => void) | undefined;
  /**
   * Told what subscribers throw, and why a subscription or a projection stopped. Default: RxJS's
   * `config.onUnhandledError` if it is set, else a process warning with the code `CAIRN_SUBSCRIBER`.
   */
  readonly onSubscriberError?: ((error: unknown) => void) | undefined;
}

const DEFAULT_RECEIPTS = 10_000;
const DEFAULT_HIGH_WATER_MARK_BYTES = 16 * 1024 * 1024;

/**
 * Opens a store, recovering its state from the newest checkpoint and the log after it.
 *
 * Rejects with `LockError` while another process has it, `CorruptionError` and `RecoveryError` when something that was
 * acknowledged is missing, `InvalidArgumentError` for options that cannot be used; then nothing was changed.
 *
 * @example
 * const store = await openStore({ dir: './data', aggregates: [Account] });
 * console.log(store.recovery);
 */
export async function openStore(options: OpenStoreOptions): Promise<EventStore> {
  checkOpenOptions(options);
  const {
    projections = [],
    receipts = DEFAULT_RECEIPTS,
    checkpoint = {},
    highWaterMarkBytes = DEFAULT_HIGH_WATER_MARK_BYTES,
  } = options;
  const elapsed = options.elapsed ?? (() => performance.now());
  const types = new AggregateTypes(options.aggregates ?? [], options.forget);
  for (const projection of projections) checkProjection(projection);
  const names = new Set(projections.map(({ name }) => name));
  if (names.size < projections.length) throw new InvalidArgumentError('Two projections have the same name');
  if (!Number.isSafeInteger(receipts) || receipts < 0)
    throw new InvalidArgumentError(`receipts must be a whole number from 0, got ${shown(receipts)}`);
  // With none, nothing would ever fit; compared with what is no number, nothing would ever wait.
  if (!Number.isSafeInteger(highWaterMarkBytes) || highWaterMarkBytes < 1)
    throw new InvalidArgumentError(
      `highWaterMarkBytes must be a whole number of bytes from 1, got ${shown(highWaterMarkBytes)}`,
    );
  checkPolicy(checkpoint);
  const makeState = (): StoreState => new StoreState(types, projections, receipts);
  const begun = elapsed();
  const engine = await prepareEngine(options);
  try {
    const durability = options.durability ?? engine.log.strongest;
    checkDurability(durability, engine.log.strongest);
    const opened = elapsed();
    const booted = await boot(engine, makeState, { upTo: engine.log.openedAt, isOpening: true, elapsed });
    // Only now is anything changed: what cannot be recovered is left as it was.
    const recovered = elapsed();
    await engine.start?.();
    const ready = elapsed();
    const recovery: StoreRecovery = {
      ...booted.recovery,
      milliseconds: ready - begun,
      phases: { ...booted.recovery.phases, log: opened - begun, start: ready - recovered },
    };
    for (const warning of recovery.warnings) process.emitWarning(warning, { code: 'CAIRN_RECOVERY' });
    return new EventStore({
      engine,
      types,
      booted: { ...booted, recovery },
      makePast: () => new StoreState(types, [], 0),
      durability,
      checkpoint,
      highWaterMarkBytes,
      now: options.now === undefined ? Date.now : checkedClock(options.now),
      after: options.after ?? nodeTimers,
      elapsed,
      onCheckpointFailure: options.onCheckpointFailure ?? warnOfCheckpoint,
      onSubscriberError: harmless(options.onSubscriberError ?? reportSubscriberError),
    });
  } catch (error) {
    await engine.log.close().catch(() => undefined);
    throw error;
  }
}

/** Takes hold of where the options say that the store is. */
export async function openEngine(options: OpenStoreOptions): Promise<Engine> {
  checkOpenOptions(options);
  const { start, ...engine } = await prepareEngine(options);
  await start?.();
  return engine;
}

/** The same, but an engine that can leaves everything as it is until it is started. */
async function prepareEngine({ dir, engine, files, archive, now, random }: OpenStoreOptions): Promise<Engine> {
  if (engine !== undefined) {
    if (files !== undefined || archive !== undefined)
      throw new InvalidArgumentError('files and archive are for a store with dir; set up the engine itself');
    return engine.open();
  }
  return prepareFileEngine(typeof dir === 'string' ? await FsDirectory.open(dir) : dir!, {
    ...files,
    now: files?.now ?? now,
    random: files?.random ?? random,
    archive: archive ?? files?.archive,
  });
}

function warnOfCheckpoint(error: Error): void {
  process.emitWarning(
    `A checkpoint of a store failed, nothing is lost, and it will be tried again: ${error.stack ?? error.message}`,
    { code: 'CAIRN_CHECKPOINT' },
  );
}

/** A report that fails has nobody left to be reported to but the process. */
function harmless(report: (error: unknown) => void): (error: unknown) => void {
  return (error) => {
    const failed = (failure: unknown): void => {
      process.emitWarning(`onSubscriberError threw: ${shown(failure)}, when told of: ${shown(error)}`, {
        code: 'CAIRN_SUBSCRIBER',
      });
    };
    try {
      const result: unknown = report(error);
      if (result instanceof Promise) result.catch(failed);
    } catch (failure) {
      failed(failure);
    }
  };
}
