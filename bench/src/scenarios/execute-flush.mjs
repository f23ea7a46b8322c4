// Commands, each handed to the operating system before its caller goes on; beside a store that only appends.

import { ACCOUNTS, CALLERS } from '../bank.mjs';
import { BANKS } from '../contenders/bank/index.mjs';
import { executeRound } from './execute-round.mjs';

/** @type {import('../scenario.js').Race<import('../bank-contender.js').Bank, keyof typeof BANKS>} */
export default {
  id: 'flush',
  title: `execute, flush, ${CALLERS} callers, ${ACCOUNTS} aggregates`,
  contenders: BANKS,
  uses: 'execute',
  durability: 'handed to the OS before each acknowledgement: survives the process',
  cairn: 'cairn',
  peers: ['event-storage'],
  alsoShown: ['event-storage, a stream each'],
  round: (bank, folder, { milliseconds }) => executeRound(bank, folder, 'flush', milliseconds),
};
