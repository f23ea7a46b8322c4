// Which checkpoints there are. Files are named after the position they hold, so a newer one never overwrites the only
// good one, and nothing but their own bytes says which are whole.

import { CairnError, FormatError } from '../errors/index.js';
import type { Directory } from '../storage/index.js';
import { TEMPORARY_SUFFIX } from '../storage/durable.js';
import { CheckpointFile, type CheckpointInfo } from './checkpoint-file.js';

/** Folder of the checkpoints inside their directory. */
export const CHECKPOINT_FOLDER = 'checkpoints';

/** A checkpoint file, and what its header and footer say, or why they cannot be read. */
export interface ListedCheckpoint {
  readonly path: string;
  /** From the name. */
  readonly lastAppliedId: number;
  readonly info: CheckpointInfo | undefined;
  readonly problem: CairnError | undefined;
}

export function checkpointPath(lastAppliedId: number, folder: string = CHECKPOINT_FOLDER): string {
  return `${folder}/ckpt_${lastAppliedId}.ckpt`;
}

/** All checkpoints of a folder, newest first. Other names are ignored; what the disk refuses to read throws. */
export async function listCheckpoints(
  directory: Directory,
  folder: string = CHECKPOINT_FOLDER,
): Promise<ListedCheckpoint[]> {
  const listed: ListedCheckpoint[] = [];
  for (const name of await directory.list(folder)) {
    const digits = /^ckpt_(0|[1-9]\d*)\.ckpt$/.exec(name)?.[1];
    if (digits === undefined) continue;
    const lastAppliedId = Number(digits);
    const path = `${folder}/${name}`;
    if (!Number.isSafeInteger(lastAppliedId)) throw new FormatError('The position is above 2^53-1', { path });
    listed.push({ path, lastAppliedId, ...(await inspect(directory, path, lastAppliedId)) });
  }
  return listed.sort((a, b) => b.lastAppliedId - a.lastAppliedId);
}

async function inspect(
  directory: Directory,
  path: string,
  lastAppliedId: number,
): Promise<Pick<ListedCheckpoint, 'info' | 'problem'>> {
  try {
    const info = await CheckpointFile.inspect(directory, path);
    if (info.lastAppliedId === lastAppliedId) return { info, problem: undefined };
    throw new FormatError(`The file is named after position ${lastAppliedId} but holds ${info.lastAppliedId}`, {
      path,
    });
  } catch (error) {
    // A disk that cannot be read is not a damaged checkpoint: falling back to an older one would hide it.
    if (!(error instanceof CairnError) || error.code === 'CAIRN_STORAGE') throw error;
    return { info: undefined, problem: error };
  }
}

/** Removes what interrupted checkpoints left behind. Best effort: nothing reads those files. */
export async function removeTemporaries(directory: Directory, folder: string = CHECKPOINT_FOLDER): Promise<void> {
  for (const name of await directory.list(folder))
    if (name.startsWith('ckpt_') && name.endsWith(TEMPORARY_SUFFIX))
      await directory.remove(`${folder}/${name}`).catch(() => undefined);
}
