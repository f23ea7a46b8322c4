// Takes checkpoints in the background: when, how, and what may leave the log afterwards. The order is that of every
// checkpoint here: log synced up to the position, file written, synced and read back, mark appended, older ones removed,
// log truncated up to the oldest that stays. A failure removes nothing and harms nobody.

import { InvalidArgumentError } from '../errors/index.js';
import type { CheckpointDescription, Engine, LogPart } from './event-log.js';
import type { Hold, Holds } from './holds.js';
import type { After } from './timers.js';

/** When checkpoints are taken: as soon as one of the limits is reached. */
export interface CheckpointPolicy {
  /** Entries since the last checkpoint. Default 100,000 if no limit is given. */
  readonly records?: number;
  /** Bytes appended since then. */
  readonly bytes?: number;
  /** Milliseconds since then, if anything was appended. */
  readonly intervalMs?: number;
  /** Estimated milliseconds that a recovery would take to replay what came since. */
  readonly recoveryMs?: number;
  /** Checkpoints that are kept. Default 2. */
  readonly retain?: number;
}

export interface CheckpointResult {
  readonly position: number;
  readonly name: string;
  readonly bytes: number;
  readonly removedCheckpoints: readonly number[];
  readonly truncation: TruncationReport;
  readonly milliseconds: number;
}

/** Which parts of the log went or would go, and what keeps the others. */
export interface TruncationReport {
  readonly removed: readonly LogPart[];
  readonly kept: readonly { readonly part: LogPart; readonly heldBy: readonly string[] }[];
}

const DEFAULT_RECORDS = 100_000;
const DEFAULT_RETAIN = 2;
/** Longest time that encoding holds the event loop. */
const SLICE_MS = 1;

export interface CheckpointerOptions {
  readonly engine: Engine;
  readonly policy: CheckpointPolicy;
  readonly holds: Holds;
  /** Entries that a recovery replays per millisecond. */
  readonly replayRate: number;
  /** Committed state as of this call. */
  readonly cut: () => { readonly position: number; readonly items: Generator<Uint8Array, void, undefined> };
  /** Resolves once everything appended so far is on stable storage. */
  readonly sync: () => Promise<void>;
  /** Appends the mark of a checkpoint. */
  readonly mark: (name: string, position: number) => Promise<void>;
  readonly after: After;
  readonly onError: (error: unknown) => void;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #retain: number;
  #running: Promise<CheckpointResult> | undefined;
  #entries = 0;
  #bytes = 0;
  /** Calls the next checkpoint by interval off. */
  #cancel: (() => void) | undefined;
  #replayRate: number;
  #stopped = false;
  #lastPosition: number;

  constructor(options: CheckpointerOptions, lastPosition: number) {
    const { policy } = options;
    this.#options = options;
    this.#retain = policy.retain ?? DEFAULT_RETAIN;
    this.#replayRate = options.replayRate;
    this.#lastPosition = lastPosition;
    for (const [name, value] of Object.entries(policy) as [string, number | undefined][])
      if (value !== undefined && !(Number.isFinite(value) && value >= 1))
        throw new InvalidArgumentError(`checkpoint.${name} must be a number from 1, got ${value}`);
  }

  /** Position of the newest checkpoint; 0 without one. */
  get lastPosition(): number {
    return this.#lastPosition;
  }

  /** Entries were committed: maybe it is time. */
  note(entries: number, bytes: number): void {
    this.#entries += entries;
    this.#bytes += bytes;
    const { records, bytes: byteLimit, intervalMs, recoveryMs } = this.#options.policy;
    const limit =
      (records ?? (byteLimit ?? intervalMs ?? recoveryMs) === undefined) ? (records ?? DEFAULT_RECORDS) : Infinity;
    const due =
      this.#entries >= limit ||
      this.#bytes >= (byteLimit ?? Infinity) ||
      this.#entries / this.#replayRate >= (recoveryMs ?? Infinity);
    if (due) this.#start();
    else if (intervalMs !== undefined && this.#cancel === undefined && !this.#stopped)
      this.#cancel = this.#options.after(
        intervalMs,
        () => {
          this.#cancel = undefined;
          this.#start();
        },
        true,
      );
  }

