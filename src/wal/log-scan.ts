// Reads a log from segment to segment as blocks of whole batches: the one way in which replay, recovery, maintenance
// and the writer's own start look at existing entries. Takes no lock and changes nothing.

import {
  CorruptionError,
  InvalidArgumentError,
  NotFoundError,
  TornTailError,
  TruncatedError,
} from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Directory } from '../storage/index.js';
import type { FrameBlock, FrameScanner } from './frame-scanner.js';
import { checkReaches } from './inspect-log.js';
import type { LogLayout } from './layout.js';
import { readSegmentChain, type Segment, type SegmentChain } from './segment-chain.js';
import { checkSealedSegment, endOrMore, scannerOf, type LogEnd, type TornTail } from './tail.js';

/**
 * What replay does with an interrupted write at the end of the log. `bestEffort` ends before it; `strict` throws
 * `TornTailError`. Damage to entries that were on stable storage is `CorruptionError` in both. Beside a writer, what it
 * is just writing can look interrupted for a moment: use `bestEffort` there, or try again.
 */
export type ReplayMode = 'strict' | 'bestEffort';

/** Throws {@link InvalidArgumentError} for a mode that there is not. */
export function checkReplayMode(mode: ReplayMode): void {
  if (mode !== 'strict' && mode !== 'bestEffort')
    throw new InvalidArgumentError(`mode must be 'strict' or 'bestEffort', got ${shown(mode)}`);
}

export interface ScanRange {
  readonly mode: ReplayMode;
  /** First entry that is wanted. Default: the first there is. */
  readonly from?: number | undefined;
  /** Last entry that is wanted: nothing later is decoded or checksummed. Default: the last there is. */
  readonly upTo?: number | undefined;
  /** Entries up to here are known to be on stable storage. Default 0. */
  readonly durableId?: number | undefined;
}

/** A place between two frames: everything before it was checked, entry `id` is the last one before it. */
export interface Mark {
  readonly id: number;
  readonly offset: number;
}

/** What is known of a log already. A scan that is given it need not read again what comes before its first entry. */
export interface KnownLog {
  /** Segments in order. */
  readonly segments: readonly Segment[];
  /** Places in the last of them, in order. */
  readonly marks: readonly Mark[];
}

// As long as nothing was handed out, a segment that a writer truncates before we open it is no reason to give up.
const LISTING_ATTEMPTS = 10;

export class LogScan {
  /** Last entry handed out or passed over; before the first, the id before the log's first entry. */
  lastEntryId = 0;
  /** Bytes of frames that were read. */
  bytesRead = 0;
  /** Set once the scan has met the end of the log. */
  end: LogEnd | undefined;
  tornTail: TornTail | undefined;

  readonly #directory: Directory;
  readonly #layout: LogLayout;
  readonly #range: ScanRange;
  /** Where to begin: the segment, and a place in it. */
  readonly #beginWith: { readonly segmentId: number; readonly mark: Mark | undefined } | undefined;

  constructor(directory: Directory, layout: LogLayout, range: ScanRange, known?: KnownLog) {
    this.#directory = directory;
    this.#layout = layout;
    this.#range = range;
    this.#beginWith = known === undefined || range.from === undefined ? undefined : lookUp(known, range.from);
  }

  /** The blocks in order. Each is valid until the next one is asked for. */
  async *blocks(): AsyncGenerator<FrameBlock, void, undefined> {
    let handedOut = false;
    for (let attempt = 1; ; attempt++) {
      this.bytesRead = 0;
      const { segments, torn } = await readSegmentChain(this.#directory, this.#layout, {
        from: this.#beginWith?.segmentId,
      });
      const begin = this.#firstWanted(segments);
      try {
        for (let index = begin; index < segments.length; index++) {
          if (this.#atCeiling()) return;
          const next = segments[index + 1];
          const isLast = next === undefined && torn === undefined;
          for await (const block of this.#segment(segments[index]!, next?.header.startEntryId, isLast)) {
            handedOut = true;
            yield block;
          }
        }
        if (this.#atCeiling()) return;
      } catch (error) {
        const vanished = error instanceof NotFoundError;
        if (vanished && !handedOut && attempt < LISTING_ATTEMPTS) continue;
        if (vanished)
          throw new TruncatedError('The segment was truncated while the log was read. Begin again from a checkpoint', {
            path: error.path,
            entryId: this.lastEntryId + 1,
            cause: error,
          });
        throw error;
      }
      if (torn !== undefined) this.#tornSegment(torn, segments.length === 0);
      else if (segments.length === 0) this.#nothingThere();
      return;
    }
  }

  /** Index of the segment to begin with; sets `lastEntryId` to what precedes it. */
  #firstWanted(segments: readonly Segment[]): number {
    const { from, upTo } = this.#range;
    const first = segments[0];
    if (first === undefined) return 0;
    const firstId = first.header.startEntryId;
    const wanted = from ?? (upTo === undefined ? firstId : upTo + 1);
    if (wanted < firstId)
      throw new TruncatedError(
        `The log begins with entry ${firstId}; what came before was truncated. Begin from a checkpoint`,
        { path: first.path, entryId: wanted },
      );
    let begin = 0;
    while (from !== undefined && begin + 1 < segments.length && segments[begin + 1]!.header.startEntryId <= from)
      begin++;
    // Two segments that begin with the same entry: the first must be empty, which only reading it can tell.
    while (begin > 0 && segments[begin - 1]!.header.startEntryId === segments[begin]!.header.startEntryId) begin--;
    this.lastEntryId = segments[begin]!.header.startEntryId - 1;
    return begin;
  }

