// From a log and its checkpoints to the state of a store, as of the end or of a position: the newest checkpoint that can
// be used, then the entries after it. What the program has changed since that checkpoint is dealt with here: a type whose
// declared version is higher is rebuilt from the log, or migrated where the log no longer reaches back.

import { ByteReader } from '../bytes/byte-reader.js';
import type { AggregateDefinition } from '../aggregate/index.js';
import { copyPlainData } from '../codec/index.js';
import { CairnError, DecodeError, InvalidArgumentError, RecoveryError, TruncatedError } from '../errors/index.js';
import { advance, type Cell, type Snapshot } from './cells.js';
import { decodeItem, type CheckpointItem, type Made } from './checkpoint-items.js';
import { decodeEntry, type StoreEntry } from './entry.js';
import type { CheckpointDescription, Engine } from './event-log.js';
import { currentRecord } from './read-records.js';
import type { StoreState } from './store-state.js';

/** What opening a store did. */
export interface StoreRecovery {
  /** The checkpoint that state began with; `undefined` if the whole log was replayed. */
  readonly checkpoint: { readonly name: string; readonly position: number; readonly bytes: number } | undefined;
  /** Newer checkpoints that could not be used, newest first. */
  readonly skippedCheckpoints: readonly { readonly name: string; readonly position: number; readonly reason: string }[];
  /** Entries of the log that were read after the checkpoint, or for a rebuild. */
  readonly entriesReplayed: number;
  /** Aggregates and projections that were rebuilt from the log. */
  readonly rebuilt: readonly string[];
  /** Aggregates whose checkpointed states were migrated. */
  readonly migrated: readonly string[];
  /** What somebody should look at. */
  readonly warnings: readonly string[];
  /** The interrupted write that was cut off the end of the log. */
  readonly tornTail: Engine['opened']['tornTail'];
  /** State holds everything up to this position. */
  readonly position: number;
  readonly milliseconds: number;
}

export interface Booted {
  readonly state: StoreState;
  readonly recovery: StoreRecovery;
}

/** Builds the state. `make` gives an empty one; it is called again for each checkpoint that is tried. */
export async function boot(
  engine: Engine,
  make: () => StoreState,
  range: { readonly upTo: number; readonly tornTail?: Engine['opened']['tornTail'] },
): Promise<Booted> {
  const begun = performance.now();
  const skipped: { name: string; position: number; reason: string }[] = [];
  for (const checkpoint of await engine.checkpoints.list()) {
    const reason = unusable(checkpoint, engine, range.upTo);
    if (reason !== undefined) {
      skipped.push({ name: checkpoint.name, position: checkpoint.position, reason });
      continue;
    }
    if (engine.log.firstPosition > checkpoint.position + 1) throw gap(engine, checkpoint, skipped);
    try {
      return await bootFrom(engine, make(), checkpoint, skipped, range, begun);
    } catch (error) {
      if (!(error instanceof DamagedCheckpoint)) throw error;
      skipped.push({ name: checkpoint.name, position: checkpoint.position, reason: error.message });
    }
  }
  if (engine.log.firstPosition > 1) throw gap(engine, undefined, skipped);
  return bootFrom(engine, make(), undefined, skipped, range, begun);
}

function unusable(checkpoint: CheckpointDescription, { log }: Engine, upTo: number): string | undefined {
  if (checkpoint.problem !== undefined) return checkpoint.problem;
  if (checkpoint.logId !== undefined && checkpoint.logId !== log.logId)
    return `it belongs to log ${checkpoint.logId}, this one is ${log.logId}`;
  return checkpoint.position > upTo ? `it holds positions after ${upTo}` : undefined;
}

function gap(
  { log }: Engine,
  checkpoint: CheckpointDescription | undefined,
  skipped: readonly { name: string; reason: string }[],
): RecoveryError {
  const from = (checkpoint?.position ?? 0) + 1;
  const because = skipped.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  return new RecoveryError(
    `The log begins with position ${log.firstPosition}, and ` +
      (checkpoint === undefined
        ? 'no checkpoint can be used'
        : `the best checkpoint ends with ${checkpoint.position}`) +
      `: positions ${from} to ${log.firstPosition - 1} are missing.` +
      (because === '' ? '' : ` Not usable: ${because}.`) +
      ' Restore the missing files from a backup',
    { path: checkpoint?.name, entryId: from },
  );
}

/** The checkpoint itself is at fault: another one may do. */
class DamagedCheckpoint extends RecoveryError {}