  /** Takes a checkpoint now; one that is being taken is waited for first, since it began earlier. */
  async take(): Promise<CheckpointResult> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    return (this.#running = this.#take().finally(() => {
      this.#running = undefined;
    }));
  }

  /** Starts no more, and waits for the one that is being taken. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
  }

  /** What truncation would do now, or does. */
  async truncate(dryRun: boolean): Promise<TruncationReport> {
    const { log } = this.#options.engine;
    const holds = await this.#holds();
    const limit = Math.min(...holds.map(({ position }) => position));
    const parts = await log.parts();
    const removed = dryRun ? parts.filter((part) => goes(part, limit, parts)) : await log.truncate(limit);
    const gone = new Set(removed.map(({ name }) => name));
    const kept = parts.filter((part) => !gone.has(part.name)).map((part) => ({ part, heldBy: heldBy(part, holds) }));
    return { removed, kept };
  }

  async #holds(): Promise<Hold[]> {
    const kept = this.#usable(await this.#options.engine.checkpoints.list()).slice(0, this.#retain);
    const oldest = kept[this.#retain - 1];
    const checkpoints: Hold =
      oldest === undefined
        ? { name: `fewer than ${this.#retain} checkpoints (${kept.length})`, position: 0 }
        : { name: `checkpoint at ${oldest.position}`, position: oldest.position };
    return [checkpoints, ...this.#options.holds.current()];
  }

  #usable(checkpoints: readonly CheckpointDescription[]): CheckpointDescription[] {
    const { logId } = this.#options.engine.log;
    return checkpoints.filter((checkpoint) => checkpoint.problem === undefined && checkpoint.logId === logId);
  }

  #start(): void {
    if (this.#running !== undefined || this.#stopped) return;
    this.take().catch(this.#options.onError);
  }

  async #take(): Promise<CheckpointResult> {
    const begun = performance.now();
    const { engine, cut, sync, mark } = this.#options;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#entries = 0;
    this.#bytes = 0;
    const { position, items } = cut();
    let written: CheckpointDescription;
    try {
      // The log first: a checkpoint is never ahead of it.
      await sync();
      written = await engine.checkpoints.write(position, engine.log.logId, sliced(items));
    } finally {
      items.return();
    }
    await mark(written.name, position);
    this.#lastPosition = position;
    const removedCheckpoints: number[] = [];
    for (const old of this.#usable(await engine.checkpoints.list()).slice(this.#retain)) {
      await engine.checkpoints.remove(old.position);
      removedCheckpoints.push(old.position);
    }
    const truncation = await this.truncate(false);
    return {
      position,
      name: written.name,
      bytes: written.bytes,
      removedCheckpoints,
      truncation,
      milliseconds: performance.now() - begun,
    };
  }
}

function goes(part: LogPart, limit: number, parts: readonly LogPart[]): boolean {
  return part !== parts.at(-1) && part.lastPosition !== undefined && part.lastPosition <= limit;
}

function heldBy(part: LogPart, holds: readonly Hold[]): string[] {
  const { lastPosition } = part;
  if (lastPosition === undefined) return ['entries are added to it'];
  return holds.filter(({ position }) => position < lastPosition).map(({ name }) => name);
}

/** Gives the event loop a turn whenever the slice's time is used up. */
async function* sliced(items: Generator<Uint8Array, void, undefined>): AsyncGenerator<Uint8Array, void, undefined> {
  let sliceEnds = performance.now() + SLICE_MS;
  try {
    for (const item of items) {
      yield item;
      if (performance.now() < sliceEnds) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnds = performance.now() + SLICE_MS;
    }
  } finally {
    items.return();
  }
}
