// What is appended: the same million small entries for everybody.

/** Entries per transaction, batch or write request. */
export const BLOCK = 64;

/**
 * Entries that a contender with asynchronous writes may have under way at most: 32 blocks, about as many as are encoded
 * in the time that a write takes to be handed to another thread and answered. Synchronous ones have one block.
 */
export const WINDOW = 32 * BLOCK;

/**
 * @param {number} index
 * @returns {{ type: 'AddSegment', segmentId: number, docCount: number }}
 */
export function entryOf(index) {
  return { type: 'AddSegment', segmentId: index + 1, docCount: index % 1000 };
}

/**
 * Opens a store again and throws unless exactly `count` entries are in it.
 *
 * @param {import('./contender.js').Contender} contender
 * @param {string} folder
 * @param {number} count
 */
export async function checkStored(contender, folder, count) {
  const store = await contender.open(folder, 'flush');
  checkTally(await store.replay(), count);
  await store.close();
}

/**
 * Throws unless a replay gave back exactly `count` entries.
 *
 * @param {import('./contender.js').Tally} tally
 * @param {number} count
 */
export function checkTally(tally, count) {
  const thousands = Math.floor(count / 1000);
  const rest = count % 1000;
  const sum = thousands * 499_500 + (rest * (rest - 1)) / 2;
  if (tally.count !== count || tally.sum !== sum)
    throw new Error(`Wrong result: ${tally.count} entries with sum ${tally.sum}, expected ${count} with ${sum}`);
}
