// A store on any engine that follows a script of a few steps, and a record of everything that was promised meanwhile.
// Its state is the list of all texts that were ever noted, by stream and over all streams, so that what is recovered can
// be compared with a plain list.

import * as assert from 'node:assert/strict';
import { defineAggregate, type Event } from '../aggregate/index.js';
import type { Directory } from '../storage/index.js';
import {
  defineProjection,
  openStore,
  type Durability,
  type Engine,
  type EventStore,
  type StoredRecord,
} from '../store/index.js';
import { covers } from '../store/durability.js';
import type { Left, Oracle, Scripted } from './explore-script.js';
import { FaultyDirectory, withSlowSyncs, type DiskOperation, type Fault } from './faulty-directory.js';
import { loseEverything, loseNothing } from './power-cut.js';
import { SimulatedDisk } from './simulated-disk.js';

export const NOTE_STEPS = ['small', 'large', 'batch', 'checkpoint', 'truncate', 'reopen'] as const;
export type NoteStep = (typeof NOTE_STEPS)[number];

export interface NotesOptions {
  readonly open: (directory: Directory) => Promise<Engine>;
  /** Of every append; `undefined` for the strongest that the engine has. */
  readonly durability: Durability | undefined;
}

type Noted = Event<'Noted', { text: string }>;

const LARGE_BYTES = 400;

const Notes = defineAggregate('notes', {
  initial: { texts: [] as string[] },
  reduce: {
    Noted: (state, event: Noted) => {
      state.texts.push(event.data.text);
    },
  },
  commands: (notes) => ({ note: (text: string) => notes.emit('Noted', { text }) }),
});

const order = defineProjection('order', {
  initial: { texts: [] as string[] },
  on: {
    Noted: (state, record: StoredRecord<Noted>) => {
      state.texts.push(record.data.text);
    },
  },
});

type Crash = 'power cut' | 'process end';

/** What was attempted and promised. */
export class NotePromises {
  /** In the order in which they were appended. */
  attempted: { readonly id: string; readonly text: string }[] = [];
  /** Indexes of the first and last texts of appends. */
  groups: [first: number, last: number][] = [];
  /** Texts that were acknowledged, and those that opening or a confirmed checkpoint has shown. */
  acknowledged = 0;
  shown = 0;
  /** Position of the last checkpoint that was confirmed. */
  checkpointed = 0;
  /** The durability that was asked for, and the engine's strongest. */
  asked: Durability = 'memory';
  strongest: Durability = 'memory';

  copy(): NotePromises {
    const copy = new NotePromises();
    return Object.assign(copy, this, { attempted: [...this.attempted], groups: [...this.groups] });
  }

  /** Texts that must be there after a crash. What an engine shows when it is opened is as durable as it can be. */
  least(crash: Crash): number {
    const needed = crash === 'power cut' ? 'fsync' : 'flush';
    return Math.max(
      covers(this.asked, needed) ? this.acknowledged : 0,
      covers(this.strongest, needed) ? this.shown : 0,
    );
  }
}

interface Opened {
  readonly store: EventStore;
  /** What the engine can promise. */
  readonly strongest: Durability;
}

async function openNotes({ open, durability }: NotesOptions, directory: Directory): Promise<Opened> {
  let strongest: Durability = 'memory';
  const store = await openStore({
    engine: {
      async open(): Promise<Engine> {
        const engine = await open(directory);
        strongest = engine.log.strongest;
        return engine;
      },
    },
    aggregates: [Notes],
    projections: [order],
    ...(durability === undefined ? {} : { durability }),
    checkpoint: { records: Infinity, retain: 1 },
    now: () => 0,
  });
  return { store, strongest };
}

export class ScriptedNotes implements Scripted<NoteStep, NotePromises> {
  readonly promises: NotePromises = new NotePromises();
  readonly disk: SimulatedDisk = new SimulatedDisk();
  watch: (operation: DiskOperation) => Fault | void = () => undefined;
  readonly #options: NotesOptions;
  readonly #directory: FaultyDirectory;
  #store: EventStore | undefined;

