// How fast entries get from the program into the operating system, in blocks of 64, without a sync.

import { BLOCK, checkStored } from '../workload.mjs';

/** @type {import('../scenario.js').Race} */
export default {
  id: 'append',
  title: `buffered append of AddSegment, a flush every ${BLOCK}`,
  uses: 'append',
  durability: 'handed to the OS: survives the process',
  cairn: 'cairn',
  peers: ['better-sqlite3', 'lmdb', 'classic-level'],
  alsoShown: [
    'cairn, a turn per block',
    'cairn, each block awaited',
    "better-sqlite3, Cairn's codec",
    "lmdb, Cairn's codec",
    'lmdb, 2048 per transaction',
    'lmdb, as documented',
    'bare codec loop',
  ],
  async round(contender, folder, { entries }) {
    const store = await contender.open(folder, 'flush');
    const begun = performance.now();
    const { mostBehind } = await store.append(entries);
    const milliseconds = performance.now() - begun;
    await store.close();
    await checkStored(contender, folder, entries);
    return { operations: entries, milliseconds, mostBehind };
  },
};
