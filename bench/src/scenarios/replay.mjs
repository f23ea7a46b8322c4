// How fast the entries come back, each decoded to an object. The store is open and its files are in the page cache.

import { checkTally } from '../workload.mjs';

/** @type {import('../scenario.js').Race} */
export default {
  id: 'replay',
  title: 'replay of AddSegment',
  uses: 'replay',
  durability: 'reads only',
  cairn: 'cairn',
  peers: ['better-sqlite3', 'lmdb', 'classic-level'],
  alsoShown: ["better-sqlite3, Cairn's codec", "lmdb, Cairn's codec", 'lmdb, as documented', 'bare codec loop'],
  async prepare(contender, folder, { entries }) {
    const store = await contender.open(folder, 'flush');
    await store.append(entries);
    await store.close();
  },
  async round(contender, folder, { entries }) {
    const store = await contender.open(folder, 'flush');
    const begun = performance.now();
    const tally = await store.replay();
    const milliseconds = performance.now() - begun;
    await store.close();
    checkTally(tally, entries);
    return { operations: entries, milliseconds };
  },
};
