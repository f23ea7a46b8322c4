// From a log and its checkpoints to the state of a store, as of the end or of a position: the newest checkpoint that can
// be used, then the entries after it. What the program has changed since that checkpoint is dealt with here: a type whose
// declared version is higher is rebuilt from the log, or migrated where the log no longer reaches back.

import { ByteReader } from '../bytes/byte-reader.js';
import type { AggregateDefinition } from '../aggregate/index.js';
import { copyPlainData, deepFreeze } from '../codec/index.js';
import {
  EncodeError,
  CairnError,
  DecodeError,
  FormatError,
  InvalidArgumentError,
  RecoveryError,
  TruncatedError,
} from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import { advance } from './cells.js';
import { readBase } from './checkpoint-chain.js';
import { decodeItem, madeAs, type Base, type CheckpointItem, type Made } from './checkpoint-items.js';
import { decodeEntry, type StoreEntry } from './entry.js';
import type { CheckpointDescription, Engine } from './event-log.js';
import { ProjectionError } from './projection.js';
import { currentRecord } from './read-records.js';
import type { StoreState } from './store-state.js';

/** What opening a store did. */
export interface StoreRecovery {
  /** The checkpoint that state began with; `undefined` if the whole log was replayed. */
  readonly checkpoint:
    | {
        readonly name: string;
        readonly position: number;
        /** Bytes that were read of it and of those it builds on. */
        readonly bytes: number;
        /** Positions of the checkpoints that it builds on, the first one first. */
        readonly buildsOn: readonly number[];
      }
    | undefined;
  /** Newer checkpoints that could not be used, newest first. */
  readonly skippedCheckpoints: readonly { readonly name: string; readonly position: number; readonly reason: string }[];
  /** Entries of the log that were read after the checkpoint, or for a rebuild. */
  readonly entriesReplayed: number;
  /** Their bytes. */
  readonly bytesReplayed: number;
  /** Aggregates and projections that were rebuilt from the log. */
  readonly rebuilt: readonly string[];
  /** Aggregates whose checkpointed states were migrated. */
  readonly migrated: readonly string[];
  /** What somebody should look at. Each is a process warning as well, with the code `CAIRN_RECOVERY`. */
  readonly warnings: readonly string[];
  /** The interrupted write that was cut off the end of the log. */
  readonly tornTail: Engine['opened']['tornTail'];
  /** State holds everything up to this position. */
  readonly position: number;
  /** All of it. */
  readonly milliseconds: number;
  readonly phases: {
    /** Milliseconds to lock the log and find its end. */
    readonly log: number;
    /** Milliseconds to read the checkpoint. */
    readonly checkpoint: number;
    /** Milliseconds to read and apply the entries after it. */
    readonly replay: number;
    /** Milliseconds to cut and make durable the end of the log. */
    readonly start: number;
  };
}

export interface Booted {
  readonly state: StoreState;
  readonly recovery: StoreRecovery;
  /** What came after the checkpoint, apart from its own mark. */
  readonly since: { readonly entries: number; readonly bytes: number };
  /** The checkpoint that state began with, and what it builds on, the full one first. */
  readonly chain: readonly CheckpointDescription[];
  /** What the next checkpoint can build on. */
  readonly base: Base | undefined;
  /** Positions of the checkpoints that turned out to be damaged, or to build on one that is. */
  readonly damaged: readonly number[];
}

export interface BootRange {
  readonly upTo: number;
  /** The log was just opened and `upTo` is its end: a checkpoint beyond it means that the log has lost something. */
  readonly isOpening?: boolean;
  /** Milliseconds since some moment, for the report. */
  readonly elapsed?: () => number;
}

