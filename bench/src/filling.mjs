// Fills a store with bank accounts, quickly, and so that stores of different sizes can be compared.

import * as fs from 'node:fs';
import { Account } from './contenders/bank/account.mjs';

/** @import { EventStore } from '../../dist/store/index.js' */

/** Deposits of 1 come in groups of as many for one account. */
const EVENTS_PER_APPEND = 100;
const APPENDS_AT_ONCE = 100;
/** An eleventh of a segment of the default size: few of them fill it. */
const BULKY = 'x'.repeat(1024 * 1024);

/** No checkpoint but those that are asked for. */
export const NEVER = { records: Number.MAX_SAFE_INTEGER };

/** @param {number} index */
export function accountId(index) {
  return `a-${index}`;
}

/**
 * Appends deposits of 1, `each` at a time to one of the accounts in turn, as the records `from` to `to`, without waiting
 * for the disk.
 *
 * @param {EventStore} store
 * @param {{ from: number, to: number, accounts: number, each?: number }} records
 */
export async function deposit(store, { from, to, accounts, each = EVENTS_PER_APPEND }) {
  const event = { type: 'MoneyDeposited', data: { amount: 1 } };
  for (let next = from; next < to;) {
    const appends = [];
    for (; next < to && appends.length < APPENDS_AT_ONCE; next += each) {
      const events = Array.from({ length: Math.min(each, to - next) }, () => event);
      const stream = `account-${accountId(Math.floor(next / each) % accounts)}`;
      appends.push(store.append([{ stream, events }], { durability: 'memory' }));
    }
    await Promise.all(appends);
  }
}

/**
 * Appends deposits of 1 that take much room until the log goes on in a new segment, which begins with the last of them:
 * opening a store looks at the last segment, so two stores can be compared only if theirs are alike. Returns how many.
 *
 * @param {EventStore} store
 * @param {string} dir
 */
export async function fillSegment(store, dir) {
  const segments = () => fs.readdirSync(`${dir}/wal`).length;
  const append = (/** @type {object} */ data) =>
    store.append([{ stream: `account-${accountId(0)}`, events: [{ type: 'MoneyDeposited', data }] }], {
      durability: 'flush',
    });
  // What was appended before is written now, and the segments are those that there are.
  await append({ amount: 1 });
  let count = 1;
  for (const before = segments(); segments() === before; count++) await append({ amount: 1, remark: BULKY });
  return count;
}

/**
 * Throws unless the balances add up.
 *
 * @param {EventStore} store
 * @param {number} accounts
 * @param {number} expected
 */
export async function checkBalances(store, accounts, expected) {
  const sum = await sumOfBalances(store, accounts);
  if (sum !== expected) throw new Error(`Wrong result: the balances add up to ${sum}, expected ${expected}`);
}

/**
 * @param {EventStore} store
 * @param {number} accounts
 */
export async function sumOfBalances(store, accounts) {
  let sum = 0;
  for (let index = 0; index < accounts; index++) sum += (await store.load(Account, accountId(index))).state.balance;
  return sum;
}
