// Child of changes-checkpoint: a store of so many aggregates; in each round a full checkpoint, a change of a few
// aggregates, and the next checkpoint. Then it is opened again, and every balance has to be there.

import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';
import { checkBalances, deposit, NEVER } from '../filling.mjs';

const [dir = '', ...numbers] = process.argv.slice(2);
const [accounts = 0, changed = 0, rounds = 0] = numbers.map(Number);

const store = await openStore({ dir, aggregates: [Account], durability: 'flush', checkpoint: NEVER });
await deposit(store, { from: 0, to: accounts, accounts, each: 1 });
let records = accounts;
const first = [];
const second = [];
// The first round warms up compilers and does not count.
for (let round = 0; round <= rounds; round++) {
  const full = await measured({ full: true });
  await deposit(store, { from: records, to: records + changed, accounts, each: 1 });
  records += changed;
  const changes = await measured({});
  if (full.buildsOn !== undefined) throw new Error('The first checkpoint is not a full one');
  if (changes.buildsOn !== full.position) throw new Error('The second checkpoint does not build on the first');
  if (round === 0) continue;
  first.push(full);
  second.push(changes);
}
await store.close();

const again = await openStore({ dir, aggregates: [Account], checkpoint: NEVER });
await checkBalances(again, accounts, records);
await again.close();
console.log(JSON.stringify({ first, second }));

/** @param {{ full?: boolean }} options */
async function measured(options) {
  // What was appended before is not part of it.
  await store.append([{ stream: 'bench-1', events: [{ type: 'Begun', data: {} }] }], { durability: 'fsync' });
  const { bytes, milliseconds, position, buildsOn } = await store.checkpoint(options);
  return { bytes, milliseconds, position, buildsOn };
}
