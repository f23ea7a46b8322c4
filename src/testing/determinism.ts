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
  readonly dir?: string | Directory | undefined;
  readonly engine?: EngineSource | undefined;
  /** As given to `openStore`. */
  readonly aggregates: readonly Target[];
  /** As given to `openStore`; they are not checked. */
  readonly projections?: readonly ProjectionDefinition[] | undefined;
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
  const engine = await openEngine({ dir, engine: source });
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
  const begin = async (): Promise<Rebuilding> =>
    new Rebuilding(types, (await boot(engine, makeState, { upTo: start })).state);
  const rebuilt = await begin();
  let compared = 0;
  if (newest !== undefined) {
    await rebuilt.replay(engine, start + 1, newest.position);
    const held = (await boot(engine, makeState, { upTo: newest.position })).state;
    const differing: Difference[] = [];
    for (const cell of held.cells.values()) {
      if (cell.definition === undefined) continue;
      compared++;
      const difference = rebuilt.compare(cell.stream, cell.definition, cell.committed);
      if (difference !== undefined) differing.push(difference);
    }
    // Once more, now that it is known what to look for: keeping every step in memory would cost more.
    if (differing.length > 0)
      throw await (await begin()).divergence(differing, newest, engine, start + 1, newest.position);
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

/** An aggregate that is not in the checkpoint what its records make of it. */
interface Difference {
  readonly stream: string;
  readonly rebuilt: Snapshot;
  readonly held: Snapshot;
  /** Keys that lead to the first place where they differ. */
  readonly path: readonly string[];
}

/** States as the records make them. */
class Rebuilding {
  records = 0;
  readonly #types: AggregateTypes;
  readonly #suspicions = new Map<AggregateDefinition, Suspicion>();
  readonly #states = new Map<string, Snapshot>();

  constructor(types: AggregateTypes, from: StoreState) {
    this.#types = types;
    for (const { stream, committed } of from.cells.values()) this.#states.set(stream, committed);
  }

  /** `visit` returns true when it has seen enough. */
  async replay({ log }: Engine, from: number, upTo: number, visit?: (step: Step) => boolean): Promise<void> {
    const reader = new ByteReader();
    for await (const { firstPosition, count, bytes, starts, ends } of log.read(from, upTo))
      for (let index = 0; index < count; index++) {
        const entry = decodeEntry(reader.reset(bytes, starts[index]!, ends[index]!));
        if (entry.kind !== 'record') continue;
        const definition = this.#types.ofStream(entry.stream);
        if (definition === undefined) continue;
        const step = this.#reduce(definition, entry, firstPosition + index);
        if (visit?.(step) === true) return;
      }
  }

  compare(stream: string, definition: AggregateDefinition, held: Snapshot): Difference | undefined {
    const rebuilt = this.#states.get(stream) ?? { version: 0, state: definition.initial };
    if (isSame(rebuilt, held)) return undefined;
    return { stream, rebuilt, held, path: differingPath(rebuilt.state, held.state) };
  }

  /** Replays until a record changes what differs. */
  async divergence(
    differing: readonly Difference[],
    { name }: CheckpointDescription,
    engine: Engine,
    from: number,
    upTo: number,
  ): Promise<DeterminismError> {
    const byStream = new Map(differing.map((difference) => [difference.stream, difference]));
    let culprit: Step | undefined;
    await this.replay(engine, from, upTo, (step) => {
      const path = byStream.get(step.entry.stream)?.path;
      if (path === undefined || valueAt(step.before, path) === valueAt(step.after, path)) return false;
      culprit = step;
      return true;
    });
    const found = culprit as Step | undefined;
    const { stream, rebuilt, held, path } = byStream.get(found?.entry.stream ?? '') ?? differing[0]!;
    const suspect =
      found === undefined
        ? 'No record since the checkpoint before explains that: that one was made by other reducers'
        : `The first record that changed that is at position ${found.position} (version ${found.entry.version}). Look at ` +
          `the reducer of '${found.entry.type}': it was another one then, or it uses something outside of state and event`;
    return new DeterminismError(
      `${name} holds another state of '${stream}' than its records make` +
        `${path.length === 0 ? '' : `, in '${path.join('.')}'`}. ${suspect}\n` +
        `- in the checkpoint   + rebuilt\n\n${differences(rebuilt, held)}\n`,
      stream,
      found,
    );
  }

  #reduce(definition: AggregateDefinition, entry: RecordEntry, position: number): Step {
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
          `outside: decide in the command, and put it into the event\n` +
          `- once   + once more\n\n${differences(other.there, other.here)}\n`,
        stream,
        { position, entry },
      );
    this.#states.set(stream, { version, state: next });
    return { position, entry, before, after: next };
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
