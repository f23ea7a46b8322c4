// Opening a store: from options to a store whose state is recovered.

import { InvalidArgumentError } from '../errors/index.js';
import { FsDirectory, type Directory } from '../storage/index.js';
import { boot } from './boot.js';
import type { CheckpointPolicy } from './checkpointer.js';
import { checkDurability, type Durability } from './durability.js';
import type { Engine, EngineSource } from './event-log.js';
import { EventStore, type Target } from './event-store.js';
import { openFileEngine, type FileEngineOptions } from './file-engine.js';
import type { ProjectionDefinition } from './projection.js';
import { StoreState } from './store-state.js';
import { nodeTimers, type After } from './timers.js';
import { AggregateTypes } from './types.js';

export interface OpenStoreOptions {
  /** Folder on disk, or a {@link Directory}. Either this or `engine`. */
  readonly dir?: string | Directory;
  /** Another engine than files, opened and closed by the store: `memoryEngine()`, or one of your own. */
  readonly engine?: EngineSource;
  /** Classes decorated with `@Aggregate`, and what `defineAggregate` returned. */
  readonly aggregates?: readonly Target[];
  readonly projections?: readonly ProjectionDefinition[];
  /** What an acknowledgement means unless a call says otherwise. Default: the strongest that the engine has. */
  readonly durability?: Durability;
  /** When checkpoints are taken in the background. */
  readonly checkpoint?: CheckpointPolicy;
  /** How many answers to commands with an id are kept. Default 10,000. */
  readonly receipts?: number;
  /** Staged bytes past which executions and appends wait. Default 16 MiB. */
  readonly highWaterMarkBytes?: number;
  /** Of the engine on files. */
  readonly files?: FileEngineOptions;
  /** Milliseconds since 1970, for `recordedAt` and the age of segments. Default `Date.now`. */
  readonly now?: () => number;
  /** How the store waits: for the next checkpoint by interval, and before a retry. Default: the timers of Node. */
  readonly after?: After;
  /** Source of the ids that files get. Default `crypto.randomBytes`. */
  readonly random?: (size: number) => Uint8Array;
  /** Told what subscribers throw. Default: a process warning. */
  readonly onSubscriberError?: (error: unknown) => void;
}

const DEFAULT_RECEIPTS = 10_000;
const DEFAULT_HIGH_WATER_MARK_BYTES = 16 * 1024 * 1024;

/**
 * Opens a store, recovering its state from the newest checkpoint and the log after it.
 *
 * Rejects with `LockError` while another process has it, `CorruptionError` and `RecoveryError` when something that was
 * acknowledged is missing, `InvalidArgumentError` for aggregates that cannot be used; then nothing was changed.
 *
 * @example
 * const store = await openStore({ dir: './data', aggregates: [Account] });
 * console.log(store.recovery);
 */
export async function openStore(options: OpenStoreOptions): Promise<EventStore> {
  const { projections = [], receipts = DEFAULT_RECEIPTS, checkpoint = {} } = options;
  const types = new AggregateTypes(options.aggregates ?? []);
  const names = new Set(projections.map(({ name }) => name));
  if (names.size < projections.length) throw new InvalidArgumentError('Two projections have the same name');
  if (!Number.isSafeInteger(receipts) || receipts < 0)
    throw new InvalidArgumentError(`receipts must be a whole number from 0, got ${String(receipts)}`);
  const makeState = (): StoreState => new StoreState(types, projections, receipts);
  const engine = await openEngine(options);
  try {
    const durability = options.durability ?? engine.log.strongest;
    checkDurability(durability, engine.log.strongest);
    const { state, recovery } = await boot(engine, makeState, {
      upTo: engine.log.openedAt,
      tornTail: engine.opened.tornTail,
    });
    return new EventStore({
      engine,
      types,
      state,
      recovery,
      makePast: () => new StoreState(types, [], 0),
      durability,
      checkpoint,
      highWaterMarkBytes: options.highWaterMarkBytes ?? DEFAULT_HIGH_WATER_MARK_BYTES,
      now: options.now ?? Date.now,
      after: options.after ?? nodeTimers,
      onSubscriberError: options.onSubscriberError ?? warn,
    });
  } catch (error) {
    await engine.log.close().catch(() => undefined);
    throw error;
  }
}

/** Takes hold of where the options say that the store is. */
export async function openEngine({ dir, engine, files, now, random }: OpenStoreOptions): Promise<Engine> {
  if ((dir === undefined) === (engine === undefined))
    throw new InvalidArgumentError(
      "Say where the data is, by one of the two: openStore({ dir: './data' }) or { engine }",
    );
  if (engine !== undefined) {
    if (files !== undefined) throw new InvalidArgumentError('files is for a store with dir; set up the engine itself');
    return engine.open();
  }
  return openFileEngine(typeof dir === 'string' ? await FsDirectory.open(dir) : dir!, {
    ...(now === undefined ? {} : { now }),
    ...(random === undefined ? {} : { random }),
    ...files,
  });
}

function warn(error: unknown): void {
  process.emitWarning(`A subscriber of a store threw: ${error instanceof Error ? error.stack : String(error)}`, {
    code: 'CAIRN_SUBSCRIBER',
  });
}
