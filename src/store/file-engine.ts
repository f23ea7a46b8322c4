// The engine on files: a WAL and a checkpoint folder below one Directory.

import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { viewOf } from '../bytes/view.js';
import { CheckpointFile, checkpointPath, listCheckpoints } from '../checkpoint/index.js';
import { removeTemporaries } from '../checkpoint/checkpoint-folder.js';
import { CHECKPOINT_HEADER_BYTES, CHECKPOINT_VERSION, isNewerCheckpoint } from '../checkpoint/format.js';
import { bytesCodec, type Codec } from '../codec/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import { makeDirectoryDurable, readFully, removeDurable, type Directory } from '../storage/index.js';
import { manual, WalMaintenance, WalWriter, type SegmentRange, type WalObserver } from '../wal/index.js';
import { MAX_PAYLOAD_BYTES } from '../wal/format.js';
import { walLayout } from '../wal/layout.js';
import { LogScan } from '../wal/log-scan.js';
import { MAX_BATCH_BYTES } from '../wal/staging.js';
import { archiveFolder as checkArchive } from '../wal/wal-maintenance.js';
import type { PreparedWal } from '../wal/wal-writer.js';
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

const CHECKPOINTS = 'checkpoints';
/** Between two pieces of a checkpoint that is checked while the log is written: the log has callers who wait. */
const BUSY_PAUSE_MS = 1;

export interface FileEngineOptions {
  /** A WAL segment that would grow past this is followed by a new one. Default 10 MiB. */
  readonly segmentBytes?: number | undefined;
  readonly segmentMaxAgeMs?: number | undefined;
  readonly preallocateBytes?: number | undefined;
  /** So many covered WAL segments are used again for new ones instead of being removed. Default 0. */
  readonly recycleSegments?: number | undefined;
  /** Move covered WAL segments to this folder of the directory instead of removing them. */
  readonly archive?: string | undefined;
  readonly now?: (() => number) | undefined;
  readonly random?: ((size: number) => Uint8Array) | undefined;
  readonly observer?: WalObserver | undefined;
}

/**
 * The engine on files as an object for `openStore({ engine })`: what `openStore({ dir })` uses. For wrapping it, and for
 * holding a {@link Directory} of one's own to the contract of an engine.
 *
 * @example
 * const store = await openStore({ engine: fileEngine(await FsDirectory.open('./data')), aggregates: [Account] });
 */
export function fileEngine(directory: Directory, options: FileEngineOptions = {}): EngineSource {
  return { open: () => prepareFileEngine(directory, options) };
}

/** Takes the writer lock, repairs the end of the log, and holds both. Rejects as `WalWriter.open` does. */
export async function openFileEngine(directory: Directory, options: FileEngineOptions = {}): Promise<Engine> {
  const { start, ...engine } = await prepareFileEngine(directory, options);
  await start?.();
  return engine;
}

/** As {@link openFileEngine}, but reads only until it is started: whoever finds something wrong leaves no trace. */
export async function prepareFileEngine(directory: Directory, options: FileEngineOptions = {}): Promise<Engine> {
  const { archive, ...walOptions } = options;
  if (archive !== undefined) checkArchive(archive);
  if (archive !== undefined && options.recycleSegments !== undefined && options.recycleSegments > 0)
    throw new InvalidArgumentError(
      'archive moves every segment away, so there is none for recycleSegments to use again. Leave out one of the two',
    );
  const checkpoints = new FileCheckpoints(directory, () => log?.isBusy === true);
  let log: FileLog | undefined;
  // What checkpoints prove about the log is known only once both were read; reading them needs no lock.
  const { durableId, logId } = await checkpoints.proven();
  const isGone = (await walLayout.list(directory)).length === 0;
  const prepared = await WalWriter.prepare(directory, {
    ...walOptions,
    codec: rangeCodec,
    flushPolicy: manual,
    // The store gathers entries and has its own high-water mark; here nothing waits but the block in flight.
    bufferBytes: Number.MAX_SAFE_INTEGER,
    highWaterMarkBytes: Number.MAX_SAFE_INTEGER,
    durableId,
    ...(isGone && logId !== undefined ? { logId } : {}),
  });
  const opened = (log = new FileLog(directory, prepared, archive));
  return {
    log: opened,
    checkpoints,
    opened: { tornTail: prepared.opened.tornTail },
    start: async () => {
      await opened.start();
      try {
        await makeDirectoryDurable(directory, CHECKPOINTS);
        // A process that died may have left a checkpoint whose name is not on the disk yet. What the log lets go because
        // of it must not come to be missed.
        await directory.syncDirectory(CHECKPOINTS);
        await removeTemporaries(directory);
      } catch (error) {
        await opened.close().catch(() => undefined);
        throw error;
      }
    },
  };
}

