// Reading the past: records with filters and in both directions, states at a version and at a position, and what is said
// when the log no longer reaches back.

import { expect } from 'chai';
import * as fs from 'node:fs';
import {
  Aggregate,
  ClosedError,
  defineAggregate,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  ReducerError,
  TruncatedError,
  Upcasts,
  type Event,
  type EventStore,
  type ReadOptions,
  type ReadStreamOptions,
  type StoredRecord,
} from 'cairnlog';
import { collect } from '../support/collect.js';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { Account, type AccountEvent } from './bank.js';

const Note = defineAggregate('note', {
  initial: { text: '' },
  reduce: { Written: (state, event: Event<'Written', string>) => void (state.text += event.data) },
});

/** Positions: account-a 1 3 5 7 9 (deposits of that amount), account-b 2 6, note-a 4, raw 8, 10 withdrawn from a. */
async function filled(dir = new MemoryDirectory(), segmentBytes = 200): Promise<EventStore> {
  const store = await openStore({
    dir,
    aggregates: [Account, Note],
    files: { segmentBytes },
    checkpoint: { retain: 2 },
    now: () => 7,
  });
  for (let i = 1; i <= 9; i++) {
    if (i === 4) await store.execute(Note, 'a', (note) => note.emit('Written', 'four'));
    else if (i === 8) await store.append([{ stream: 'raw', events: [{ type: 'Raw', data: null }] }]);
    else await store.execute(Account, i === 2 || i === 6 ? 'b' : 'a', (account) => account.deposit(i));
  }
  await store.execute(Account, 'a', (account) => account.withdraw(10));
  return store;
}

const positions = async (records: AsyncIterable<StoredRecord>): Promise<number[]> =>
  (await collect(records)).map(({ position }) => position);

