// An account: what can happen to it, what can be asked of it, and what it is then.

import { Aggregate, AggregateRoot, Command, Reduces, type Event, type Of } from 'cairnlog';

export type AccountEvent =
  | Event<'AccountOpened', { owner: string }>
  | Event<'MoneyDeposited', { amount: number }>
  | Event<'MoneyWithdrawn', { amount: number }>;

export interface AccountState {
  owner: string | null;
  /** In cents. */
  balance: number;
}

export class InsufficientFunds extends Error {}

@Aggregate({ name: 'account', version: 1, events: ['AccountOpened', 'MoneyDeposited', 'MoneyWithdrawn'] })
export class Account extends AggregateRoot<AccountState, AccountEvent> {
  static readonly initial: AccountState = { owner: null, balance: 0 };

  @Command()
  open(owner: string): void {
    if (this.state.owner !== null) throw new Error(`Account ${this.id} is open already`);
    this.emit('AccountOpened', { owner });
  }

  @Command()
  deposit(amount: number): number {
    this.emit('MoneyDeposited', { amount });
    return this.state.balance;
  }

  @Command()
  withdraw(amount: number): number {
    mustHave(this.state, amount);
    this.emit('MoneyWithdrawn', { amount });
    return this.state.balance; // reduced already
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

/** Throws {@link InsufficientFunds} if an account does not have that much. */
export function mustHave({ balance }: { readonly balance: number }, amount: number): void {
  if (amount > balance) throw new InsufficientFunds(`${amount} wanted, ${balance} there`);
}
