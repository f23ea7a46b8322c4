// Cairn's store on the real file system, with what openStore chooses, checkpoints in the background included. Only at
// fsync the segments are preallocated, as databases do it, so that a sync need not write the file's size as well.

import { openStore } from '../../../../dist/store/index.js';
import { executeFor } from '../../bank.mjs';
import { Account } from './account.mjs';

/** @import { Bank } from '../../bank-contender.js' */

const SEGMENT_BYTES = 10 * 1024 * 1024;

/** @type {Bank} */
export const cairn = {
  how: {
    execute: 'store.execute() on a class with decorated reducers; callers that wait together share a write and a sync',
  },
  async open(folder, level) {
    const store = await openStore({
      dir: folder,
      aggregates: [Account],
      durability: level,
      files: { preallocateBytes: level === 'fsync' ? SEGMENT_BYTES : 0 },
    });
    return {
      executeFor: (callers, meter) =>
        executeFor(callers, meter, ({ account, deposits, amount }) =>
          store.execute(Account, account, (it) => (deposits ? it.deposit(amount) : it.withdraw(amount))),
        ),
      async accounts() {
        const all = await store.at(store.position);
        const accounts = new Map();
        for (const id of all.ids(Account)) {
          const { state, version } = all.load(Account, id);
          accounts.set(id, { balance: state.balance, version });
        }
        return accounts;
      },
      close: () => store.close(),
    };
  },
};
