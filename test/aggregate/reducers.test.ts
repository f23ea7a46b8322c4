// What reducers may do, and what becomes of the state when they do something else.

import { expect } from 'chai';
import fc from 'fast-check';
import {
  defineAggregate,
  MemoryDirectory,
  openStore,
  ReducerError,
  type DefinedAggregate,
  type Event,
  type EventStore,
} from 'cairnlog';
import { rejects } from '../support/rejects.js';

type Loose = Record<string, unknown>;
type Reducer = (state: never, event: Event<'Happened', never>) => unknown;

const base: Loose = { count: 1, list: [{ n: 1 }, { n: 2 }], nested: { deep: { n: 1 } } };

interface Probe {
  readonly aggregate: DefinedAggregate<Loose, Event<'Happened', unknown>, Record<never, never>>;
  readonly dir: MemoryDirectory;
  readonly store: EventStore;
}

async function storeWith(reducer: Reducer, initial: object = base): Promise<Probe> {
  const aggregate = defineAggregate('probe', { initial, reduce: { Happened: reducer as never } });
  const dir = new MemoryDirectory();
  return { aggregate: aggregate as never, dir, store: await openStore({ dir, aggregates: [aggregate] }) };
}

/** The state after one event: live, after a replay, and after a checkpoint, all of which must be the same. */
async function after(reducer: Reducer, data: unknown = {}, initial: object = base): Promise<Loose> {
  const { aggregate, dir, store } = await storeWith(reducer, initial);
  await store.execute(aggregate, 'p', (probe) => probe.emit('Happened', data));
  const { state } = await store.load(aggregate, 'p');
  await store.close();
  for (const checkpointed of [false, true]) {
    const again = await openStore({ dir, aggregates: [aggregate] });
    expect(again.recovery.checkpoint === undefined).to.equal(!checkpointed);
    expect((await again.load(aggregate, 'p')).state).to.deep.equal(state);
    if (!checkpointed) {
      await again.checkpoint();
    }
    await again.close();
  }
  return state as Loose;
}

/** The error that one event ends in; nothing may have changed by it. */
async function failure(reducer: Reducer, data: unknown = {}, initial: object = base): Promise<ReducerError> {
  const { aggregate, store } = await storeWith(reducer, initial);
  const run = store.execute(aggregate, 'p', (probe) => probe.emit('Happened', data));
  const error = await rejects(run, ReducerError);
  const appended = store.append([{ stream: 'probe-p', events: [{ type: 'Happened', data }] }]);
  expect((await rejects(appended, ReducerError)).message).to.equal(error.message);
  expect(await store.load(aggregate, 'p')).to.deep.equal({ id: 'p', version: 0, state: initial });
  expect(store.position).to.equal(0);
  expect(error.eventType).to.equal('Happened');
  await store.close();
  return error;
}

function isFrozenThrough(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenThrough);
}

