// The process that gets killed: moves money to and fro, and says so once it is on stable storage.

import { openStore } from 'cairnlog';
import { Account } from './account.js';
import { transferSurely } from './transfer.js';

const [dir] = process.argv.slice(2);
const store = await openStore({ dir: dir!, aggregates: [Account], checkpoint: { records: 20 } });
for (let number = 1; ; number++) {
  const [from, to] = number % 2 === 0 ? ['ada', 'bob'] : ['bob', 'ada'];
  const { lastPosition } = await transferSurely(store, from!, to!, number);
  console.log(lastPosition);
}
