import { expect } from 'chai';
import {
  ConcurrencyError,
  FencedError,
  EncodeError,
  InvalidArgumentError,
  memoryEngine,
  MemoryDirectory,
  NO_STREAM,
  openStore,
  PoisonedError,
  TruncatedError,
  type EventStore,
  type MemoryEngineOptions,
  type OpenStoreOptions,
  type StoredRecord,
} from 'cairnlog';
import type { EngineUnderTest } from 'cairnlog/testing';
import { ENGINES } from '../support/engines.js';
import { rejects } from '../support/rejects.js';
import { Account } from './bank.js';

const balanceOf = async (store: EventStore, id: string): Promise<number> =>
  (await store.load(Account, id)).state.balance;

async function all(records: AsyncIterable<StoredRecord>): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  for await (const record of records) found.push(record);
  return found;
}

const on = (engine: EngineUnderTest, options: OpenStoreOptions = {}): Promise<EventStore> =>
  openStore({ engine, aggregates: [Account], ...options });

for (const [name, make] of Object.entries(ENGINES))
  describe(`a store on ${name}`, () => {
    it('executes, appends and reads, and finds it all after a restart', async () => {
      const engine = await make();
      let store = await on(engine);
      await store.execute(Account, 'a', (account) => account.open('Ada'));
      const first = await store.execute(Account, 'a', (account) => account.deposit(100), { commandId: 'pay-1' });
      await store.append([
        { stream: 'account-a', expectedVersion: 2, events: [{ type: 'MoneyWithdrawn', data: { amount: 30 } }] },
        { stream: 'account-b', expectedVersion: NO_STREAM, events: [{ type: 'MoneyDeposited', data: { amount: 30 } }] },
      ]);
      await rejects(
        store.append([{ stream: 'account-b', expectedVersion: NO_STREAM, events: [{ type: 'X', data: {} }] }]),
        ConcurrencyError,
      );
      const before = await all(store.readAll());
      await store.close();
      store = await on(engine);
      expect(await all(store.readAll())).to.deep.equal(before);
      expect(before.map(({ stream, version, position }) => [stream, version, position])).to.deep.equal([
        ['account-a', 1, 1],
        ['account-a', 2, 2],
        ['account-a', 3, 3],
        ['account-b', 1, 4],
      ]);
      expect([await balanceOf(store, 'a'), await balanceOf(store, 'b')]).to.deep.equal([70, 30]);
      expect(
        await store.execute(Account, 'a', (account) => account.deposit(100), { commandId: 'pay-1' }),
      ).to.deep.equal(first);
      await store.close();
    });

    it('takes checkpoints, truncates behind them, and begins with them', async () => {
      const engine = await make();
      let store = await on(engine);
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 40; i++) await store.execute(Account, `a${i % 4}`, (account) => account.deposit(1));
        await store.checkpoint();
      }
      const [first] = await all(store.readAll());
      expect(first!.position, 'truncated').to.be.greaterThan(20);
      await rejects(all(store.readAll({ from: 1 })), TruncatedError);
      await store.execute(Account, 'a0', (account) => account.deposit(1));
      const { position } = store;
      await store.close();
      store = await on(engine);
      expect(store.recovery.checkpoint?.position).to.equal(122);
      expect(store.recovery.entriesReplayed).to.equal(2);
      expect(store.position).to.equal(position);
      expect(await balanceOf(store, 'a0')).to.equal(31);
      expect((await store.execute(Account, 'a1', (account) => account.deposit(1))).version).to.equal(31);
      await store.close();
    });

    it('begins with the checkpoint before when the newest is damaged', async () => {
      const engine = await make();
      let store = await on(engine);
      for (let round = 0; round < 2; round++) {
        await store.execute(Account, 'a', (account) => account.deposit(1));
        await store.checkpoint();
      }
      await store.close();
      await engine.damageCheckpoint(3);
      store = await on(engine);
      expect(store.recovery.skippedCheckpoints.map(({ position }) => position)).to.deep.equal([3]);
      expect(store.recovery.checkpoint?.position).to.equal(1);
      expect(await balanceOf(store, 'a')).to.equal(2);
      await store.close();
    });

    for (const stored of [true, false])
      it(`fails for good on an unknown outcome, and finds out after a restart: ${stored ? 'stored' : 'not stored'}`, async () => {
        const engine = await make();
        let store = await on(engine);
        await store.execute(Account, 'a', (account) => account.deposit(1));
        await engine.failNextAppend(stored);
        const failing = store.execute(Account, 'a', (account) => account.deposit(10));
        expect(await rejects(failing, PoisonedError)).to.include({ entryId: 2 });
        await rejects(
          store.execute(Account, 'a', (account) => account.deposit(100)),
          PoisonedError,
        );
        expect(await balanceOf(store, 'a')).to.equal(1);
        await store.close().catch(() => undefined);
        store = await on(engine);
        expect(await balanceOf(store, 'a')).to.equal(stored ? 11 : 1);
        await store.execute(Account, 'a', (account) => account.deposit(100));
        await store.close();
        store = await on(engine);
        expect(await balanceOf(store, 'a')).to.equal(stored ? 111 : 101);
        await store.close();
      });

    it('gives a subscription every record once, over restarts and truncation', async () => {
      const engine = await make();
      const handled: number[] = [];
      for (let round = 0; round < 3; round++) {
        const store = await on(engine);
        const handle = (record: StoredRecord): void => {
          handled.push(record.position);
          if (record.version === round + 1) told();
        };
        let told!: () => void;
        const last = new Promise<void>((resolve) => (told = resolve));
        const subscription = await store.subscription('all', { handle });
        await store.execute(Account, 'a', (account) => account.deposit(1));
        await last;
        await subscription.stop();
        await store.checkpoint();
        await store.close();
      }
      expect(new Set(handled).size).to.equal(handled.length);
      expect(handled).to.have.length(3);
    });
  });

