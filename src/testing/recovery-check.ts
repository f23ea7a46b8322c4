// Whether an aggregate comes back: by replay, by a checkpoint and replay of the rest, after a power cut, and after a
// crash at every byte of the last append. Every recovery runs its reducers in another world than the first time.

import type { AggregateDefinition } from '../aggregate/index.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { MemoryDirectory, writeFully, type Directory } from '../storage/index.js';
import { encodeEntry } from '../store/entry.js';
import type { EventStore, Target } from '../store/event-store.js';
import { openFileEngine } from '../store/file-engine.js';
import { memoryEngine, openStore, type Engine, type OpenStoreOptions } from '../store/index.js';
import { blockBytesOf } from './engine-cases.js';
import { assertionError, fail, isSame } from './differences.js';
import { inWorld, OTHER_WORLDS, Suspicion, type WrittenEvent } from './other-world.js';
import { loseEverything } from './power-cut.js';
import { SimulatedDisk } from './simulated-disk.js';
import { messageOf } from '../errors/message-of.js';

/** An aggregate before and after a command. */
export interface Recoverable {
  readonly definition: AggregateDefinition;
  readonly id: string;
  readonly given: readonly WrittenEvent[];
  readonly emitted: readonly WrittenEvent[];
  /** After the given events. */
  readonly before: unknown;
  /** After the emitted ones, too. */
  readonly after: unknown;
}

/** Checkpoints that are tried, at most: one after each event where there are no more. */
const MOST_CHECKPOINTS = 16;
/** Crashes that are tried, at most: one at each byte of the append where it has no more. */
const MOST_CRASHES = 4096;
const WAL = 'wal/wal_1.log';

/** Rejects with an `AssertionError` that says what came back instead. */
export async function checkRecovery(subject: Recoverable): Promise<void> {
  const events = [...subject.given, ...subject.emitted];
  checkReducers(subject, events);
  for (const [index] of OTHER_WORLDS.entries()) await checkReplay(subject, events, index);
  for (const count of spread(events.length, MOST_CHECKPOINTS)) await checkCheckpoint(subject, events, count);
  if (subject.emitted.length > 0) await checkCrashes(subject);
}

/** Before anything else, as it can name the culprit: the first reducer whose result depends on more than it should. */
function checkReducers({ definition }: Recoverable, events: readonly WrittenEvent[]): void {
  const suspicion = new Suspicion(definition);
  let state: unknown = definition.initial;
  for (const [index, event] of events.entries()) {
    const { next, other } = suspicion.reduce(state, event);
    if (other !== undefined)
      fail(
        `'${definition.name}' does not recover: the reducer of '${event.type}' (event ${index + 1}) makes another state ` +
          'of the same state and event when it runs again. It must not use the clock, random numbers, or anything ' +
          'else outside: decide in the command, and put it into the event',
        other.there,
        other.here,
        'at first, when run again',
      );
    state = next;
  }
}

async function checkReplay(subject: Recoverable, events: readonly WrittenEvent[], world: number): Promise<void> {
  const engine = memoryEngine();
  await write(await engine.open(), subject, events, 1);
  await recovers(subject, { engine }, 'after', 'by replay of all its events', world);
}

async function checkCheckpoint(subject: Recoverable, events: readonly WrittenEvent[], count: number): Promise<void> {
  const engine = memoryEngine();
  await write(await engine.open(), subject, events.slice(0, count), 1);
  const how = `by a checkpoint after event ${count} and replay of the rest`;
  const { store } = await open(subject, { engine }, 0, how);
  const { name } = await store.checkpoint();
  const { position } = store;
  await store.close();
  await write(await engine.open(), subject, events.slice(count), position + 1, count);
  await recovers(subject, { engine }, 'after', how, 1, name);
}