/** Builds the state. `make` gives an empty one; it is called again for each checkpoint that is tried. */
export async function boot(engine: Engine, make: () => StoreState, range: BootRange): Promise<Booted> {
  const { log } = engine;
  const found = await engine.checkpoints.list();
  refuseNewer(found);
  const skipped: { name: string; position: number; reason: string }[] = [];
  const damaged = new Map<number, string>();
  const skip = ({ name, position }: CheckpointDescription, reason: string): void => {
    skipped.push({ name, position, reason });
  };
  let foreign: CheckpointDescription | undefined;
  let isOwn = false;
  for (const checkpoint of found) {
    if (range.isOpening === true) refuseAhead(checkpoint, engine);
    const reason = unusable(checkpoint, engine, range.upTo);
    if (reason !== undefined) {
      skip(checkpoint, reason);
      if (isOfAnotherLog(checkpoint, engine)) foreign ??= checkpoint;
      else isOwn ||= checkpoint.problem === undefined;
      continue;
    }
    isOwn = true;
    if (log.firstPosition > checkpoint.position + 1) throw gap(engine, checkpoint, skipped);
    try {
      const chain = await chainOf(engine, checkpoint, found, damaged);
      return { ...(await bootFrom(engine, make(), chain, skipped, range)), damaged: [...damaged.keys()] };
    } catch (error) {
      if (!(error instanceof DamagedCheckpoint)) throw error;
      damaged.set(error.position, error.message);
      damaged.set(checkpoint.position, error.message);
      skip(checkpoint, error.message);
    }
  }
  if (log.firstPosition > 1) throw gap(engine, undefined, skipped);
  // A log that has everything would do, if it were the log of these checkpoints.
  if (foreign !== undefined && !isOwn)
    throw new RecoveryError(
      `The checkpoints belong to another log (${foreign.logId}, this one is ${log.logId}): ` +
        'was the log lost, or were folders mixed up? Put the right files back',
      { path: foreign.name },
    );
  if (range.isOpening === true && log.openedAt === 0 && skipped.length > 0)
    throw new RecoveryError(
      `The log is empty and no checkpoint can be used: ${reasons(skipped)}. Restore the missing files from a backup`,
      { path: skipped[0]!.name, entryId: 1 },
    );
  return { ...(await bootFrom(engine, make(), [], skipped, range)), damaged: [...damaged.keys()] };
}

/** Not damage: an older checkpoint would do, but what the newer version did since must not be undone in silence. */
function refuseNewer(checkpoints: readonly CheckpointDescription[]): void {
  const newer = checkpoints.find(({ isNewer }) => isNewer === true);
  if (newer !== undefined)
    throw new FormatError(`A newer version of the library wrote this checkpoint: ${newer.problem}. Use that version`, {
      path: newer.name,
    });
}

function unusable(checkpoint: CheckpointDescription, engine: Engine, upTo: number): string | undefined {
  if (checkpoint.problem !== undefined) return checkpoint.problem;
  if (isOfAnotherLog(checkpoint, engine))
    return `it belongs to log ${checkpoint.logId}, this one is ${engine.log.logId}`;
  return checkpoint.position > upTo ? `it holds positions after ${upTo}` : undefined;
}

/** A checkpoint is written after its log was synced. */
function refuseAhead(checkpoint: CheckpointDescription, engine: Engine): void {
  const { openedAt } = engine.log;
  if (checkpoint.problem !== undefined || isOfAnotherLog(checkpoint, engine) || checkpoint.position <= openedAt) return;
  throw new RecoveryError(
    `The log ends with position ${openedAt}, but a checkpoint holds everything up to ${checkpoint.position}: ` +
      'the log has lost what was stored. Restore it from a backup',
    { path: checkpoint.name, entryId: openedAt + 1 },
  );
}

function isOfAnotherLog({ logId, problem }: CheckpointDescription, { log }: Engine): boolean {
  return problem === undefined && logId !== undefined && logId !== log.logId;
}

function gap(
  { log }: Engine,
  checkpoint: CheckpointDescription | undefined,
  skipped: readonly { name: string; reason: string }[],
): RecoveryError {
  const from = (checkpoint?.position ?? 0) + 1;
  return new RecoveryError(
    `The log begins with position ${log.firstPosition}, and ` +
      (checkpoint === undefined
        ? 'no checkpoint can be used'
        : `the best checkpoint ends with ${checkpoint.position}`) +
      `: positions ${from} to ${log.firstPosition - 1} are missing.` +
      (skipped.length === 0 ? '' : ` Not usable: ${reasons(skipped)}.`) +
      ' Restore the missing files from a backup',
    { path: checkpoint?.name, entryId: from },
  );
}

function reasons(skipped: readonly { name: string; reason: string }[]): string {
  return skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
}

/** A checkpoint itself is at fault: another one may do. */
class DamagedCheckpoint extends RecoveryError {
  readonly position: number;

  constructor({ position }: CheckpointDescription, message: string, cause?: unknown) {
    super(message, { cause });
    this.position = position;
  }
}

/** What is wrong with the file, if that is what the error is about. */
function asDamage(checkpoint: CheckpointDescription, error: unknown): Error {
  return error instanceof CairnError && (error.code === 'CAIRN_CORRUPTION' || error.code === 'CAIRN_NOT_FOUND')
    ? new DamagedCheckpoint(checkpoint, error.message, error)
    : (error as Error);
}