describe('a store whose log another one has opened', () => {
  const replicated = (options: MemoryEngineOptions = {}) => memoryEngine({ strongest: 'replicated', ...options });

  it('is fenced at its next append, and says so', async () => {
    const engine = replicated();
    const first = await on(engine);
    await first.execute(Account, 'a', (account) => account.deposit(1));
    const errors: unknown[] = [];
    first.records$.subscribe({ error: (error) => errors.push(error) });
    const second = await on(engine);
    const failure = await rejects(
      first.execute(Account, 'a', (account) => account.deposit(10)),
      FencedError,
    );
    expect(failure.message).to.match(
      /^Another writer has taken over the log: .*Of positions 2 to 2 nothing was stored/,
    );
    expect(failure.entryId).to.equal(2);
    expect(errors).to.deep.equal([failure]);
    // What was acknowledged is still shown, what was refused is not.
    expect(await balanceOf(first, 'a')).to.equal(1);
    for (const late of [
      () => first.execute(Account, 'a', (account) => account.deposit(10)),
      () => first.append([{ stream: 'account-a', events: [{ type: 'MoneyDeposited', data: { amount: 1 } }] }]),
      () => first.checkpoint(),
    ])
      await rejects(late(), FencedError);
    await second.execute(Account, 'a', (account) => account.deposit(100));
    await first.close();
    await second.execute(Account, 'a', (account) => account.deposit(100));
    expect(await balanceOf(second, 'a')).to.equal(201);
    await second.close();
  });

  it('takes no checkpoint and truncates nothing', async () => {
    const engine = replicated({ partEntries: 2 });
    const first = await on(engine, { checkpoint: { retain: 1 } });
    for (let i = 0; i < 10; i++) await first.execute(Account, 'a', (account) => account.deposit(1));
    const second = await on(engine);
    await rejects(first.checkpoint(), FencedError);
    await first.close();
    expect(await all(second.readAll({ from: 1 }))).to.have.length(10);
    await second.close();
    const { log, checkpoints } = await engine.open();
    expect(await checkpoints.list()).to.deep.equal([]);
    expect(log.openedAt).to.equal(10);
  });

  it('loses what was acknowledged with durability memory only', async () => {
    const engine = replicated();
    const first = await on(engine, { durability: 'memory' });
    const second = await on(engine);
    await first.execute(Account, 'a', (account) => account.deposit(1));
    expect(await balanceOf(first, 'a')).to.equal(1);
    await new Promise(setImmediate);
    await rejects(
      first.execute(Account, 'a', (account) => account.deposit(1)),
      FencedError,
    );
    expect(await balanceOf(second, 'a')).to.equal(0);
    await first.close();
    await second.close();
  });
});