async function checkCrashes(subject: Recoverable): Promise<void> {
  const { given, emitted } = subject;
  const disk = new SimulatedDisk();
  const engine = await openFileEngine(disk);
  await write(engine, subject, given, 1, 0, false);
  const start = disk.peek(WAL)!.length;
  await write(engine, subject, emitted, given.length + 1, given.length, false);
  const cut = disk.afterPowerCut(loseEverything);
  const bytes = disk.peek(WAL)!;
  await engine.log.close();
  await recovers(subject, { dir: cut }, 'after', 'after a power cut behind the append');
  for (const length of [0, ...spread(bytes.length - start, MOST_CRASHES)]) {
    const which = length === bytes.length - start ? 'after' : 'before';
    const how = `after a crash ${length} of ${bytes.length - start} bytes into the append`;
    await recovers(subject, { dir: await crashed(bytes.subarray(0, start + length)) }, which, how, length % 2);
  }
}

async function crashed(bytes: Uint8Array): Promise<Directory> {
  const directory = new MemoryDirectory();
  await directory.makeDirectory('wal');
  const file = await directory.open(WAL, 'create');
  await writeFully(file, bytes, 0);
  await file.close();
  return directory;
}

/** Whole numbers from 1 to `last`, evenly spread where there are more than `most`. */
function spread(last: number, most: number): number[] {
  const count = Math.min(last, most);
  return Array.from({ length: count }, (_, index) => Math.round(((index + 1) * last) / count));
}

/** Writes events as the program of their time did, in one append. */
async function write(
  { log }: Engine,
  { definition, id }: Recoverable,
  events: readonly WrittenEvent[],
  firstPosition: number,
  versionBefore = 0,
  close = true,
): Promise<void> {
  const entries = events.map(({ type, data, eventVersion }, index) => {
    const writer = new ByteWriter(256);
    encodeEntry(
      {
        kind: 'record',
        stream: `${definition.name}-${id}`,
        version: versionBefore + index + 1,
        type,
        eventVersion,
        recordedAt: 0,
        data,
        metadata: {},
        receipt: undefined,
      },
      writer,
    );
    return writer.bytes.subarray(0, writer.length);
  });
  const { epoch, strongest: durability } = log;
  const outcome = await log.append({
    firstPosition,
    epoch,
    ...blockBytesOf(entries),
    groups: [entries.length],
    durability,
  });
  if (close) await log.close();
  if (outcome.kind !== 'done') throw assertionError(`The events could not be written: ${outcome.kind}`);
}

async function open(
  { definition }: Recoverable,
  where: OpenStoreOptions,
  world: number,
  how: string,
): Promise<{ readonly store: EventStore; readonly target: Target }> {
  const target = targetOf(inWorld(definition, OTHER_WORLDS[world]!));
  try {
    return { store: await openStore({ ...where, aggregates: [target] }), target };
  } catch (cause) {
    const error = assertionError(`'${definition.name}' does not recover ${how}: ${messageOf(cause)}`);
    throw Object.assign(error, { cause });
  }
}

/** The definition as something that a store takes. Nothing is executed on it. */
function targetOf(definition: AggregateDefinition): Target {
  const target = { definition, make: () => Object.create(null) as object };
  return target as unknown as Target;
}

async function recovers(
  subject: Recoverable,
  where: OpenStoreOptions,
  which: 'before' | 'after',
  how: string,
  world = 0,
  checkpoint?: string,
): Promise<void> {
  const { definition, id, given, emitted } = subject;
  const { store, target } = await open(subject, where, world, how);
  try {
    const found = await store.load(target, id);
    const expected = { version: given.length + (which === 'after' ? emitted.length : 0), state: subject[which] };
    const actual = { version: found.version, state: found.state };
    if (!isSame(actual, expected))
      fail(`'${definition.name}' is another one when it is recovered ${how}`, actual, expected, 'was, recovered');
    const used = store.recovery.checkpoint?.name;
    if (used !== checkpoint)
      throw assertionError(`It was to be recovered ${how}, but the checkpoint that was used is ${used ?? 'none'}`);
  } finally {
    await store.close();
  }
}
