// One round of a scenario in which every event is on stable storage before its caller goes on.

import { Meter } from '../meter.mjs';
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
  const meter = new Meter(milliseconds);
  await store.appendDurably(callers, meter);
  const round = meter.stop();
  await store.close();
  await checkStored(contender, folder, meter.count);
  return round;
}
