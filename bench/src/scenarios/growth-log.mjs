// What a longer log costs: stores of the same aggregates with ever more records behind them.

import * as fs from 'node:fs';
import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';
import { deposit } from '../filling.mjs';
import { FLUSHED, growthOutcome, measureSizes, READS, SYNCED } from '../growth.mjs';
import { appendCost, fullCheckpoint, memoryInUse } from '../growth-work.mjs';
import { bootsOf } from './boot.mjs';

/** @import { Context, Outcome, Size } from '../scenario.js' */
/** @import { EventStore } from '../../../dist/store/index.js' */

const SIZES = { full: [10_000, 100_000, 1_000_000, 10_000_000], quick: [5000, 25_000, 125_000] };
const ACCOUNTS = { full: 10_000, quick: 1000 };
/** Replayed at a boot, however long the log is. */
const AFTER_CHECKPOINT = { full: 10_000, quick: 1000 };
/** No boot replays more than this: it would take minutes. */
const MOST_REPLAYED = 1_000_000;

const contenders = Object.fromEntries(
  [...SIZES.full, ...SIZES.quick].map((size) => [String(size), async () => ({ how: { growth: '' }, size })]),
);

/** @type {EventStore} */
let store;

export default { contenders, uses: 'growth', prepare, round, finish: () => store.close() };

/**
 * @param {{ size: number }} of
 * @param {string} dir
 * @param {Size} how
 */
async function prepare({ size }, dir, { entries: quick }) {
  // So many checkpoints are kept that nothing ever leaves the log.
  const checkpoint = { records: Number.MAX_SAFE_INTEGER, retain: 1000 };
  store = await openStore({ dir, aggregates: [Account], durability: 'flush', checkpoint });
  const accounts = ACCOUNTS[quick === 1 ? 'quick' : 'full'];
  await deposit(store, { from: 0, to: accounts, accounts, each: 1 });
  await deposit(store, { from: accounts, to: size, accounts });
  await store.checkpoint();
}

/**
 * @param {{ size: number }} _of
 * @param {string} _dir
 * @param {Size} how
 */
async function round(_of, _dir, { entries: quick }) {
  const append = await appendCost(store, ACCOUNTS[quick === 1 ? 'quick' : 'full']);
  return { append, checkpoint: await fullCheckpoint(store), memory: memoryInUse() };
}

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function run(context) {
  const which = context.quick ? 'quick' : 'full';
  const rounds = context.quick ? 2 : 5;
  const sizes = SIZES[which];
  const folderOf = (/** @type {number} */ size) => `${context.work}/log-${size}`;
  const running = await measureSizes(new URL(import.meta.url), sizes, context, { rounds, folderOf });
  const stores = sizes.map((size) => ({ size, dir: folderOf(size) }));
  const boots = await bootsOf(stores, ACCOUNTS[which], AFTER_CHECKPOINT[which], rounds);
  const replayed = stores.filter(({ size }) => size <= MOST_REPLAYED);
  for (const { dir } of replayed) fs.rmSync(`${dir}/checkpoints`, { recursive: true });
  const replays = await bootsOf(replayed, ACCOUNTS[which], undefined, context.quick ? 2 : 3);
  const accounts = ACCOUNTS[which].toLocaleString('en-US');
  return growthOutcome({
    title: `Growth with the length of the log, ${accounts} aggregates`,
    xLabel: 'records in the log',
    series: [
      {
        metric: {
          id: 'append',
          title: 'an append',
          unit: 'µs',
          theory: 'O(1): what is behind is never looked at',
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
          theory: 'O(aggregates + records after the checkpoint): O(1) here',
          mayGrow: 0,
          durability: READS,
        },
        measured: boots,
      },
      {
        metric: {
          id: 'checkpoint',
          title: 'a full checkpoint',
          unit: 'ms',
          theory: 'O(aggregates): O(1) here',
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
          theory: 'O(aggregates): O(1) here',
          mayGrow: 0,
          durability: FLUSHED,
        },
        measured: running,
      },
      {
        metric: {
          id: 'boot',
          title: 'boot without any checkpoint',
          unit: 'ms',
          theory: 'O(n): every record is replayed',
          mayGrow: 1,
          durability: READS,
        },
        measured: replays,
      },
    ],
    notes: [
      `Nothing is truncated. ${AFTER_CHECKPOINT[which].toLocaleString('en-US')} records after the checkpoint at each boot. ` +
        `Boots without a checkpoint up to ${MOST_REPLAYED.toLocaleString('en-US')} records.`,
    ],
  });
}