async function bootFrom(
  engine: Engine,
  state: StoreState,
  checkpoint: CheckpointDescription | undefined,
  skipped: StoreRecovery['skippedCheckpoints'],
  { upTo, tornTail }: { readonly upTo: number; readonly tornTail?: Engine['opened']['tornTail'] },
  begun: number,
): Promise<Booted> {
  const restoring = new Restoring(state, engine.log.firstPosition);
  if (checkpoint !== undefined) await restoring.read(engine, checkpoint);
  const covered = checkpoint?.position ?? 0;
  const from = restoring.from(covered);
  let entriesReplayed = 0;
  const reader = new ByteReader();
  for await (const { position, payload } of engine.log.read(from, upTo)) {
    const entry = decodeAt(reader.reset(payload, 0, payload.length), position);
    if (position <= covered) restoring.rebuild(entry, position);
    else applyAt(state, entry, position);
    entriesReplayed++;
  }
  for (const { failure } of state.projections.values())
    if (failure !== undefined) restoring.warnings.push(failure.message);
  for (const cell of state.cells.values()) cell.pending = cell.committed;
  return {
    state,
    recovery: {
      checkpoint:
        checkpoint === undefined
          ? undefined
          : { name: checkpoint.name, position: checkpoint.position, bytes: checkpoint.bytes },
      skippedCheckpoints: skipped,
      entriesReplayed,
      rebuilt: restoring.rebuilt,
      migrated: restoring.migrated,
      warnings: restoring.warnings,
      tornTail,
      position: upTo,
      milliseconds: performance.now() - begun,
    },
  };
}

function decodeAt(reader: ByteReader, position: number): StoreEntry {
  try {
    return decodeEntry(reader);
  } catch (cause) {
    throw new DecodeError(cause instanceof Error ? cause.message : String(cause), { entryId: position, cause });
  }
}

