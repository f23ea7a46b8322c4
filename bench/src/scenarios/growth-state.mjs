// What more aggregates cost.

import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';
import { deposit, NEVER } from '../filling.mjs';
import { FLUSHED, growthOutcome, measureSizes, READS, SYNCED } from '../growth.mjs';
import { appendCost, checkpointOfChanges, fullCheckpoint, memoryInUse } from '../growth-work.mjs';
import { bootsOf } from './boot.mjs';

/** @import { Context, Outcome } from '../scenario.js' */
/** @import { EventStore } from '../../../dist/store/index.js' */

const SIZES = { full: [1000, 10_000, 100_000, 1_000_000], quick: [1000, 5000, 25_000] };
const CHANGED = 100;
const AFTER_CHECKPOINT = 1000;

const contenders = Object.fromEntries(
  [...SIZES.full, ...SIZES.quick].map((size) => [String(size), async () => ({ how: { growth: '' }, size })]),
);

/** @type {EventStore} */
let store;

export default { contenders, uses: 'growth', prepare, round, finish: () => store.close() };

/**
 * @param {{ size: number }} of
 * @param {string} dir
 */
async function prepare({ size }, dir) {
  // Otherwise small stores would write every checkpoint in full.
  const checkpoint = { ...NEVER, changesAboveBytes: 1 };
  store = await openStore({ dir, aggregates: [Account], durability: 'flush', checkpoint });
  await deposit(store, { from: 0, to: size, accounts: size, each: 1 });
}

/** @param {{ size: number }} of */
async function round({ size }) {
  const checkpoint = await fullCheckpoint(store);
  const changes = await checkpointOfChanges(store, size, CHANGED);
  return { append: await appendCost(store, size), checkpoint, changes, memory: memoryInUse() };
}

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function run(context) {
  const rounds = context.quick ? 2 : 5;
  const sizes = context.quick ? SIZES.quick : SIZES.full;
  const folderOf = (/** @type {number} */ size) => `${context.work}/state-${size}`;
  const running = await measureSizes(new URL(import.meta.url), sizes, context, { rounds, folderOf });
  const boots = await bootsOf(
    sizes.map((size) => ({ size, dir: folderOf(size) })),
    undefined,
    AFTER_CHECKPOINT,
    rounds,
  );
  return growthOutcome({
    title: 'Growth with the number of aggregates',
    xLabel: 'aggregates',
    series: [
      {
        metric: {
          id: 'append',
          title: 'an append',
          unit: 'µs',
          theory: 'O(1): one aggregate is looked up',
          mayGrow: 0,
          durability: FLUSHED,
        },
        measured: running,
      },
      {
        metric: {
          id: 'boot',
          title: 'boot from a checkpoint',
          unit: 'ms',
          theory: 'O(n): every state is read',
          mayGrow: 1,
          durability: READS,
        },
        measured: boots,
      },
      {
        metric: {
          id: 'checkpoint',
          title: 'a full checkpoint',
          unit: 'ms',
          theory: 'O(n): every state is written',
          mayGrow: 1,
          durability: SYNCED,
        },
        measured: running,
      },
      {
        metric: {
          id: 'changes',
          title: `a checkpoint of ${CHANGED} changed aggregates`,
          unit: 'ms',
          theory: 'O(changed): O(1) here',
          mayGrow: 0,
          durability: SYNCED,
        },
        measured: running,
      },
      {
        metric: {
          id: 'memory',
          title: 'memory in use',
          unit: 'MiB',
          theory: 'O(n): all states are in memory',
          mayGrow: 1,
          durability: FLUSHED,
        },
        measured: running,
      },
    ],
    notes: [`${AFTER_CHECKPOINT.toLocaleString('en-US')} records after the checkpoint at each boot.`],
  });
}
