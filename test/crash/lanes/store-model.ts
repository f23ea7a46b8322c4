// The store against a plain list: drawn commands, several at a time, with the disk's answers in any order; and the same
// commands under other settings, none of which may change what the store holds.

import { openStore, type EventStore } from 'cairnlog';
import { FaultyDirectory, loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { Notes, order } from '../../support/scripted-store.js';
import { bytesOf, SEED } from '../../support/seed.js';
import { Tally, type Lane } from './lane.js';

type Command =
  | { readonly kind: 'note'; readonly id: string; readonly text: string }
  | { readonly kind: 'append'; readonly ids: readonly string[]; readonly text: string }
  | { readonly kind: 'checkpoint'; readonly full: boolean }
  | { readonly kind: 'truncate' }
  | { readonly kind: 'read' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'reopen'; readonly cut: boolean };

interface Settings {
  readonly segmentBytes: number;
  readonly durability: 'memory' | 'flush' | 'fsync';
  /** A checkpoint by itself after so many entries. */
  readonly records: number;
  readonly changesAboveBytes: number;
  readonly preallocateBytes: number;
  readonly recycleSegments: number;
  readonly retain: number;
}

const id = fc.constantFrom('a', 'b', 'c', 'd');
const text = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('x'.repeat(200), 'y'.repeat(700)));
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('note' as const), id, text }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      ids: fc.array(id, { minLength: 1, maxLength: 5 }),
      text,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const), full: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'truncate' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'read' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'wait' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reopen' as const), cut: fc.boolean() }) },
);
const settings: fc.Arbitrary<Settings> = fc.record({
  segmentBytes: fc.constantFrom(200, 600, 4000, 1_000_000),
  durability: fc.constantFrom('memory' as const, 'flush' as const, 'fsync' as const),
  records: fc.constantFrom(2, 7, 1_000_000),
  changesAboveBytes: fc.constantFrom(1, Infinity),
  preallocateBytes: fc.constantFrom(0, 1024),
  recycleSegments: fc.constantFrom(0, 2),
  retain: fc.constantFrom(1, 2),
});

export const storeModel: Lane = {
  name: 'models of the store',
  needs: ['interleaved runs', 'same under other settings'],
  async run({ part, effort }): Promise<Tally> {
    const tally = new Tally();
    const runs = effort === 'short' ? 40 : Math.ceil(3000 / part.parts);
    const drawn = { seed: SEED + part.index, numRuns: runs };
    await tally.hold(
      () => 'interleaved',
      () =>
        fc.assert(
          fc.asyncProperty(
            fc.scheduler(),
            fc.array(command, { maxLength: 30 }),
            settings,
            async (scheduler, list, with_) => {
              tally.add('interleaved runs');
              await interleaved(scheduler, list, with_);
            },
          ),
          drawn,
        ),
    );
    await tally.hold(
      () => 'under other settings',
      () =>
        fc.assert(
          fc.asyncProperty(fc.array(command, { maxLength: 30 }), settings, settings, async (list, one, other) => {
            tally.add('same under other settings');
            const plain = list.map((step) => (step.kind === 'reopen' ? { ...step, cut: false } : step));
            expect(await contentsAfter(plain, one)).to.deep.equal(await contentsAfter(plain, other));
          }),
          drawn,
        ),
    );
    return tally;
  },
};

class Subject {
  readonly #settings: Settings;
  readonly #delay: (() => Promise<unknown>) | undefined;
  disk = new SimulatedDisk();
  store!: EventStore;
  /** Text and stream of every record, in the order in which they were decided. */
  model: [id: string, text: string][] = [];
  /** How many of them are acknowledged as durable. */
  durable = 0;
  pending: Promise<unknown>[] = [];

  constructor(with_: Settings, delay?: () => Promise<unknown>) {
    this.#settings = with_;
    this.#delay = delay;
  }

  async open(): Promise<void> {
    const { segmentBytes, preallocateBytes, recycleSegments, durability } = this.#settings;
    const { records, changesAboveBytes, retain } = this.#settings;
    const delay = this.#delay;
    const directory = new FaultyDirectory(this.disk, () =>
      delay === undefined ? undefined : { kind: 'wait', until: delay() },
    );
    this.store = await openStore({
      dir: directory,
      aggregates: [Notes],
      projections: [order],
      durability,
      checkpoint: { records, changesAboveBytes, retain },
      now: () => 0,
      files: { segmentBytes, preallocateBytes, recycleSegments, random: bytesOf('model') },
    });
  }