  async *#segment(
    segment: Segment,
    nextStartId: number | undefined,
    isLast: boolean,
  ): AsyncGenerator<FrameBlock, void, undefined> {
    const { from, upTo, durableId } = this.#range;
    const { startEntryId } = segment.header;
    if (startEntryId !== this.lastEntryId + 1)
      throw new CorruptionError(
        `The segment begins with entry ${startEntryId}, the one before ended with ${this.lastEntryId}`,
        { path: segment.path, offset: 8, entryId: this.lastEntryId + 1 },
      );
    const file = await this.#directory.open(segment.path, 'read');
    let scanner: FrameScanner | undefined;
    try {
      const fileSize = await file.size();
      const mark = this.#beginWith?.segmentId === segment.segmentId ? this.#beginWith.mark : undefined;
      const wanted = { ...(from === undefined ? {} : { from }), ...(upTo === undefined ? {} : { upTo }) };
      scanner = scannerOf(file, fileSize, segment, { ...wanted, ...(mark === undefined ? {} : { mark }), ahead: true });
      let block = await scanner.next();
      for (let knownDurableId = durableId ?? 0; ;) {
        for (; block !== undefined; block = await scanner.next()) {
          this.lastEntryId = block.firstId + block.count - 1;
          yield block;
        }
        this.lastEntryId =
          upTo === undefined ? scanner.lastId : Math.min(scanner.lastId, Math.max(upTo, startEntryId - 1));
        if (!isLast || (upTo !== undefined && scanner.lastId >= upTo)) break;
        const ended = await endOrMore(scanner, file, fileSize, segment, knownDurableId, wanted);
        if (ended.more === undefined) {
          this.end = ended.end();
          break;
        }
        knownDurableId = Math.max(knownDurableId, scanner.durableId);
        ({ more: scanner, block } = ended);
      }
      this.bytesRead += scanner.validEnd - (mark?.offset ?? segment.header.bytes);
      if (upTo !== undefined && scanner.lastId >= upTo) return;
      if (!isLast) await checkSealedSegment(scanner, file, segment, nextStartId);
      else if (this.end?.tornTail !== undefined) this.#torn(this.end.tornTail, this.lastEntryId + 1);
    } finally {
      await scanner?.end();
      await file.close();
    }
  }

  /** The last segment's header is torn: its maker had synced everything before it. */
  #tornSegment(torn: NonNullable<SegmentChain['torn']>, isOnly: boolean): void {
    if (isOnly) this.#nothingThere();
    else checkReaches(this.lastEntryId, this.#range.durableId ?? 0, torn.path);
    this.#torn(
      { segmentId: torn.segmentId, path: torn.path, offset: 0, bytes: torn.size, reason: torn.reason },
      this.lastEntryId + 1,
    );
  }

  /** An empty log is complete if nothing of it was ever durable, or if a checkpoint covers all that was. */
  #nothingThere(): void {
    const { from, durableId = 0 } = this.#range;
    if (this.lastEntryId === 0 && from !== undefined && durableId > 0 && from <= durableId)
      throw new TruncatedError('The log is empty; what was asked for was truncated. Begin from a checkpoint', {
        path: this.#layout.folder,
        entryId: from,
      });
  }

  #torn(tornTail: TornTail, entryId: number): void {
    this.tornTail = tornTail;
    if (this.#range.mode === 'strict')
      throw new TornTailError(
        `The log ends in an interrupted write of ${tornTail.bytes} bytes: ${tornTail.reason}. ` +
          'Replay with best effort to stop before it, or open a writer to cut it off',
        { path: tornTail.path, offset: tornTail.offset, entryId },
      );
  }

  #atCeiling(): boolean {
    const { upTo } = this.#range;
    return upTo !== undefined && this.lastEntryId >= upTo;
  }
}

/** The last known place before entry `from`. */
function lookUp(
  { segments, marks }: KnownLog,
  from: number,
): { readonly segmentId: number; readonly mark: Mark | undefined } | undefined {
  const found = segments.findLast(({ header }) => header.startEntryId <= from);
  // Of two that begin with the same entry the first is empty, and has to be seen to be.
  const segment = segments.find(({ header }) => header.startEntryId === found?.header.startEntryId);
  if (segment === undefined) return undefined;
  const isLast = segment.segmentId === segments.at(-1)?.segmentId;
  return { segmentId: segment.segmentId, mark: isLast ? marks.findLast(({ id }) => id < from) : undefined };
}
