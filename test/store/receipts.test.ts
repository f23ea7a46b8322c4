// Receipts: a command with an id is executed once, whoever asks again, and whatever happened in between.

import { expect } from 'chai';
import fc from 'fast-check';
import {
  defineAggregate,
  EncodeError,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  TruncatedError,
  type Event,
  type EventStore,
  type Executed,
  type OpenStoreOptions,
} from 'cairnlog';
import { collect } from '../support/collect.js';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects } from '../support/rejects.js';

let decided = 0;
const Counter = defineAggregate('counter', {
  initial: { count: 0 },
  reduce: { Counted: (state, event: Event<'Counted', { by: number }>) => void (state.count += event.data.by) },
  commands: (counter) => ({
    count(by: number, result?: unknown): unknown {
      decided++;
      if (by < 0) throw new RangeError('negative');
      for (let i = 0; i < by; i++) counter.emit('Counted', { by: 1 });
      return result === undefined ? counter.state.count : result;
    },
    silently: (): void => void decided++,
  }),
});

const count = (
  store: EventStore,
  commandId: string | undefined,
  by = 1,
  { id = 'c', result }: { id?: string; result?: unknown } = {},
): Promise<Executed<unknown>> =>
  store.execute(Counter, id, (counter) => counter.count(by, result), commandId === undefined ? {} : { commandId });

