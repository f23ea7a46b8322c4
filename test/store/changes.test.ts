import { expect } from 'chai';
import { InvalidArgumentError, MemoryDirectory, openStore, type EventStore } from 'cairnlog';
import { Account, InsufficientFunds } from './bank.js';
import { throws } from '../support/rejects.js';

describe('changes()', () => {
  let store: EventStore;
  beforeEach(async () => {
    store = await openStore({ dir: new MemoryDirectory(), aggregates: [Account] });
  });
  afterEach(() => store.close());

  it('shows the state after each record of one aggregate, with the record', async () => {
    await store.execute(Account, 'a', (account) => account.open('Ada'));
    const seen: unknown[] = [];
    store.changes(Account, 'a').subscribe(({ id, version, state, record }) => {
      seen.push([id, version, state.balance, record.type, record.position]);
    });
    // No first emission: what was before is for `load`.
    expect(seen).to.have.length(0);
    await store.execute(Account, 'b', (account) => account.deposit(1));
    await store.execute(Account, 'a', (account) => {
      account.deposit(10);
      account.deposit(5);
      account.withdraw(1);
    });
    expect(seen).to.deep.equal([
      ['a', 2, 10, 'MoneyDeposited', 3],
      ['a', 3, 15, 'MoneyDeposited', 4],
      ['a', 4, 14, 'MoneyWithdrawn', 5],
    ]);
  });

  it('shows all aggregates of a type, across appends that change several', async () => {
    const seen: string[] = [];
    store.changes(Account).subscribe(({ id, state }) => seen.push(`${id}:${state.balance}`));
    await store.append([
      { stream: 'account-a', events: [{ type: 'MoneyDeposited', data: { amount: 3 } }] },
      { stream: 'account-b', events: [{ type: 'MoneyDeposited', data: { amount: 4 } }] },
      { stream: 'other-a', events: [{ type: 'Whatever', data: null }] },
      { stream: 'account-a', events: [{ type: 'MoneyWithdrawn', data: { amount: 1 } }] },
    ]);
    expect(seen).to.deep.equal(['a:3', 'b:4', 'a:2']);
  });

  it('is frozen all through, and later changes do not reach into it', async () => {
    const seen: { readonly state: { readonly balance: number } }[] = [];
    store.changes(Account, 'a').subscribe((changed) => seen.push(changed));
    await store.execute(Account, 'a', (account) => account.deposit(1));
    await store.execute(Account, 'a', (account) => account.deposit(1));
    expect(Object.isFrozen(seen[0])).to.equal(true);
    expect(Object.isFrozen(seen[0]!.state)).to.equal(true);
    expect(seen[0]!.state.balance).to.equal(1);
  });

  it('shows nothing of a command that was refused', async () => {
    const seen: unknown[] = [];
    store.changes(Account).subscribe((changed) => seen.push(changed));
    await store
      .execute(Account, 'a', (account) => {
        account.deposit(1);
        account.withdraw(100);
      })
      .then(
        () => expect.fail(),
        (error) => expect(error).to.be.instanceOf(InsufficientFunds),
      );
    expect(seen).to.have.length(0);
  });

  it('agrees with records$ about the order, whoever appends while it is told', async () => {
    const heard: string[] = [];
    const more: Promise<unknown>[] = [];
    store.records$.subscribe(({ position }) => {
      heard.push(`record ${position}`);
      if (position === 1)
        more.push(store.execute(Account, 'b', (account) => account.deposit(2), { durability: 'memory' }));
    });
    store.changes(Account).subscribe(({ record }) => heard.push(`change ${record.position}`));
    await store.execute(Account, 'a', (account) => account.deposit(1), { durability: 'memory' });
    await Promise.all(more);
    expect(heard).to.deep.equal(['record 1', 'change 1', 'record 2', 'change 2']);
  });

  it('lets a subscriber execute a command on what it sees', async () => {
    const balances: number[] = [];
    const more: Promise<unknown>[] = [];
    store.changes(Account, 'a').subscribe(({ state }) => {
      balances.push(state.balance);
      if (state.balance < 5) more.push(store.execute(Account, 'a', (account) => account.deposit(1)));
    });
    await store.execute(Account, 'a', (account) => account.deposit(1));
    while (balances.length < 5) await Promise.all(more);
    expect(balances).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('refuses a class that the store does not know, and completes at close', async () => {
    class Stranger {}
    throws(() => store.changes(Stranger as never), InvalidArgumentError);
    let completed = 0;
    store.changes(Account, 'a').subscribe({ complete: () => completed++ });
    await store.close();
    expect(completed).to.equal(1);
  });
});
