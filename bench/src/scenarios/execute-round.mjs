// One round of a scenario in which callers execute commands, each acknowledged before its next.

import { CALLERS, checkAccounts } from '../bank.mjs';
import { Meter } from '../meter.mjs';

/**
 * @param {import('../bank-contender.js').Bank} bank
 * @param {string} folder
 * @param {import('../contender.js').Level} level
 * @param {number} milliseconds
 * @returns {Promise<import('../scenario.js').Round>}
 */
export async function executeRound(bank, folder, level, milliseconds) {
  const open = await bank.open(folder, level);
  const meter = new Meter(milliseconds);
  await open.executeFor(CALLERS, meter);
  const round = meter.stop();
  await open.close();
  const again = await bank.open(folder, level);
  checkAccounts(await again.accounts(), meter.count);
  await again.close();
  return round;
}