describe('readAll', () => {
  const cases: [string, ReadOptions, number[]][] = [
    ['everything', {}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['from a position', { from: 8 }, [8, 9, 10]],
    ['up to a position', { upTo: 3 }, [1, 2, 3]],
    ['between two', { from: 3, upTo: 4 }, [3, 4]],
    ['beyond the end', { from: 9, upTo: 1_000_000 }, [9, 10]],
    ['from behind the end', { from: 11 }, []],
    ['from after upTo', { from: 5, upTo: 4 }, []],
    ['up to before the first', { upTo: 0 }, []],
    ['a number of them', { limit: 3 }, [1, 2, 3]],
    ['none of them', { limit: 0 }, []],
    ['of types', { types: ['MoneyWithdrawn', 'Raw'] }, [8, 10]],
    ['of no type', { types: [] }, []],
    ['of streams', { streams: ['account-b', 'raw', 'account-x'] }, [2, 6, 8]],
    ['of aggregates', { aggregates: [Note] }, [4]],
    ['of two aggregates', { aggregates: [Note, Account], from: 4 }, [4, 5, 6, 7, 9, 10]],
    ['that a filter lets through', { filter: ({ version }) => version === 1 }, [1, 2, 4, 8]],
    ['that all filters let through', { aggregates: [Account], types: ['MoneyDeposited'], from: 5, limit: 2 }, [5, 6]],
    ['backwards', { backwards: true }, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]],
    ['the last few', { backwards: true, limit: 3 }, [10, 9, 8]],
    ['backwards between two', { backwards: true, from: 3, upTo: 7 }, [7, 6, 5, 4, 3]],
    ['the last of a stream', { backwards: true, streams: ['account-b'], limit: 1 }, [6]],
  ];
  for (const segmentBytes of [64, 200, 10_000])
    describe(`with segments of ${segmentBytes} bytes`, () => {
      let store: EventStore;
      before(async () => (store = await filled(new MemoryDirectory(), segmentBytes)));
      after(() => store.close());
      for (const [what, options, expected] of cases)
        it(`reads ${what}`, async () => {
          expect(await positions(store.readAll(options))).to.deep.equal(expected);
        });
    });

  it('gives records as they were stored, frozen all through', async () => {
    const store = await filled();
    const [record] = await collect(store.readAll({ limit: 1 }));
    expect(record).to.deep.equal({
      stream: 'account-a',
      version: 1,
      position: 1,
      type: 'MoneyDeposited',
      data: { amount: 1 },
      metadata: {},
      recordedAt: 7,
    });
    for (const part of [record, record!.data, record!.metadata]) expect(Object.isFrozen(part)).to.equal(true);
    await store.close();
  });

  it('leaves out what is no record', async () => {
    const store = await filled();
    await store.checkpoint();
    const subscription = await store.subscription('s', { handle: () => undefined });
    await store.execute(Account, 'a', () => 'nothing', { commandId: 'c' });
    await subscription.stop();
    const { position } = await store.execute(Account, 'a', (account) => account.deposit(1));
    expect(position).to.be.greaterThan(12);
    expect(await positions(store.readAll({ from: 9 }))).to.deep.equal([9, 10, position]);
    await store.close();
  });

  it('reads what was committed when it began, while appends go on', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openStore({ dir: disk, aggregates: [Account] });
    for (let i = 0; i < 5; i++) await store.execute(Account, 'a', (account) => account.deposit(1));
    for (const backwards of [false, true]) {
      const seen: number[] = [];
      const last = store.position;
      for await (const { position } of store.readAll({ backwards })) {
        seen.push(position);
        await store.execute(Account, 'a', (account) => account.deposit(1));
      }
      expect(seen.length).to.equal(last);
      expect(Math.max(...seen)).to.equal(last);
    }
    // What is on its way is not committed.
    disk.holds.add('datasync');
    const pending = store.execute(Account, 'a', (account) => account.deposit(1));
    await disk.blocked();
    const last = store.position;
    expect((await positions(store.readAll())).at(-1)).to.equal(last);
    expect((await positions(store.readStream('account-a'))).at(-1)).to.equal(last);
    disk.releaseAll();
    expect((await pending).position).to.equal(last + 1);
    await store.close();
  });

  it('finds what was acknowledged from memory, though it is not written yet', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openStore({ dir: disk, aggregates: [Account], durability: 'memory' });
    disk.holds.add('write');
    for (let i = 0; i < 3; i++) await store.execute(Account, 'a', (account) => account.deposit(1));
    const reads = [
      positions(store.readAll()),
      positions(store.readAll({ backwards: true })),
      positions(store.readStream('account-a')),
      store.at(3).then((past) => [past.load(Account, 'a').state.balance]),
      store.load(Account, 'a', { version: 2 }).then(({ state }) => [state.balance]),
    ];
    await disk.blocked();
    disk.releaseAll();
    expect(await Promise.all(reads)).to.deep.equal([[1, 2, 3], [3, 2, 1], [1, 2, 3], [3], [2]]);
    await store.close();
  });

  it('refuses what is no position and no aggregate', async () => {
    const store = await filled();
    const other = defineAggregate('other', { initial: {}, reduce: { A: () => undefined } });
    for (const options of [
      { from: 0 },
      { from: -1 },
      { from: 1.5 },
      { from: NaN },
      { from: '1' },
      { upTo: -1 },
      { upTo: NaN },
      { limit: -1 },
      { limit: 0.5 },
      { aggregates: [other] },
      { aggregates: ['account'] },
    ])
      await rejects(collect(store.readAll(options as ReadOptions)), InvalidArgumentError);
    const thrown = new Error('of the filter');
    const failing = collect(
      store.readAll({
        filter: () => {
          throw thrown;
        },
      }),
    );
    expect(await failing.catch((error: unknown) => error)).to.equal(thrown);
    await store.close();
  });

  it('leaves no file open and no hold, however it is left', async () => {
    const folder = temporaryFolder();
    const store = await openStore({ dir: folder, aggregates: [Account], files: { segmentBytes: 64 } });
    for (let i = 0; i < 10; i++) await store.execute(Account, 'a', (account) => account.deposit(1));
    await store.checkpoint();
    await store.checkpoint();
    const open = (): string[] =>
      fs
        .readdirSync('/proc/self/fd')
        .map((fd) => {
          try {
            return fs.readlinkSync(`/proc/self/fd/${fd}`);
          } catch {
            return '';
          }
        })
        .filter((path) => path.startsWith(folder));
    const before = open().length;
    const holds = async (): Promise<string[]> => {
      const { kept } = await store.truncate({ dryRun: true });
      return [...new Set(kept.flatMap(({ heldBy }) => heldBy))].filter((name) => name.includes('reader'));
    };
    for (const backwards of [false, true]) {
      for await (const record of store.readAll({ backwards })) {
        expect(record.version).to.be.greaterThan(0);
        expect(await holds()).to.deep.equal(['a reader']);
        break;
      }
      await collect(store.readAll({ backwards, limit: 2 }));
      for await (const { version } of store.readStream('account-a', { backwards })) if (version === 5) break;
      await collect(
        store.readAll({
          backwards,
          filter: ({ version }) => {
            if (version === 5) throw new Error('enough');
            return false;
          },
        }),
      ).catch(() => undefined);
      // Begun by nobody.
      void store.readAll({ backwards });
    }
    expect(open().length).to.equal(before);
    expect(await holds()).to.deep.equal([]);
    await store.close();
    expect(open()).to.deep.equal([]);
  }).timeout(process.platform === 'linux' ? 20_000 : 1);

  it('is over with the store', async () => {
    const store = await filled();
    await store.close();
    await rejects(collect(store.readAll()), ClosedError);
    await rejects(collect(store.readStream('account-a')), ClosedError);
    await rejects(store.load(Account, 'a'), ClosedError);
    await rejects(store.at(1), ClosedError);
    await rejects(
      store.execute(Account, 'a', (account) => account.deposit(1)),
      ClosedError,
    );
    await rejects(store.append([{ stream: 'raw', events: [{ type: 'Raw', data: 1 }] }]), ClosedError);
  });
});

