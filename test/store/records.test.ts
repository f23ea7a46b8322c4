import { expect } from 'chai';
import { MemoryDirectory, openStore, PoisonedError, type EventStore, type StoredRecord } from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { config, filter, map, merge, Subject, take, toArray } from 'rxjs';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects } from '../support/rejects.js';
import { until } from '../support/until.js';
import { addFacts, positionsOf, range } from './facts.js';

describe('records$', () => {
  let store: EventStore;
  let reported: unknown[];
  beforeEach(async () => {
    reported = [];
    store = await openStore({ dir: new MemoryDirectory(), onSubscriberError: (error) => reported.push(error) });
  });
  afterEach(() => store.close().catch(() => undefined));

  it('is hot: shows what is committed after subscribing, each record once and frozen', async () => {
    await addFacts(store, 3);
    const seen: StoredRecord[] = [];
    store.records$.subscribe((record) => seen.push(record));
    await addFacts(store, 3);
    expect(positionsOf(seen)).to.deep.equal([4, 5, 6]);
    expect(seen[0]).to.deep.include({ stream: 'fact-1', version: 4, type: 'Happened', data: { n: 0 } });
    expect(Object.isFrozen(seen[0])).to.equal(true);
    expect(Object.isFrozen(seen[0]!.data)).to.equal(true);
  });

  it('shows nothing before it is as durable as was asked for', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const slow = await openStore({ dir: held });
    const seen: StoredRecord[] = [];
    slow.records$.subscribe((record) => seen.push(record));
    held.holds.add('datasync');
    const appended = addFacts(slow, 1);
    await held.blocked();
    expect(seen).to.have.length(0);
    held.releaseAll();
    await appended;
    expect(seen).to.have.length(1);
    await slow.close();
  });

  it('shows what asked for memory at once, unless something before it waits for more', async () => {
    const seen: number[] = [];
    store.records$.subscribe(({ position }) => seen.push(position));
    void addFacts(store, 1, { durability: 'memory' });
    expect(seen).to.deep.equal([1]);
    const both = Promise.all([
      addFacts(store, 1, { durability: 'fsync' }),
      addFacts(store, 1, { durability: 'memory' }),
    ]);
    expect(seen).to.deep.equal([1]);
    await both;
    expect(seen).to.deep.equal([1, 2, 3]);
  });

  it('goes on, for everybody, when a subscriber throws', async () => {
    const seen: number[] = [];
    store.records$.subscribe(() => {
      throw new Error('mine');
    });
    // oxlint-disable-next-line typescript/no-misused-promises -- that is what is tested
    store.records$.subscribe(async () => {
      await Promise.resolve();
      throw new Error('later');
    });
    store.records$
      .pipe(
        map((record) => {
          if (record.position === 2) throw new Error('in an operator');
          return record;
        }),
      )
      .subscribe();
    store.records$.subscribe(({ position }) => seen.push(position));
    await addFacts(store, 3);
    await until(() => reported.length === 7);
    expect(seen).to.deep.equal([1, 2, 3]);
    const messages = reported.map((error) => (error as Error).message);
    expect(messages.filter((message) => message === 'mine')).to.have.length(3);
    expect(messages.filter((message) => message === 'later')).to.have.length(3);
    expect(messages.filter((message) => message === 'in an operator')).to.have.length(1);
  });

  it('stands a report that throws itself', async () => {
    const warned: Error[] = [];
    const listen = (warning: Error): void => void warned.push(warning);
    process.on('warning', listen);
    try {
      const other = await openStore({
        dir: new MemoryDirectory(),
        onSubscriberError: () => {
          throw new Error('no report');
        },
      });
      other.records$.subscribe(() => {
        throw new Error('mine');
      });
      await addFacts(other, 1);
      await other.close();
      await until(() => warned.length > 0);
      expect(warned[0]!.message).to.include('no report').and.include('mine');
    } finally {
      process.off('warning', listen);
    }
  });

  it('reports to config.onUnhandledError of RxJS where the store was told of nobody else', async () => {
    const other = await openStore({ dir: new MemoryDirectory() });
    const told: unknown[] = [];
    config.onUnhandledError = (error) => told.push(error);
    try {
      other.records$.subscribe(() => {
        throw new Error('mine');
      });
      await addFacts(other, 1);
    } finally {
      config.onUnhandledError = null;
    }
    expect((told[0] as Error).message).to.equal('mine');
    await other.close();
  });

  it('lets subscribers end themselves and each other while they are told', async () => {
    const seen: string[] = [];
    const first = store.records$.subscribe(({ position }) => {
      seen.push(`first ${position}`);
      first.unsubscribe();
      third.unsubscribe();
    });
    store.records$.subscribe(({ position }) => seen.push(`second ${position}`));
    const third = store.records$.subscribe(({ position }) => seen.push(`third ${position}`));
    await addFacts(store, 2);
    expect(seen).to.deep.equal(['first 1', 'second 1', 'second 2']);
  });

  it('ends in the middle of an append for one who unsubscribes there', async () => {
    const seen = store.records$.pipe(take(2), toArray());
    const taken: number[] = [];
    seen.subscribe((records) => taken.push(...positionsOf(records)));
    await store.append([{ stream: 's-1', events: [1, 2, 3].map((n) => ({ type: 'T', data: { n } })) }]);
    expect(taken).to.deep.equal([1, 2]);
  });

  for (const durability of ['memory', 'flush'] as const)
    it(`keeps the order for everybody when subscribers append while they are told (${durability})`, async () => {
      const orders: number[][] = [[], [], [], []];
      const more: Promise<unknown>[] = [];
      const append = (type: string): void => {
        more.push(store.append([{ stream: 's-2', events: [{ type, data: null }] }], { durability }));
      };
      store.records$.subscribe(({ position }) => orders[0]!.push(position));
      store.records$.subscribe(({ position, type }) => {
        orders[1]!.push(position);
        if (type === 'Happened') append('Second');
        if (type === 'Second') append('Third');
      });
      store.records$.subscribe(({ position }) => orders[2]!.push(position));
      const { records$ } = store.subscribe({ from: 1 });
      records$.subscribe(({ position }) => orders[3]!.push(position));
      await addFacts(store, 5, { durability });
      await until(() => orders[3]!.length === 15);
      await Promise.all(more);
      for (const order of orders) expect(order).to.deep.equal(range(1, 15));
    });

  it('shows nothing from before to one who subscribes while others are told', async () => {
    const late: number[] = [];
    let first = true;
    store.records$.subscribe(() => {
      if (!first) return;
      first = false;
      // Committed at once, but told to the others only when all have heard of the first.
      void store.append([{ stream: 's-2', events: [{ type: 'T', data: null }] }], { durability: 'memory' });
      store.records$.subscribe(({ position }) => late.push(position));
    });
    await addFacts(store, 1, { durability: 'memory' });
    await addFacts(store, 1, { durability: 'memory' });
    expect(late).to.deep.equal([3]);
  });

  it('has each record loaded already when it shows it', async () => {
    const positions: number[] = [];
    store.records$.subscribe(({ position }) => positions.push(store.position - position));
    await addFacts(store, 2, { durability: 'flush' });
    expect(positions).to.deep.equal([0, 0]);
  });

  it('completes at close, after the last record, and at once for who comes later', async () => {
    const heard: string[] = [];
    store.records$.subscribe({
      next: ({ position }) => heard.push(String(position)),
      complete: () => heard.push('complete'),
    });
    const appended = addFacts(store, 2);
    await store.close();
    await appended;
    expect(heard).to.deep.equal(['1', '2', 'complete']);
    store.records$.subscribe({ complete: () => heard.push('complete too') });
    expect(heard.at(-1)).to.equal('complete too');
  });

  it('fails when the store does, once for each, and what the disk refused is never shown', async () => {
    let broken = false;
    const dir = new FaultyDirectory(new MemoryDirectory(), (operation) =>
      broken && operation.kind === 'datasync' ? { kind: 'error', errno: 'EIO' } : undefined,
    );
    const poisoned = await openStore({ dir, onSubscriberError: (error) => reported.push(error) });
    const seen: number[] = [];
    const errors: unknown[] = [];
    const both = merge(poisoned.records$, poisoned.records$.pipe(filter(() => false)));
    both.subscribe({ next: ({ position }) => seen.push(position), error: (error) => errors.push(error) });
    poisoned.records$.subscribe({ next: () => undefined });
    poisoned.subscribe({ from: 1 }).records$.subscribe({ error: (error) => errors.push(error) });
    await addFacts(poisoned, 1);
    broken = true;
    await rejects(addFacts(poisoned, 1), PoisonedError);
    await until(() => errors.length === 2);
    expect(seen).to.deep.equal([1]);
    for (const error of errors) expect(error).to.be.instanceOf(PoisonedError);
    // One subscriber had no handler for errors.
    expect(reported).to.have.length(1);
    poisoned.records$.subscribe({ error: (error) => errors.push(error) });
    expect(errors).to.have.length(3);
    await poisoned.close().catch(() => undefined);
  });

  it('can be handed to a Subject, and stands one that is closed', async () => {
    const subject = new Subject<StoredRecord>();
    const seen: number[] = [];
    subject.subscribe(({ position }) => seen.push(position));
    store.records$.subscribe(subject);
    await addFacts(store, 1);
    subject.unsubscribe();
    await addFacts(store, 1);
    expect(seen).to.deep.equal([1]);
    expect(reported).to.have.length(1);
  });
});
