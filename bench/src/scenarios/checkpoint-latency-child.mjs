// Child of checkpoint-latency: a store of so many aggregates, callers that execute commands one after the other, and how
// long their commands take, while a checkpoint is written and while none is.

import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';

const [dir = '', ...numbers] = process.argv.slice(2);
const [accounts = 0, callers = 0, rounds = 0, milliseconds = 0] = numbers.map(Number);

const store = await openStore({
  dir,
  aggregates: [Account],
  checkpoint: { records: Number.MAX_SAFE_INTEGER },
  files: { preallocateBytes: 10 * 1024 * 1024 },
});
let executed = 0;
/** @type {Float64Array} */
let latencies = new Float64Array(1024);
let measured = 0;
let stopped = false;
const finished = Promise.all(
  Array.from({ length: callers }, async () => {
    while (!stopped) {
      const id = `a-${(executed++ * 7919) % accounts}`;
      const begun = performance.now();
      await store.execute(Account, id, (account) => account.deposit(1));
      note(performance.now() - begun);
    }
  }),
);

const without = [];
const during = [];
await makeAll();
await sleep(milliseconds);
for (let round = 0; round < rounds; round++) {
  measured = 0;
  await sleep(milliseconds);
  without.push(percentiles());
  measured = 0;
  const { milliseconds: checkpointMilliseconds } = await store.checkpoint({ full: true });
  during.push({ ...percentiles(), checkpointMilliseconds });
  // What it leaves to the garbage collector is its own business, and not that of the next round.
  await sleep(milliseconds / 4);
}
stopped = true;
await finished;
await store.close();

const again = await openStore({ dir, aggregates: [Account] });
let sum = 0;
for (let index = 0; index < accounts; index++) sum += (await again.load(Account, `a-${index}`)).state.balance;
await again.close();
const expected = accounts + executed;
if (sum !== expected) throw new Error(`Wrong result: the balances add up to ${sum}, expected ${expected}`);
console.log(JSON.stringify({ without, during }));

/** Makes all aggregates. */
async function makeAll() {
  const events = [{ type: 'MoneyDeposited', data: { amount: 1 } }];
  for (let next = 0; next < accounts;) {
    const appends = [];
    for (const end = Math.min(accounts, next + 10_000); next < end; next++)
      appends.push(store.append([{ stream: `account-a-${next}`, events }], { durability: 'memory' }));
    await Promise.all(appends);
  }
}

/** @param {number} latency */
function note(latency) {
  if (measured === latencies.length) {
    const grown = new Float64Array(2 * measured);
    grown.set(latencies);
    latencies = grown;
  }
  latencies[measured++] = latency;
}

function percentiles() {
  const sorted = latencies.slice(0, measured).sort();
  const at = (/** @type {number} */ share) => sorted[Math.min(measured - 1, Math.floor(share * measured))];
  return { count: measured, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** @param {number} duration */
function sleep(duration) {
  return new Promise((resolve) => setTimeout(resolve, duration));
}
