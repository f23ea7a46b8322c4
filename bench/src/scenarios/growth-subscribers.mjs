// What more subscribers cost: live ones, which are called for each record, and durable ones, which have a cursor in the log.

import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';
import { deposit, NEVER } from '../filling.mjs';
import { FLUSHED, growthOutcome, measureSizes } from '../growth.mjs';
import { appendCost, memoryInUse } from '../growth-work.mjs';

/** @import { Context, Outcome } from '../scenario.js' */
/** @import { EventStore } from '../../../dist/store/index.js' */

const SIZES = [1, 10, 100, 1000];
const ACCOUNTS = 1000;
/** Records that each durable subscription handles in a round. */
const HANDLED = 100;

const contenders = Object.fromEntries(SIZES.map((size) => [String(size), async () => ({ how: { growth: '' }, size })]));

/** @type {EventStore} */
let live;
/** @type {EventStore} */
let durable;
let seen = 0;
let handled = 0;
/** Called when as many as that were handled. */
let awaited = { count: Infinity, done: () => {} };

export default { contenders, uses: 'growth', prepare, round, finish };

async function finish() {
  await live.close();
  await durable.close();
}

/**
 * @param {{ size: number }} of
 * @param {string} dir
 */
async function prepare({ size }, dir) {
  const options = { aggregates: [Account], durability: /** @type {const} */ ('flush'), checkpoint: NEVER };
  live = await openStore({ ...options, dir: `${dir}/live` });
  for (let one = 0; one < size; one++) live.records$.subscribe(() => seen++);
  durable = await openStore({ ...options, dir: `${dir}/durable` });
  const handle = async () => {
    handled++;
    if (handled === awaited.count) awaited.done();
  };
  for (let one = 0; one < size; one++) await durable.subscription(`s-${one}`, { from: 'now', handle });
}

/** @param {{ size: number }} of */
async function round({ size }) {
  const before = { seen, position: live.position };
  const append = await appendCost(live, ACCOUNTS);
  const expected = size * (live.position - before.position);
  if (seen - before.seen !== expected)
    throw new Error(`Wrong result: ${seen - before.seen} records were seen, expected ${expected}`);
  const begun = performance.now();
  const done = new Promise((resolve) => {
    awaited = { count: handled + size * HANDLED, done: () => resolve(undefined) };
  });
  await deposit(durable, { from: 0, to: HANDLED, accounts: ACCOUNTS, each: 1 });
  await done;
  return { append, deliver: performance.now() - begun, memory: memoryInUse() };
}

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function run(context) {
  const rounds = context.quick ? 3 : 7;
  const folderOf = (/** @type {number} */ size) => `${context.work}/subscribers-${size}`;
  const running = await measureSizes(new URL(import.meta.url), SIZES, context, { rounds, folderOf });
  return growthOutcome({
    title: 'Growth with the number of subscribers',
    xLabel: 'subscribers',
    series: [
      {
        metric: {
          id: 'append',
          title: 'an append',
          unit: 'µs',
          theory: 'O(n): each live subscriber is called',
          mayGrow: 1,
          durability: FLUSHED,
        },
        measured: running,
      },
      {
        metric: {
          id: 'deliver',
          title: `${HANDLED} records to durable subscriptions`,
          unit: 'ms',
          theory: 'O(n): each subscription handles each record',
          mayGrow: 1,
          durability: FLUSHED,
        },
        measured: running,
      },
      {
        metric: { id: 'memory', title: 'memory in use', unit: 'MiB', theory: 'O(n)', mayGrow: 1, durability: FLUSHED },
        measured: running,
      },
    ],
    notes: [
      'n live subscribers of records$ on one store, and n durable subscriptions on another one; memory is that of both.',
    ],
  });
}