class FileLog implements EventLog {
  readonly strongest = 'fsync';
  readonly limits: LogLimits = { entryBytes: MAX_PAYLOAD_BYTES, blockBytes: MAX_BATCH_BYTES };
  // The lock is the kernel's: there is never a second writer to be told apart from.
  readonly epoch = 1;
  readonly logId: number;
  readonly openedAt: number;
  readonly #directory: Directory;
  readonly #prepared: PreparedWal<ByteRange>;
  readonly #archive: string | undefined;
  #writer: WalWriter<ByteRange> | undefined;
  #maintaining: WalMaintenance | undefined;
  #firstPosition: number;
  #parts: readonly LogPart[] = [];
  /** Set for good by the first append that failed: from then on nobody knows where the log ends. */
  #failure: { readonly cause: unknown } | undefined;

  constructor(directory: Directory, prepared: PreparedWal<ByteRange>, archive: string | undefined) {
    this.#directory = directory;
    this.#prepared = prepared;
    this.#archive = archive;
    this.logId = prepared.logId;
    this.openedAt = prepared.opened.lastEntryId;
    this.#firstPosition = prepared.opened.firstEntryId;
  }

  get firstPosition(): number {
    return this.#firstPosition;
  }

  /** Whether a block is on its way to the disk. */
  get isBusy(): boolean {
    return this.#writer !== undefined && this.#writer.flushedId < this.#writer.lastEntryId;
  }

  async start(): Promise<void> {
    this.#writer = await this.#prepared.start();
  }

  async append(block: Block): Promise<AppendOutcome> {
    const wal = this.#wal;
    if (this.#failure !== undefined) return { kind: 'unknown', cause: this.#failure.cause };
    if (block.epoch !== this.epoch)
      return { kind: 'conflict', reason: `The writer's epoch is ${this.epoch}, the block is of epoch ${block.epoch}` };
    if (block.firstPosition !== wal.nextEntryId)
      return {
        kind: 'conflict',
        reason: `The log continues with ${wal.nextEntryId}, the block begins with ${block.firstPosition}`,
      };
    try {
      const { starts, ends } = block;
      const view = viewOf(block.bytes);
      const range = new ByteRange(view, 0, 0);
      let at = 0;
      for (const size of block.groups) {
        if (size === 1) {
          range.start = starts[at]!;
          range.end = ends[at]!;
          wal.append(range);
        } else if (size > 1) {
          const group: ByteRange[] = [];
          for (let index = at; index < at + size; index++)
            group.push(new ByteRange(view, starts[index]!, ends[index]!));
          wal.appendBatch(group);
        }
        at += size;
      }
      if (block.durability === 'fsync') await wal.flushAndSync();
      else await wal.flush();
      return { kind: 'done' };
    } catch (cause) {
      this.#failure = { cause };
      return { kind: 'unknown', cause };
    }
  }

  async *read(from: number, upTo: number): AsyncGenerator<LogEntries, void, undefined> {
    if (from > upTo) return;
    const scan = new LogScan(this.#directory, walLayout, { mode: 'bestEffort', from, upTo }, this.#prepared.known);
    for await (const { bytes, firstId, count, starts, ends } of scan.blocks())
      if (count > 0) yield { firstPosition: firstId, count, bytes, starts, ends };
  }

  async parts(): Promise<LogPart[]> {
    // What would go if everything could tells which parts never do.
    const { removed, kept } = await this.#maintenance.truncatePrefix(Number.MAX_SAFE_INTEGER, { dryRun: true });
    const parts = [...removed.map(part), ...kept.map(({ segment }) => part({ ...segment, endEntryId: undefined }))];
    this.#parts = parts;
    return parts;
  }

  async truncate(position: number): Promise<LogPart[]> {
    // In the tick of the call: who begins to read from now on begins behind what is about to go.
    const first = this.#parts.find(({ lastPosition }) => lastPosition === undefined || lastPosition > position);
    this.#firstPosition = Math.max(this.#firstPosition, first?.firstPosition ?? 0);
    const { removed, kept } = await this.#maintenance.truncatePrefix(
      position,
      this.#archive === undefined ? {} : { archive: this.#archive },
    );
    this.#firstPosition = kept[0]?.segment.startEntryId ?? this.#firstPosition;
    return removed.map(part);
  }

  close(): Promise<void> {
    return this.#writer === undefined ? this.#prepared.abandon() : this.#writer.close();
  }

  get #wal(): WalWriter<ByteRange> {
    if (this.#writer === undefined) throw new InvalidArgumentError('The engine was not started; call start() first');
    return this.#writer;
  }

  /** One for as long as the log is open: it reads no segment's header twice. */
  get #maintenance(): WalMaintenance {
    return (this.#maintaining ??= new WalMaintenance(this.#wal, this.#prepared.known.segments));
  }
}

function part(segment: SegmentRange): LogPart {
  return { name: segment.path, firstPosition: segment.startEntryId, lastPosition: segment.endEntryId };
}

/** An entry in a block: a view of its own would cost more than all that is done with it. */
class ByteRange {
  readonly view: DataView;
  start: number;
  end: number;