/** The checkpoint and those it builds on, the first one first. */
async function chainOf(
  engine: Engine,
  last: CheckpointDescription,
  found: readonly CheckpointDescription[],
  damaged: ReadonlyMap<number, string>,
): Promise<CheckpointDescription[]> {
  const chain = [last];
  for (;;) {
    const first = chain[0]!;
    const reason = damaged.get(first.position) ?? unusable(first, engine, Infinity);
    if (reason !== undefined) throw new DamagedCheckpoint(first, `It builds on ${first.name}: ${reason}`);
    let base: number | undefined;
    try {
      base = await readBase(engine.checkpoints, first.position);
    } catch (error) {
      throw asDamage(first, error);
    }
    if (base === undefined) return chain;
    const next = found.find(({ position }) => position === base);
    if (next === undefined || base >= first.position)
      throw new DamagedCheckpoint(first, `It builds on the checkpoint at ${base}, which is not there`);
    chain.unshift(next);
  }
}

async function bootFrom(
  engine: Engine,
  state: StoreState,
  chain: readonly CheckpointDescription[],
  skipped: StoreRecovery['skippedCheckpoints'],
  { upTo, isOpening, elapsed = () => performance.now() }: BootRange,
): Promise<Omit<Booted, 'damaged'>> {
  const begun = elapsed();
  const checkpoint = chain.at(-1);
  const restoring = new Restoring(state, engine.log.firstPosition);
  for (const part of chain) await restoring.read(engine, part, part === checkpoint);
  const restored = elapsed();
  const covered = checkpoint?.position ?? 0;
  let entriesReplayed = 0;
  let bytesReplayed = 0;
  let marks = 0;
  const reader = new ByteReader();
  for await (const { firstPosition, count, bytes, starts, ends } of engine.log.read(
    Math.min(covered, restoring.behind) + 1,
    upTo,
  )) {
    for (let index = 0; index < count; index++) {
      const position = firstPosition + index;
      const entry = decodeAt(reader.reset(bytes, starts[index]!, ends[index]!), position);
      if (position <= covered) restoring.rebuild(entry, position);
      else applyAt(state, entry, position);
      bytesReplayed += ends[index]! - starts[index]!;
      if (entry.kind === 'wal' && entry.entry.type === 'Checkpoint') marks++;
    }
    entriesReplayed += count;
  }
  for (const { failure } of state.projections.values())
    if (failure !== undefined) restoring.warnings.push(failure.message);
  for (const cell of state.cells.values()) cell.pending = cell.committed;
  const replayed = elapsed();
  return {
    state,
    chain,
    base: checkpoint === undefined ? undefined : { position: covered, made: restoring.made, folded: new Map() },
    since: { entries: entriesReplayed - marks, bytes: bytesReplayed },
    recovery: {
      checkpoint:
        checkpoint === undefined
          ? undefined
          : {
              name: checkpoint.name,
              position: checkpoint.position,
              bytes: chain.reduce((sum, { bytes }) => sum + bytes, 0),
              buildsOn: chain.slice(0, -1).map(({ position }) => position),
            },
      skippedCheckpoints: skipped,
      entriesReplayed,
      bytesReplayed,
      rebuilt: restoring.rebuilt,
      migrated: restoring.migrated,
      warnings: restoring.warnings,
      tornTail: isOpening === true ? engine.opened.tornTail : undefined,
      position: upTo,
      milliseconds: replayed - begun,
      phases: { log: 0, checkpoint: restored - begun, replay: replayed - restored, start: 0 },
    },
  };
}

function decodeAt(reader: ByteReader, position: number): StoreEntry {
  try {
    return decodeEntry(reader);
  } catch (cause) {
    // Of a newer version: it says so itself.
    if (cause instanceof FormatError) throw new FormatError(cause.message, { entryId: position, cause });
    throw new DecodeError(messageOf(cause), { entryId: position, cause });
  }
}

function applyAt(state: StoreState, entry: StoreEntry, position: number): void {
  try {
    state.apply(entry, position);
    if (entry.kind !== 'record' || state.projections.size === 0) return;
    const record = currentRecord(state.types, entry, position);
    for (const fold of state.projections.values()) fold.fold(record);
  } catch (cause) {
    throw notApplied(position, cause);
  }
}

