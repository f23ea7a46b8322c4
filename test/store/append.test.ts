// Appends to several streams: all or nothing, also on the disk, and only if every stream is as expected.

import { expect } from 'chai';
import {
  ANY,
  ConcurrencyError,
  defineAggregate,
  InvalidArgumentError,
  MemoryDirectory,
  NO_STREAM,
  openStore,
  PoisonedError,
  ReducerError,
  STREAM_EXISTS,
  TruncatedError,
  type AppendOptions,
  type Event,
  type EventStore,
  type StreamAppend,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { readBytes, writeBytesAtomically } from 'cairnlog/storage';
import { collect } from '../support/collect.js';
import { rejects } from '../support/rejects.js';
import { Account } from './bank.js';

const deposit = (amount: number): { type: string; data: object } => ({ type: 'MoneyDeposited', data: { amount } });
const withdraw = (amount: number): { type: string; data: object } => ({ type: 'MoneyWithdrawn', data: { amount } });

const opened = (): Promise<EventStore> => openStore({ dir: new MemoryDirectory(), aggregates: [Account] });

async function balances(store: EventStore, ...ids: string[]): Promise<number[]> {
  return Promise.all(ids.map(async (id) => (await store.load(Account, id)).state.balance));
}

describe('append', () => {
  it('appends to several streams at once, and says where they are now', async () => {
    const store = await opened();
    await store.append([{ stream: 'account-a', events: [deposit(10)] }]);
    const metadata = { transfer: 't-1' };
    const appended = await store.append(
      [
        { stream: 'account-a', expectedVersion: 1, events: [withdraw(4), withdraw(1)] },
        { stream: 'account-b', expectedVersion: NO_STREAM, events: [deposit(5)] },
        { stream: 'account-c', events: [] },
        { stream: 'notes', events: [{ type: 'Noted', data: 'free text' }] },
      ],
      { metadata },
    );
    expect(appended).to.include({ firstPosition: 2, lastPosition: 5 });
    expect([...appended.versions]).to.deep.equal([
      ['account-a', 3],
      ['account-b', 1],
      ['account-c', 0],
      ['notes', 1],
    ]);
    expect(await balances(store, 'a', 'b', 'c')).to.deep.equal([5, 5, 0]);
    const records = await collect(store.readAll({ from: 2 }));
    expect(records.map(({ stream, version, position }) => [stream, version, position])).to.deep.equal([
      ['account-a', 2, 2],
      ['account-a', 3, 3],
      ['account-b', 1, 4],
      ['notes', 1, 5],
    ]);
    for (const record of records) expect(record.metadata).to.deep.equal(metadata);
    await store.close();
  });

  it('appends nothing at all if one stream is not as expected', async () => {
    const store = await opened();
    await store.append([{ stream: 'account-a', events: [deposit(10)] }]);
    const cases: [StreamAppend[], AppendOptions, Partial<ConcurrencyError>][] = [
      [
        [
          { stream: 'account-b', events: [deposit(1)] },
          { stream: 'account-a', expectedVersion: 2, events: [deposit(1)] },
        ],
        {},
        { stream: 'account-a', expected: 2, actual: 1 },
      ],
      [
        [
          { stream: 'account-b', events: [deposit(1)] },
          { stream: 'account-a', expectedVersion: NO_STREAM, events: [] },
        ],
        {},
        { stream: 'account-a', expected: 0, actual: 1 },
      ],
      [
        [{ stream: 'account-b', expectedVersion: STREAM_EXISTS, events: [deposit(1)] }],
        {},
        { stream: 'account-b', expected: STREAM_EXISTS, actual: 0 },
      ],
      [
        [{ stream: 'account-b', events: [deposit(1)] }],
        { checks: [{ stream: 'account-a', expectedVersion: 3 }] },
        { stream: 'account-a', expected: 3, actual: 1 },
      ],
      [
        [{ stream: 'account-b', events: [deposit(1)] }],
        {
          checks: [
            { stream: 'account-a', expectedVersion: 1 },
            { stream: 'account-c', expectedVersion: STREAM_EXISTS },
          ],
        },
        { stream: 'account-c', expected: STREAM_EXISTS, actual: 0 },
      ],
    ];
    for (const [streams, options, expected] of cases)
      expect(await rejects(store.append(streams, options), ConcurrencyError)).to.include(expected);
    expect(store.position).to.equal(1);
    expect(await balances(store, 'a', 'b')).to.deep.equal([10, 0]);
    await store.close();
  });

  it('is guarded by streams that it does not write', async () => {
    const store = await opened();
    await store.append([{ stream: 'account-a', events: [deposit(10)] }]);
    const checks = [
      { stream: 'account-a', expectedVersion: 1 },
      { stream: 'account-b', expectedVersion: NO_STREAM },
      { stream: 'account-c', expectedVersion: ANY },
    ] as const;
    // A check is of what is there before, so it may name a stream that is written.
    await store.append([{ stream: 'account-b', events: [deposit(1)] }], { checks });
    await rejects(store.append([{ stream: 'account-d', events: [deposit(1)] }], { checks }), ConcurrencyError);
    // A check and a write that contradict each other are never both met.
    const contradiction = { checks: [{ stream: 'account-a', expectedVersion: 7 }] };
    await rejects(
      store.append([{ stream: 'account-a', expectedVersion: 1, events: [deposit(1)] }], contradiction),
      ConcurrencyError,
    );
    expect(store.position).to.equal(2);
    await store.close();
  });

  it('takes a stream twice as one append behind the other', async () => {
    const store = await opened();
    const { versions } = await store.append([
      { stream: 'account-a', expectedVersion: NO_STREAM, events: [deposit(1), deposit(2)] },
      { stream: 'account-b', events: [deposit(3)] },
      { stream: 'account-a', expectedVersion: 2, events: [withdraw(1)] },
    ]);
    expect([...versions]).to.deep.equal([
      ['account-a', 3],
      ['account-b', 1],
    ]);
    const twice = { stream: 'account-c', expectedVersion: NO_STREAM, events: [deposit(1)] };
    const error = await rejects(store.append([twice, twice]), ConcurrencyError);
    expect(error).to.include({ stream: 'account-c', expected: NO_STREAM, actual: 1 });
    expect((await store.load(Account, 'c')).version).to.equal(0);
    await store.close();
  });

  it('refuses the whole of it for an event that has no reducer, or whose reducer throws', async () => {
    const store = await opened();
    const streams = (event: { type: string; data: unknown }): StreamAppend[] => [
      { stream: 'account-a', events: [deposit(1)] },
      { stream: 'account-b', events: [deposit(1), event] },
    ];
    const unknown = await rejects(store.append(streams({ type: 'MoneyStolen', data: {} })), ReducerError);
    expect(unknown).to.include({ eventType: 'MoneyStolen' });
    expect(unknown.message).to.include("'account' has no reducer for the event 'MoneyStolen'");
    await rejects(store.append(streams({ type: 'MoneyDeposited', data: null })), ReducerError);
    expect(await balances(store, 'a', 'b')).to.deep.equal([0, 0]);
    expect(store.position).to.equal(0);
    // A stream of no aggregate has no reducers, and no rules.
    await store.append([{ stream: 'accounts', events: [{ type: 'MoneyStolen', data: null }] }]);
    await store.close();
  });

  it('refuses what cannot be meant', async () => {
    const store = await opened();
    const event = deposit(1);
    for (const streams of [
      [],
      [{ stream: 'account-a', events: [] }],
      [{ stream: '', events: [event] }],
      [{ stream: 'account-', events: [event] }],
      [{ stream: 'a\ud83d', events: [event] }],
      [{ stream: 7, events: [event] }],
      [{ stream: 'account-a', events: event }],
      [{ stream: 'account-a' }],
      [{ stream: 'account-a', events: [null] }],
      [{ stream: 'account-a', events: [{ data: 1 }] }],
      [{ stream: 'account-a', events: [{ type: '', data: 1 }] }],
      [{ stream: 'notes', events: [{ type: 'a\ud83d', data: 1 }] }],
      [{ stream: 'account-a', expectedVersion: -1, events: [event] }],
      [{ stream: 'account-a', expectedVersion: '1', events: [event] }],
      'account-a',
      undefined,
    ])
      await rejects(store.append(streams as never), InvalidArgumentError);
    const fine = [{ stream: 'account-a', events: [event] }];
    for (const options of [
      { checks: [{ stream: 'account-a' }] },
      { checks: [{ stream: '', expectedVersion: 1 }] },
      { metadata: 'me' },
      { durability: 'disk' },
      { commandId: '' },
    ])
      await rejects(store.append(fine, options as never), InvalidArgumentError);
    expect(store.position).to.equal(0);
    await store.close();
  });

  it('copies events at the call', async () => {
    const dir = new MemoryDirectory();
    const store = await openStore({ dir, aggregates: [Account], highWaterMarkBytes: 1 });
    // Has to wait for room, and is copied before it waits.
    const first = store.append([{ stream: 'account-a', events: [deposit(1)] }]);
    const event = deposit(2);
    const events = [event];
    const second = store.append([{ stream: 'account-a', events }]);
    (event.data as { amount: number }).amount = 100;
    events.push(deposit(1000));
    await Promise.all([first, second]);
    expect(await balances(store, 'a')).to.deep.equal([3]);
    expect(Object.isFrozen(event.data)).to.equal(false);
    await store.close();
  });

  it('gives the same answer to the same commandId, also after a restart and a truncation', async () => {
    const dir = new MemoryDirectory();
    const options = { dir, aggregates: [Account], files: { segmentBytes: 100 }, checkpoint: { retain: 1 } };
    let store = await openStore(options);
    const streams = [
      { stream: 'account-a', expectedVersion: NO_STREAM, events: [deposit(1)] },
      { stream: 'account-b', events: [deposit(2), deposit(3)] },
    ];
    const once = { commandId: 'transfer-1' };
    const all = await Promise.all([store.append(streams, once), store.append(streams, once)]);
    const [first] = all;
    expect(all[1]).to.deep.equal(first);
    expect([...first.versions]).to.deep.equal([
      ['account-a', 1],
      ['account-b', 2],
    ]);
    expect(first).to.include({ firstPosition: 1, lastPosition: 3 });
    // A command's id is another.
    await store.execute(Account, 'a', (account) => account.deposit(1), once);
    for (let i = 0; i < 3; i++) {
      expect(await store.append(streams, once)).to.deep.equal(first);
      expect(await store.append([{ stream: 'account-z', events: [deposit(1)] }], once)).to.deep.equal(first);
      if (i === 1) {
        await store.checkpoint();
        await store.append([{ stream: 'account-c', events: [deposit(1)] }]);
        await store.checkpoint();
        await rejects(collect(store.readAll({ from: 3 })), TruncatedError);
      }
      await store.close();
      store = await openStore(options);
    }
    expect(await balances(store, 'a', 'b', 'z')).to.deep.equal([2, 5, 0]);
    await rejects(store.append(streams), ConcurrencyError);
    await store.close();
  });

  describe('on the disk', () => {
    /** What is found after the last segment was cut at `length`. */
    async function recovered(dir: MemoryDirectory, segmentBytes: number): Promise<number[]> {
      const store = await openStore({ dir, aggregates: [Account], files: { segmentBytes } });
      const found = [
        (await store.load(Account, 'a')).version,
        (await store.load(Account, 'b')).version,
        (await store.load(Account, 'c')).version,
      ];
      await store.close();
      return found;
    }

    async function copy(dir: MemoryDirectory): Promise<MemoryDirectory> {
      const other = new MemoryDirectory();
      await other.makeDirectory('wal');
      for (const name of await dir.list('wal'))
        if (name.endsWith('.log'))
          await writeBytesAtomically(other, `wal/${name}`, await readBytes(dir, `wal/${name}`));
      return other;
    }

    for (const segmentBytes of [10_000, 200, 64])
      it(`is all there or not at all, wherever it is cut, with segments of ${segmentBytes} bytes`, async () => {
        const dir = new MemoryDirectory();
        const store = await openStore({ dir, aggregates: [Account], files: { segmentBytes } });
        await store.append([{ stream: 'account-a', events: [deposit(1)] }]);
        await store.append([
          { stream: 'account-a', events: [withdraw(1), deposit(2)] },
          { stream: 'account-b', events: [deposit(1)] },
          { stream: 'account-c', events: [deposit(2), deposit(3)] },
        ]);
        // As a crash leaves it: not closed, so there is no seal.
        const crashed = await copy(dir);
        await store.close();
        expect(await recovered(await copy(crashed), segmentBytes)).to.deep.equal([3, 1, 2]);
        const names = (await crashed.list('wal')).filter((name) => name.endsWith('.log')).sort();
        const last = `wal/${names.at(-1)!}`;
        const bytes = await readBytes(crashed, last);
        // Larger than a segment may be: it has one of its own, and is in no other.
        if (segmentBytes < 300) expect(names.length).to.be.greaterThan(1);
        const seen = new Set<string>();
        // Whatever was synced before the last append stays.
        for (let length = bytes.length - 1; length > (names.length > 1 ? 40 : 140); length -= 3) {
          const cut = await copy(crashed);
          await cut.remove(last);
          await writeBytesAtomically(cut, last, bytes.subarray(0, length));
          seen.add(String(await recovered(cut, segmentBytes)));
        }
        expect([...seen].sort()).to.deep.equal(['1,0,0']);
      });

    it('leaves nothing in the state if it fails, and says that it is not known', async () => {
      const disk = new MemoryDirectory();
      const faulty = new FaultyDirectory(disk);
      const store = await openStore({ dir: faulty, aggregates: [Account] });
      await store.append([{ stream: 'account-a', events: [deposit(1)] }]);
      faulty.decide = ({ kind }) => (kind === 'datasync' ? { kind: 'error', errno: 'EIO' } : undefined);
      const shown: number[] = [];
      store.records$.subscribe({ next: ({ position }) => shown.push(position), error: () => undefined });
      const failing = [
        store.append([{ stream: 'account-a', events: [deposit(5)] }]),
        store.execute(Account, 'b', (account) => account.deposit(5)),
        store.execute(Account, 'a', (account) => account.state.balance),
      ];
      for (const run of failing) {
        const error = await rejects(run, PoisonedError);
        expect(error.message).to.include('Whether positions 2 to 3 are stored is unknown');
      }
      expect(await balances(store, 'a', 'b')).to.deep.equal([1, 0]);
      expect(shown).to.deep.equal([]);
      await rejects(store.append([{ stream: 'account-a', events: [deposit(5)] }]), PoisonedError);
      await rejects(
        store.execute(Account, 'a', () => 1),
        PoisonedError,
      );
      await store.close().catch(() => undefined);
    });
  });
});

describe('A reducer or a clock that appends', () => {
  const appends = (stream: string): { type: string; data: object }[] => [{ type: 'Noted', data: { stream } }];

  it('is refused, where it is a reducer: no version comes twice, and positions are those that were told', async () => {
    for (const stream of ['meddler-a', 'elsewhere']) {
      let meddle: (() => unknown) | undefined;
      const Meddler = defineAggregate('meddler', {
        initial: { sum: 0 },
        reduce: {
          Added: (state: { sum: number }, { data }: Event<'Added', { by: number }>) => {
            state.sum += data.by;
            const call = meddle;
            meddle = undefined;
            call?.();
          },
          Noted: () => undefined,
        },
      });
      const dir = new MemoryDirectory();
      const store = await openStore({ dir, aggregates: [Meddler] });
      let inner: Promise<unknown> | undefined;
      meddle = () => (inner = store.append([{ stream, events: appends(stream) }]));
      const outer = store.append([{ stream: 'meddler-a', events: [{ type: 'Added', data: { by: 10 } }] }]);
      expect((await rejects(outer, InvalidArgumentError)).message).to.include('A reducer has appended');
      await inner;
      const records = await collect(store.readAll());
      expect(records.map((record) => [record.stream, record.version])).to.deep.equal([[stream, 1]]);
      const live = await store.load(Meddler, 'a');
      await store.close();
      const again = await openStore({ dir, aggregates: [Meddler] });
      expect(await again.load(Meddler, 'a')).to.deep.equal(live);
      await again.close();
    }
  });

  it('comes first, where it is the clock', async () => {
    const dir = new MemoryDirectory();
    let meddle = false;
    const store = await openStore({
      dir,
      aggregates: [Account],
      now: () => {
        if (meddle) {
          meddle = false;
          void store.append([{ stream: 'account-a', events: [deposit(1)] }]);
        }
        return 0;
      },
    });
    meddle = true;
    const appended = await store.append([{ stream: 'account-a', events: [deposit(10)] }]);
    expect([appended.firstPosition, appended.versions.get('account-a')]).to.deep.equal([2, 2]);
    meddle = true;
    const executed = await store.execute(Account, 'a', (account) => account.deposit(100));
    expect(executed).to.include({ version: 4, position: 4 });
    meddle = true;
    await rejects(
      store.append([{ stream: 'account-a', expectedVersion: 4, events: [deposit(1000)] }]),
      ConcurrencyError,
    );
    expect(await balances(store, 'a')).to.deep.equal([113]);
    await store.close();
    const again = await openStore({ dir, aggregates: [Account] });
    expect(await balances(again, 'a')).to.deep.equal([113]);
    await again.close();
  });
});
