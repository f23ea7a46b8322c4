// Stores full of facts that nobody has to understand: a stream, a type and a number each.

import { openStore, type EventStore, type OpenStoreOptions, type StoredRecord } from 'cairnlog';

/** Appends that many records, each with an append of its own; resolves once all are acknowledged. */
export async function addFacts(
  store: EventStore,
  count: number,
  options: {
    readonly stream?: string;
    readonly type?: string;
    readonly durability?: 'memory' | 'flush' | 'fsync';
  } = {},
): Promise<void> {
  const { stream = 'fact-1', type = 'Happened', durability } = options;
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      store.append([{ stream, events: [{ type, data: { n } }] }], durability === undefined ? {} : { durability }),
    ),
  );
}

/** A store whose segments hold a few records each, and which takes checkpoints only when told. */
export function openSmall(options: OpenStoreOptions): Promise<EventStore> {
  return openStore({
    durability: 'flush',
    checkpoint: { records: Number.MAX_SAFE_INTEGER, retain: 1 },
    files: { segmentBytes: 1024 },
    ...options,
  });
}

export function positionsOf(records: readonly StoredRecord[]): number[] {
  return records.map(({ position }) => position);
}

/** `from`, `from + 1`, ..., `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}