function applyAt(state: StoreState, entry: StoreEntry, position: number): void {
  try {
    state.apply(entry, position);
    if (entry.kind !== 'record' || state.projections.size === 0) return;
    const record = currentRecord(state.types, entry, position);
    for (const fold of state.projections.values()) fold.fold(record);
  } catch (cause) {
    throw new RecoveryError(`Applying an entry failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
      entryId: position,
      cause,
    });
  }
}

/** Takes a checkpoint in, and decides what of it can be used by the program as it is now. */
class Restoring {
  readonly rebuilt: string[] = [];
  readonly migrated: string[] = [];
  readonly warnings: string[] = [];
  readonly #state: StoreState;
  readonly #firstPosition: number;
  readonly #rebuildTypes = new Set<string>();
  readonly #rebuildProjections = new Set<string>();
  /** Positions of projections that had failed before the checkpoint: they go on from there. */
  readonly #resumed: number[] = [];
  /** Of the checkpoint. */
  #position = 0;
  readonly #migrations = new Map<string, readonly ((state: never) => unknown)[]>();

  constructor(state: StoreState, firstPosition: number) {
    this.#state = state;
    this.#firstPosition = firstPosition;
  }

  /** First position that has to be read, if everything up to `covered` is in the checkpoint. */
  from(covered: number): number {
    if (this.#rebuildTypes.size > 0 || this.#rebuildProjections.size > 0) return 1;
    return Math.min(covered, ...this.#resumed) + 1;
  }

  async read(engine: Engine, checkpoint: CheckpointDescription): Promise<void> {
    this.#position = checkpoint.position;
    let failure: Error | undefined;
    try {
      await engine.checkpoints.read(checkpoint.position, (bytes) => {
        try {
          this.#take(decodeItem(bytes));
        } catch (error) {
          // Of the program, not of the file: no older checkpoint mends it.
          failure = error as Error;
          throw error;
        }
      });
    } catch (error) {
      if (failure !== undefined) throw failure;
      if (error instanceof CairnError && (error.code === 'CAIRN_CORRUPTION' || error.code === 'CAIRN_NOT_FOUND'))
        throw new DamagedCheckpoint(error.message, { cause: error });
      throw error;
    }
  }

  /** Takes in an entry that the checkpoint covers, for what is rebuilt. */
  rebuild(entry: StoreEntry, position: number): void {
    if (entry.kind !== 'record') return;
    const { cells, projections, types } = this.#state;
    const cell = cells.of(entry.stream);
    if (cell.definition !== undefined && this.#rebuildTypes.has(cell.definition.name)) {
      cells.keep(cell);
      cells.commit(cell, advance(cell, cell.committed, entry));
    }
    if (this.#rebuildProjections.size === 0 && this.#resumed.length === 0) return;
    const record = currentRecord(types, entry, position);
    // Those that the checkpoint has are at its position.
    for (const fold of projections.values()) if (fold.position < position) fold.fold(record);
  }

  #take(item: CheckpointItem): void {
    switch (item.kind) {
      case 'made':
        for (const definition of this.#state.types) this.#compare(definition, item.types.get(definition.name));
        this.#unregistered(item.types);
        this.#compareProjections(item.projections);
        return;
      case 'stream':
        this.#takeStream(item.stream, item.version, item.state);
        return;
      case 'receipt':
        this.#state.receipts.add(item.stream, item.commandId, item.answer);
        return;
      case 'subscription': {
        const subscription = this.#state.subscription(item.name);
        subscription.position = item.position;
        for (const [position, error, attempts] of item.parked) subscription.parked.set(position, { error, attempts });
        return;
      }
      case 'projection': {
        const fold = this.#state.projections.get(item.name);
        if (fold === undefined || this.#rebuildProjections.has(item.name)) return;
        fold.restore(copyPlainData(item.state) as never, item.failure === undefined ? this.#position : item.position);
        if (item.failure !== undefined) this.#resumed.push(item.position);
        return;
      }
    }
  }

  #takeStream(stream: string, version: number, state: unknown): void {
    const cell: Cell = this.#state.cells.of(stream);
    const { definition } = cell;
    if (definition !== undefined && this.#rebuildTypes.has(definition.name)) return;
    this.#state.cells.keep(cell);
    let restored = state;
    for (const migrate of this.#migrations.get(definition?.name ?? '') ?? []) restored = migrate(restored as never);
    const snapshot: Snapshot = { version, state: definition === undefined ? undefined : copyPlainData(restored) };
    cell.committed = snapshot;
  }

  #compare(definition: AggregateDefinition, made: Made | undefined): void {
    const { name, version, fingerprint } = definition;
    // A type that the checkpoint does not know may still have streams: appended before the type was registered.
    if (made === undefined) return this.#rebuildType(definition, 0);
    if (made.version > version)
      throw new RecoveryError(
        `The checkpoint holds '${name}' in version ${made.version}, the program declares ${version}. Run the newer program`,
      );
    if (made.version < version) return this.#rebuildType(definition, made.version);
    if (made.fingerprint !== fingerprint)
      this.warnings.push(
        `The reducers of '${name}' have changed since the checkpoint, its version has not. ` +
          'If they make another state of the same events, raise the version',
      );
  }

  #rebuildType(definition: AggregateDefinition, from: number): void {
    const { name, version, migrations } = definition;
    if (this.#firstPosition === 1) {
      this.#rebuildTypes.add(name);
      if (from > 0) this.rebuilt.push(name);
      return;
    }
    if (from === 0) {
      this.warnings.push(`'${name}' is new to the store, and the log begins with position ${this.#firstPosition}`);
      return;
    }
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
    const missing = [...types.keys()].filter((name) => this.#state.types.named(name) === undefined);
    if (missing.length > 0)
      throw new InvalidArgumentError(
        `The store holds states of ${missing.map((name) => `'${name}'`).join(', ')}, which the program does not define. ` +
          'Add them to openStore({ aggregates }), or their states would be lost with the next checkpoint',
      );
  }

  #compareProjections(made: ReadonlyMap<string, Made>): void {
    for (const name of made.keys())
      if (!this.#state.projections.has(name))
        this.warnings.push(
          `The checkpoint has a projection '${name}', which the program does not define; the next checkpoint forgets it`,
        );
    for (const { definition } of this.#state.projections.values()) {
      const { name, version, fingerprint } = definition;
      const known = made.get(name);
      if (known?.version === version) {
        if (known.fingerprint !== fingerprint)
          this.warnings.push(
            `The handlers of the projection '${name}' have changed since the checkpoint, its version has not. ` +
              'If they make another state of the same records, raise the version',
          );
        continue;
      }
      if (this.#firstPosition > 1)
        throw new TruncatedError(
          `The projection '${name}' must be built from position 1, but the log begins with position ` +
            `${this.#firstPosition}. Open the store without it, or with the version that the checkpoint has` +
            (known === undefined ? '' : ` (${known.version})`),
          { entryId: this.#firstPosition },
        );
      this.#rebuildProjections.add(name);
      this.rebuilt.push(name);
    }
  }
}