describe('readStream', () => {
  const cases: [string, ReadStreamOptions, number[]][] = [
    ['all of it', {}, [1, 2, 3, 4, 5, 6]],
    ['from a version', { fromVersion: 4 }, [4, 5, 6]],
    ['up to a version', { upToVersion: 2 }, [1, 2]],
    ['one version', { fromVersion: 3, upToVersion: 3 }, [3]],
    ['beyond the end', { fromVersion: 6, upToVersion: 100 }, [6]],
    ['from behind the end', { fromVersion: 7 }, []],
    ['up to before the first', { upToVersion: 0 }, []],
    ['a number of them', { fromVersion: 2, limit: 2 }, [2, 3]],
    ['backwards', { backwards: true }, [6, 5, 4, 3, 2, 1]],
    ['the last one', { backwards: true, limit: 1 }, [6]],
    ['backwards between two', { backwards: true, fromVersion: 2, upToVersion: 4 }, [4, 3, 2]],
  ];
  let store: EventStore;
  before(async () => (store = await filled()));
  after(() => store.close());
  for (const [what, options, expected] of cases)
    it(`reads ${what}`, async () => {
      const records = await collect(store.readStream<AccountEvent>('account-a', options));
      expect(records.map(({ version }) => version)).to.deep.equal(expected);
      for (const { stream } of records) expect(stream).to.equal('account-a');
    });

  it('reads nothing of a stream that does not exist, and every other', async () => {
    expect(await collect(store.readStream('account-x'))).to.deep.equal([]);
    expect(await positions(store.readStream('raw'))).to.deep.equal([8]);
    for (const stream of ['', 7, undefined])
      await rejects(collect(store.readStream(stream as string)), InvalidArgumentError);
    for (const options of [{ fromVersion: 0 }, { fromVersion: 0.5 }, { upToVersion: -1 }, { limit: NaN }])
      await rejects(collect(store.readStream('raw', options)), InvalidArgumentError);
  });
});