describe('what an engine cannot take', () => {
  const limits = { entryBytes: 200, blockBytes: 1000 };
  const event = (bytes: number) => ({ type: 'Noted', data: 'x'.repeat(bytes) });

  it('is refused before it has a position, and harms nothing', async () => {
    const engine = memoryEngine({ strongest: 'flush', limits });
    const store = await openStore({ engine });
    await store.append([{ stream: 's', events: [event(100)] }]);
    const large = await rejects(store.append([{ stream: 's', events: [event(10), event(300)] }]), EncodeError);
    expect(large.message).to.match(/'Noted' for 's' takes \d+ bytes, at most 200 are allowed/);
    const many = Array.from({ length: 9 }, () => event(100));
    const together = await rejects(store.append([{ stream: 's', events: many }]), EncodeError);
    expect(together.message).to.match(/together takes \d+ bytes, at most 1000 are allowed/);
    expect(await store.append([{ stream: 's', expectedVersion: 1, events: [event(100)] }])).to.include({
      firstPosition: 2,
    });
    await store.close();
  });

  it('is refused by files too, at 16 MiB, without poisoning the store', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    await rejects(store.append([{ stream: 's', events: [event(16 * 1024 * 1024)] }]), EncodeError);
    expect(await store.append([{ stream: 's', events: [event(10)] }])).to.include({ lastPosition: 1 });
    await store.close();
  });

  it('goes into blocks that it can, in order, however many are appended at once', async () => {
    const engine = memoryEngine({ strongest: 'flush', limits });
    const sizes: number[] = [];
    const counting: EngineUnderTest = {
      failNextAppend: (stored) => engine.failNextAppend(stored),
      damageCheckpoint: (position) => engine.damageCheckpoint(position),
      async open() {
        const found = await engine.open();
        const { log } = found;
        const append = log.append.bind(log);
        log.append = (block) => {
          let size = 0;
          for (let index = 0; index < block.count; index++) size += block.ends[index]! - block.starts[index]! + 16;
          sizes.push(size);
          return append(block);
        };
        return found;
      },
    };
    const store = await openStore({ engine: counting });
    const appended = await Promise.all(
      Array.from({ length: 50 }, (_, index) => store.append([{ stream: 's', events: [event(10 + index)] }])),
    );
    expect(appended.map(({ lastPosition }) => lastPosition)).to.deep.equal(appended.map((_, index) => index + 1));
    expect(Math.max(...sizes)).to.be.at.most(1000);
    expect(sizes.length).to.be.at.least(4);
    expect((await all(store.readAll())).map(({ data }) => (data as string).length)).to.deep.equal(
      appended.map((_, index) => index + 10),
    );
    await store.close();
  });
});

describe('openStore', () => {
  it('takes either a directory or an engine', async () => {
    await rejects(openStore({}), InvalidArgumentError);
    await rejects(openStore({ dir: new MemoryDirectory(), engine: memoryEngine() }), InvalidArgumentError);
    await rejects(openStore({ engine: memoryEngine(), files: {} }), InvalidArgumentError);
  });

  it('does not open the engine for options that cannot be used', async () => {
    const engine = memoryEngine({ strongest: 'flush' });
    const store = await openStore({ engine });
    await rejects(openStore({ engine, aggregates: [class {} as never] }), InvalidArgumentError);
    // Not fenced.
    await store.append([{ stream: 's', events: [{ type: 'Noted', data: 1 }] }]);
    await store.close();
  });

  it('offers no durability that the engine does not have', async () => {
    const error = await rejects(openStore({ engine: memoryEngine(), durability: 'fsync' }), InvalidArgumentError);
    expect(error.message).to.include("acknowledges 'memory' at most");
    await (await openStore({ engine: memoryEngine({ strongest: 'fsync' }), durability: 'fsync' })).close();
  });
});
