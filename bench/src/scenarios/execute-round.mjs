// One round of a scenario in which callers execute commands, each acknowledged before its next.

import { CALLERS, checkAccounts } from '../bank.mjs';

/**
 * @param {import('../bank-contender.js').Bank} bank
 * @param {string} folder
 * @param {import('../contender.js').Level} level
 * @param {number} milliseconds
 * @returns {Promise<import('../scenario.js').Round>}
 */
export async function executeRound(bank, folder, level, milliseconds) {
  const open = await bank.open(folder, level);
  const begun = performance.now();
  const operations = await open.executeFor(CALLERS, milliseconds);
  const took = performance.now() - begun;
  await open.close();
  const again = await bank.open(folder, level);
  checkAccounts(await again.accounts(), operations);
  await again.close();
  return { operations, milliseconds: took };
}
