// Checkpoints that build on one another.

import { decodeItem } from './checkpoint-items.js';
import type { CheckpointStorage } from './event-log.js';

class Enough extends Error {}

/** Position of the checkpoint that this one builds on, from its first item; errors as when it is read. */
export async function readBase(checkpoints: CheckpointStorage, position: number): Promise<number | undefined> {
  let base: number | undefined;
  try {
    await checkpoints.read(position, (bytes) => {
      const item = decodeItem(bytes);
      base = item.kind === 'made' ? item.base : undefined;
      throw new Enough();
    });
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  return base;
}
