// Money from one account to another: two aggregates, one append, so that both have changed or neither has.

import { ConcurrencyError, type Appended, type EventStore } from 'cairnlog';
import { Account, mustHave, type AccountEvent } from './account.js';

/**
 * Rejects with `InsufficientFunds`, and with `ConcurrencyError` if one of the accounts changed after it was looked at;
 * then neither has changed.
 */
export async function transfer(store: EventStore, from: string, to: string, amount: number): Promise<Appended> {
  const source = await store.load(Account, from);
  const target = await store.load(Account, to);
  mustHave(source.state, amount);
  const withdrawn: AccountEvent = { type: 'MoneyWithdrawn', data: { amount } };
  const deposited: AccountEvent = { type: 'MoneyDeposited', data: { amount } };
  return store.append([
    { stream: `account-${from}`, expectedVersion: source.version, events: [withdrawn] },
    { stream: `account-${to}`, expectedVersion: target.version, events: [deposited] },
  ]);
}

/** The same, decided anew whenever somebody else was faster. */
export async function transferSurely(store: EventStore, from: string, to: string, amount: number): Promise<Appended> {
  for (;;) {
    try {
      return await transfer(store, from, to, amount);
    } catch (error) {
      if (!(error instanceof ConcurrencyError)) throw error;
    }
  }
}
