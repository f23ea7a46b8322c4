// A store with a projection, a durable subscription and watchers, that follows a script of a few steps and keeps a
// record of everything that was promised and shown. Its state is the list of all texts that were ever noted, by stream
// and over all streams, so that what was recovered can be compared with a plain list.

import {
  Aggregate,
  AggregateRoot,
  Command,
  defineProjection,
  openStore,
  Reduces,
  type CheckpointResult,
  type Directory,
  type Durability,
  type Event,
  type EventStore,
  type Of,
  type StoredRecord,
} from 'cairnlog';
import { FaultyDirectory, SimulatedDisk, type DiskOperation, type Fault } from 'cairnlog/testing';
import { expect } from 'chai';
import { withSlowSyncs } from '#src/testing/faulty-directory.js';
import { bytesOf } from './seed.js';

export const storeSteps = ['small', 'roll', 'batch', 'checkpoint', 'truncate', 'reopen'] as const;
/** And some for checkpoints that build on one another. `damage`: a bit flips in a file while the store is closed. */
export const chainSteps = [...storeSteps, 'full checkpoint', 'damage the newest', 'damage its base'] as const;
export type StoreStep = (typeof chainSteps)[number];

export interface StoreScriptOptions {
  readonly segmentBytes: number;
  readonly durability: Durability;
  /** Checkpoints that are kept. */
  readonly retain: number;
  /** Default 0. */
  readonly recycleSegments?: number;
  /**
   * Streams that are there from the beginning, with one record each. With some of them, a checkpoint holds only what
   * changed since the one before.
   */
  readonly streams?: number;
}

type Noted = Event<'Noted', { text: string }>;

interface NotesState {
  texts: string[];
}

@Aggregate({ name: 'notes', version: 1, events: ['Noted'] })
export class Notes extends AggregateRoot<NotesState, Noted> {
  static readonly initial: NotesState = { texts: [] };

  @Command()
  note(text: string): number {
    this.emit('Noted', { text });
    return this.state.texts.length;
  }

  @Reduces('Noted')
  static noted(state: NotesState, event: Of<Noted, 'Noted'>): void {
    state.texts.push(event.data.text);
  }
}

export const order = defineProjection('order', {
  initial: { texts: [] as string[] },
  on: {
    Noted: (state, record: StoredRecord<Noted>) => {
      state.texts.push(record.data.text);
    },
  },
});

export interface Attempt {
  readonly id: string;
  readonly text: string;
  /** Of a command with an id. */
  readonly commandId?: string;
}

/** What was attempted, promised and shown. */
export class StorePromises {
  /** Records in the order in which they were appended. */
  attempted: Attempt[] = [];
  /** Indices of first and last records of appends. */
  groups: [first: number, last: number][] = [];
  /** Positions of the records that were shown, in order. */
  shown: number[] = [];
  /** Records that were acknowledged. */
  acknowledged = 0;
  /** Positions up to here are on stable storage, and were handed to the system. */
  durable = 0;
  flushed = 0;
  /** Positions that the subscription has handled. */
  handled = new Set<number>();
  /** Position of the last checkpoint that was confirmed. */
  checkpointed = 0;

  copy(): StorePromises {
    const copy = new StorePromises();
    const { attempted, groups, shown, handled } = this;
    return Object.assign(copy, this, {
      attempted: [...attempted],
      groups: [...groups],
      shown: [...shown],
      handled: new Set(handled),
    });
  }
}

/** Opens the store that the scripts are about. */
export function openNotes(
  dir: Directory,
  options: StoreScriptOptions,
  promises?: StorePromises,
  random = bytesOf('notes'),
  onSubscriberError = (error: unknown): void => {
    throw error;
  },
): Promise<EventStore> {
  return openStore({
    dir,
    aggregates: [Notes],
    projections: [order],
    durability: options.durability,
    checkpoint: {
      records: 1_000_000,
      retain: options.retain,
      changesAboveBytes: options.streams === undefined ? Infinity : 1,
    },
    now: () => 0,
    files: {
      segmentBytes: options.segmentBytes,
      recycleSegments: options.recycleSegments ?? 0,
      random,
      ...(promises === undefined
        ? {}
        : {
            observer: {
              onFlush: (_, id) => void (promises.flushed = Math.max(promises.flushed, id)),
              onSync: (id) => void (promises.durable = Math.max(promises.durable, id)),
            },
          }),
    },
    onSubscriberError,
  });
}

export class ScriptedStore {
  readonly promises = new StorePromises();
  readonly disk = new SimulatedDisk();
  watch: (operation: DiskOperation) => Fault | void = () => undefined;
  readonly #options: StoreScriptOptions;
  readonly #directory: FaultyDirectory;
  readonly #random = bytesOf('scripted store');
  #store: EventStore | undefined;
  /** What the last checkpoint was. */
  lastCheckpoint: CheckpointResult | undefined;
  /** What it is doing. */
  phase = 'open';
  /** Whether somebody was told that the store has failed: then closing it makes nothing durable any more. */
  hasFailed = false;
  /** What subscribers were reported with. */
  readonly subscriberErrors: unknown[] = [];

