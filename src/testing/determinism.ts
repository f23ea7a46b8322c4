// Whether the states of a store are a function of its records: what a checkpoint holds is rebuilt from the one before,
// and every reducer is run several times on the way. Names the first record and reducer where that is not so.

import { ByteReader } from '../bytes/byte-reader.js';
import type { AggregateDefinition } from '../aggregate/index.js';
import { CairnError, InvalidArgumentError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { boot } from '../store/boot.js';
import type { Snapshot } from '../store/cells.js';
import { decodeEntry, type RecordEntry } from '../store/entry.js';
import type { CheckpointDescription, Engine, EngineSource } from '../store/index.js';
import type { Target } from '../store/event-store.js';
import { openEngine } from '../store/open-store.js';
import type { ProjectionDefinition } from '../store/projection.js';
import { StoreState } from '../store/store-state.js';
import { AggregateTypes } from '../store/types.js';
import { differences, isSame } from './differences.js';
import { Suspicion } from './other-world.js';

export interface DeterminismOptions {
  /** Where the store is; it must be closed. Either this or `engine`. */
  readonly dir?: string | Directory;
  readonly engine?: EngineSource;
  /** As given to `openStore`. */
  readonly aggregates: readonly Target[];
  /** As given to `openStore`; they are not checked. */
  readonly projections?: readonly ProjectionDefinition[];
}

/** What {@link checkDeterminism} went over. */
export interface DeterminismReport {
  /** Position of the checkpoint it began with; 0 if it began with the first record. */
  readonly from: number;
  /** Position of the checkpoint whose states were compared; `undefined` if there is none, and reducers were only run again. */
  readonly compared: number | undefined;
  /** Last position that was looked at. */
  readonly upTo: number;
  /** Records that were reduced again. */
  readonly records: number;
  /** Aggregates whose states were compared. */
  readonly aggregates: number;
}

/** A state is not what its records say. */
export class DeterminismError extends CairnError {
  readonly code = 'CAIRN_DETERMINISM';
  readonly stream: string;
  /** Version of the first record that is suspected; `undefined` if there is none. */
  readonly version: number | undefined;
  /** Type of its event, and so of its reducer. */
  readonly eventType: string | undefined;

  constructor(
    message: string,
    stream: string,
    record: { readonly position: number; readonly entry: RecordEntry } | undefined,
  ) {
    super(message, { entryId: record?.position });
    this.stream = stream;
    this.version = record?.entry.version;
    this.eventType = record?.entry.type;
  }
}

/**
 * Rebuilds the states of the newest checkpoint from the one before it (or from the first record) and compares. On the
 * way every record is reduced with other clocks and random numbers as well. After the newest checkpoint it goes on to
 * the end of the log, with nothing to compare to.
 *
 * Rejects with {@link DeterminismError} that names the first record and reducer that diverges: for certain where a
 * reducer makes two states of one; where it makes the same one each time now, but the checkpoint has another (the
 * reducer was changed, or reads something outside), the first record that changed what differs. Rejects as `openStore`
 * does if the store cannot be opened. Reads only. Memory and time are those of opening the store without its newest
 * checkpoint, three times the reducers' share.
 *
 * @example await checkDeterminism({ dir: './data', aggregates: [Account] });
 */
export async function checkDeterminism(options: DeterminismOptions): Promise<DeterminismReport> {
  const { dir, engine: source, aggregates, projections = [] } = options;
  const types = new AggregateTypes(aggregates);
  const engine = await openEngine({
    ...(dir === undefined ? {} : { dir }),
    ...(source === undefined ? {} : { engine: source }),
  });
  try {
    const state = (): StoreState => new StoreState(types, projections, 0);
    return await check(engine, types, state);
  } finally {
    await engine.log.close();
  }
}

async function check(engine: Engine, types: AggregateTypes, makeState: () => StoreState): Promise<DeterminismReport> {
  const { log } = engine;
  const [newest, older] = await usable(engine);
  const start = older?.position ?? 0;
  if (start + 1 < log.firstPosition)
    throw new InvalidArgumentError(
      `The log begins with position ${log.firstPosition}, and there is no older checkpoint to begin with. ` +
        'Keep two checkpoints (checkpoint.retain), or check before the log is truncated',
    );
  const rebuilt = new Rebuilding(types, (await boot(engine, makeState, { upTo: start })).state);
  let compared = 0;
  if (newest !== undefined) {
    await rebuilt.replay(engine, start + 1, newest.position);
    compared = rebuilt.compare((await boot(engine, makeState, { upTo: newest.position })).state, newest);
  }
  await rebuilt.replay(engine, (newest?.position ?? start) + 1, log.openedAt);
  return {
    from: start,
    compared: newest?.position,
    upTo: log.openedAt,
    records: rebuilt.records,
    aggregates: compared,
  };
}

/** Newest first. */
async function usable({ log, checkpoints }: Engine): Promise<CheckpointDescription[]> {
  return (await checkpoints.list()).filter(
    ({ problem, logId, position }) => problem === undefined && logId === log.logId && position <= log.openedAt,
  );
}

/** A record, and the states around it. */
interface Step {
  readonly position: number;
  readonly entry: RecordEntry;
  readonly before: unknown;
  readonly after: unknown;
}

/** States as the records make them. */
class Rebuilding {
  records = 0;
  readonly #types: AggregateTypes;
  readonly #suspicions = new Map<AggregateDefinition, Suspicion>();
  readonly #states = new Map<string, Snapshot>();
  /** What happened to each stream since the older checkpoint; states share what did not change. */
  readonly #steps = new Map<string, Step[]>();

  constructor(types: AggregateTypes, from: StoreState) {
    this.#types = types;
    for (const { stream, committed } of from.cells.values()) this.#states.set(stream, committed);
  }

  async replay({ log }: Engine, from: number, upTo: number): Promise<void> {
    const reader = new ByteReader();
    for await (const { position, payload } of log.read(from, upTo)) {
      const entry = decodeEntry(reader.reset(payload, 0, payload.length));
      if (entry.kind !== 'record') continue;
      const definition = this.#types.ofStream(entry.stream);
      if (definition !== undefined) this.#reduce(definition, entry, position);
    }
  }

  /** Throws unless all aggregates are as the checkpoint has them. Returns how many there are. */
  compare(expected: StoreState, { name }: CheckpointDescription): number {
    let count = 0;
    let first: DeterminismError | undefined;
    for (const { stream, definition, committed } of expected.cells.values()) {
      if (definition === undefined) continue;
      count++;
      const rebuilt = this.#states.get(stream) ?? { version: 0, state: definition.initial };
      if (isSame(rebuilt, committed)) continue;
      const error = this.#divergence(stream, definition, rebuilt, committed, name);
      if ((error.entryId ?? Infinity) < (first?.entryId ?? Infinity) || first === undefined) first = error;
    }
    if (first !== undefined) throw first;
    this.#steps.clear();
    return count;
  }

  #reduce(definition: AggregateDefinition, entry: RecordEntry, position: number): void {
    const { stream, version, type } = entry;
    const before = this.#states.get(stream)?.state ?? definition.initial;
    let suspicion = this.#suspicions.get(definition);
    if (suspicion === undefined) this.#suspicions.set(definition, (suspicion = new Suspicion(definition)));
    const { next, other } = suspicion.reduce(before, entry);
    this.records++;
    if (other !== undefined)
      throw new DeterminismError(
        `The reducer of '${type}' in '${definition.name}' makes another state each time it runs on the record at position ` +
          `${position} (version ${version} of '${stream}'). It must not use the clock, random numbers, or anything else ` +
          `outside: decide in the command, and put it into the event\n- once   + once more\n\n${differences(other.there, other.here)}\n`,
        stream,
        { position, entry },
      );
    this.#states.set(stream, { version, state: next });
    const steps = this.#steps.get(stream);
    if (steps === undefined) this.#steps.set(stream, [{ position, entry, before, after: next }]);
    else steps.push({ position, entry, before, after: next });
  }

  #divergence(
    stream: string,
    { name }: AggregateDefinition,
    rebuilt: Snapshot,
    held: Snapshot,
    checkpoint: string,
  ): DeterminismError {
    const steps = this.#steps.get(stream) ?? [];
    const path = differingPath(rebuilt.state, held.state);
    const culprit = steps.find(({ before, after }) => valueAt(before, path) !== valueAt(after, path)) ?? steps[0];
    const field = path.length === 0 ? '' : ` in '${path.join('.')}'`;
    const suspect =
      culprit === undefined
        ? 'No record explains that: the checkpoint before it was made by other reducers'
        : `The first record that changed that is at position ${culprit.position} (version ${culprit.entry.version}); look ` +
          `at the reducer of '${culprit.entry.type}': it has been changed since, or it uses something outside of state and event`;
    return new DeterminismError(
      `The ${checkpoint} has another state of '${stream}' than the records of '${name}' make${field}. ${suspect}\n` +
        `- in the checkpoint   + rebuilt\n\n${differences(rebuilt, held)}\n`,
      stream,
      culprit,
    );
  }
}

/** Keys that lead to the first place where two states differ. */
function differingPath(a: unknown, b: unknown): string[] {
  if (!isPlainObject(a) || !isPlainObject(b)) return [];
  for (const key of Object.keys({ ...a, ...b }))
    if (!isSame(a[key], b[key])) return [key, ...differingPath(a[key], b[key])];
  return [];
}

function valueAt(state: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (isPlainObject(value) ? value[key] : undefined), state);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !(value instanceof Date) && !(value instanceof Uint8Array);
}
