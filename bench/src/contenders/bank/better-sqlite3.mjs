// A store written by hand on better-sqlite3, doing the same work: the state of all accounts is kept in memory, as Cairn
// keeps it, so that a command reads nothing from the database; it decides on it, and its event is a row of an
// append-only table, payload as JSON. The table has no index but its key: versions are known from memory. State is
// reduced by a plain function, and no one can watch, ask again by command id, or take a checkpoint.
//
// Each caller must be told only when its command is durable, so each command is a transaction: WAL mode,
// synchronous=FULL. The variant that is shown beside it gathers the commands of all callers who wait into one
// transaction, and tells them together: group commit, as Cairn does it, though it holds the event loop during the sync.

import Database from 'better-sqlite3';
import { decide, executeFor, reduceBalance } from '../../bank.mjs';

/** @import { Bank } from '../../bank-contender.js' */
/** @import { BankCommand, BankEvent } from '../../bank.mjs' */

/** @type {Bank} */
export const betterSqlite3 = contender(false);

/** @type {Bank} */
export const betterSqlite3InGroups = contender(true);

/**
 * @param {boolean} inGroups
 * @returns {Bank}
 */
function contender(inGroups) {
  const commands = inGroups ? 'all waiting commands in one transaction' : 'one transaction per command';
  return {
    how: { execute: `state in memory, JSON, WAL mode, synchronous=FULL (OFF where nothing is synced), ${commands}` },
    async open(folder, level) {
      const database = new Database(`${folder}/events.db`);
      database.pragma('journal_mode = WAL');
      database.pragma(`synchronous = ${level === 'fsync' ? 'FULL' : 'OFF'}`);
      database.exec(
        'CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, account TEXT NOT NULL, ' +
          'version INTEGER NOT NULL, type TEXT NOT NULL, recorded_at INTEGER NOT NULL, data TEXT NOT NULL)',
      );
      const accounts = replay(database);
      const insert = database.prepare(
        'INSERT INTO events (account, version, type, recorded_at, data) VALUES (?, ?, ?, ?, ?)',
      );

      /** @param {BankCommand} command */
      const execute = (command) => {
        const { account } = command;
        const { balance, version } = accounts.get(account) ?? NONE;
        const event = decide(balance, command);
        // A row that cannot be inserted throws, and the state stays.
        insert.run(account, version + 1, event.type, Date.now(), JSON.stringify(event.data));
        accounts.set(account, { balance: reduceBalance(balance, event), version: version + 1 });
      };
      return {
        executeFor: (callers, meter) =>
          executeFor(
            callers,
            meter,
            inGroups ? grouped(database.transaction(eachOf(execute))) : async (command) => execute(command),
          ),
        accounts: async () => accounts,
        close: async () => void database.close(),
      };
    },
  };
}

const NONE = { balance: 0, version: 0 };

/** @param {import('better-sqlite3').Database} database */
function replay(database) {
  /** @type {Map<string, { balance: number, version: number }>} */
  const accounts = new Map();
  const rows = database.prepare('SELECT account, type, data FROM events ORDER BY position').iterate();
  for (const row of /** @type {Iterable<{ account: string, type: BankEvent['type'], data: string }>} */ (rows)) {
    const { balance, version } = accounts.get(row.account) ?? NONE;
    const event = { type: row.type, data: JSON.parse(row.data) };
    accounts.set(row.account, { balance: reduceBalance(balance, event), version: version + 1 });
  }
  return accounts;
}

/** @param {(command: BankCommand) => void} execute */
function eachOf(execute) {
  return (/** @type {readonly BankCommand[]} */ commands) => {
    for (const command of commands) execute(command);
  };
}

/** @param {(commands: readonly BankCommand[]) => void} executeAll */
function grouped(executeAll) {
  /** @type {BankCommand[]} */
  let waiting = [];
  /** @type {Promise<void> | undefined} */
  let turn;
  const takeTurn = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    const commands = waiting;
    waiting = [];
    turn = undefined;
    executeAll(commands);
  };
  return (/** @type {BankCommand} */ command) => {
    waiting.push(command);
    return (turn ??= takeTurn());
  };
}
