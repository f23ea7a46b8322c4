// One round of a scenario in which every event is on stable storage before its caller goes on.

import { checkStored } from '../workload.mjs';

/**
 * @param {import('../contender.js').Contender} contender
 * @param {string} folder
 * @param {number} callers
 * @param {number} milliseconds
 * @returns {Promise<import('../scenario.js').Round>}
 */
export async function durableRound(contender, folder, callers, milliseconds) {
  const store = await contender.open(folder, 'fsync');
  if (store.appendDurably === undefined) throw new Error('This contender has no durable append');
  const begun = performance.now();
  const operations = await store.appendDurably(callers, milliseconds);
  const took = performance.now() - begun;
  await store.close();
  await checkStored(contender, folder, operations);
  return { operations, milliseconds: took };
}
