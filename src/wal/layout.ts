// Where the segments of a log lie: `wal/wal_<id>.log` for a WAL, one file for a record log. Everything else about the
// two is the same code.

import { FormatError, NotFoundError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import type { SegmentMagic } from './format.js';

/** A file that holds, or should hold, a segment. */
export interface SegmentFile {
  readonly segmentId: number;
  readonly path: string;
}

export interface LogLayout {
  readonly magic: SegmentMagic;
  /** Folder whose names must be durable before a new segment is used. */
  readonly folder: string;
  readonly lockPath: string;
  /** Whether a full segment is followed by another. */
  readonly rolls: boolean;
  pathOf(segmentId: number): string;
  /** Files of this log in order of their ids. Unrelated names are ignored. */
  list(directory: Directory): Promise<SegmentFile[]>;
}

/** Folder of a WAL inside its directory. */
const WAL_FOLDER = 'wal';

export const walLayout: LogLayout = {
  magic: 'VWAL',
  folder: WAL_FOLDER,
  lockPath: `${WAL_FOLDER}/.lock`,
  rolls: true,
  pathOf: (segmentId) => `${WAL_FOLDER}/wal_${segmentId}.log`,
  async list(directory) {
    const files: SegmentFile[] = [];
    for (const name of await directory.list(WAL_FOLDER)) {
      // Other writers of the format may have padded or signed the number; two names for one id must not slip through.
      const digits = /^wal_\+?(\d+)\.log$/.exec(name)?.[1];
      if (digits === undefined) continue;
      const path = `${WAL_FOLDER}/${name}`;
      const segmentId = Number(digits);
      if (!Number.isSafeInteger(segmentId)) throw new FormatError('The segment id is above 2^53-1', { path });
      if (segmentId === 0 || name !== `wal_${segmentId}.log`)
        throw new FormatError(
          'Not a name of a segment: ids begin at 1 and have no leading zeros or sign. Rename or move the file',
          { path },
        );
      files.push({ segmentId, path });
    }
    return files.sort((a, b) => a.segmentId - b.segmentId);
  },
};

/** Where a covered segment of a WAL waits to be used again. */
export function sparePathOf(segmentId: number): string {
  return `${walLayout.pathOf(segmentId)}.spare`;
}

/** Files that were segments of a WAL and wait to be used again, in order of their ids. */
export async function listSpares(directory: Directory): Promise<SegmentFile[]> {
  const files: SegmentFile[] = [];
  for (const name of await directory.list(WAL_FOLDER)) {
    const segmentId = Number(/^wal_([1-9]\d*)\.log\.spare$/.exec(name)?.[1]);
    if (Number.isSafeInteger(segmentId)) files.push({ segmentId, path: `${WAL_FOLDER}/${name}` });
  }
  return files.sort((a, b) => a.segmentId - b.segmentId);
}

/** A log that is a single file at `path`. */
export function singleFileLayout(path: string, folder: string): LogLayout {
  return {
    magic: 'VRLG',
    folder,
    lockPath: `${path}.lock`,
    rolls: false,
    pathOf: () => path,
    async list(directory) {
      const info = await directory.stat(path);
      if (info !== undefined && info.kind !== 'file') throw new NotFoundError('Not a file', { path });
      return info === undefined ? [] : [{ segmentId: 1, path }];
    },
  };
}
