// The same decorators in the standard dialect: compiled without experimentalDecorators. What must not compile is held by
// expected errors, as in test/types for the legacy dialect.

import { expect } from 'chai';
import {
  Aggregate,
  AggregateRoot,
  Command,
  InvalidArgumentError,
  MemoryDirectory,
  MigratesState,
  openStore,
  Reduces,
  Upcasts,
  type Event,
  type Of,
} from 'cairnlog';

interface AccountState {
  owner: string | null;
  balance: number;
}

type AccountEvent =
  Event<'AccountOpened', { owner: string }> | Event<'MoneyDeposited', { amount: number }> | Event<'Closed', null>;

@Aggregate({ name: 'account', events: ['AccountOpened', 'MoneyDeposited', 'Closed'] })
class Account extends AggregateRoot<AccountState, AccountEvent> {
  static readonly initial: AccountState = { owner: null, balance: 0 };
  static fee = 1;

  @Command()
  open(owner: string): void {
    this.emit('AccountOpened', { owner });
  }

  @Command()
  deposit(amount: number): number {
    this.emit('MoneyDeposited', { amount });
    if (amount < 0) throw new RangeError('negative');
    return this.state.balance;
  }

  @Reduces('AccountOpened')
  static opened(state: AccountState, event: Of<AccountEvent, 'AccountOpened'>): void {
    state.owner = event.data.owner;
  }

  // It may be said what `this` is.
  @Reduces('MoneyDeposited')
  static deposited(this: typeof Account, state: AccountState, event: Of<AccountEvent, 'MoneyDeposited'>): void {
    state.balance += event.data.amount - this.fee;
  }

  @Upcasts('MoneyDeposited', 1)
  static inCents(this: typeof Account, data: { euros: number }): { amount: number } {
    return { amount: data.euros * 100 };
  }

  // The event may be left out.
  @Reduces('Closed')
  static closed(state: AccountState): void {
    state.owner = null;
  }
}

@Aggregate({ name: 'savings' })
class Savings extends Account {
  // Takes the place of the parent's reducer.
  @Reduces('MoneyDeposited')
  static saved(state: AccountState, event: Of<AccountEvent, 'MoneyDeposited'>): void {
    state.balance += 2 * event.data.amount;
  }
}

/** Never run: it only has to be refused by the compiler. */
export function refused(): unknown {
  class Mistaken extends AggregateRoot<AccountState, AccountEvent> {
    static readonly initial: AccountState = { owner: null, balance: 0 };

    @Command()
    write(): void {
      // @ts-expect-error the state is not for writing
      this.state.balance = 1;
      // @ts-expect-error an unknown event
      this.emit('MoneyStolen', { amount: 1 });
      // @ts-expect-error a field is of another type
      this.emit('MoneyDeposited', { amount: '1' });
    }

    // @ts-expect-error a command is no static method
    @Command()
    static notACommand(): void {}

    // @ts-expect-error a command is no field
    @Command()
    field = 1;

    // @ts-expect-error nor is it private
    @Command()
    #hidden(): void {}

    // @ts-expect-error the event's type is not that of the string
    @Reduces('AccountOpened')
    static mistaken(state: AccountState, event: Of<AccountEvent, 'MoneyDeposited'>): void {
      state.balance += event.data.amount;
    }

    // @ts-expect-error a reducer is static
    @Reduces('Closed')
    closed(state: AccountState): void {
      state.owner = null;
    }

    // @ts-expect-error an upcaster is static
    @Upcasts('AccountOpened', 1)
    upcasted(data: object): unknown {
      return data;
    }

    // @ts-expect-error a migration is static
    @MigratesState(1)
    migrated(state: AccountState): AccountState {
      this.#hidden();
      return state;
    }
  }
  return Mistaken;
}

describe('standard decorators', () => {
  it('define the same aggregates as legacy ones', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore({ dir, aggregates: [Account] });
    await store.execute(Account, 'a', (account) => account.open('Ada'));
    expect((await store.execute(Account, 'a', (account) => account.deposit(10))).result).to.equal(9);
    const failed = await store.execute(Account, 'a', (account) => account.deposit(-1)).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(RangeError);
    await store.close();
    store = await openStore({ dir, aggregates: [Account] });
    expect(await store.load(Account, 'a')).to.deep.equal({ id: 'a', version: 2, state: { owner: 'Ada', balance: 9 } });
    await store.close();
  });

  it('are inherited, and a subclass says its own', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Account, Savings] });
    await store.execute(Savings, 's', (savings) => savings.open('Ada'));
    expect((await store.execute(Savings, 's', (savings) => savings.deposit(10))).result).to.equal(20);
    expect((await store.execute(Account, 's', (account) => account.deposit(10))).result).to.equal(9);
    await store.close();
  });

  it('are told apart where they do not belong, when the store is opened', async () => {
    @Aggregate({ name: 'wrong' })
    class Wrong extends AggregateRoot<AccountState, AccountEvent> {
      static readonly initial: AccountState = { owner: null, balance: 0 };
      @(Reduces('Closed') as unknown as (method: unknown, context: unknown) => void)
      closed(): void {}
    }
    @Aggregate({ name: 'forgetful', events: ['Closed', 'AccountOpened'] })
    class Forgetful extends AggregateRoot<AccountState, AccountEvent> {
      static readonly initial: AccountState = { owner: null, balance: 0 };
      @Reduces('Closed')
      static closed(): void {}
    }
    @Aggregate({ name: 'slow' })
    class Slow extends AggregateRoot<AccountState, AccountEvent> {
      static readonly initial: AccountState = { owner: null, balance: 0 };
      @Reduces('Closed')
      static async closed(): Promise<void> {}
    }
    for (const [Class, text] of [
      [Wrong, /class Wrong: @Reduces\('Closed'\) on 'closed': make it a static method/],
      [Forgetful, /class Forgetful: the event 'AccountOpened' is declared but has no reducer/],
      [Slow, /class Slow: the reducer of 'Closed' is async/],
    ] as const) {
      const error = await openStore({ dir: new MemoryDirectory(), aggregates: [Class] }).catch((e: unknown) => e);
      expect(error).to.be.instanceOf(InvalidArgumentError);
      expect((error as Error).message).to.match(text);
    }
  });
});
