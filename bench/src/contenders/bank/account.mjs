// The account as a Cairn aggregate: a class with decorated reducers and commands. This package is not compiled, so its
// decorators are called here as TypeScript would call them (experimentalDecorators).

import { Aggregate, AggregateRoot, Command, Reduces } from '../../../../dist/aggregate/index.js';
import { reduceBalance } from '../../bank.mjs';

/** @import { BankEvent, Deposited, Withdrawn } from '../../bank.mjs' */

/** @extends {AggregateRoot<{ balance: number }, BankEvent>} */
export class Account extends AggregateRoot {
  static initial = { balance: 0 };

  /** @param {number} amount */
  deposit(amount) {
    this.emit('MoneyDeposited', { amount });
  }

  /** @param {number} amount */
  withdraw(amount) {
    if (amount > this.state.balance) throw new Error('Not covered');
    this.emit('MoneyWithdrawn', { amount });
  }

  /**
   * @param {{ balance: number }} state
   * @param {Deposited} event
   */
  static deposited(state, event) {
    state.balance = reduceBalance(state.balance, event);
  }

  /**
   * @param {{ balance: number }} state
   * @param {Withdrawn} event
   */
  static withdrawn(state, event) {
    state.balance = reduceBalance(state.balance, event);
  }
}

for (const name of /** @type {const} */ (['deposit', 'withdraw'])) {
  const descriptor = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(Account.prototype, name));
  Object.defineProperty(Account.prototype, name, Command()(Account.prototype, name, descriptor));
}
for (const [name, type] of /** @type {const} */ ([
  ['deposited', 'MoneyDeposited'],
  ['withdrawn', 'MoneyWithdrawn'],
])) {
  const descriptor = /** @type {TypedPropertyDescriptor<(state: never, event: never) => void>} */ (
    Object.getOwnPropertyDescriptor(Account, name)
  );
  Reduces(type)(Account, name, /** @type {never} */ (descriptor));
}
Aggregate({ name: 'account', version: 1, events: ['MoneyDeposited', 'MoneyWithdrawn'] })(Account);