describe('load and at', () => {
  it('give every version, whatever was checkpointed in between', async () => {
    const dir = new MemoryDirectory();
    let store = await filled(dir);
    const balances = [0, 1, 4, 9, 16, 25, 15];
    for (let i = 0; i < 3; i++) {
      for (const [version, balance] of balances.entries())
        expect(await store.load(Account, 'a', { version })).to.deep.equal({
          id: 'a',
          version,
          state: { owner: null, balance },
        });
      if (i === 0) {
        await store.checkpoint();
        await store.close();
        store = await filled2(dir);
      }
    }
    await rejects(store.load(Account, 'a', { version: 7 }), InvalidArgumentError);
    expect((await rejects(store.load(Account, 'x', { version: 1 }), InvalidArgumentError)).message).to.include(
      "'account-x' is at version 0, there is no 1 yet",
    );
    for (const version of [-1, 1.5, NaN, '1'])
      await rejects(store.load(Account, 'a', { version: version as number }), InvalidArgumentError);
    expect(await store.load(Account, 'x')).to.deep.equal({ id: 'x', version: 0, state: { owner: null, balance: 0 } });
    await store.close();
  });

  const filled2 = (dir: MemoryDirectory): Promise<EventStore> => openStore({ dir, aggregates: [Account, Note] });

  it('show one consistent cut of all aggregates', async () => {
    const store = await filled();
    const expected: Record<number, unknown> = {
      0: [[], 0, 0, ''],
      1: [['a'], 1, 0, ''],
      2: [['a', 'b'], 1, 2, ''],
      5: [['a', 'b'], 9, 2, 'four'],
      10: [['a', 'b'], 15, 8, 'four'],
    };
    for (const [position, cut] of Object.entries(expected)) {
      const past = await store.at(Number(position));
      expect(past.position).to.equal(Number(position));
      const { state } = past.load(Account, 'a');
      expect(Object.isFrozen(state)).to.equal(true);
      expect([
        past.ids(Account),
        state.balance,
        past.load(Account, 'b').state.balance,
        past.load(Note, 'a').state.text,
      ]).to.deep.equal(cut);
    }
    const past = await store.at(5);
    await store.execute(Account, 'a', (account) => account.deposit(1000));
    expect(past.load(Account, 'a').state.balance).to.equal(9);
    for (const position of [-1, 1.5, NaN, 12, '1']) await rejects(store.at(position as number), InvalidArgumentError);
    expect(() => past.load(Account, '')).to.throw(InvalidArgumentError);
    await store.close();
  });

  it('hand out frozen states, that no caller can change', async () => {
    const store = await filled();
    const { state } = await store.load(Account, 'a');
    expect(() => ((state as { balance: number }).balance = 0)).to.throw(TypeError);
    const loaded = await store.load(Account, 'a');
    expect(() => ((loaded as { version: number }).version = 0)).to.throw(TypeError);
    expect(loaded.state.balance).to.equal(15);
    await store.close();
  });

  describe('once the log was truncated', () => {
    let store: EventStore;
    let oldest: number;
    before(async () => {
      store = await filled(new MemoryDirectory(), 64);
      for (let i = 0; i < 2; i++) {
        await store.checkpoint();
        await store.execute(Account, 'a', (account) => account.deposit(1));
      }
      oldest = (await collect(store.readAll({ limit: 1 })))[0]!.position;
      expect(oldest).to.be.greaterThan(10);
    });
    after(() => store.close());

    it('reading says what the oldest is that can be read', async () => {
      for (const options of [{ from: 1 }, { from: 1, backwards: true }, { from: 3, upTo: 2 }]) {
        const error = await rejects(collect(store.readAll(options)), TruncatedError);
        expect(error.message).to.match(/the oldest that can be read is \d+/);
        expect(Number(/is (\d+)/.exec(error.message)![1])).to.be.within(10, oldest);
      }
      for (const backwards of [false, true]) {
        const error = await rejects(
          collect(store.readStream('account-a', { fromVersion: 1, backwards })),
          TruncatedError,
        );
        expect(error.message).to.include('the oldest that can be read is 7');
      }
      await rejects(collect(store.readStream('account-b', { fromVersion: 1 })), TruncatedError);
      await rejects(collect(store.readStream('account-b', { fromVersion: 1, backwards: true })), TruncatedError);
    });

    it('reading without a beginning gives what is left', async () => {
      const versions = async (stream: string, options?: ReadStreamOptions): Promise<number[]> =>
        (await collect(store.readStream(stream, options))).map(({ version }) => version);
      expect(await versions('account-a')).to.deep.equal([7, 8]);
      expect(await versions('account-a', { backwards: true })).to.deep.equal([8, 7]);
      expect(await versions('account-a', { fromVersion: 8 })).to.deep.equal([8]);
      expect(await versions('account-b')).to.deep.equal([]);
      expect((await positions(store.readAll()))[0]).to.equal(oldest);
    });

    it('states are there from the oldest checkpoint on', async () => {
      expect((await store.load(Account, 'a', { version: 6 })).state.balance).to.equal(15);
      expect((await store.load(Account, 'a', { version: 7 })).state.balance).to.equal(16);
      expect((await store.load(Account, 'a', { version: 0 })).state.balance).to.equal(0);
      expect((await rejects(store.load(Account, 'a', { version: 5 }), TruncatedError)).message).to.include(
        'the oldest state that is left is of version 6',
      );
      expect((await store.at(10)).load(Account, 'a').state.balance).to.equal(15);
      expect((await store.at(store.position)).load(Account, 'a').state.balance).to.equal(17);
      expect((await store.at(0)).ids(Account)).to.deep.equal([]);
      for (const position of [1, 9])
        expect((await rejects(store.at(position), TruncatedError)).message).to.include(
          'the oldest state that is left is of position 10',
        );
    });
  });
});