describe('Reducers', () => {
  it('change a draft; the state before stays as it was, and what did not change is shared', async () => {
    const { aggregate, store } = await storeWith((state: { nested: { deep: { n: number } } }) => {
      state.nested.deep.n++;
    });
    const { state: before } = await store.load(aggregate, 'p');
    await store.execute(aggregate, 'p', (probe) => probe.emit('Happened', {}));
    const { state } = await store.load(aggregate, 'p');
    expect(before).to.deep.equal(base);
    expect(state).to.deep.equal({ ...base, nested: { deep: { n: 2 } } });
    expect(state['list']).to.equal(before['list']);
    await store.close();
  });

  it('lead to states that are frozen all through, however they were made', async () => {
    const halfFrozen = Object.freeze({ list: [{ n: 1 }] });
    for (const reducer of [
      (state: Loose) => void (state['added'] = { list: [{ n: 1 }] }),
      (state: Loose) => void (state['added'] = structuredClone(halfFrozen)),
      (state: Loose) => void (state['added'] = Object.freeze({ list: [{ n: 1 }] })),
      (state: Loose) => ({ ...state, added: { list: [{ n: 1 }] } }),
    ]) {
      const state = await after(reducer as Reducer);
      expect(state['added']).to.deep.equal({ list: [{ n: 1 }] });
      expect(isFrozenThrough(state)).to.equal(true);
    }
  });

  it('may return the next state instead of changing the draft', async () => {
    expect(await after(() => ({ other: 1 }))).to.deep.equal({ other: 1 });
    expect(await after((state: Loose) => ({ ...state, count: 5 }))).to.deep.equal({ ...base, count: 5 });
    expect(await after((state: { nested: { deep: object } }) => ({ moved: state.nested.deep }))).to.deep.equal({
      moved: { n: 1 },
    });
    expect(await after(() => [3], {}, [1, 2])).to.deep.equal([3]);
    expect(await after((state: number[]) => [...state, 3], {}, [1, 2])).to.deep.equal([1, 2, 3]);
  });

  it('have what they return ignored when they changed the draft, or returned no state', async () => {
    expect(await after((state: { count: number }) => (state.count = 7))).to.deep.equal({ ...base, count: 7 });
    expect(await after((state: Loose) => (state['list'] = ['new']))).to.deep.equal({ ...base, list: ['new'] });
    expect(await after((state: Loose) => (state['nested'] = { n: 0 }))).to.deep.equal({ ...base, nested: { n: 0 } });
    expect(await after((state: { list: object[] }) => state.list.push({ n: 3 }))).to.deep.equal({
      ...base,
      list: [{ n: 1 }, { n: 2 }, { n: 3 }],
    });
    expect(await after((state: { list: object[] }) => state.list.splice(5))).to.deep.equal(base);
    expect(await after((state: { list: object[] }) => state.list.find(() => true))).to.deep.equal(base);
    for (const returned of [undefined, null, 0, 'state', true, [], () => 1])
      expect(await after(() => returned)).to.deep.equal(base);
  });

  it('may assign what a field holds already: that is no next state', async () => {
    const { nested } = base as { nested: object };
    const EMPTY = {};
    for (const [reducer, expected] of [
      [(state: Loose) => (state['nested'] = nested), base],
      [(state: Loose) => (state['extra'] = EMPTY), { ...base, extra: {} }],
    ] as const) {
      const { aggregate, dir, store } = await storeWith(reducer);
      for (let i = 0; i < 3; i++) await store.execute(aggregate, 'p', (probe) => probe.emit('Happened', {}));
      expect((await store.load(aggregate, 'p')).state).to.deep.equal(expected);
      await store.close();
      const again = await openStore({ dir, aggregates: [aggregate] });
      expect((await again.load(aggregate, 'p')).state).to.deep.equal(expected);
      await again.close();
    }
  });

  it('are refused where they return what is no state', async () => {
    class Money {
      amount = 1;
    }
    for (const returned of [new Map([['a', 1]]), new Set([1]), new Date(0), /x/, new Money(), new Error('no')]) {
      const { message } = await failure(() => returned);
      expect(message).to.include('not plain data').and.to.include(`instance of ${returned.constructor.name}`);
    }
  });

  it('that throw leave the state as it was, also after a change', async () => {
    const cause = new RangeError('no');
    const error = await failure((state: { count: number }) => {
      state.count = 99;
      throw cause;
    });
    expect(error.cause).to.equal(cause);
    expect(error.message).to.equal("The reducer of 'Happened' in 'probe' threw: no");
    expect(
      (
        await failure(() => {
          // oxlint-disable-next-line typescript/only-throw-error
          throw 'a text';
        })
      ).message,
    ).to.include('a text');
  });

  it('that come to their end later are refused when they run', async () => {
    // Neither is an async function.
    const error = await failure((state: { count: number }) => Promise.resolve().then(() => (state.count = 2)));
    expect(error.message).to.include("'Happened' in 'probe' is async");
    // oxlint-disable-next-line unicorn/no-thenable
    expect((await failure(() => ({ then: (): void => undefined }))).message).to.include('is async');
    expect((await failure(() => Promise.reject(new Error('unheard')))).message).to.include('is async');
  });

  it('cannot change the event', async () => {
    for (const reducer of [
      (_: never, event: Event<'Happened', { n: number }>) => void ((event.data as { n: number }).n = 2),
      (_: never, event: Event<'Happened', { list: object[] }>) => void event.data.list.push({}),
      (_: never, event: Event<'Happened', never>) => void ((event as { data: unknown }).data = {}),
      (_: never, event: Event<'Happened', never>) => void ((event as { type: string }).type = 'Other'),
    ])
      expect((await failure(reducer as Reducer, { n: 1, list: [] })).cause).to.be.instanceOf(TypeError);
  });

  it('may put data of the event into the state, and change it there later', async () => {
    const { aggregate, store } = await storeWith((state: Loose, event: { data: { n: number } }) => {
      if (state['kept'] === undefined) state['kept'] = event.data;
      else (state['kept'] as { n: number }).n += event.data.n;
    });
    const data = { n: 1 };
    for (let i = 0; i < 3; i++) await store.execute(aggregate, 'p', (probe) => probe.emit('Happened', data));
    data.n = 100;
    expect((await store.load(aggregate, 'p')).state['kept']).to.deep.equal({ n: 3 });
    const stored = [];
    for await (const record of store.readAll()) stored.push(record.data);
    expect(stored).to.deep.equal([{ n: 1 }, { n: 1 }, { n: 1 }]);
    await store.close();
  });

  it('are methods of their class: they reach its other static members', async () => {
    const aggregate = defineAggregate('probe', {
      initial: { n: 0 },
      reduce: {
        Added(state, event: Event<'Added', number>) {
          state.n += event.data;
        },
        Doubled(state) {
          this.Added(state as never, { type: 'Added', data: state.n } as never);
        },
      },
    });
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [aggregate] });
    await store.execute(aggregate, 'p', (probe) => probe.emit('Added', 2));
    await store.execute(aggregate, 'p', (probe) => probe.emit('Doubled', null));
    expect((await store.load(aggregate, 'p')).state.n).to.equal(4);
    await store.close();
  });

  describe('leave plain data in the state, or are refused at once with the path of the field', () => {
    class Money {
      amount = 1;
    }
    const cyclic: Loose = {};
    cyclic['self'] = cyclic;
    const deep = JSON.parse(`${'['.repeat(120)}${']'.repeat(120)}`) as unknown;
    const cases: [string, unknown, RegExp][] = [
      ['a Map', new Map([[1, 2]]), /^added$/],
      ['a Set', new Set(), /^added$/],
      ['an instance of a class', new Money(), /^added$/],
      ['an instance in a list', { list: [1, new Money()] }, /^added\.list\[1\]$/],
      ['undefined', undefined, /^added$/],
      ['undefined in a list', [undefined], /^added\[0\]$/],
      ['a bigint', { 'a b': 1n }, /^added\["a b"\]$/],
      ['a function', () => 1, /^added$/],
      ['a symbol', Symbol('s'), /^added$/],
      ['a symbol as a key', { [Symbol('s')]: 1 }, /^added$/],
      ['half of a surrogate pair', 'a\ud83d', /^added$/],
      ['half of one in a key', { '\ud83d': 1 }, /^added/],
      ['an invalid Date', new Date(NaN), /^added$/],
      ['a list with named fields', Object.assign([1], { name: 'a' }), /^added$/],
      ['what refers to itself', cyclic, /^(added(\.self)*)?$/],
      ['what is nested too deep', deep, /^(added.*)?$/],
    ];
    for (const [what, value, path] of cases)
      it(what, async () => {
        const error = await failure((state: Loose) => void (state['added'] = value));
        expect(error.message).to.match(/made a state that is not plain data|threw: /);
        expect(error.field ?? '').to.match(path);
      });

    it('in a state that they returned', async () => {
      const error = await failure(() => ({ tags: new Set() }));
      expect(error.field).to.equal('tags');
      expect(error.message).to.include("Field 'tags' is an instance of Set");
    });

    it('but not because of what was in the state before', async () => {
      const value = { when: new Date(5), bytes: Uint8Array.of(1, 2), n: NaN, far: Infinity, none: null };
      const state = await after((draft: Loose) => void (draft['touched'] = true), {}, value);
      expect(state).to.deep.equal({ ...value, touched: true });
    });

    it('with dates and bytes from events', async () => {
      const data = { when: new Date(5), bytes: Uint8Array.of(1, 2) };
      const state = await after((draft: Loose, event: { data: object }) => Object.assign(draft, event.data), data);
      expect(state).to.deep.equal({ ...base, ...data });
      expect(state['when']).not.to.equal(data.when);
    });
  });

  it('that make a -0 make a 0: it would come back as that', async () => {
    const state = await after(
      (draft: Loose) => {
        draft['count'] = -(draft['zero'] as number);
        draft['list'] = [-(draft['zero'] as number), { n: -0 }];
      },
      {},
      { zero: 0, count: 0, list: [] },
    );
    expect(state).to.deep.equal({ zero: 0, count: 0, list: [0, { n: 0 }] });
  });

  it('fold the same states whether one event comes at a time or all at once, live or replayed', async () => {
    const step = fc.record({ at: fc.constantFrom('a', 'b', 'c'), by: fc.integer({ min: -3, max: 3 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.boolean(), async (steps, atOnce) => {
        const tally = defineAggregate('tally', {
          initial: { counts: {} as Record<string, number>, last: null as { at: string } | null },
          reduce: {
            Happened: (state, { data }: Event<'Happened', { at: string; by: number }>) => {
              if (data.by === 0) delete state.counts[data.at];
              else state.counts[data.at] = (state.counts[data.at] ?? 0) + data.by;
              state.last = data;
            },
          },
        });
        const plain = { counts: {} as Record<string, number>, last: null as object | null };
        for (const data of steps) {
          if (data.by === 0) delete plain.counts[data.at];
          else plain.counts[data.at] = (plain.counts[data.at] ?? 0) + data.by;
          plain.last = data;
        }
        const dir = new MemoryDirectory();
        let store = await openStore({ dir, aggregates: [tally] });
        const emit = (data: { at: string; by: number }): Promise<unknown> =>
          store.execute(tally, 't', (t) => t.emit('Happened', data));
        if (atOnce)
          await store.execute(tally, 't', (t) => {
            for (const data of steps) t.emit('Happened', data);
          });
        else for (const data of steps) await emit(data);
        expect(await store.load(tally, 't')).to.deep.equal({ id: 't', version: steps.length, state: plain });
        await store.close();
        store = await openStore({ dir, aggregates: [tally] });
        expect(await store.load(tally, 't')).to.deep.equal({ id: 't', version: steps.length, state: plain });
        await store.close();
      }),
      { numRuns: 40 },
    );
  });
});
