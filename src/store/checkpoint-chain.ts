// Checkpoints that build on one another: a full one, and behind it some that hold only what changed since the one
// before. One damaged file makes everything that builds on it useless, so what counts when checkpoints are kept is
// chains: two of them share no file.

import { ByteReader } from '../bytes/byte-reader.js';
import { CairnError } from '../errors/index.js';
import { decodeItem } from './checkpoint-items.js';
import type { CheckpointDescription, CheckpointStorage } from './event-log.js';

/** A checkpoint and all that it builds on, the full one first. */
export type Chain = readonly CheckpointDescription[];

/** Most checkpoints of changes behind a full one. */
const MOST_CHANGES = 8;

class Enough extends Error {}

/** Position of the checkpoint that this one builds on, from its first item; errors as when it is read. */
export async function readBase(checkpoints: CheckpointStorage, position: number): Promise<number | undefined> {
  let base: number | undefined;
  try {
    await checkpoints.read(position, (bytes) => {
      const item = decodeItem(new ByteReader(bytes));
      base = item.kind === 'made' ? item.base : undefined;
      throw new Enough();
    });
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  return base;
}

/**
 * Whether the next checkpoint should be a full one: the changes would come to half of it, there are enough of them, or
 * the log since has as many entries as there are streams. That bounds what recovery reads, and the log that is kept
 * for the older chain.
 */
export function wantsFull(
  chain: Chain,
  state: { readonly position: number; readonly streams: number; readonly changed: number },
  aboveBytes: number,
): boolean {
  const [full, ...changes] = chain;
  if (full === undefined || full.bytes < aboveBytes || changes.length >= MOST_CHANGES) return true;
  if (state.position - full.position >= state.streams) return true;
  const written = changes.reduce((sum, { bytes }) => sum + bytes, 0);
  return written + (full.bytes * state.changed) / Math.max(1, state.streams) >= full.bytes / 2;
}

/** Knows which checkpoint builds on which. */
export class CheckpointChains {
  readonly #storage: CheckpointStorage;
  readonly #bases = new Map<number, number | undefined>();

  constructor(storage: CheckpointStorage) {
    this.#storage = storage;
  }

  note(position: number, base: number | undefined): void {
    this.#bases.set(position, base);
  }

  /** The longest whole chain of each full checkpoint among those given, the one that ends last first. */
  async whole(checkpoints: readonly CheckpointDescription[]): Promise<Chain[]> {
    const byPosition = new Map(checkpoints.map((checkpoint) => [checkpoint.position, checkpoint]));
    const longest = new Map<number, Chain>();
    // Newest first: the first chain of a full checkpoint that is met is the one that ends last.
    for (const last of [...byPosition.values()].sort((a, b) => b.position - a.position)) {
      const chain = await this.#chainOf(last, byPosition);
      if (chain !== undefined && !longest.has(chain[0]!.position)) longest.set(chain[0]!.position, chain);
    }
    return [...longest.values()];
  }

  async #chainOf(
    last: CheckpointDescription,
    byPosition: ReadonlyMap<number, CheckpointDescription>,
  ): Promise<Chain | undefined> {
    const chain = [last];
    for (;;) {
      const { position } = chain[0]!;
      const known = this.#bases.has(position);
      let base: number | undefined;
      try {
        base = known ? this.#bases.get(position) : await readBase(this.#storage, position);
      } catch (error) {
        // Damaged, or gone: nothing can be built on it.
        if (error instanceof CairnError && error.code !== 'CAIRN_STORAGE') return undefined;
        throw error;
      }
      this.#bases.set(position, base);
      if (base === undefined) return chain;
      const next = byPosition.get(base);
      if (next === undefined || base >= position) return undefined;
      chain.unshift(next);
    }
  }
}
