// The engine that keeps everything in memory: for tests, and to stand in for a distributed engine, whose every answer it
// can give. It outlives the stores that are opened on it, so a restart is opening it again; and like a log that several
// machines can reach, it lets a new writer in at any time and fences the old one.

import { randomBytes } from 'node:crypto';
import { crc32 } from '../bytes/crc32.js';
import { readU32 } from '../bytes/u64.js';
import { CorruptionError, InvalidArgumentError, NotFoundError, TruncatedError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Durability } from './durability.js';
import type {
  AppendOutcome,
  Block,
  CheckpointDescription,
  CheckpointStorage,
  Engine,
  EngineSource,
  EventLog,
  LogEntries,
  LogLimits,
  LogPart,
} from './event-log.js';

export interface MemoryEngineOptions {
  /**
   * What it says its acknowledgements mean. Default `memory`, which is the truth. Another one lets programs that ask
   * for more run on it, and makes a store wait for the engine before it answers.
   */
  readonly strongest?: Durability | undefined;
  /** Entries after which a new part of the log begins: parts are what truncation removes. Default 1000. */
  readonly partEntries?: number | undefined;
  /** Default: as files have them, 16 MiB for an entry and 64 MiB for a block. */
  readonly limits?: LogLimits | undefined;
  /** Source of the log's id. Default `crypto.randomBytes`. */
  readonly random?: ((size: number) => Uint8Array) | undefined;
}

const MIB = 1024 * 1024;
const DEFAULT_LIMITS: LogLimits = { entryBytes: 16 * MIB, blockBytes: 64 * MIB };

/**
 * A log and checkpoints in memory. Stores opened on it one after the other find what the one before left; of two at the
 * same time, the later has it, and the earlier fails with `FencedError` at its next append.
 *
 * @example
 * const engine = memoryEngine();
 * let store = await openStore({ engine, aggregates: [Account] });
 * await store.execute(Account, 'a-1', (account) => account.deposit(10));
 * await store.close();
 * store = await openStore({ engine, aggregates: [Account] }); // a restart
 */
export function memoryEngine(options: MemoryEngineOptions = {}): MemoryEngine {
  return new MemoryEngine(options);
}

export class MemoryEngine implements EngineSource {
  readonly #memory: Memory;

  /** Use {@link memoryEngine}. */
  constructor({
    strongest = 'memory',
    partEntries = 1000,
    limits = DEFAULT_LIMITS,
    random = randomBytes,
  }: MemoryEngineOptions) {
    if (!Number.isSafeInteger(partEntries) || partEntries < 1)
      throw new InvalidArgumentError(`partEntries must be a whole number from 1, got ${shown(partEntries)}`);
    // 0 stands for no id.
    this.#memory = new Memory(strongest, partEntries, limits, readU32(random(4), 0) + 1);
  }

