// Emmett with its SQLite store: its own CommandHandler, which reads the stream, folds it, decides and appends. Its
// database is in WAL mode with SQLite's default, synchronous=FULL: a commit is durable.
//
// By default it opens a connection for each read and each append: half as fast with one caller, and of 256 at once nearly
// all fail with errors of SQLite. The fastest honest way we found: one connection for all, and commands one after the
// other. (It lets callers share a connection as they come, but then they share transactions as well: the
// first is answered before the commit, and a failure of one rolls back the others.)

import { CommandHandler } from '@event-driven-io/emmett';
import { getSQLiteEventStore, sqliteConnection } from '@event-driven-io/emmett-sqlite';
import { ACCOUNTS, commandOf, decide, executeFor, reduceBalance } from '../../bank.mjs';

/** @import { Bank } from '../../bank-contender.js' */
/** @import { BankCommand, BankEvent } from '../../bank.mjs' */

/** @type {Bank} */
export const emmett = {
  how: { execute: 'CommandHandler on one connection, commands one after the other, WAL mode, synchronous=FULL' },
  async open(folder, level) {
    const connection = sqliteConnection({ fileName: `${folder}/events.db` });
    await connection.command(`PRAGMA synchronous = ${level === 'fsync' ? 'FULL' : 'OFF'}`);
    const store = getSQLiteEventStore({
      fileName: `${folder}/events.db`,
      connectionOptions: { singleton: true, connection },
    });
    await store.schema.migrate();
    const fold = { evolve, initialState: () => ({ balance: 0, version: 0 }) };
    const handle = CommandHandler(fold);
    /** @type {Promise<unknown>} */
    let last = Promise.resolve();
    /** @param {BankCommand} command */
    const execute = (command) =>
      (last = last.then(() => handle(store, `account-${command.account}`, ({ balance }) => decide(balance, command))));
    return {
      executeFor: (callers, meter) => executeFor(callers, meter, execute),
      async accounts() {
        const accounts = new Map();
        for (let index = 0; index < ACCOUNTS; index++) {
          const { account } = commandOf(index);
          const { state } = await store.aggregateStream(`account-${account}`, fold);
          if (state.version > 0) accounts.set(account, state);
        }
        return accounts;
      },
      close: async () => connection.close(),
    };
  },
};

/**
 * @param {{ balance: number, version: number }} state
 * @param {BankEvent} event
 */
function evolve({ balance, version }, event) {
  return { balance: reduceBalance(balance, event), version: version + 1 };
}
