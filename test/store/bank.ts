// The aggregate that the tests of the store work with: a bank account, with decorators.

import { Aggregate, AggregateRoot, Command, Reduces, type Event, type Of } from '#src/aggregate/index.js';

export interface AccountState {
  owner: string | null;
  balance: number;
}

export type AccountEvent =
  | Event<'AccountOpened', { owner: string }>
  | Event<'MoneyDeposited', { amount: number }>
  | Event<'MoneyWithdrawn', { amount: number }>;

export class InsufficientFunds extends Error {}

@Aggregate({ name: 'account', version: 1, events: ['AccountOpened', 'MoneyDeposited', 'MoneyWithdrawn'] })
export class Account extends AggregateRoot<AccountState, AccountEvent> {
  static readonly initial: AccountState = { owner: null, balance: 0 };

  @Command()
  open(owner: string): void {
    this.emit('AccountOpened', { owner });
  }

  @Command()
  deposit(amount: number): number {
    this.emit('MoneyDeposited', { amount });
    return this.state.balance;
  }

  @Command()
  withdraw(amount: number): number {
    if (amount > this.state.balance) throw new InsufficientFunds();
    this.emit('MoneyWithdrawn', { amount });
    return this.state.balance;
  }

  @Reduces('AccountOpened')
  static opened(state: AccountState, event: Of<AccountEvent, 'AccountOpened'>): void {
    state.owner = event.data.owner;
  }

  @Reduces('MoneyDeposited')
  static deposited(state: AccountState, event: Of<AccountEvent, 'MoneyDeposited'>): void {
    state.balance += event.data.amount;
  }

  @Reduces('MoneyWithdrawn')
  static withdrawn(state: AccountState, event: Of<AccountEvent, 'MoneyWithdrawn'>): void {
    state.balance -= event.data.amount;
  }
}