  constructor(options: NotesOptions) {
    this.#options = options;
    this.#directory = new FaultyDirectory(
      this.disk,
      withSlowSyncs((operation) => this.watch(operation)),
    );
  }

  promised(): NotePromises {
    return this.promises.copy();
  }

  async open(): Promise<void> {
    const { promises } = this;
    const { store, strongest } = await openNotes(this.#options, this.#directory);
    this.#store = store;
    promises.strongest = strongest;
    promises.asked = this.#options.durability ?? strongest;
    promises.shown = expectStore(store, promises, promises.acknowledged);
  }

  async step(step: NoteStep): Promise<void> {
    const store = this.#store!;
    const { promises } = this;
    const number = promises.attempted.length + 1;
    switch (step) {
      case 'small':
        return this.#note('a', `small ${number}`);
      case 'large':
        return this.#note('b', `large ${number} `.padEnd(LARGE_BYTES, 'x'));
      case 'batch':
        await Promise.all([this.#append(), this.#note('b', `beside ${number}`)]);
        return;
      case 'checkpoint': {
        const shown = promises.acknowledged;
        promises.checkpointed = (await store.checkpoint()).position;
        promises.shown = Math.max(promises.shown, shown);
        return;
      }
      case 'truncate':
        await store.truncate();
        return;
      case 'reopen':
        await store.close();
        return this.open();
    }
  }

  async end(): Promise<void> {
    await this.#store?.close();
  }

  async #note(id: string, text: string): Promise<void> {
    const { promises } = this;
    promises.attempted.push({ id, text });
    const count = promises.attempted.length;
    await this.#store!.execute(Notes, id, (notes) => notes.note(text));
    promises.acknowledged = Math.max(promises.acknowledged, count);
  }

  /** Three texts of two streams, all or none. */
  async #append(): Promise<void> {
    const { promises } = this;
    const { attempted, groups } = promises;
    const first = attempted.length;
    const event = (id: string, part: number): Noted => {
      const text = `part ${part} of ${first + 1} `.padEnd(15 + part * 20, 'p');
      attempted.push({ id, text });
      return { type: 'Noted', data: { text } };
    };
    const appends = [
      { stream: 'notes-a', events: [event('a', 1)] },
      { stream: 'notes-b', events: [event('b', 2), event('b', 3)] },
    ];
    groups.push([first, first + 2]);
    await this.#store!.append(appends);
    promises.acknowledged = Math.max(promises.acknowledged, first + 3);
  }
}

export class NotesOracle implements Oracle<NotePromises> {
  readonly #options: NotesOptions;

  constructor(options: NotesOptions) {
    this.#options = options;
  }

  keyOf({ attempted, acknowledged, shown, checkpointed }: NotePromises): string {
    return [attempted.length, acknowledged, shown, checkpointed].join();
  }

  async recover(directory: Directory, promises: NotePromises, crash: Crash, closing: () => void): Promise<void> {
    const { store } = await openNotes(this.#options, directory);
    expectStore(store, promises, promises.least(crash), crash);
    closing();
    await store.close();
  }

  /** Also: goes on, loses power again (or its process, where no engine promises more), and finds everything again. */
  async check({ disk, promises }: Left<NotePromises>): Promise<void> {
    const { store, strongest } = await openNotes(this.#options, disk);
    const again = covers(strongest, 'fsync') ? loseEverything : loseNothing;
    const kept = expectStore(store, promises, promises.least('power cut'), 'power cut');
    await expectRecords(store, promises, kept);
    // What the log may lose because of what was recovered is not to be missed afterwards.
    await store.truncate();
    const { store: shown } = await openNotes(this.#options, disk.afterPowerCut(again));
    assert.equal(expectStore(shown, promises, kept), kept, 'what opening has shown stays');
    await shown.close();

    const text = 'after the power cut';
    await store.execute(Notes, 'a', (notes) => notes.note(text), { durability: strongest });
    const after = promises.copy();
    after.attempted = [...promises.attempted.slice(0, kept), { id: 'a', text }];
    after.groups = [];
    const { store: last } = await openNotes(this.#options, disk.afterPowerCut(again));
    assert.equal(expectStore(last, after, kept + 1), kept + 1, 'after another power cut');
    await last.close();
    await store.close();
  }
}

/** Holds the state of a store to what was promised; returns how many texts it has kept. */
function expectStore(store: EventStore, promises: NotePromises, least: number, crash?: Crash): number {
  const { attempted, groups, checkpointed, strongest } = promises;
  const { texts } = store.projection(order).state;
  const kept = texts.length;
  assert.ok(kept >= least, `${kept} records are left, ${least} were promised`);
  assert.ok(kept <= attempted.length, `${kept} records are there, ${attempted.length} were appended`);
  for (const [index, text] of texts.entries())
    assert.equal(text, attempted[index]!.text, `record ${index + 1} is another one`);
  for (const [first, last] of groups)
    assert.ok(kept <= first || kept > last, `of the append ${first + 1} to ${last + 1} only some records are left`);
  if (crash !== undefined && covers(strongest, crash === 'power cut' ? 'fsync' : 'flush')) {
    const { position = 0 } = store.recovery.checkpoint ?? {};
    assert.ok(position >= checkpointed, `the checkpoint is at ${position}, one at ${checkpointed} was confirmed`);
  }
  return kept;
}

/** The records that are left in the log, and the state of every stream, are those of the plain list. */
async function expectRecords(store: EventStore, { attempted }: NotePromises, kept: number): Promise<void> {
  const list = attempted.slice(0, kept);
  const texts: string[] = [];
  let before = 0;
  for await (const { position, data } of store.readAll()) {
    assert.ok(position > before, 'positions go up');
    before = position;
    texts.push((data as { text: string }).text);
  }
  assert.deepEqual(
    texts,
    list.slice(kept - texts.length).map(({ text }) => text),
    'the records that are left',
  );
  for (const wanted of ['a', 'b']) {
    const { state } = await store.load(Notes, wanted);
    const own = list.filter(({ id }) => id === wanted).map(({ text }) => text);
    assert.deepEqual([...state.texts], own, `the state of '${wanted}'`);
  }
}