function notApplied(position: number, cause: unknown): RecoveryError {
  return new RecoveryError(`Applying an entry failed: ${messageOf(cause)}`, {
    entryId: position,
    cause,
  });
}

/** Takes checkpoints in, and decides what of them can be used by the program as it is now. */
class Restoring {
  readonly rebuilt: string[] = [];
  readonly migrated: string[] = [];
  readonly warnings: string[] = [];
  /** What the checkpoint was made by. */
  made = '';
  /** Something has to be made from the entries after this position, although checkpoints cover them. */
  behind = Infinity;
  readonly #state: StoreState;
  readonly #firstPosition: number;
  /** Types that the checkpoint does not know: it may hold streams of them, from before they were registered. */
  readonly #newTypes = new Set<string>();
  readonly #rebuildTypes = new Set<string>();
  /** Projections that go on from their own position. */
  readonly #late = new Set<string>();
  readonly #migrations = new Map<string, readonly ((state: never) => unknown)[]>();

  constructor(state: StoreState, firstPosition: number) {
    this.#state = state;
    this.#firstPosition = firstPosition;
  }

  async read(engine: Engine, checkpoint: CheckpointDescription, isLast: boolean): Promise<void> {
    let failure: Error | undefined;
    const reader = new ByteReader();
    try {
      await engine.checkpoints.read(checkpoint.position, (bytes) => {
        try {
          this.#take(decodeItem(reader.reset(bytes, 0, bytes.length)), checkpoint, isLast);
        } catch (error) {
          // Of the program, not of the file: no older checkpoint mends it.
          failure = error as Error;
          throw error;
        }
      });
    } catch (error) {
      if (failure !== undefined) throw failure;
      throw asDamage(checkpoint, error);
    }
  }

  /** Takes in an entry that the checkpoint covers, for what is rebuilt. */
  rebuild(entry: StoreEntry, position: number): void {
    if (entry.kind !== 'record') return;
    const { cells, projections, types } = this.#state;
    const cell = cells.of(entry.stream);
    if (cell.definition !== undefined && this.#rebuildTypes.has(cell.definition.name)) {
      cells.keep(cell);
      try {
        cells.commit(cell, advance(cell, cell.committed, entry));
      } catch (cause) {
        throw notApplied(position, cause);
      }
    }
    if (this.#late.size === 0) return;
    const record = currentRecord(types, entry, position);
    for (const name of this.#late) {
      const fold = projections.get(name)!;
      if (position > fold.position) fold.fold(record);
    }
  }

  #take(item: CheckpointItem, checkpoint: CheckpointDescription, isLast: boolean): void {
    const { receipts, subscriptions, projections } = this.#state;
    switch (item.kind) {
      case 'made':
        // All of a chain are made by the same, else the last of them would have been a full one.
        if (item.base === undefined) {
          this.made = madeAs(item);
          for (const definition of this.#state.types) this.#compare(definition, item.types.get(definition.name));
          this.#unregistered(item.types);
          this.#compareProjections(item.projections);
        }
        subscriptions.clear();
        return;
      case 'stream':
        this.#takeStream(item.stream, item.version, item.state);
        return;
      case 'receipt':
        receipts.add(item.stream, item.commandId, item.answer);
        return;
      case 'subscription': {
        const subscription = this.#state.subscription(item.name);
        subscription.position = item.position;
        for (const [position, error, attempts] of item.parked) subscription.parked.set(position, { error, attempts });
        return;
      }
      case 'projection': {
        const fold = projections.get(item.name);
        if (fold === undefined || this.#late.has(item.name)) return;
        if (item.state !== undefined) fold.state = deepFreeze(item.state) as never;
        fold.position = item.position;
        if (isLast && item.error !== undefined) this.#goOn(item.name, item.position, item.error);
      }
    }
  }

  /** A projection whose folding failed is tried again where it stopped, if the log still has that. */
  #goOn(name: string, position: number, error: string): void {
    const fold = this.#state.projections.get(name)!;
    if (this.#firstPosition <= position + 1) {
      this.#late.add(name);
      this.behind = Math.min(this.behind, position);
    } else {
      fold.failure = new ProjectionError(
        `The projection '${name}' failed, and the log no longer has what it needs: ${error}`,
        {
          entryId: position + 1,
        },
      );
    }
  }

  #takeStream(stream: string, version: number, state: unknown): void {
    const { cells, types } = this.#state;
    const definition = types.ofStream(stream);
    if (definition === undefined) return cells.restore(stream, { version, state: undefined });
    const { name } = definition;
    if (this.#newTypes.has(name)) {
      if (this.#firstPosition > 1)
        throw new RecoveryError(
          `'${name}' is new to this store, but it has a stream '${stream}' already, whose records are no longer all in ` +
            `the log, which begins with position ${this.#firstPosition}. Open the store without it`,
          { path: stream },
        );
      this.#rebuildAll(name, this.#rebuildTypes);
      this.#newTypes.delete(name);
    }
    if (this.#rebuildTypes.has(name)) return;
    const steps = this.#migrations.get(name);
    cells.restore(stream, {
      version,
      state: steps === undefined ? deepFreeze(state) : migrated(steps, definition, stream, state),
    });
  }

  #rebuildAll(name: string, into: Set<string>): void {
    into.add(name);
    this.rebuilt.push(name);
    this.behind = 0;
  }

  #compare(definition: AggregateDefinition, made: Made | undefined): void {
    const { name, version, fingerprint } = definition;
    if (made === undefined) {
      this.#newTypes.add(name);
      return;
    }
    if (made.version > version)
      throw new RecoveryError(
        `The checkpoint holds '${name}' in version ${made.version}, the program declares ${version}. ` +
          'A newer version of the program wrote it; run that one',
      );
    if (made.version < version) return this.#raise(definition, made.version);
    if (made.fingerprint !== fingerprint)
      this.warnings.push(
        `The reducers of '${name}' have changed since the checkpoint, its version ${version} has not. ` +
          'If they make another state of the same events, raise the version',
      );
  }

