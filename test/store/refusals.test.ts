import { expect } from 'chai';
import { ConcurrencyError, MemoryDirectory, openStore, PoisonedError, type EventStore } from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects } from '../support/rejects.js';
import { Account, InsufficientFunds } from './bank.js';

const deposited = (expectedVersion: number) => [
  { stream: 'account-a', expectedVersion, events: [{ type: 'MoneyDeposited', data: { amount: 1 } }] },
];

/** Everything that is refused because of a withdrawal from 100 to 0, version 1 to 2, that was decided on before. */
function refused(store: EventStore): Promise<unknown>[] {
  return [
    store.append(deposited(1)),
    store.append([{ ...deposited(0)[0]!, stream: 'account-b' }], {
      checks: [{ stream: 'account-a', expectedVersion: 1 }],
    }),
    store.execute(Account, 'a', (account) => account.deposit(1), { expectedVersion: 1 }),
    store.execute(Account, 'a', (account) => account.withdraw(1)),
  ];
}

describe('a refusal', () => {
  it('is told only once what it was decided on is acknowledged', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openStore({ dir: disk, aggregates: [Account] });
    await store.execute(Account, 'a', (account) => account.deposit(100));
    disk.holds.add('datasync');
    const withdrawn = store.execute(Account, 'a', (account) => account.withdraw(100));
    const told: unknown[] = [];
    const refusals = refused(store).map((call) => call.catch((error: unknown) => void told.push(error)));
    await disk.blocked();
    expect(told, 'refused because of what may never happen').to.deep.equal([]);
    disk.releaseAll();
    await Promise.all([withdrawn, ...refusals]);
    expect(told.map((error) => (error as Error).constructor)).to.have.members([
      ConcurrencyError,
      ConcurrencyError,
      ConcurrencyError,
      InsufficientFunds,
    ]);
    await store.close();
  });

  it('becomes the failure of the disk where that was to store what it was decided on', async () => {
    let fails = false;
    const disk = new FaultyDirectory(new MemoryDirectory(), ({ kind }) =>
      fails && kind === 'datasync' ? { kind: 'error', errno: 'EIO' } : undefined,
    );
    const store = await openStore({ dir: disk, aggregates: [Account] });
    await store.execute(Account, 'a', (account) => account.deposit(100));
    fails = true;
    const withdrawn = store.execute(Account, 'a', (account) => account.withdraw(100));
    const refusals = refused(store);
    for (const call of [withdrawn, ...refusals]) await rejects(call, PoisonedError);
    await store.close().catch(() => undefined);
  });

  it('can be answered by loading anew and trying again, however many do so at once', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Account] });
    const depositSurely = async (): Promise<void> => {
      // Bounded, so that a store that never lets the disk have its turn fails the test and does not hang it.
      for (let attempt = 0; attempt < 100; attempt++) {
        const { version } = await store.load(Account, 'a');
        try {
          await store.append(deposited(version));
          return;
        } catch (error) {
          if (!(error instanceof ConcurrencyError)) throw error;
        }
      }
      expect.fail('not once in 100 attempts');
    };
    await Promise.all(Array.from({ length: 8 }, depositSurely));
    expect((await store.load(Account, 'a')).state.balance).to.equal(8);
    await store.close();
  });
});