  constructor(view: DataView, start: number, end: number) {
    this.view = view;
    this.start = start;
    this.end = end;
  }
}

const rangeCodec: Codec<ByteRange> = {
  encode: ({ view, start, end }, writer) => writer.writeRange(view, start, end),
  decode: (reader) => {
    const { bytes, position, end } = reader;
    reader.position = end;
    return new ByteRange(viewOf(bytes), position, end);
  },
};

/** Items as views: whoever reads them decodes at once. */
const viewCodec: Codec<Uint8Array> = {
  encode: (bytes: Uint8Array, writer: ByteWriter) => writer.write(bytes),
  decode: (reader: ByteReader) => reader.rest(),
};

class FileCheckpoints implements CheckpointStorage {
  readonly #directory: Directory;
  readonly #pause: () => Promise<void> | undefined;

  /** `isBusy`: the log is being written; what can wait is done more slowly then. */
  constructor(directory: Directory, isBusy: () => boolean) {
    this.#directory = directory;
    this.#pause = () => (isBusy() ? new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS)) : undefined);
  }

  async list(): Promise<CheckpointDescription[]> {
    const described: CheckpointDescription[] = [];
    for (const { path, lastAppliedId, info, problem } of await listCheckpoints(this.#directory))
      described.push({
        position: lastAppliedId,
        logId: info?.logId,
        bytes: info?.bytes ?? 0,
        name: path,
        // A store writes one version. Where a file says it is of an earlier one, that is what is damaged.
        problem:
          problem?.message ??
          (info!.version === CHECKPOINT_VERSION
            ? undefined
            : `It is of version ${info!.version} of the checkpoint format, which no store has written`),
        ...(problem?.code === 'CAIRN_FORMAT' && (await this.#isNewer(path)) ? { isNewer: true } : {}),
      });
    return described;
  }

  async #isNewer(path: string): Promise<boolean> {
    const file = await this.#directory.open(path, 'read');
    try {
      const bytes = new Uint8Array(CHECKPOINT_HEADER_BYTES);
      await readFully(file, bytes, 0);
      return isNewerCheckpoint(bytes);
    } finally {
      await file.close();
    }
  }

  /** What the newest checkpoint of each log says is durable in it; and the log of the newest, for a log that is gone. */
  async proven(): Promise<{ durableId: (logId: number | undefined) => number; logId: number | undefined }> {
    const whole = (await this.list()).filter(({ problem }) => problem === undefined);
    return {
      durableId: (logId) =>
        whole.find((checkpoint) => logId === undefined || checkpoint.logId === logId)?.position ?? 0,
      logId: whole[0]?.logId,
    };
  }

  async write(position: number, logId: number, items: AsyncIterable<Uint8Array>): Promise<CheckpointDescription> {
    const path = checkpointPath(position);
    const { bytes } = await CheckpointFile.write(this.#directory, path, {
      lastAppliedId: position,
      logId,
      codec: bytesCodec,
      items,
    });
    try {
      await CheckpointFile.verify(this.#directory, path, this.#pause);
    } catch (error) {
      await removeDurable(this.#directory, path).catch(() => undefined);
      throw error;
    }
    return { position, logId, bytes, name: path };
  }

  async read(position: number, visit: (item: Uint8Array) => void): Promise<void> {
    await CheckpointFile.stream(this.#directory, checkpointPath(position), { codec: viewCodec }, visit);
  }

  async remove(position: number): Promise<void> {
    await removeDurable(this.#directory, checkpointPath(position));
  }
}