describe('Upcasters', () => {
  type Paid = Event<'Paid', { cents: number; currency: string }>;
  const define = (
    upcast: readonly ((data: never) => unknown)[],
    add: (data: never) => number,
  ): ReturnType<typeof defineAggregate<{ total: number }, { Paid: Paid['data'] }>> =>
    defineAggregate('bill', {
      initial: { total: 0 },
      reduce: { Paid: (state, event: Paid) => void (state.total += add(event.data as never)) },
      upcast: { Paid: upcast },
    });
  const first = define([], (data: { euros: number }) => data.euros);
  const toCents = ({ euros }: { euros: number }): object => ({ cents: euros * 100 });
  const inEuro = (data: { cents: number }): object => ({ ...data, currency: 'EUR' });

  it('turn old events into new ones, for reducers and for readers', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore({ dir, aggregates: [first] });
    await store.append([{ stream: 'bill-b', events: [{ type: 'Paid', data: { euros: 2 } }] }]);
    await store.close();
    const second = define([toCents], (data: { cents: number }) => data.cents);
    store = await openStore({ dir, aggregates: [second] });
    expect((await store.load(second, 'b')).state.total).to.equal(200);
    await store.append([{ stream: 'bill-b', events: [{ type: 'Paid', data: { cents: 5 } }] }]);
    await store.close();
    const third = define([toCents, inEuro], (data: { cents: number }) => data.cents);
    store = await openStore({ dir, aggregates: [third] });
    await store.append([{ stream: 'bill-b', events: [{ type: 'Paid', data: { cents: 7, currency: 'USD' } }] }]);
    expect((await store.load(third, 'b')).state.total).to.equal(212);
    const records = await collect(store.readAll());
    expect(records.map(({ data }) => data)).to.deep.equal([
      { cents: 200, currency: 'EUR' },
      { cents: 5, currency: 'EUR' },
      { cents: 7, currency: 'USD' },
    ]);
    for (const { data } of records) expect(Object.isFrozen(data)).to.equal(true);
    expect((await store.load(third, 'b', { version: 1 })).state.total).to.equal(200);
    await store.close();
  });

  it('that fail are told by name, wherever old events are read', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore({ dir, aggregates: [first] });
    await store.append([{ stream: 'bill-b', events: [{ type: 'Paid', data: { euros: 2 } }] }]);
    await store.checkpoint();
    await store.close();
    const throwing = define(
      [
        () => {
          throw new RangeError('no rate');
        },
      ],
      () => 1,
    );
    const lossy = define([() => ({ rates: new Map() })], () => 1);
    for (const [aggregate, text] of [
      [throwing, "The upcaster of 'Paid' from version 1 in 'bill' threw: no rate"],
      [lossy, "The upcaster of 'Paid' from version 1 in 'bill' made data that is not plain: Field 'data.rates'"],
    ] as const) {
      store = await openStore({ dir, aggregates: [aggregate] });
      const error = await rejects(collect(store.readAll()), ReducerError);
      expect(error.message).to.include(text);
      expect(error.eventType).to.equal('Paid');
      await store.close();
    }
  });

  it('are methods of their class', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore({ dir, aggregates: [Account] });
    await store.execute(Account, 'a', (account) => account.deposit(3));
    await store.close();
    @Aggregate({ name: 'account' })
    class InCents extends Account {
      static readonly rate = 100;
      @Upcasts('MoneyDeposited', 1)
      static inCents(data: { amount: number }): { amount: number } {
        return { amount: data.amount * this.rate };
      }
    }
    store = await openStore({ dir, aggregates: [InCents] });
    expect((await store.load(InCents, 'a')).state.balance).to.equal(300);
    await store.close();
  });
});
