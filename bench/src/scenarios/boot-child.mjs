// Child of boot and growth: writes a store of so many records and takes a checkpoint shortly before the end, or opens a
// store and says how long that took. A process of its own for each, as a boot has nothing compiled and nothing cached.

import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';
import { deposit, fillSegment, NEVER, sumOfBalances, checkBalances } from '../filling.mjs';

const [step, dir = '', ...numbers] = process.argv.slice(2);
const [records = 0, accounts = 0, afterCheckpoint = 0] = numbers.map(Number);

/** So many checkpoints are kept that nothing leaves the log. */
const KEEP_ALL = { ...NEVER, retain: 1000 };

console.log(JSON.stringify(await run()));

function run() {
  switch (step) {
    case 'write':
      return write();
    case 'settle':
    case 'count':
      return settle();
    case 'truncate':
      return truncate();
    default:
      return open();
  }
}

/** `accounts` may have no more than a hundredth of the records. */
async function write() {
  const store = await openStore({ dir, aggregates: [Account], durability: 'flush', checkpoint: NEVER });
  const upTo = records - afterCheckpoint;
  // Each account gets one record before any gets more.
  await deposit(store, { from: 0, to: accounts, accounts, each: 1 });
  await deposit(store, { from: accounts, to: upTo, accounts });
  const bulky = await fillSegment(store, dir);
  await store.checkpoint();
  await deposit(store, { from: upTo, to: records, accounts });
  await store.close();
  return { records: records + bulky };
}

/** Counts what is there, and puts so many records behind a new checkpoint if asked to. */
async function settle() {
  const store = await openStore({ dir, aggregates: [Account], durability: 'flush', checkpoint: KEEP_ALL });
  let count = await sumOfBalances(store, accounts);
  if (step === 'settle') {
    count += await fillSegment(store, dir);
    await store.checkpoint({ full: true });
    await deposit(store, { from: 0, to: afterCheckpoint, accounts });
    count += afterCheckpoint;
  }
  await store.close();
  return { records: count };
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
  const { entriesReplayed, phases } = store.recovery;
  await checkBalances(store, accounts, records);
  await store.close();
  return { milliseconds, cpuMilliseconds: (user + system) / 1000, entriesReplayed, phases };
}