describe('Command receipts', () => {
  const optionsOn = (dir: MemoryDirectory, more: Partial<OpenStoreOptions> = {}): OpenStoreOptions => ({
    dir,
    aggregates: [Counter],
    files: { segmentBytes: 100 },
    checkpoint: { retain: 1 },
    ...more,
  });
  beforeEach(() => (decided = 0));

  it('give the first answer again: at once, after a restart, a checkpoint and a truncation', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore(optionsOn(dir));
    await count(store, undefined);
    const first = await count(store, 'one', 2, { result: { list: [1, 'two', null], at: new Date(5) } });
    expect(first).to.deep.equal({ version: 3, position: 3, result: { list: [1, 'two', null], at: new Date(5) } });
    await count(store, undefined, 3);
    for (let i = 0; i < 4; i++) {
      // Whatever is asked for now: it is the id that counts.
      expect(await count(store, 'one', 9)).to.deep.equal(first);
      expect(await store.execute(Counter, 'c', () => 1, { commandId: 'one', expectedVersion: 77 })).to.deep.equal(
        first,
      );
      if (i === 1) await store.checkpoint();
      if (i === 2) {
        await count(store, undefined);
        await store.checkpoint();
        await rejects(collect(store.readAll({ from: first.position })), TruncatedError);
      }
      await store.close();
      store = await openStore(optionsOn(dir));
    }
    expect(decided).to.equal(4);
    expect((await store.load(Counter, 'c')).version).to.equal(7);
    await store.close();
  });

  it('are shared by all who ask while the first is on its way', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openStore({ dir: disk, aggregates: [Counter] });
    disk.holds.add('datasync');
    let answers = 0;
    const all = Array.from({ length: 20 }, async () => {
      const answer = await count(store, 'one', 3);
      answers++;
      return answer;
    });
    await disk.blocked();
    expect([decided, answers]).to.deep.equal([1, 0]);
    disk.releaseAll();
    for (const answer of await Promise.all(all)) expect(answer).to.deep.equal({ version: 3, position: 3, result: 3 });
    expect(decided).to.equal(1);
    await store.close();
  });

  it('are of one aggregate: elsewhere the same id is another command', async () => {
    const store = await openStore(optionsOn(new MemoryDirectory()));
    await count(store, 'one', 1, { id: 'a' });
    expect(await count(store, 'one', 1, { id: 'b' })).to.include({ version: 1, position: 2 });
    // Not to be told apart where id and stream are merely joined.
    const odd = [
      count(store, 'x', 1, { id: 'y\0counter-z' }),
      count(store, 'x\0counter-y', 1, { id: 'z' }),
      count(store, '["x"', 1, { id: 'q' }),
    ];
    expect((await Promise.all(odd)).map(({ position }) => position)).to.deep.equal([3, 4, 5]);
    await store.close();
  });

  it('are not given for a command that failed: it may be tried again under its id', async () => {
    const store = await openStore(optionsOn(new MemoryDirectory()));
    await count(store, 'one', -1).catch((error: unknown) => expect(error).to.be.instanceOf(RangeError));
    expect(await count(store, 'one', 1)).to.deep.equal({ version: 1, position: 1, result: 1 });
    await store
      .execute(Counter, 'c', (counter) => counter.count(1), { commandId: 'two', expectedVersion: 0 })
      .catch(() => undefined);
    expect((await count(store, 'two', 1)).version).to.equal(2);
    expect(decided).to.equal(3);
    await store.close();
  });

  it('are given also for a command that decided on nothing, or returned nothing', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore(optionsOn(dir));
    const silent = (): Promise<Executed<void>> =>
      store.execute(Counter, 'c', (counter) => counter.silently(), { commandId: 'quiet' });
    const first = await silent();
    expect(first).to.deep.equal({ version: 0, position: 1, result: undefined });
    await count(store, undefined);
    const nothing = await store.execute(Counter, 'c', (counter) => void counter.count(1), { commandId: 'void' });
    for (let i = 0; i < 3; i++) {
      expect(await silent()).to.deep.equal(first);
      expect(await count(store, 'void')).to.deep.equal(nothing);
      if (i === 1) await store.checkpoint();
      await store.close();
      store = await openStore(optionsOn(dir));
    }
    expect(decided).to.equal(3);
    expect((await collect(store.readAll())).every(({ type }) => type === 'Counted')).to.equal(true);
    await store.close();
  });

  it('are refused for a result that would not come back as it is, and then nothing is appended', async () => {
    const store = await openStore(optionsOn(new MemoryDirectory()));
    for (const [result, field] of [
      [new Map(), 'result'],
      [{ total: { tags: new Set() } }, 'result.total.tags'],
      [[1, undefined], 'result[1]'],
      [-0, 'result'],
      [() => 1, 'result'],
    ] as const) {
      const error = await rejects(count(store, 'one', 1, { result }), EncodeError);
      expect(error.field).to.equal(field);
      expect(error.message).to.include("'one'");
    }
    expect((await store.load(Counter, 'c')).version).to.equal(0);
    expect(store.position).to.equal(0);
    // Without an id nobody keeps it.
    const map = new Map();
    expect((await count(store, undefined, 1, { result: map })).result).to.equal(map);
    const own = { n: 1 };
    const { result } = await count(store, 'own', 1, { result: own });
    expect(result).to.deep.equal(own);
    expect(result).not.to.equal(own);
    expect(Object.isFrozen(result)).to.equal(true);
    await store.close();
  });

  it('are kept up to a number, the newest, and recovery forgets the same ones', async () => {
    const dir = new MemoryDirectory();
    const options = (receipts: number): OpenStoreOptions => optionsOn(dir, { receipts });
    let store = await openStore(options(3));
    for (const id of ['1', '2', '3', '4']) await count(store, id);
    const positions = async (...ids: string[]): Promise<number[]> => {
      const found = [];
      for (const id of ids) found.push((await count(store, id)).position);
      return found;
    };
    for (let i = 0; i < 3; i++) {
      expect(await positions('2', '3', '4')).to.deep.equal([2, 3, 4]);
      if (i === 1) await store.checkpoint();
      await store.close();
      store = await openStore(options(3));
    }
    // Forgotten: executed again, which pushes out the oldest.
    expect(decided).to.equal(4);
    await count(store, '1');
    expect(decided).to.equal(5);
    await count(store, '3');
    expect(decided).to.equal(5);
    await count(store, '2');
    expect(decided).to.equal(6);
    await store.close();
    // A smaller number keeps the newest of them.
    store = await openStore(options(1));
    await count(store, '2');
    expect(decided).to.equal(6);
    await count(store, '1');
    expect(decided).to.equal(7);
    await store.close();
    store = await openStore(options(0));
    await count(store, '1');
    await count(store, '1');
    expect(decided).to.equal(9);
    // None are kept, and still nobody executes twice at the same time.
    await Promise.all([count(store, 'x'), count(store, 'x')]);
    expect(decided).to.equal(10);
    await store.close();
    for (const receipts of [-1, 1.5, NaN, '3'])
      await rejects(openStore(optionsOn(dir, { receipts: receipts as number })), InvalidArgumentError);
  });

  it('execute every id once, however often and in whichever order it is asked for', async () => {
    const ask = fc.record({
      commandId: fc.constantFrom('a', 'b', 'c', 'd'),
      id: fc.constantFrom('x', 'y'),
      next: fc.constantFrom('go on', 'wait', 'reopen', 'checkpoint' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { maxLength: 25 }), async (asks) => {
        const dir = new MemoryDirectory();
        let store = await openStore(optionsOn(dir));
        const first = new Map<string, Promise<Executed<unknown>>>();
        const all: [string, Promise<Executed<unknown>>][] = [];
        for (const { commandId, id, next } of asks) {
          const answer = count(store, commandId, 1, { id });
          const key = `${commandId} ${id}`;
          if (!first.has(key)) first.set(key, answer);
          all.push([key, answer]);
          if (next !== 'go on') await answer;
          if (next === 'checkpoint') await store.checkpoint();
          if (next === 'reopen') {
            await Promise.all(all.map(([, pending]) => pending));
            await store.close();
            store = await openStore(optionsOn(dir));
          }
        }
        for (const [key, answer] of all) expect(await answer).to.deep.equal(await first.get(key));
        let events = 0;
        for (const id of ['x', 'y']) events += (await store.load(Counter, id)).version;
        expect(events).to.equal(first.size);
        await store.close();
      }),
      { numRuns: 25 },
    );
  });
});
