// Takes checkpoints in the background: when, how, and what may leave the log afterwards. The order is that of every
// checkpoint here: log synced up to the position, file written, synced and read back, mark appended, older ones removed,
// log truncated up to the oldest that stays. A failure removes nothing and harms nobody; it is reported and tried again
// when the policy says so the next time.

import { CairnError, ClosedError, FencedError, InvalidArgumentError, PoisonedError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { CheckpointChains, wantsFull, type Chain } from './checkpoint-chain.js';
import type { Base, EncodedState, Items } from './checkpoint-items.js';
import type { CheckpointDescription, Engine, LogPart } from './event-log.js';
import type { Hold, Holds } from './holds.js';
import type { After } from './timers.js';

/**
 * When checkpoints are taken: as soon as one of the limits is reached. What counts is what was committed since the last
 * one, including what opening had to replay. `Infinity` as the only limit leaves it to `store.checkpoint()`.
 */
export interface CheckpointPolicy {
  /** Entries since the last checkpoint. Default 100,000 if no limit is given. */
  readonly records?: number | undefined;
  /** Bytes of entries since then. */
  readonly bytes?: number | undefined;
  /** Milliseconds since the first entry after it. */
  readonly intervalMs?: number | undefined;
  /** Estimated milliseconds that a recovery would take to replay what came since, at the rate of the last recovery. */
  readonly recoveryMs?: number | undefined;
  /**
   * Full checkpoints that are kept, with those that build on them. Default 2: whichever file is damaged, the store is
   * recovered from another, and the log is kept for that.
   */
  readonly retain?: number | undefined;
  /**
   * Bytes of a full checkpoint from which on the next ones hold only what changed since. Default 1 MiB; `Infinity`:
   * every checkpoint is full.
   */
  readonly changesAboveBytes?: number | undefined;
}

const POLICY: readonly string[] = [
  'records',
  'bytes',
  'intervalMs',
  'recoveryMs',
  'retain',
  'changesAboveBytes',
] satisfies (keyof CheckpointPolicy)[];

/** What became of a call of `checkpoint()`. */
export interface CheckpointResult {
  /** False if nothing had changed since the newest checkpoint: then that one is described, and nothing was done. */
  readonly taken: boolean;
  /** The checkpoint holds everything up to this position. 0 for a store that nothing was ever written to. */
  readonly position: number;
  /** Path of its file; empty where there is none. */
  readonly name: string;
  /** Length of the file. */
  readonly bytes: number;
  /** Position of the checkpoint that it builds on; `undefined` if it is a full one. */
  readonly buildsOn: number | undefined;
  readonly removedCheckpoints: readonly number[];
  readonly truncation: TruncationReport;
  readonly milliseconds: number;
}

/** Which parts of the log went or would go, and what keeps the others. */
export interface TruncationReport {
  readonly removed: readonly LogPart[];
  readonly kept: readonly { readonly part: LogPart; readonly heldBy: readonly string[] }[];
}

/** How checkpoints are doing. */
export interface CheckpointStatus {
  /** Position of the newest checkpoint; 0 without one. */
  readonly position: number;
  /** Whether one is being taken. */
  readonly running: boolean;
  /** Entries committed since: what a recovery would replay. */
  readonly entriesSince: number;
  /** Their bytes. */
  readonly bytesSince: number;
  /** Estimated milliseconds that replaying them would take. */
  readonly recoveryMs: number;
  /** What the last attempt failed with; `undefined` once one has succeeded. */
  readonly failure: Error | undefined;
}

const DEFAULT_RECORDS = 100_000;
const DEFAULT_RETAIN = 2;
const DEFAULT_CHANGES_ABOVE_BYTES = 1024 * 1024;
/** Longest time in milliseconds that encoding holds the event loop. */
const SLICE_MS = 2;
/** The same while somebody waits for an append, and the pause after it: a checkpoint has time, an append has not. */
const BUSY_SLICE_MS = 0.3;
const BUSY_PAUSE_MS = 1;
/** Items that are encoded between two looks at the clock. */
const ITEMS_PER_LOOK = 16;
/** Entries per millisecond that are assumed before a recovery was long enough to measure: rather too few. */
const ASSUMED_REPLAY_RATE = 50;
const MEASURABLE_ENTRIES = 1000;

export interface CheckpointerOptions {
  readonly engine: Engine;
  readonly policy: CheckpointPolicy;
  readonly holds: Holds;
  /** Milliseconds since some moment, for what is measured. */
  readonly elapsed: () => number;
  readonly after: After;
  /** What a checkpoint would hold now. */
  readonly state: () => {
    readonly position: number;
    readonly streams: number;
    /** Streams that changed since the last cut. */
    readonly changed: number;
    /** What the program would make of the log, see {@link Base}. */
    readonly made: string;
  };
  /** Committed state as of this call; with a base, only what changed since. */
  readonly cut: (base: Base | undefined) => EncodedState;
  /** Whether appends are under way. */
  readonly isBusy: () => boolean;
  /** Resolves once everything appended so far is on stable storage. */
  readonly sync: () => Promise<void>;
  /** Appends the mark of a checkpoint. */
  readonly mark: (name: string, position: number) => Promise<void>;
  /** Told what a checkpoint that nobody asked for failed with. */
  readonly onFailure: (error: Error) => void;
}

/** Where a store is when it is opened. */
export interface CheckpointerStart {
  /** The newest checkpoint and what it builds on, the full one first. */
  readonly chain: Chain;
  /** What the next checkpoint can build on. */
  readonly base: Base | undefined;
  /** Entries that were replayed after it, and their bytes. */
  readonly entries: number;
  readonly bytes: number;
  /** Whether recovery made anything else of the newest checkpoint than it says: the next one is not the same. */
  readonly isStale: boolean;
  /** Checkpoints whose contents turned out to be damaged. */
  readonly damaged: readonly number[];
  /** What replaying took. */
  readonly replayed: { readonly entries: number; readonly milliseconds: number };
}

/** Committed entries and bytes, ever. */
interface Total {
  readonly entries: number;
  readonly bytes: number;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #retain: number;
  readonly #replayRate: number;
  readonly #damaged: Set<number>;
  /** Positions of checkpoints that were read to their ends, by opening or here, or were written here. */
  readonly #sound: Set<number>;
  readonly #chains: CheckpointChains;
  /** Positions of checkpoints that are being written, or whose writing failed: they may be there, and not for good. */
  readonly #unconfirmed: Set<number> = new Set();
  #chain: Chain;
  #base: Base | undefined;
  #isStale: boolean;
  #running: Promise<CheckpointResult> | undefined;
  #next: Promise<CheckpointResult> | undefined;
  #nextIsFull = false;
  #truncating: Promise<unknown> = Promise.resolve();
  #total: Total;
  /** When the newest checkpoint was cut, and when the last attempt was. */
  #covered: Total = { entries: 0, bytes: 0 };
  #attempted: Total = { entries: 0, bytes: 0 };
  #failure: Error | undefined;
  #disarm: (() => void) | undefined;
  #stopped = false;

  constructor(options: CheckpointerOptions, start: CheckpointerStart) {
    checkPolicy(options.policy);
    this.#options = options;
    this.#retain = options.policy.retain ?? DEFAULT_RETAIN;
    this.#chains = new CheckpointChains(options.engine.checkpoints);
    this.#chain = start.chain;
    this.#base = start.base;
    this.#isStale = start.isStale;
    this.#damaged = new Set(start.damaged);
    this.#sound = new Set(start.chain.map(({ position }) => position));
    this.#total = { entries: start.entries, bytes: start.bytes };
    const { entries, milliseconds } = start.replayed;
    this.#replayRate = entries >= MEASURABLE_ENTRIES && milliseconds > 0 ? entries / milliseconds : ASSUMED_REPLAY_RATE;
    // What opening had to replay counts: a process that keeps crashing must not have more to replay each time.
    if (start.entries > 0) this.note(0, 0);
  }

  get #newest(): CheckpointDescription | undefined {
    return this.#chain.at(-1);
  }

  get status(): CheckpointStatus {
    const entriesSince = this.#total.entries - this.#covered.entries;
    return {
      position: this.#newest?.position ?? 0,
      running: this.#running !== undefined,
      entriesSince,
      bytesSince: this.#total.bytes - this.#covered.bytes,
      recoveryMs: entriesSince / this.#replayRate,
      failure: this.#failure,
    };
  }

  /** Entries were committed: maybe it is time. */
  note(entries: number, bytes: number): void {
    const total = { entries: this.#total.entries + entries, bytes: this.#total.bytes + bytes };
    this.#total = total;
    const { records, bytes: maxBytes, intervalMs, recoveryMs } = this.#options.policy;
    const isDefault = records === undefined && (maxBytes ?? intervalMs ?? recoveryMs) === undefined;
    const since = total.entries - this.#attempted.entries;
    const due =
      since >= (isDefault ? DEFAULT_RECORDS : (records ?? Infinity)) ||
      total.bytes - this.#attempted.bytes >= (maxBytes ?? Infinity) ||
      since / this.#replayRate >= (recoveryMs ?? Infinity);
    if (due) this.#start();
    else this.#arm();
  }

  /**
   * A checkpoint of everything committed by now. Calls share one: the one that is being taken, if nothing was committed
   * since it began, else the one after it. `full`: not one that builds on another.
   */
  take(full = false): Promise<CheckpointResult> {
    if (this.#running === undefined) {
      if (!full && !this.#isStale && this.#total.entries === this.#covered.entries)
        return Promise.resolve(this.#nothingToDo());
      return (this.#running = this.#take(full).finally(() => {
        this.#running = undefined;
      }));
    }
    if (!full && this.#total.entries === this.#attempted.entries) return this.#running;
    this.#nextIsFull ||= full;
    return (this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        const isFull = this.#nextIsFull;
        this.#next = undefined;
        this.#nextIsFull = false;
        return this.take(isFull);
      }));
  }

  /** Starts no more by itself, and waits for the ones that are being taken. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarm?.();
    for (let last = this.#next ?? this.#running; last !== undefined; last = this.#next ?? this.#running)
      await last.catch(() => undefined);
    await this.#truncating;
  }

  /** What truncation would do now, or does. */
  truncate(dryRun: boolean): Promise<TruncationReport> {
    const result = this.#truncating.then(() => this.#truncate(dryRun));
    this.#truncating = result.catch(() => undefined);
    return result;
  }

  async #truncate(dryRun: boolean): Promise<TruncationReport> {
    const { log, checkpoints } = this.#options.engine;
    const kept = await this.#kept(await checkpoints.list());
    const parts = await log.parts();
    // From here to the call of `truncate` nothing is awaited: whoever reads has a hold, or begins behind what goes.
    const holds = [this.#checkpointHold(kept), ...this.#options.holds.current()];
    const limit = Math.min(...holds.map(({ position }) => position));
    const removed = dryRun
      ? parts.filter(({ lastPosition }) => lastPosition !== undefined && lastPosition <= limit)
      : await log.truncate(limit);
    const gone = new Set(removed.map(({ name }) => name));
    return {
      removed,
      kept: parts.filter(({ name }) => !gone.has(name)).map((part) => ({ part, heldBy: heldBy(part, holds) })),
    };
  }

  #checkpointHold(kept: readonly Chain[]): Hold {
    const oldest = kept[this.#retain - 1]?.at(-1);
    return oldest === undefined
      ? { name: `fewer than ${this.#retain} full checkpoints (${kept.length})`, position: 0 }
      : { name: `checkpoint at ${oldest.position}`, position: oldest.position };
  }

  /**
   * Chains that recovery may begin with and that share no file, newest first. All of their files were read to their ends
   * by this process, each once: a damaged one to fall back to is none.
   */
  async #kept(list: readonly CheckpointDescription[]): Promise<Chain[]> {
    for (;;) {
      const usable = list.filter(
        (checkpoint) =>
          this.#isOwn(checkpoint) &&
          !this.#damaged.has(checkpoint.position) &&
          !this.#unconfirmed.has(checkpoint.position),
      );
      const chains = (await this.#chains.whole(usable)).slice(0, this.#retain);
      const damaged = await this.#findDamaged(chains.flat());
      if (damaged === undefined) return chains;
      this.#damaged.add(damaged);
    }
  }

  async #findDamaged(checkpoints: Chain): Promise<number | undefined> {
    for (const { position } of checkpoints) {
      if (this.#sound.has(position)) continue;
      try {
        await this.#options.engine.checkpoints.read(position, () => undefined);
      } catch (error) {
        // A disk that cannot be read is not a damaged checkpoint.
        if (error instanceof CairnError && error.code !== 'CAIRN_STORAGE') return position;
        throw error;
      }
      this.#sound.add(position);
    }
    return undefined;
  }

  #isOwn({ problem, logId }: CheckpointDescription): boolean {
    return problem === undefined && logId === this.#options.engine.log.logId;
  }

  #start(): void {
    if (this.#running !== undefined || this.#stopped) return;
    this.take().catch((error: unknown) => {
      // A store that has failed or is closed says so itself.
      if (error instanceof PoisonedError || error instanceof FencedError || error instanceof ClosedError) return;
      this.#options.onFailure(error as Error);
    });
  }

  #arm(): void {
    const { intervalMs } = this.#options.policy;
    if (intervalMs === undefined || intervalMs === Infinity || this.#disarm !== undefined || this.#stopped) return;
    this.#disarm = this.#options.after(
      intervalMs,
      () => {
        this.#disarm = undefined;
        this.#start();
      },
      true,
    );
  }

  #nothingToDo(): CheckpointResult {
    const { position = 0, name = '', bytes = 0 } = this.#newest ?? {};
    const truncation = { removed: [], kept: [] };
    return {
      taken: false,
      position,
      name,
      bytes,
      buildsOn: this.#chain.at(-2)?.position,
      removedCheckpoints: [],
      truncation,
      milliseconds: 0,
    };
  }

  async #take(full: boolean): Promise<CheckpointResult> {
    this.#disarm?.();
    this.#disarm = undefined;
    try {
      const result = await this.#write(full);
      this.#failure = undefined;
      return result;
    } catch (error) {
      this.#failure = error as Error;
      throw error;
    } finally {
      // What came meanwhile, or is still not covered, waits for the interval anew.
      if (this.#total.entries > this.#covered.entries) this.#arm();
    }
  }

  async #write(full: boolean): Promise<CheckpointResult> {
    const { engine, cut, isBusy, sync, mark, elapsed, state } = this.#options;
    const begun = elapsed();
    this.#attempted = this.#total;
    // A crash came between the newest checkpoint and its mark. Its file is not written over: it may be the only one.
    if (this.#newest?.position === state().position) await mark(this.#newest.name, this.#newest.position);
    const covered = this.#total;
    this.#attempted = covered;
    const { position } = state();
    const base = full || this.#wantsFull() ? undefined : this.#base;
    const encoded = cut(base);
    let written: CheckpointDescription;
    try {
      // The log first: a checkpoint is never ahead of it.
      await sync();
      this.#unconfirmed.add(position);
      written = await engine.checkpoints.write(position, engine.log.logId, sliced(encoded.items, isBusy));
      this.#unconfirmed.delete(position);
      await mark(written.name, position);
    } catch (error) {
      encoded.undo();
      throw error;
    } finally {
      encoded.items.return();
    }
    this.#chain = base === undefined ? [written] : [...this.#chain, written];
    this.#base = encoded.base;
    this.#chains.note(position, base?.position);
    this.#covered = covered;
    this.#isStale = false;
    this.#damaged.delete(position);
    this.#sound.add(position);
    const removedCheckpoints = await this.#retire();
    const truncation = await this.truncate(false);
    return {
      taken: true,
      position,
      name: written.name,
      bytes: written.bytes,
      buildsOn: base?.position,
      removedCheckpoints,
      truncation,
      milliseconds: elapsed() - begun,
    };
  }

  #wantsFull(): boolean {
    const { state, policy } = this.#options;
    const now = state();
    return (
      this.#base?.made !== now.made ||
      wantsFull(this.#chain, now, policy.changesAboveBytes ?? DEFAULT_CHANGES_ABOVE_BYTES)
    );
  }

  /** Removes what is older than the chains that are kept, and not part of them. */
  async #retire(): Promise<number[]> {
    const { checkpoints } = this.#options.engine;
    const list = await checkpoints.list();
    const kept = await this.#kept(list);
    const oldest = kept[this.#retain - 1]?.at(-1);
    const removed: number[] = [];
    if (oldest === undefined) return removed;
    const needed = new Set(kept.flat().map(({ position }) => position));
    // Newest first: what others build on goes after them, so that an interruption leaves whole chains or their beginnings.
    for (const checkpoint of list) {
      const { position } = checkpoint;
      if (!this.#isOwn(checkpoint) || needed.has(position) || position >= oldest.position) continue;
      await checkpoints.remove(position);
      removed.push(position);
    }
    return removed;
  }
}

