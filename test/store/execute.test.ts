// Commands: what is decided, in which order, and what is left when they fail.

import { expect } from 'chai';
import fc from 'fast-check';
import {
  Aggregate,
  AggregateRoot,
  ANY,
  ClosedError,
  Command,
  ConcurrencyError,
  defineAggregate,
  InvalidArgumentError,
  MemoryDirectory,
  NO_STREAM,
  openStore,
  Reduces,
  STREAM_EXISTS,
  type Event,
  type EventStore,
  type ExecuteOptions,
  type StoredRecord,
} from 'cairnlog';
import { collect } from '../support/collect.js';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects, throws } from '../support/rejects.js';
import { Account, InsufficientFunds, type AccountEvent } from './bank.js';

type Added = Event<'Added', { by: number }>;

/** An aggregate with every way to decide that there is. */
@Aggregate({ name: 'tally' })
class Tally extends AggregateRoot<{ sum: number }, Added> {
  static readonly initial = { sum: 0 };

  @Reduces('Added')
  static added(state: { sum: number }, event: Added): void {
    if (event.data.by === 13) throw new RangeError('unlucky');
    state.sum += event.data.by;
  }

  @Command()
  add(...numbers: number[]): number {
    for (const by of numbers) this.emit('Added', { by });
    return this.state.sum;
  }

  @Command()
  addAndThrow(...numbers: number[]): void {
    this.add(...numbers);
    throw new RangeError('after the fact');
  }

  @Command()
  addWhatCanBe(...numbers: number[]): void {
    for (const by of numbers) {
      try {
        this.emit('Added', { by });
      } catch {
        continue;
      }
    }
  }

  @Command()
  seen(...numbers: number[]): [sum: number, version: number][] {
    return numbers.map((by) => {
      this.emit('Added', { by });
      return [this.state.sum, this.version];
    });
  }

  @Command()
  later(): (by: number) => void {
    return (by) => this.emit('Added', { by });
  }

  @Command()
  async wait(): Promise<void> {
    await Promise.resolve();
    this.emit('Added', { by: 1 });
  }

  /** No command, just a method. */
  peek(): string {
    return `${this.id}: ${this.state.sum}`;
  }
}

async function opened(): Promise<EventStore> {
  return openStore({ dir: new MemoryDirectory(), aggregates: [Account, Tally], now: () => 1234 });
}

const sum = async (store: EventStore, id = 't'): Promise<[number, number]> => {
  const { state, version } = await store.load(Tally, id);
  return [state.sum, version];
};