  /** The program declares a higher version: the log makes the states anew, or they are migrated. */
  #raise({ name, version, migrations }: AggregateDefinition, from: number): void {
    if (this.#firstPosition === 1) return this.#rebuildAll(name, this.#rebuildTypes);
    const chain = [];
    for (let step = from; step < version; step++) {
      const migrate = migrations.get(step);
      if (migrate === undefined)
        throw new RecoveryError(
          `'${name}' was raised from version ${from} to ${version}, but the log begins with position ` +
            `${this.#firstPosition}, so its states cannot be rebuilt. Add @MigratesState(${step})`,
        );
      chain.push(migrate);
    }
    this.#migrations.set(name, chain);
    this.migrated.push(name);
  }

  #unregistered(types: ReadonlyMap<string, Made>): void {
    const { types: known } = this.#state;
    const missing = [...types.keys()].filter((name) => known.named(name) === undefined && !known.forgets(name));
    if (missing.length > 0)
      throw new InvalidArgumentError(
        `The store holds states of ${missing.map((name) => `'${name}'`).join(', ')}, which the program does not define. ` +
          'Add them to openStore({ aggregates }), under the same name: their streams are called by it. ' +
          'To lose their states, name them in openStore({ forget })',
      );
  }

  #compareProjections(made: ReadonlyMap<string, Made>): void {
    const { projections } = this.#state;
    for (const { definition } of projections.values()) {
      const { name, version, fingerprint } = definition;
      const known = made.get(name);
      if (known?.version === version) {
        if (known.fingerprint !== fingerprint)
          this.warnings.push(
            `The handlers of the projection '${name}' have changed since the checkpoint, its version ${version} has ` +
              'not. If they make another state of the same records, raise the version',
          );
        continue;
      }
      if (this.#firstPosition > 1)
        throw new TruncatedError(
          `The projection '${name}' must be built from position 1, but the log begins with position ` +
            `${this.#firstPosition}. Open the store without it` +
            (known === undefined ? '' : `, or with version ${known.version}, which the checkpoint has`),
          { entryId: this.#firstPosition },
        );
      this.#rebuildAll(name, this.#late);
    }
    for (const name of made.keys())
      if (!projections.has(name))
        this.warnings.push(
          `The program does not define the projection '${name}': with the next checkpoint its state is gone`,
        );
  }
}

function migrated(
  steps: readonly ((state: never) => unknown)[],
  { initial }: AggregateDefinition,
  stream: string,
  state: unknown,
): unknown {
  let next = state;
  try {
    for (const step of steps) next = step(next as never);
    if (typeof next !== 'object' || next === null || Array.isArray(next) !== Array.isArray(initial))
      throw new EncodeError(`the migration made ${next === null ? 'null' : typeof next} of it, and no state`);
    return copyPlainData(next);
  } catch (cause) {
    throw new RecoveryError(`The state of '${stream}' cannot be migrated: ${messageOf(cause)}`, {
      path: stream,
      cause,
    });
  }
}
