import { expect } from 'chai';
import { MemoryDirectory } from 'cairnlog';
import { openStore } from '#src/store/open-store.js';
import { defineProjection } from '#src/store/projection.js';
import { ConcurrencyError, NO_STREAM } from '#src/store/expected-version.js';
import type { StoredRecord } from '#src/store/record.js';
import { Account, InsufficientFunds } from './bank.js';
import { rejects } from '../support/rejects.js';

describe('EventStore', () => {
  it('executes commands, and finds everything again', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore({ dir, aggregates: [Account] });
    expect(await store.execute(Account, 'a', (a) => a.open('Ada'))).to.include({ version: 1, position: 1 });
    expect((await store.execute(Account, 'a', (a) => a.deposit(100))).result).to.equal(100);
    expect((await store.execute(Account, 'a', (a) => a.withdraw(30))).result).to.equal(70);
    await store
      .execute(Account, 'a', (a) => a.withdraw(1000))
      .then(
        () => expect.fail(),
        (error) => expect(error).to.be.instanceOf(InsufficientFunds),
      );
    const { state, version } = await store.load(Account, 'a');
    expect({ ...state, version }).to.deep.equal({ owner: 'Ada', balance: 70, version: 3 });
    await store.close();
    store = await openStore({ dir, aggregates: [Account] });
    expect((await store.load(Account, 'a')).state.balance).to.equal(70);
    expect((await store.load(Account, 'a', { version: 2 })).state.balance).to.equal(100);
    await store.checkpoint();
    await store.execute(Account, 'a', (a) => a.deposit(1));
    await store.close();
    store = await openStore({ dir, aggregates: [Account] });
    expect(store.recovery.entriesReplayed).to.equal(2);
    expect((await store.load(Account, 'a')).state.balance).to.equal(71);
    expect((await store.at(2)).load(Account, 'a').state.balance).to.equal(100);
    await store.close();
  });

  it('watches', async () => {
    const dir = new MemoryDirectory();
    const totals = defineProjection('totals', {
      initial: { deposited: 0 },
      on: {
        MoneyDeposited: (state, record: StoredRecord<{ type: 'MoneyDeposited'; data: { amount: number } }>) => {
          state.deposited += record.data.amount;
        },
      },
    });
    const store = await openStore({ dir, aggregates: [Account], projections: [totals] });
    const live: number[] = [];
    store.records$.subscribe((record) => live.push(record.position));
    const balances: number[] = [];
    store.changes(Account, 'a').subscribe(({ state }) => balances.push(state.balance));
    for (let i = 0; i < 5; i++) await store.execute(Account, 'a', (a) => a.deposit(i));
    await store.append([
      { stream: 'account-a', expectedVersion: 5, events: [{ type: 'MoneyWithdrawn', data: { amount: 5 } }] },
      { stream: 'account-b', expectedVersion: NO_STREAM, events: [{ type: 'MoneyDeposited', data: { amount: 5 } }] },
    ]);
    await rejects(
      store.append([
        { stream: 'account-b', expectedVersion: 0, events: [{ type: 'MoneyDeposited', data: { amount: 5 } }] },
      ]),
      ConcurrencyError,
    );
    expect(live).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
    expect(balances).to.deep.equal([0, 1, 3, 6, 10, 5]);
    expect(store.projection(totals).state.deposited).to.equal(15);
    const handled: number[] = [];
    const subscription = await store.subscription('s', {
      from: 'start',
      handle: (record) => handled.push(record.position),
    });
    await store.execute(Account, 'c', (a) => a.deposit(9));
    while (handled.length < 8) await new Promise((resolve) => setImmediate(resolve));
    await subscription.stop();
    expect(handled).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 9]);
    await store.rebuild('totals');
    expect(store.projection(totals).state.deposited).to.equal(24);
    const seen: number[] = [];
    for await (const record of store.tail({ from: 'start' })) if (seen.push(record.position) === 8) break;
    expect(seen).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 9]);
    await store.close();
  });
});