describe('execute', () => {
  it('returns version, position and result, and sees what was emitted so far', async () => {
    const store = await opened();
    expect(await store.execute(Tally, 't', (tally) => tally.add(1, 2))).to.deep.equal({
      version: 2,
      position: 2,
      result: 3,
    });
    expect(await store.execute(Tally, 'u', (tally) => tally.seen(5, 6))).to.deep.equal({
      version: 2,
      position: 4,
      result: [
        [5, 1],
        [11, 2],
      ],
    });
    expect(await store.execute(Tally, 't', (tally) => [tally.add(3), tally.peek(), tally.add(4)])).to.deep.equal({
      version: 4,
      position: 6,
      result: [6, 't: 6', 10],
    });
    const records = await collect(store.readAll());
    expect(records[4]).to.deep.equal({
      stream: 'tally-t',
      version: 3,
      position: 5,
      type: 'Added',
      data: { by: 3 },
      metadata: {},
      recordedAt: 1234,
    });
    await store.close();
  });

  it('appends nothing for a command that decides on nothing', async () => {
    const store = await opened();
    expect(await store.execute(Tally, 't', (tally) => tally.peek())).to.deep.equal({
      version: 0,
      position: 0,
      result: 't: 0',
    });
    expect(await store.execute(Tally, 't', () => undefined)).to.include({ version: 0, result: undefined });
    expect(store.position).to.equal(0);
    expect((await store.at(0)).ids(Tally)).to.deep.equal([]);
    await store.close();
  });

  it('appends nothing for a command that throws, also after it emitted', async () => {
    const store = await opened();
    await store.execute(Tally, 't', (tally) => tally.add(1));
    const error = await store.execute(Tally, 't', (tally) => tally.addAndThrow(5)).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(RangeError).with.property('message', 'after the fact');
    const own = new Error('of the caller');
    const thrown = await store
      .execute(Tally, 't', (tally) => {
        tally.add(5);
        throw own;
      })
      .catch((e: unknown) => e);
    expect(thrown).to.equal(own);
    await store
      .execute(Account, 'a', (account) => account.withdraw(1))
      .catch((e: unknown) => {
        expect(e).to.be.instanceOf(InsufficientFunds);
      });
    expect(await sum(store)).to.deep.equal([1, 1]);
    expect(await store.execute(Tally, 't', (tally) => tally.add(1))).to.include({ version: 2, position: 2, result: 2 });
    await store.close();
  });

  it('takes back what a command emitted before it threw, also if the caller goes on', async () => {
    const store = await opened();
    const { result, version } = await store.execute(Tally, 't', (tally) => {
      tally.add(1);
      expect(() => tally.addAndThrow(5, 6)).to.throw(RangeError);
      expect(tally.version).to.equal(1);
      expect(() => tally.add(7, 13)).to.throw();
      return tally.add(2);
    });
    expect({ result, version }).to.deep.equal({ result: 3, version: 2 });
    expect((await collect(store.readStream('tally-t'))).map(({ data }) => data)).to.deep.equal([{ by: 1 }, { by: 2 }]);
    await store.close();
  });

  it('goes on from the state before where a command catches what an emit throws', async () => {
    const store = await opened();
    await store.execute(Tally, 't', (tally) => tally.addWhatCanBe(1, 13, NaN, -0, 2));
    expect((await collect(store.readStream('tally-t'))).map(({ data }) => data)).to.deep.equal([
      { by: 1 },
      { by: NaN },
      { by: 2 },
    ]);
    await store.close();
  });

  it('does the same for the commands of a defined aggregate', async () => {
    const counter = defineAggregate('counter', {
      initial: { count: 0 },
      reduce: { Counted: (state, event: Event<'Counted', number>) => void (state.count += event.data) },
      commands: (it) => ({
        count: (by: number) => {
          it.emit('Counted', by);
          if (it.state.count > 10) throw new RangeError(`${it.id} is full at ${it.version}`);
          return it.state.count;
        },
        wait: () => Promise.resolve(1),
      }),
    });
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [counter] });
    const { result } = await store.execute(counter, 'c', (c) => {
      c.count(4);
      expect(() => c.count(7)).to.throw(RangeError, 'c is full at 2');
      return c.count(5);
    });
    expect(result).to.equal(9);
    expect(await store.load(counter, 'c')).to.deep.equal({ id: 'c', version: 2, state: { count: 9 } });
    await rejects(
      store.execute(counter, 'c', (c) => void c.wait()),
      InvalidArgumentError,
    );
    await store.close();
  });

  it('refuses what would decide later, and does not even begin with an async function', async () => {
    const store = await opened();
    let begun = false;
    const asyncFunction = async (tally: Tally): Promise<void> => {
      begun = true;
      tally.add(1);
    };
    await rejects(store.execute(Tally, 't', asyncFunction as never), InvalidArgumentError);
    expect(begun).to.equal(false);
    const returnsPromise = (tally: Tally): unknown => Promise.reject(new Error(`unheard ${tally.add(1)}`));
    await rejects(store.execute(Tally, 't', returnsPromise as never), InvalidArgumentError);
    // oxlint-disable-next-line unicorn/no-thenable
    const returnsThenable = (tally: Tally): unknown => ({ then: () => tally.add(1) });
    await rejects(store.execute(Tally, 't', returnsThenable as never), InvalidArgumentError);
    const error = await rejects(
      store.execute(Tally, 't', (tally) => void tally.wait()),
      InvalidArgumentError,
    );
    expect(error.message).to.include("The command 'wait' is async; commands decide at once");
    const { result: later } = await store.execute(Tally, 't', (tally) => tally.later());
    expect(throws(() => later(1), InvalidArgumentError).message).to.include('emitted after the command had ended');
    expect(await sum(store)).to.deep.equal([0, 0]);
    await store.close();
  });

  it('refuses what is no function, no id and no aggregate of the store', async () => {
    const store = await opened();
    const other = defineAggregate('other', { initial: {}, reduce: { A: () => undefined } });
    const refused = async (run: Promise<unknown>, text: string): Promise<void> => {
      expect((await rejects(run, InvalidArgumentError)).message).to.include(text);
    };
    for (const decide of [undefined, null, 'deposit', {}])
      await refused(store.execute(Tally, 't', decide as never), 'takes a function that calls a command');
    for (const id of ['', undefined, null, 7, 'a\ud83d', {}])
      await refused(
        store.execute(Tally, id as string, (tally) => tally.add(1)),
        'The id of an aggregate must be a text',
      );
    await refused(
      store.execute(other, 'o', () => 1),
      "'other' is not among the aggregates of this store; add it to openStore",
    );
    for (const target of [Date, {}, null, 'tally'])
      await refused(
        store.execute(target as never, 'o', () => 1),
        '@Aggregate',
      );
    for (const options of [
      { retry: -1 },
      { retry: 1.5 },
      { retry: NaN },
      { commandId: '' },
      { commandId: 7 },
      { commandId: 'a\ud83d' },
      { expectedVersion: -1 },
      { expectedVersion: 1.5 },
      { expectedVersion: '1' },
      { expectedVersion: NaN },
      { expectedVersion: 'LATEST' },
      { expectedVersion: null },
      { durability: 'disk' },
      { durability: 'replicated' },
      { metadata: 'me' },
      { metadata: null },
      { metadata: [] },
    ])
      await rejects(
        store.execute(Tally, 't', (tally) => tally.add(1), options as ExecuteOptions),
        InvalidArgumentError,
      );
    expect(() => new Tally().add(1))
      .to.throw(InvalidArgumentError)
      .with.property('message')
      .that.includes('Do not make it with new');
    expect(store.position).to.equal(0);
    await store.close();
  });

  it('decides one after the other: 256 at once on one aggregate', async () => {
    const store = await opened();
    const all = await Promise.all(
      Array.from({ length: 256 }, (_, i) => store.execute(Tally, 't', (tally) => [tally.add(1), i])),
    );
    expect(all).to.deep.equal(
      Array.from({ length: 256 }, (_, i) => ({ version: i + 1, position: i + 1, result: [i + 1, i] })),
    );
    expect(await sum(store)).to.deep.equal([256, 256]);
    await store.close();
  });

  it('lets nobody overdraw, however many try at once', async () => {
    const store = await opened();
    await store.execute(Account, 'a', (account) => account.deposit(100));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, () => store.execute(Account, 'a', (account) => account.withdraw(7))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).to.have.length(14);
    expect((await store.load(Account, 'a')).state.balance).to.equal(2);
    await store.close();
  });

  it('keeps the order of calls where it has to wait for room', async () => {
    const options = { dir: new MemoryDirectory(), aggregates: [Tally], highWaterMarkBytes: 200 };
    const store = await openStore(options);
    const metadata = { padding: 'x'.repeat(100) };
    const all = await Promise.all(
      Array.from({ length: 50 }, () => store.execute(Tally, 't', (tally) => tally.add(1), { metadata })),
    );
    expect(all.map(({ version }) => version)).to.deep.equal(Array.from({ length: 50 }, (_, i) => i + 1));
    const waiting = Array.from({ length: 20 }, () => store.execute(Tally, 't', (tally) => tally.add(1), { metadata }));
    const closing = store.close();
    const outcomes = await Promise.allSettled(waiting);
    await closing;
    // They were asked before the store was closed.
    expect(outcomes.map(({ status }) => status)).to.deep.equal(outcomes.map(() => 'fulfilled'));
    await rejects(
      store.execute(Tally, 't', (tally) => tally.add(1)),
      ClosedError,
    );
    const again = await openStore(options);
    expect(await sum(again)).to.deep.equal([70, 70]);
    await again.close();
  });

  describe('expectedVersion', () => {
    const cases: [at: number, expected: NonNullable<ExecuteOptions['expectedVersion']>, isMet: boolean][] = [
      [0, ANY, true],
      [2, ANY, true],
      [0, NO_STREAM, true],
      [2, NO_STREAM, false],
      [0, STREAM_EXISTS, false],
      [2, STREAM_EXISTS, true],
      [2, 2, true],
      [2, 1, false],
      [2, 3, false],
      [0, 1, false],
    ];
    for (const [at, expected, isMet] of cases)
      it(`${expected} is ${isMet ? '' : 'not '}met by a stream at version ${at}`, async () => {
        const store = await opened();
        for (let i = 0; i < at; i++) await store.execute(Tally, 't', (tally) => tally.add(1));
        let ran = false;
        const run = store.execute(Tally, 't', (tally) => (ran = tally.add(1) > 0), { expectedVersion: expected });
        if (isMet) expect((await run).version).to.equal(at + 1);
        else {
          const error = await rejects(run, ConcurrencyError);
          expect(error).to.include({ stream: 'tally-t', expected, actual: at, code: 'CAIRN_CONCURRENCY' });
          expect(error.message).to.include("'tally-t'");
          expect(ran).to.equal(false);
          expect(await sum(store)).to.deep.equal([at, at]);
        }
        await store.close();
      });

    it('lets one of two win that saw the same', async () => {
      const store = await opened();
      const { version } = await store.load(Tally, 't');
      const options = { expectedVersion: version };
      const [first, second] = await Promise.allSettled([
        store.execute(Tally, 't', (tally) => tally.add(1), options),
        store.execute(Tally, 't', (tally) => tally.add(1), options),
      ]);
      expect(first.status).to.equal('fulfilled');
      expect(second).to.have.property('reason').that.is.instanceOf(ConcurrencyError);
      await store.close();
    });
  });

  describe('a command that makes its own aggregate change', () => {
    /** Decides while something else appends to the stream, so often. Returns how often it ran. */
    const disturbed = (
      store: EventStore,
      times: number,
      options?: ExecuteOptions,
    ): { run: Promise<unknown>; runs: () => number } => {
      let runs = 0;
      const run = store.execute(
        Tally,
        't',
        (tally) => {
          if (runs++ < times)
            void store.append([{ stream: 'tally-t', events: [{ type: 'Added', data: { by: 100 } }] }]);
          return tally.add(1);
        },
        options,
      );
      return { run, runs: () => runs };
    };

    it('decides anew on what it then is', async () => {
      const store = await opened();
      const { run, runs } = disturbed(store, 2);
      expect(await run).to.include({ version: 3, result: 201 });
      expect(runs()).to.equal(3);
      await store.close();
    });

    it('gives up after three more times, or as many as `retry` says', async () => {
      const store = await opened();
      let { run, runs } = disturbed(store, Infinity);
      expect(await rejects(run, ConcurrencyError)).to.include({ stream: 'tally-t', expected: 3, actual: 4 });
      expect(runs()).to.equal(4);
      ({ run, runs } = disturbed(store, 1, { retry: 0 }));
      expect(await rejects(run, ConcurrencyError)).to.include({ expected: 4, actual: 5 });
      expect(runs()).to.equal(1);
      ({ run, runs } = disturbed(store, 5, { retry: 5 }));
      await run;
      expect(runs()).to.equal(6);
      await store.close();
    });

    it('gives up at once where a version was expected', async () => {
      const store = await opened();
      const { run, runs } = disturbed(store, 1, { expectedVersion: 0 });
      expect(await rejects(run, ConcurrencyError)).to.include({ expected: 0, actual: 1 });
      expect(runs()).to.equal(1);
      await store.close();
    });

    it('leaves what it executed elsewhere alone, whatever becomes of itself', async () => {
      const store = await opened();
      let inner: Promise<unknown> | undefined;
      const outer = store.execute(Tally, 't', (tally) => {
        inner = store.execute(Tally, 'u', (other) => other.add(5));
        tally.add(1);
        throw new RangeError('no');
      });
      expect(await outer.catch((error: unknown) => error)).to.be.instanceOf(RangeError);
      await inner;
      expect([await sum(store, 't'), await sum(store, 'u')]).to.deep.equal([
        [0, 0],
        [5, 1],
      ]);
      await store.close();
    });
  });

  describe('durability', () => {
    it('acknowledges in order of positions, none before its level is reached, and shows nothing before', async () => {
      const disk = new HeldDirectory(new MemoryDirectory());
      const store = await openStore({ dir: disk, aggregates: [Tally] });
      const acknowledged: number[] = [];
      const shown: number[] = [];
      store.records$.subscribe(({ position }) => shown.push(position));
      const add = (durability: 'memory' | 'flush' | 'fsync'): Promise<unknown> =>
        store
          .execute(Tally, 't', (tally) => tally.add(1), { durability })
          .then(({ position }) => {
            acknowledged.push(position);
          });
      disk.holds.add('write');
      disk.holds.add('datasync');
      const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
      // Nothing before them: memory is at once.
      const all = [add('memory'), add('memory')];
      await turn();
      expect([acknowledged, shown, store.position]).to.deep.equal([[1, 2], [1, 2], 2]);
      all.push(add('flush'));
      await disk.blocked();
      expect((await store.load(Tally, 't')).version).to.equal(2);
      const next = async (): Promise<void> => {
        disk.release();
        for (let i = 0; i < 5; i++) await turn();
      };
      // The first two are written, the flush is on its way. Behind it memory waits as well: it must not overtake.
      await next();
      all.push(add('memory'), add('fsync'), add('memory'));
      await turn();
      expect([acknowledged, shown, store.position]).to.deep.equal([[1, 2], [1, 2], 2]);
      // Now the flush is written, and needs no sync; the memory behind it had only waited for its turn.
      await next();
      expect([acknowledged, shown]).to.deep.equal([
        [1, 2, 3, 4],
        [1, 2, 3, 4],
      ]);
      // The last two are written, but not synced.
      await next();
      expect([acknowledged, shown, store.position]).to.deep.equal([[1, 2, 3, 4], [1, 2, 3, 4], 4]);
      disk.releaseAll();
      await Promise.all(all);
      expect([acknowledged, shown]).to.deep.equal([
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5, 6],
      ]);
      await store.close();
    });

    it('makes an answer as durable as was asked, also that of a command that decided on nothing', async () => {
      const disk = new HeldDirectory(new MemoryDirectory());
      const store = await openStore({ dir: disk, aggregates: [Tally] });
      disk.holds.add('datasync');
      await store.execute(Tally, 't', (tally) => tally.add(1), { durability: 'flush', commandId: 'c' });
      let answers = 0;
      const looked = store.execute(Tally, 't', (tally) => tally.peek()).then(() => answers++);
      const repeated = store
        .execute(Tally, 't', (tally) => tally.add(1), { commandId: 'c' })
        .then((answer) => {
          answers++;
          return answer;
        });
      await disk.blocked();
      expect(answers).to.equal(0);
      disk.releaseAll();
      await looked;
      expect(await repeated).to.include({ version: 1, position: 1, result: 1 });
      await store.close();
    });

    it('makes one that asks again for more wait longer than the first', async () => {
      const disk = new HeldDirectory(new MemoryDirectory());
      const store = await openStore({ dir: disk, aggregates: [Tally] });
      disk.holds.add('write');
      disk.holds.add('datasync');
      const ask = (durability: 'flush' | 'fsync'): Promise<unknown> =>
        store.execute(Tally, 't', (tally) => tally.add(1), { durability, commandId: 'c' });
      const first = ask('flush');
      await disk.blocked();
      let isAnswered = false;
      const second = ask('fsync').finally(() => (isAnswered = true));
      disk.release();
      const answer = await first;
      await disk.blocked();
      expect(isAnswered).to.equal(false);
      disk.releaseAll();
      expect(await second).to.deep.equal(answer);
      await store.close();
    });

    it('returns what its own command led to, also if a watcher goes on from there at once', async () => {
      const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Tally], durability: 'memory' });
      const replies: Promise<unknown>[] = [];
      store.records$.subscribe(({ data }) => {
        if ((data as { by: number }).by < 3)
          replies.push(store.execute(Tally, 't', (tally) => tally.add((data as { by: number }).by + 1)));
      });
      expect(await store.execute(Tally, 't', (tally) => tally.add(1))).to.include({
        version: 1,
        position: 1,
        result: 1,
      });
      await Promise.all(replies);
      expect(await sum(store)).to.deep.equal([6, 3]);
      const appended = await store.append([{ stream: 'tally-u', events: [{ type: 'Added', data: { by: 2 } }] }]);
      expect([...appended.versions]).to.deep.equal([['tally-u', 1]]);
      expect(appended).to.include({ firstPosition: 4, lastPosition: 4 });
      await store.close();
    });
  });

  const ids = [
    '-',
    'a-b',
    '-a',
    'ünïcödé',
    '日本',
    '🪨',
    'a\0b',
    '\n',
    ' ',
    '..',
    '../up',
    'a/b',
    "'",
    '__proto__',
    'é',
    'e\u0301',
  ];
  for (const id of [...ids, 'x'.repeat(10_000)])
    it(`finds ${JSON.stringify(id.slice(0, 20))} again`, async () => {
      const dir = new MemoryDirectory();
      let store = await openStore({ dir, aggregates: [Tally] });
      await store.execute(Tally, id, (tally) => tally.add(1), { commandId: 'c' });
      expect((await store.load(Tally, id)).id).to.equal(id);
      await store.checkpoint();
      await store.execute(Tally, id, (tally) => tally.add(1));
      await store.close();
      store = await openStore({ dir, aggregates: [Tally] });
      expect(await store.load(Tally, id)).to.deep.equal({ id, version: 2, state: { sum: 2 } });
      expect((await store.at(2)).ids(Tally)).to.deep.equal([id]);
      expect((await collect(store.readStream(`tally-${id}`))).map(({ version }) => version)).to.deep.equal([1, 2]);
      expect(await store.execute(Tally, id, (tally) => tally.add(1), { commandId: 'c' })).to.include({ result: 1 });
      await store.close();
    });

  it('keeps metadata and the time by the clock it was given', async () => {
    const dir = new MemoryDirectory();
    let time = 1_000;
    let store = await openStore({ dir, aggregates: [Tally], now: () => time });
    const metadata = { user: { id: 7, roles: ['admin'] }, at: new Date(5), trace: Uint8Array.of(1) };
    const run = store.execute(Tally, 't', (tally) => tally.add(1, 2), { metadata });
    metadata.user.roles.push('changed after the call');
    time++;
    await run;
    await store.execute(Tally, 't', (tally) => tally.add(3));
    const expected = { user: { id: 7, roles: ['admin'] }, at: new Date(5), trace: Uint8Array.of(1) };
    for (let i = 0; i < 2; i++) {
      const records = await collect(store.readAll());
      expect(records.map((record) => [record.recordedAt, record.metadata])).to.deep.equal([
        [1_000, expected],
        [1_000, expected],
        [1_001, {}],
      ]);
      await store.close();
      store = await openStore({ dir, aggregates: [Tally] });
    }
    await store.close();
  });

  it('folds to what a plain fold comes to, whatever is executed in whichever order', async () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c-d'),
      command: fc.constantFrom('open', 'deposit', 'withdraw', 'both' as const),
      amount: fc.integer({ min: 0, max: 20 }),
      waits: fc.boolean(),
      level: fc.constantFrom('memory', 'flush', 'fsync' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const dir = new MemoryDirectory();
        let store = await openStore({ dir, aggregates: [Account] });
        const states = new Map<string, { owner: string | null; balance: number; version: number }>();
        const records: Pick<StoredRecord<AccountEvent>, 'stream' | 'version' | 'type'>[] = [];
        const running: Promise<unknown>[] = [];
        for (const { id, command, amount, waits, level } of steps) {
          const state = states.get(id) ?? { owner: null, balance: 0, version: 0 };
          const note = (type: AccountEvent['type']): void =>
            void records.push({ stream: `account-${id}`, version: ++state.version, type });
          const run = store
            .execute(
              Account,
              id,
              (account) => {
                if (command === 'open') account.open('Ada');
                if (command === 'deposit' || command === 'both') account.deposit(amount);
                if (command === 'withdraw' || command === 'both') account.withdraw(11);
              },
              { durability: level },
            )
            .catch((error: unknown) => expect(error).to.be.instanceOf(InsufficientFunds));
          const after = state.balance + (command === 'both' ? amount : 0);
          const fails = (command === 'withdraw' || command === 'both') && after < 11;
          if (!fails) {
            if (command === 'open') note('AccountOpened');
            if (command === 'deposit' || command === 'both') note('MoneyDeposited');
            if (command === 'withdraw' || command === 'both') note('MoneyWithdrawn');
            if (command === 'open') state.owner = 'Ada';
            if (command === 'deposit') state.balance += amount;
            if (command === 'withdraw') state.balance -= 11;
            if (command === 'both') state.balance += amount - 11;
            states.set(id, state);
          }
          if (waits) await run;
          else running.push(run);
        }
        await Promise.all(running);
        for (let i = 0; i < 2; i++) {
          const read = await collect(store.readAll());
          expect(read.map(({ stream, version, type }) => ({ stream, version, type }))).to.deep.equal(records);
          for (const [id, { version, ...state }] of states)
            expect(await store.load(Account, id)).to.deep.equal({ id, version, state });
          await store.close();
          store = await openStore({ dir, aggregates: [Account] });
        }
        await store.close();
      }),
      { numRuns: 20 },
    );
  });
});