/** Throws {@link InvalidArgumentError} for limits that cannot be meant. */
export function checkPolicy(policy: CheckpointPolicy): void {
  for (const [name, value] of Object.entries(policy) as [string, number | undefined][]) {
    if (!POLICY.includes(name))
      throw new InvalidArgumentError(
        name === 'archive'
          ? 'archive is an option of openStore itself: openStore({ archive }), not { checkpoint: { archive } }'
          : `checkpoint has no '${name}'; it knows ${POLICY.join(', ')}`,
      );
    if (value !== undefined && !(typeof value === 'number' && value >= 1))
      throw new InvalidArgumentError(`checkpoint.${name} must be a number from 1, got ${shown(value)}`);
  }
  if (policy.retain !== undefined && !Number.isSafeInteger(policy.retain))
    throw new InvalidArgumentError(`checkpoint.retain must be a whole number from 1, got ${shown(policy.retain)}`);
}

function heldBy(part: LogPart, holds: readonly Hold[]): string[] {
  const { lastPosition } = part;
  if (lastPosition === undefined) return ['active: entries are added to it'];
  return holds.filter(({ position }) => position < lastPosition).map(({ name }) => name);
}

/**
 * Gives the event loop a turn whenever the slice's time is used up. Within a slice `next` answers at once: `for await`
 * takes that as well as a promise, and a checkpoint of a million items makes no promise for each of them.
 */
function sliced(items: Items, isBusy: () => boolean): AsyncIterable<Uint8Array> {
  const endOfSlice = (): number => performance.now() + (isBusy() ? BUSY_SLICE_MS : SLICE_MS);
  let sliceEnds = endOfSlice();
  let untilLook = ITEMS_PER_LOOK;
  const next = (): IteratorResult<Uint8Array, void> | Promise<IteratorResult<Uint8Array, void>> => {
    if (--untilLook > 0) return items.next();
    untilLook = ITEMS_PER_LOOK;
    if (performance.now() < sliceEnds) return items.next();
    return new Promise((resolve, reject) => {
      const goOn = (): void => {
        sliceEnds = endOfSlice();
        try {
          resolve(items.next());
        } catch (error) {
          reject(error as Error);
        }
      };
      if (isBusy()) setTimeout(goOn, BUSY_PAUSE_MS);
      else setImmediate(goOn);
    });
  };
  const end = async (): Promise<IteratorResult<Uint8Array, void>> => {
    items.return();
    return { done: true, value: undefined };
  };
  const iterator = { next, return: end } as AsyncIterator<Uint8Array>;
  return { [Symbol.asyncIterator]: () => iterator };
}
