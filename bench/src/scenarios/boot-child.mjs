// Child of boot: writes a store of so many records and takes a checkpoint shortly before the end, or opens a store and
// says how long that took. A process of its own for each, as a boot has nothing compiled and nothing cached.

import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';

const [step, dir = '', ...numbers] = process.argv.slice(2);
const [records = 0, accounts = 0, afterCheckpoint = 0] = numbers.map(Number);

const EVENTS_PER_APPEND = 100;
/** No checkpoint but those that are asked for. */
const NEVER = { records: Number.MAX_SAFE_INTEGER };

console.log(JSON.stringify(await run()));

function run() {
  if (step === 'write') return write();
  return step === 'truncate' ? truncate() : open();
}

async function write() {
  const store = await openStore({ dir, aggregates: [Account], durability: 'flush', checkpoint: NEVER });
  const data = { amount: 1 };
  const events = Array.from({ length: EVENTS_PER_APPEND }, () => ({ type: 'MoneyDeposited', data }));
  const append = (/** @type {number} */ from, /** @type {number} */ to) => {
    const appends = [];
    for (let next = from; next < to; next += EVENTS_PER_APPEND) {
      const stream = `account-a-${(next / EVENTS_PER_APPEND) % accounts}`;
      appends.push(store.append([{ stream, events }], { durability: 'memory' }));
    }
    return Promise.all(appends);
  };
  const upTo = records - afterCheckpoint;
  for (let next = 0; next < upTo; next += 10_000) await append(next, Math.min(upTo, next + 10_000));
  await store.checkpoint();
  await append(upTo, records);
  await store.close();
  return {};
}

/** Drops what the checkpoint covers. */
async function truncate() {
  const store = await openStore({ dir, aggregates: [Account], checkpoint: { ...NEVER, retain: 1 } });
  await store.truncate();
  await store.close();
  return {};
}

async function open() {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const store = await openStore({ dir, aggregates: [Account], checkpoint: NEVER });
  const milliseconds = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const { entriesReplayed } = store.recovery;
  let sum = 0;
  for (let index = 0; index < accounts; index++) sum += (await store.load(Account, `a-${index}`)).state.balance;
  await store.close();
  if (sum !== records) throw new Error(`Wrong result: the balances add up to ${sum}, expected ${records}`);
  return { milliseconds, cpuMilliseconds: (user + system) / 1000, entriesReplayed };
}
