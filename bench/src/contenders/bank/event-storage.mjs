// event-storage, its bare commit: nothing is read, decided or reduced, each command's event is committed as it is. A
// commit calls back when its partition was handed to the operating system; the index follows within 100 ms.
//
// The fastest way we found is all events in one stream, with a large write buffer. With a stream for each account, which
// is what an aggregate needs, each commit compares its event with the matchers of all streams; in one file for all, that
// is shown beside it, and a file for each stream, its default, is slower still.

import EventStore from 'event-storage';
import { decide, executeFor, reduceBalance } from '../../bank.mjs';

/** @import { Bank } from '../../bank-contender.js' */
/** @import { BankCommand, BankEvent } from '../../bank.mjs' */

const WRITE_BUFFER_BYTES = 1024 * 1024;

/** @type {Bank} */
export const eventStorage = contender(() => 'accounts', 'all in one stream');

/** @type {Bank} */
export const eventStorageByStream = contender((account) => `account-${account}`, 'a stream per account in one file');

/**
 * @param {(account: string) => string} streamOf
 * @param {string} streams
 * @returns {Bank}
 */
function contender(streamOf, streams) {
  return {
    how: { execute: `commit() without state or reducer, ${streams}, a write buffer of 1 MiB` },
    async open(folder, level) {
      const store = /** @type {EventStore<BankEvent & { account: string }>} */ (
        new EventStore('events', {
          storageDirectory: folder,
          storageConfig: {
            partitioner: () => '',
            writeBufferSize: WRITE_BUFFER_BYTES,
            syncOnFlush: level === 'fsync',
          },
        })
      );
      await new Promise((resolve) => store.once('ready', () => resolve(undefined)));
      /** @param {BankCommand} command */
      const execute = (command) => {
        const { account } = command;
        // There is no state to decide on: what is given is always covered.
        const { type, data } = decide(Infinity, command);
        return new Promise((resolve) => store.commit(streamOf(account), [{ type, data, account }], resolve));
      };
      return {
        executeFor: (callers, meter) => executeFor(callers, meter, execute),
        async accounts() {
          const accounts = new Map();
          const events = store.getAllEvents();
          if (events === false) return accounts;
          for (const { account, ...event } of events) {
            const { balance, version } = accounts.get(account) ?? { balance: 0, version: 0 };
            accounts.set(account, { balance: reduceBalance(balance, event), version: version + 1 });
          }
          return accounts;
        },
        close: async () => store.close(),
      };
    },
  };
}