  /** Begins a step; `read` and `reopen` come to an end. */
  async step(step: Command): Promise<void> {
    const { store, model } = this;
    switch (step.kind) {
      case 'note':
        model.push([step.id, step.text]);
        return this.#begin(store.execute(Notes, step.id, (notes) => notes.note(step.text)));
      case 'append': {
        const appends = [...new Set(step.ids)].map((one) => {
          const events = step.ids
            .filter((other) => other === one)
            .map((_, index) => ({ type: 'Noted', data: { text: `${step.text} ${index}` } }));
          for (const { data } of events) model.push([one, data.text]);
          return { stream: `notes-${one}`, events };
        });
        return this.#begin(store.append(appends));
      }
      case 'checkpoint':
        return void this.pending.push(store.checkpoint({ full: step.full }));
      case 'truncate':
        return void this.pending.push(store.truncate());
      case 'read':
        return this.#read();
      case 'wait':
        return this.settle();
      case 'reopen': {
        if (!step.cut) {
          await this.settle();
          await store.close();
          await this.open();
          return this.expectModel(model.length, model.length);
        }
        const { durable } = this;
        const found = this.disk.afterPowerCut(loseEverything);
        await this.settle();
        await store.close();
        this.disk = found;
        await this.open();
        const kept = this.store.projection(order).state.texts.length;
        await this.expectModel(durable, kept);
        this.model = model.slice(0, kept);
        this.durable = kept;
      }
    }
  }

  #begin(appended: Promise<unknown>): void {
    const count = this.model.length;
    this.pending.push(
      appended.then(() => {
        if (this.#settings.durability === 'fsync') this.durable = Math.max(this.durable, count);
      }),
    );
  }

  async settle(): Promise<void> {
    const { pending } = this;
    this.pending = [];
    await Promise.all(pending);
  }

  /** What is committed is the beginning of what was decided. */
  async #read(): Promise<void> {
    const seen: string[] = [];
    const committed = this.store.projection(order).state.texts.length;
    for await (const { data } of this.store.readAll()) seen.push((data as { text: string }).text);
    // All of them may have been truncated.
    if (seen.length === 0) return;
    const texts = this.model.map(([, one]) => one);
    let first = texts.length - seen.length;
    while (first >= 0 && !seen.every((one, index) => texts[first + index] === one)) first--;
    expect(first, 'where the records that are read begin').to.be.at.least(0);
    expect(first + seen.length, 'where the records that are read end').to.be.at.least(committed);
  }

  async expectModel(least: number, most: number): Promise<void> {
    const { texts } = this.store.projection(order).state;
    expect(texts.length).to.be.within(least, most);
    const list = this.model.slice(0, texts.length);
    expect(texts).to.deep.equal(list.map(([, one]) => one));
    for (const wanted of new Set(list.map(([one]) => one))) {
      const { state } = await this.store.load(Notes, wanted);
      expect(state.texts).to.deep.equal(list.filter(([one]) => one === wanted).map(([, one]) => one));
    }
  }
}

async function interleaved(scheduler: fc.Scheduler, list: readonly Command[], with_: Settings): Promise<void> {
  const subject = new Subject(with_, () => scheduler.schedule(Promise.resolve()));
  const work = (async () => {
    await subject.open();
    for (const step of list) await subject.step(step);
    await subject.settle();
    await subject.expectModel(subject.model.length, subject.model.length);
    await subject.store.close();
  })();
  await scheduler.waitFor(work);
}

async function contentsAfter(list: readonly Command[], with_: Settings): Promise<unknown> {
  const subject = new Subject(with_);
  await subject.open();
  for (const step of list) await subject.step(step);
  await subject.settle();
  await subject.store.close();
  await subject.open();
  await subject.expectModel(subject.model.length, subject.model.length);
  const { store, model } = subject;
  const streams: unknown[] = [];
  for (const one of [...new Set(model.map(([first]) => first))].sort()) {
    const { state, version } = await store.load(Notes, one);
    streams.push([one, version, state]);
  }
  const { texts } = store.projection(order).state;
  await store.close();
  return { streams, texts };
}