  constructor(options: StoreScriptOptions) {
    this.#options = options;
    this.#directory = new FaultyDirectory(
      this.disk,
      withSlowSyncs((operation) => this.watch(operation)),
    );
  }

  promised(): StorePromises {
    return this.promises.copy();
  }

  async open(): Promise<void> {
    const { promises } = this;
    const store = (this.#store = await openNotes(
      this.#directory,
      this.#options,
      promises,
      this.#random,
      (error) => void this.subscriberErrors.push(error),
    ));
    promises.durable = Math.max(promises.durable, store.position);
    promises.flushed = Math.max(promises.flushed, store.position);
    expect(store.projection(order).state.texts).to.deep.equal(promises.attempted.map(({ text }) => text));
    store.records$.subscribe({
      next: (record) => this.#show(record),
      // A store that fails says so to whoever appends.
      error: () => undefined,
    });
    await store.subscription('watcher', {
      from: 'start',
      handle: (record) => void promises.handled.add(record.position),
    });
    if (promises.attempted.length === 0 && this.#options.streams !== undefined) await this.#fill(this.#options.streams);
    await settled();
  }

  async step(step: StoreStep): Promise<void> {
    const store = this.#store!;
    const { promises } = this;
    this.phase = step;
    switch (step) {
      case 'small':
        await this.#note('a', `small ${promises.attempted.length + 1}`);
        break;
      case 'roll':
        await this.#note('b', `roll ${promises.attempted.length + 1} `.padEnd(this.#options.segmentBytes - 100, 'r'));
        break;
      case 'batch':
        await Promise.all([this.#append(), this.#note('b', `beside ${promises.attempted.length + 1}`)]);
        break;
      case 'checkpoint':
      case 'full checkpoint':
        this.lastCheckpoint = await store.checkpoint({ full: step === 'full checkpoint' });
        promises.checkpointed = this.lastCheckpoint.position;
        break;
      case 'damage the newest':
      case 'damage its base':
        await this.#closeStore();
        await this.#damage(step === 'damage its base');
        await this.open();
        break;
      case 'truncate':
        await store.truncate();
        break;
      case 'reopen':
        await this.#closeStore();
        await this.open();
        break;
    }
    await settled();
  }

  async end(): Promise<void> {
    this.phase = 'close';
    await this.#store?.close();
  }

  async #closeStore(): Promise<void> {
    const store = this.#store!;
    await store.close();
    if (!this.hasFailed) this.promises.durable = Math.max(this.promises.durable, store.position);
    this.hasFailed = false;
  }

  async #fill(streams: number): Promise<void> {
    const { attempted, groups } = this.promises;
    const first = attempted.length;
    for (let number = 0; number < streams; number++) attempted.push({ id: `${number}`, text: `first of ${number}` });
    groups.push([first, attempted.length - 1]);
    await this.#store!.append(
      attempted
        .slice(first)
        .map(({ id, text }) => ({ stream: `notes-${id}`, events: [{ type: 'Noted', data: { text } }] })),
    );
    this.promises.acknowledged = Math.max(this.promises.acknowledged, attempted.length);
  }

  /** A bit of the newest checkpoint, or of the first one that it builds on, is not what was written. */
  async #damage(base: boolean): Promise<void> {
    const last = this.lastCheckpoint;
    if (last === undefined) return;
    const { position, buildsOn } = last;
    const path = `checkpoints/ckpt_${base ? (buildsOn ?? position) : position}.ckpt`;
    const bytes = this.disk.peek(path)!;
    const at = bytes.length >> 1;
    const file = await this.disk.open(path, 'update');
    await file.write(Uint8Array.of(bytes[at]! ^ 4), at);
    await file.datasync();
    await file.close();
    // Recovery has to do with an older one, or with none; nothing else may be missing because of it.
    this.promises.checkpointed = 0;
  }

  async #note(id: 'a' | 'b', text: string): Promise<void> {
    const { attempted } = this.promises;
    const commandId = `command ${attempted.length}`;
    attempted.push({ id, text, commandId });
    const count = attempted.length;
    await this.#store!.execute(Notes, id, (notes) => notes.note(text), { commandId });
    this.promises.acknowledged = Math.max(this.promises.acknowledged, count);
  }

  /** Three records of two streams, all or none. */
  async #append(): Promise<void> {
    const { attempted, groups } = this.promises;
    const first = attempted.length;
    const event = (id: 'a' | 'b', part: number): Noted => {
      const text = `part ${part} of ${first + 1} `.padEnd(15 + part * 20, 'p');
      attempted.push({ id, text });
      return { type: 'Noted', data: { text } };
    };
    const a = [event('a', 1)];
    const b = [event('b', 2), event('b', 3)];
    groups.push([first, first + 2]);
    await this.#store!.append([
      { stream: 'notes-a', events: a },
      { stream: 'notes-b', events: b },
    ]);
    this.promises.acknowledged = Math.max(this.promises.acknowledged, first + 3);
  }

  /** What is shown is as durable as it is said to be, and follows what was shown before. */
  #show({ position, data }: StoredRecord): void {
    const { promises } = this;
    expect(data, 'the record shown').to.deep.equal({ text: promises.attempted[promises.shown.length]!.text });
    const { durability } = this.#options;
    if (durability !== 'memory') expect(position, 'shown before it was written').to.be.at.most(promises.flushed);
    if (durability === 'fsync') expect(position, 'shown before it was durable').to.be.at.most(promises.durable);
    promises.shown.push(position);
  }
}

/** Lets what goes on in the background come to rest. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
