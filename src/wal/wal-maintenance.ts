// What is done to a WAL besides appending: looking at its segments, removing or archiving the ones that checkpoints
// cover, and, when it is damaged, saying exactly what can still be read.

import { checkId, readU32 } from '../bytes/u64.js';
import { AlreadyExistsError, InvalidArgumentError, NotFoundError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { makeDirectoryDurable, readFully, removeDurable, renameDurable } from '../storage/index.js';
import { normalizePath } from '../storage/path.js';
import { CONTROL_END, FLAG_CONTROL, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from './format.js';
import { readEnd } from './inspect-log.js';
import { walLayout } from './layout.js';
import { notify, type WalObserver } from './observer.js';
import { salvageLog, type SalvagedEntry, type SalvageReport } from './salvage.js';
import { readSegmentChain, type Segment, type SegmentChain } from './segment-chain.js';
import type { SpareSegments } from './spare-segments.js';
import { Turns } from './turns.js';

// Segments that a writer truncates while we look at them: then they are listed again.
const LISTING_ATTEMPTS = 10;

/** One at a time for each writer: what one has listed, another must not remove. */
const truncations = new Turns();

/** The entries that a segment holds. */
export interface SegmentRange {
  readonly segmentId: number;
  readonly path: string;
  readonly startEntryId: number;
  /** `undefined` while the segment holds no entry. */
  readonly endEntryId: number | undefined;
  /** Format version: 4, or 2 and 3 for the crate's. */
  readonly version: number;
}

export interface TruncateOptions {
  /** Asked before each removal: `onBeforeTruncate` may keep a segment, and with it all later ones. */
  readonly observer?: WalObserver | undefined;
  /** Move segments to this folder of the same directory instead of removing them. Nothing in it is ever overwritten. */
  readonly archive?: string | undefined;
  /** Only say what would be done. */
  readonly dryRun?: boolean | undefined;
}

/** Why a segment stays. */
export type KeepReason = 'active' | 'not covered' | 'vetoed' | 'after a kept segment';

export interface TruncateReport {
  /** Segments that were (or with `dryRun` would be) removed or archived, in order. */
  readonly removed: readonly SegmentRange[];
  readonly kept: readonly { readonly segment: SegmentRange; readonly reason: KeepReason }[];
}

/** What maintenance needs of an open writer: proof that the lock is held. */
export interface LockHolderWriter {
  readonly directory: Directory;
  /** Takes in truncated segments that the writer will use again. */
  readonly spares?: SpareSegments | undefined;
}

/**
 * Looks after a WAL.
 *
 * Given a directory, what changes files takes the writer lock for as long as it takes, so it fails with `LockError`
 * while a writer is open. Given the open writer, it works beside it.
 *
 * @example
 * const maintenance = new WalMaintenance(wal);
 * await maintenance.truncatePrefix(checkpoint.lastAppliedId, { archive: 'archive' });
 */
export class WalMaintenance {
  readonly #target: object;
  readonly #directory: Directory;
  readonly #holdsLock: boolean;
  readonly #spares: SpareSegments | undefined;
  /** Segments that were read under the lock, by id: nobody changes a header then. */
  #known: ReadonlyMap<number, Segment> = new Map();

  /** `known`: segments that whoever opened the writer has read. For a directory without the lock they mean nothing. */
  constructor(target: Directory | LockHolderWriter, known: readonly Segment[] = []) {
    this.#target = target;
    this.#holdsLock = 'directory' in target;
    this.#directory = 'directory' in target ? target.directory : target;
    this.#spares = 'directory' in target ? target.spares : undefined;
    if (this.#holdsLock) this.#remember(known);
  }

  /**
   * The segments and the entries they hold, from their headers; only the last one's frames are read, none is decoded.
   * Throws `CorruptionError` for a missing or foreign segment.
   */
  async segmentRanges(): Promise<SegmentRange[]> {
    for (let attempt = 1; ; attempt++)
      try {
        return await this.#readRanges();
      } catch (error) {
        // A writer beside this truncates.
        if (!(error instanceof NotFoundError) || attempt === LISTING_ATTEMPTS) throw error;
      }
  }

  async #readRanges(): Promise<SegmentRange[]> {
    const { segments, torn } = await this.#chain();
    const ranges: SegmentRange[] = [];
    for (const [index, segment] of segments.entries()) {
      const { segmentId, path } = segment;
      const { startEntryId, version } = segment.header;
      const next = segments[index + 1];
      const end =
        next === undefined
          ? (await readEnd(this.#directory, segment, torn === undefined ? 0 : undefined)).lastEntryId
          : next.header.startEntryId - 1;
      ranges.push({ segmentId, path, startEntryId, endEntryId: end < startEntryId ? undefined : end, version });
    }
    return ranges;
  }

  /**
   * Removes (or archives) the segments whose entries are all at or below `lastEntryId`; beside a writer with
   * `recycleSegments` it may keep some of them for new ones. The last segment always stays, and until something was
   * written to it the one before it; what stays has no hole. Each removal is durable before the next one begins, so that
   * a power cut in between cannot bring an older segment back and leave a hole.
   *
   * Throws {@link AlreadyExistsError} where the archive holds a segment of that name from another log; those before it
   * were moved.
   *
   * Calling it again is harmless. Which entries are covered is for the caller to know: nothing here reads checkpoints.
   */
  async truncatePrefix(lastEntryId: number, options: TruncateOptions = {}): Promise<TruncateReport> {
    checkId(lastEntryId, 'lastEntryId');
    const archive = options.archive === undefined ? undefined : archiveFolder(options.archive);
    const truncate = (): Promise<TruncateReport> => this.#truncate(lastEntryId, options, archive);
    if (options.dryRun === true) return truncate();
    if (this.#holdsLock) return truncations.take(this.#target, truncate);
    const { segments } = await readSegmentChain(this.#directory, walLayout);
    if (segments.length === 0) return { removed: [], kept: [] };
    const lock = await this.#directory.lock(walLayout.lockPath);
    try {
      return await truncate();
    } finally {
      await lock.release();
    }
  }

  async #truncate(lastEntryId: number, options: TruncateOptions, archive: string | undefined): Promise<TruncateReport> {
    const { segments, ranges } = await this.#rangesByHeader();
    const alwaysKept = (await holdsFrame(this.#directory, segments.at(-1))) ? 1 : 2;
    const removed: SegmentRange[] = [];
    const kept: { segment: SegmentRange; reason: KeepReason }[] = [];
    const { observer } = options;
    if (archive !== undefined && options.dryRun !== true) await makeDirectoryDurable(this.#directory, archive);
    for (const [index, segment] of ranges.entries()) {
      const reason = keepReason(segment, index >= ranges.length - alwaysKept, kept.length > 0, lastEntryId);
      if (reason !== undefined) {
        kept.push({ segment, reason });
        continue;
      }
      if (options.dryRun !== true) {
        const { segmentId, path } = segment;
        if (notify(() => observer?.onBeforeTruncate?.(segmentId, path)) === false) {
          kept.push({ segment, reason: 'vetoed' });
          continue;
        }
        // A removal that an earlier one did not come to sync, or failed to, may be undone; then there would be a hole.
        if (removed.length === 0) await this.#directory.syncDirectory(walLayout.folder);
        if (archive !== undefined) await this.#archive(path, `${archive}/wal_${segmentId}.log`);
        else if ((await this.#spares?.keep(segments[index]!)) !== true) await removeDurable(this.#directory, path);
      }
      removed.push(segment);
    }
    return { removed, kept };
  }

  async #archive(path: string, target: string): Promise<void> {
    const archived = await headerOf(this.#directory, target);
    // After a power cut in the middle of a move a file system may show both names of one segment.
    const header = await headerOf(this.#directory, path);
    if (header === undefined) return;
    if (archived !== undefined && !archived.equals(header))
      throw new AlreadyExistsError(
        "The archive holds a segment of this name from another log. Move that one away, or archive to a folder of this log's own",
        { path: target },
      );
    await renameDurable(this.#directory, path, target);
    // Where both are names of one file, a rename does nothing.
    if ((await this.#directory.stat(path)) !== undefined) await removeDurable(this.#directory, path);
  }

  /** Under the lock each header is read once, however often somebody asks what may go. */
  async #chain(): Promise<SegmentChain> {
    const chain = await readSegmentChain(this.#directory, walLayout, { known: this.#known });
    if (this.#holdsLock) this.#remember(chain.segments);
    return chain;
  }

  #remember(segments: readonly Segment[]): void {
    this.#known = new Map(segments.map((segment) => [segment.segmentId, segment]));
  }

  /** As {@link segmentRanges}, but without reading the last segment, which is never removed. */
  async #rangesByHeader(): Promise<{ segments: readonly Segment[]; ranges: SegmentRange[] }> {
    const { segments } = await this.#chain();
    const ranges = segments.map(({ segmentId, path, header: { startEntryId, version } }, index) => ({
      segmentId,
      path,
      startEntryId,
      endEntryId: index + 1 < segments.length ? segments[index + 1]!.header.startEntryId - 1 : undefined,
      version,
    }));
    return { segments, ranges };
  }

  /**
   * Reads whatever is whole in a damaged log, hands it to `visit` in order, and lists exactly what was lost. Changes
   * nothing; to carry on, append what it found to a new log.
   *
   * @example
   * const report = await new WalMaintenance(directory).salvage(({ entryId, payload }) => rescued.set(entryId, payload));
   * for (const loss of report.lost) console.log(loss.path, loss.offset, loss.bytes, loss.reason);
   */
  salvage(visit: (entry: SalvagedEntry) => void): Promise<SalvageReport> {
    return salvageLog(this.#directory, walLayout, visit);
  }
}

/**
 * Whether anything was written behind the segment's header. Only that proves the header to be on stable storage: until
 * then the segment may be one that is just being made, and if a power cut takes it, the one before it is the last.
 */
async function holdsFrame(directory: Directory, segment: Segment | undefined): Promise<boolean> {
  if (segment === undefined) return false;
  const file = await directory.open(segment.path, 'read');
  try {
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + 1);
    await readFully(file, frame, segment.header.bytes);
    const word = readU32(frame, 0);
    // A file that is used again begins with an end mark.
    const isEndMark = (word & FLAG_CONTROL) !== 0 && frame[FRAME_HEADER_BYTES] === CONTROL_END;
    return word !== 0 && !isEndMark;
  } finally {
    await file.close();
  }
}

function keepReason(
  segment: SegmentRange,
  isKept: boolean,
  afterKept: boolean,
  lastEntryId: number,
): KeepReason | undefined {
  if (isKept) return 'active';
  if (segment.endEntryId !== undefined && segment.endEntryId > lastEntryId) return 'not covered';
  return afterKept ? 'after a kept segment' : undefined;
}

/** The first bytes of a segment, which no other one shares: they hold its log, its first entry and its salt. */
async function headerOf(directory: Directory, path: string): Promise<Buffer | undefined> {
  if ((await directory.stat(path)) === undefined) return undefined;
  const file = await directory.open(path, 'read');
  try {
    const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
    return header.subarray(0, await readFully(file, header, 0));
  } finally {
    await file.close();
  }
}

/** Checks a folder for archived segments. Throws {@link InvalidArgumentError} for one inside the log's own. */
export function archiveFolder(path: string): string {
  const folder = normalizePath(path);
  if (folder === '' || folder === walLayout.folder || folder.startsWith(`${walLayout.folder}/`))
    throw new InvalidArgumentError(`Archive to a folder outside '${walLayout.folder}', not '${path}'`);
  return folder;
}