  async open(): Promise<Engine> {
    this.#memory.epoch++;
    return { log: new MemoryLog(this.#memory), checkpoints: this.#memory, opened: { tornTail: undefined } };
  }

  /** The next append answers `unknown`, and is there (`stored`) or is not when the engine is opened again. */
  failNextAppend(stored: boolean): void {
    this.#memory.failure = { stored };
  }

  /** Flips a bit of a checkpoint, so that reading it rejects with `CorruptionError`. */
  damageCheckpoint(position: number): void {
    const { items } = this.#memory.checkpoint(position);
    const last = items.findLast((item) => item.length > 0);
    if (last === undefined) throw new InvalidArgumentError('There is no byte in this checkpoint');
    last[last.length - 1]! ^= 1;
  }
}

interface Part {
  readonly firstPosition: number;
  readonly entries: Uint8Array[];
}

interface MemoryCheckpoint {
  readonly logId: number;
  readonly items: readonly Uint8Array[];
  readonly checksum: number;
}

/** What stays when a store is closed. */
class Memory implements CheckpointStorage {
  epoch = 0;
  /** Oldest first; the last one is added to. */
  readonly parts: Part[] = [{ firstPosition: 1, entries: [] }];
  /** Of the next append. */
  failure: { readonly stored: boolean } | undefined;
  readonly strongest: Durability;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly #partEntries: number;
  readonly #checkpoints = new Map<number, MemoryCheckpoint>();

  constructor(strongest: Durability, partEntries: number, limits: LogLimits, logId: number) {
    this.strongest = strongest;
    this.#partEntries = partEntries;
    this.limits = limits;
    this.logId = logId;
  }

  get lastPosition(): number {
    return endOf(this.parts.at(-1)!) - 1;
  }

  /** Takes copies: the store uses its buffers again. */
  add({ count, bytes, starts, ends }: Block): void {
    if (this.parts.at(-1)!.entries.length >= this.#partEntries)
      this.parts.push({ firstPosition: this.lastPosition + 1, entries: [] });
    const part = this.parts.at(-1)!;
    for (let index = 0; index < count; index++) part.entries.push(bytes.slice(starts[index], ends[index]));
  }

  checkpoint(position: number): MemoryCheckpoint {
    const found = this.#checkpoints.get(position);
    if (found === undefined) throw new NotFoundError('There is no such checkpoint', { path: nameOf(position) });
    return found;
  }

  async list(): Promise<CheckpointDescription[]> {
    return [...this.#checkpoints]
      .sort(([a], [b]) => b - a)
      .map(([position, checkpoint]) => describe(position, checkpoint));
  }

  async write(position: number, logId: number, items: AsyncIterable<Uint8Array>): Promise<CheckpointDescription> {
    const copies: Uint8Array[] = [];
    for await (const item of items) copies.push(item.slice());
    const checkpoint: MemoryCheckpoint = { logId, items: copies, checksum: checksumOf(copies) };
    this.#checkpoints.set(position, checkpoint);
    return describe(position, checkpoint);
  }

  async read(position: number, visit: (item: Uint8Array) => void): Promise<void> {
    const { items, checksum } = this.checkpoint(position);
    if (checksumOf(items) !== checksum)
      throw new CorruptionError('The checkpoint is damaged. Recover from the one before it', {
        path: nameOf(position),
      });
    for (const item of items) visit(item);
  }

  async remove(position: number): Promise<void> {
    this.#checkpoints.delete(position);
  }
}

class MemoryLog implements EventLog {
  readonly logId: number;
  readonly epoch: number;
  readonly openedAt: number;
  readonly strongest: Durability;
  readonly limits: LogLimits;
  readonly #memory: Memory;
  #failure: AppendOutcome | undefined;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.logId = memory.logId;
    this.epoch = memory.epoch;
    this.openedAt = memory.lastPosition;
    this.strongest = memory.strongest;
    this.limits = memory.limits;
  }

  get firstPosition(): number {
    return this.#memory.parts[0]!.firstPosition;
  }

  async append(block: Block): Promise<AppendOutcome> {
    this.#failure ??= this.#refuse(block);
    if (this.#failure !== undefined) return this.#failure;
    const { failure } = this.#memory;
    this.#memory.failure = undefined;
    if (failure?.stored !== false) this.#memory.add(block);
    if (failure === undefined) return { kind: 'done' };
    return (this.#failure = { kind: 'unknown', cause: new Error('failNextAppend was called') });
  }

  async *read(from: number, upTo: number): AsyncGenerator<LogEntries, void, undefined> {
    const { parts } = this.#memory;
    let part: Part | undefined;
    for (let position = from; position <= upTo; position++) {
      // Parts come and go meanwhile; one that goes while it is read is read to its end.
      if (part === undefined || position >= endOf(part))
        part = parts.findLast(({ firstPosition }) => firstPosition <= position);
      if (part === undefined)
        throw new TruncatedError(`The log begins with position ${this.firstPosition}`, { entryId: position });
      const payload = part.entries[position - part.firstPosition];
      if (payload === undefined) return;
      yield { firstPosition: position, count: 1, bytes: payload, starts: [0], ends: [payload.length] };
    }
  }

  async parts(): Promise<LogPart[]> {
    return this.#memory.parts.map((part, index, { length }) => describePart(part, index === length - 1));
  }

  async truncate(position: number): Promise<LogPart[]> {
    const { parts } = this.#memory;
    let count = 0;
    while (count < parts.length - 1 && endOf(parts[count]!) - 1 <= position) count++;
    return parts.splice(0, count).map((part) => describePart(part, false));
  }

  async close(): Promise<void> {
    this.#failure ??= { kind: 'conflict', reason: 'this writer was closed' };
  }

  #refuse({ epoch, firstPosition }: Block): AppendOutcome | undefined {
    const { epoch: newest, lastPosition } = this.#memory;
    if (epoch !== newest)
      return { kind: 'conflict', reason: `the epoch is ${newest}, the writer is of epoch ${epoch}` };
    if (firstPosition === lastPosition + 1) return undefined;
    return {
      kind: 'conflict',
      reason: `the log continues with position ${lastPosition + 1}, the block begins with ${firstPosition}`,
    };
  }
}

/** Position behind the last entry of a part. */
function endOf({ firstPosition, entries }: Part): number {
  return firstPosition + entries.length;
}

function describePart(part: Part, isLast: boolean): LogPart {
  const { firstPosition } = part;
  return {
    name: `memory from ${firstPosition}`,
    firstPosition,
    lastPosition: isLast ? undefined : endOf(part) - 1,
  };
}

function describe(position: number, { logId, items }: MemoryCheckpoint): CheckpointDescription {
  return { position, logId, bytes: items.reduce((sum, { length }) => sum + length, 0), name: nameOf(position) };
}

function nameOf(position: number): string {
  return `memory checkpoint at ${position}`;
}

/** Over the items and where they end. */
function checksumOf(items: readonly Uint8Array[]): number {
  return items.reduce((sum, item) => crc32(item, 0, item.length, (sum ^ item.length) >>> 0), items.length);
}
