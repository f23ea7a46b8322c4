// Commands, each on stable storage before its caller goes on: load, decide, append.

import { ACCOUNTS, CALLERS } from '../bank.mjs';
import { BANKS } from '../contenders/bank/index.mjs';
import { executeRound } from './execute-round.mjs';

/** @type {import('../scenario.js').Race<import('../bank-contender.js').Bank, keyof typeof BANKS>} */
export default {
  id: 'fsync',
  title: `execute, fsync, ${CALLERS} callers, ${ACCOUNTS} aggregates`,
  contenders: BANKS,
  uses: 'execute',
  durability: 'fdatasync before each acknowledgement: survives a power cut',
  cairn: 'cairn',
  peers: ['better-sqlite3', 'emmett'],
  alsoShown: ['better-sqlite3, in groups'],
  round: (bank, folder, { milliseconds }) => executeRound(bank, folder, 'fsync', milliseconds),
};
