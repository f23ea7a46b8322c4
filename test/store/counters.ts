// A small aggregate, its store, and what tests ask of it over and over.

import {
  Aggregate,
  AggregateRoot,
  Command,
  openStore,
  Reduces,
  type Directory,
  type Event,
  type EventStore,
  type OpenStoreOptions,
} from 'cairnlog';

export type Counted = Event<'Counted', { by: number }>;

@Aggregate({ name: 'counter' })
export class Counter extends AggregateRoot<{ count: number }, Counted> {
  static readonly initial = { count: 0 };

  @Command()
  count(by: number): void {
    this.emit('Counted', { by });
  }

  @Reduces('Counted')
  static counted(state: { count: number }, event: Counted): void {
    state.count += event.data.by;
  }
}

/** A store of counters with small WAL segments. */
export function openCounters(dir: Directory | string, options: Partial<OpenStoreOptions> = {}): Promise<EventStore> {
  return openStore({ dir, aggregates: [Counter], files: { segmentBytes: 1024 }, ...options });
}

/** Counts `times` times, over `ids` counters in turn. */
export async function count(store: EventStore, times: number, ids = 3): Promise<void> {
  const executed = [];
  for (let i = 0; i < times; i++) executed.push(store.execute(Counter, `c${i % ids}`, (counter) => counter.count(1)));
  await Promise.all(executed);
}

/** The counts of the counters, in order of their ids. */
export async function counts(store: EventStore, ids = 3): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < ids; i++) found.push((await store.load(Counter, `c${i}`)).state.count);
  return found;
}

/** Resolves once a checkpoint that was begun in the background is done. */
export async function checkpointed(store: EventStore): Promise<void> {
  while (store.checkpointStatus.running) await new Promise((resolve) => setImmediate(resolve));
}

/** Paths of a folder's files. */
export async function files(directory: Directory, folder: string): Promise<string[]> {
  return (await directory.list(folder)).filter((name) => !name.startsWith('.'));
}
