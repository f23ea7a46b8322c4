// What the stores are asked to do: commands on 1,000 bank accounts, the same ones in the same order for everybody. Each
// command looks at the state of one account, decides, and comes to one event.

export const ACCOUNTS = 1000;

/** Callers that execute commands at the same time. */
export const CALLERS = 256;

/** @typedef {import('../../dist/aggregate/index.js').Event<'MoneyDeposited', { amount: number }>} Deposited */
/** @typedef {import('../../dist/aggregate/index.js').Event<'MoneyWithdrawn', { amount: number }>} Withdrawn */
/** @typedef {Deposited | Withdrawn} BankEvent */
/** @typedef {{ account: string, deposits: boolean, amount: number }} BankCommand */

// Prime to the number of accounts: neighbours in time are strangers, and every account has its turn.
const STRIDE = 389;

const ids = Array.from({ length: ACCOUNTS }, (_, index) => `a-${index}`);

/**
 * Deposits, and withdrawals that are always covered.
 *
 * @param {number} index
 * @returns {BankCommand}
 */
export function commandOf(index) {
  const round = Math.floor(index / ACCOUNTS);
  const deposits = round === 0 || (index + round) % 4 !== 3;
  return { account: ids[(index * STRIDE) % ACCOUNTS], deposits, amount: deposits ? 10 + (index % 7) : 5 };
}

/**
 * Callers take one command after the other, each acknowledged before its next, while the meter goes on.
 *
 * @param {number} callers
 * @param {import('./meter.mjs').Meter} meter
 * @param {(command: BankCommand) => Promise<unknown>} execute
 */
export async function executeFor(callers, meter, execute) {
  const caller = async () => {
    while (meter.goesOn()) await execute(commandOf(meter.count++));
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

/**
 * The event that a command comes to. Throws if the account does not cover it.
 *
 * @param {number} balance
 * @param {BankCommand} command
 * @returns {BankEvent}
 */
export function decide(balance, { deposits, amount }) {
  if (deposits) return { type: 'MoneyDeposited', data: { amount } };
  if (amount > balance) throw new Error('Not covered');
  return { type: 'MoneyWithdrawn', data: { amount } };
}

/**
 * The balance after an event.
 *
 * @param {number} balance
 * @param {BankEvent} event
 */
export function reduceBalance(balance, { type, data }) {
  return type === 'MoneyDeposited' ? balance + data.amount : balance - data.amount;
}

/**
 * Throws unless accounts are as the commands 0 to `count - 1` leave them.
 *
 * @param {ReadonlyMap<string, { balance: number, version: number }>} accounts
 * @param {number} count
 */
export function checkAccounts(accounts, count) {
  /** @type {Map<string, { balance: number, version: number }>} */
  const expected = new Map();
  for (let index = 0; index < count; index++) {
    const { account, deposits, amount } = commandOf(index);
    const known = expected.get(account) ?? { balance: 0, version: 0 };
    expected.set(account, { balance: known.balance + (deposits ? amount : -amount), version: known.version + 1 });
  }
  if (accounts.size !== expected.size)
    throw new Error(`Wrong result: ${accounts.size} accounts, expected ${expected.size}`);
  for (const [id, { balance, version }] of expected) {
    const found = accounts.get(id);
    if (found?.balance !== balance || found.version !== version)
      throw new Error(
        `Wrong result: ${id} is ${JSON.stringify(found)}, expected ${JSON.stringify({ balance, version })}`,
      );
  }
}
