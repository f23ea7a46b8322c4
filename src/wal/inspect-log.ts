// What a log holds, without decoding an entry: which ids, which log, and how it ends. Only the last segment is read.

import { CorruptionError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { walLayout } from './layout.js';
import { readSegmentChain, type Segment } from './segment-chain.js';
import { checkSealedSegment, endOrMore, scannerOf, type TornTail } from './tail.js';

export interface LogExtent {
  readonly logId: number | undefined;
  /** Whether there is any segment. */
  readonly exists: boolean;
  /** First entry that is there; `lastEntryId + 1` for a log without entries, 1 for one without segments. */
  readonly firstEntryId: number;
  readonly lastEntryId: number;
  readonly tornTail: TornTail | undefined;
}

export interface InspectOptions {
  /** Entries up to here are known to be durable, given the log's id; less is `CorruptionError`. */
  readonly durableId: (logId: number | undefined) => number;
  /** Nothing of any entry above is looked at: the log may as well end there. */
  readonly upTo?: number | undefined;
}

export async function inspectLog(directory: Directory, options: InspectOptions): Promise<LogExtent> {
  const { segments, torn, logId } = await readSegmentChain(directory, walLayout);
  const durableId = options.durableId(logId);
  const first = segments[0];
  const last = segments.at(-1);
  const tornHeader: TornTail | undefined =
    torn === undefined
      ? undefined
      : { segmentId: torn.segmentId, path: torn.path, offset: 0, bytes: torn.size, reason: torn.reason };
  if (first === undefined || last === undefined)
    return { logId, exists: false, firstEntryId: 1, lastEntryId: 0, tornTail: tornHeader };
  const { upTo = Number.MAX_SAFE_INTEGER } = options;
  const end = await readEnd(directory, last, torn === undefined ? durableId : undefined, upTo);
  if (end.lastEntryId < upTo) checkReaches(end.lastEntryId, durableId, last.path);
  return {
    logId,
    exists: true,
    firstEntryId: first.header.startEntryId,
    lastEntryId: end.lastEntryId,
    tornTail: end.tornTail ?? tornHeader,
  };
}

/**
 * Reads the last segment that holds entries. `durableId`: it is the last of the log and may have a torn tail;
 * `undefined`: a later one was begun, so this one must be complete.
 */
export async function readEnd(
  directory: Directory,
  segment: Segment,
  durableId: number | undefined,
  upTo: number = Number.MAX_SAFE_INTEGER,
): Promise<{ lastEntryId: number; tornTail: TornTail | undefined }> {
  const begin = segment.header.startEntryId - 1;
  if (begin >= upTo) return { lastEntryId: begin, tornTail: undefined };
  const file = await directory.open(segment.path, 'read');
  try {
    const fileSize = await file.size();
    let scanner = scannerOf(file, fileSize, segment, { upTo });
    for (let known = durableId; ;) {
      while ((await scanner.next()) !== undefined);
      if (scanner.lastId >= upTo) return { lastEntryId: scanner.lastId, tornTail: undefined };
      if (known === undefined) break;
      const ended = await endOrMore(scanner, file, fileSize, segment, known, { upTo });
      if (ended.more === undefined) return ended.end();
      known = Math.max(known, scanner.durableId);
      scanner = ended.more;
    }
    await checkSealedSegment(scanner, file, segment, undefined);
    return { lastEntryId: scanner.lastId, tornTail: undefined };
  } finally {
    await file.close();
  }
}

/** Throws unless the log reaches entry `durableId`. */
export function checkReaches(lastEntryId: number, durableId: number, path: string): void {
  if (lastEntryId < durableId)
    throw new CorruptionError(
      `The log ends with entry ${lastEntryId}, but entries up to ${durableId} were on stable storage. Restore it from a backup`,
      { path, entryId: lastEntryId + 1 },
    );
}
