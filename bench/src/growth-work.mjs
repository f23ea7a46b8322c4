// What the processes of the growth scenarios do to a store, and its cost.

import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import { accountId, deposit } from './filling.mjs';

/** @import { EventStore } from '../../dist/store/index.js' */

const APPENDS = 500;
const AT_ONCE = 100;
const SLICES = 4;

/**
 * Microseconds per append of one event to an account, each with the operating system before it is acknowledged, a
 * hundred at once: the middle one of a few short stretches.
 *
 * @param {EventStore} store
 * @param {number} accounts
 */
export async function appendCost(store, accounts) {
  const slices = [];
  for (let slice = 0; slice < SLICES; slice++) {
    const begun = performance.now();
    for (let sent = 0; sent < APPENDS; sent += AT_ONCE)
      await Promise.all(
        Array.from({ length: AT_ONCE }, (_, index) => {
          const stream = `account-${accountId(((slice * APPENDS + sent + index) * 7919) % accounts)}`;
          return store.append([{ stream, events: [{ type: 'MoneyDeposited', data: { amount: 1 } }] }], {
            durability: 'flush',
          });
        }),
      );
    slices.push((1000 * (performance.now() - begun)) / APPENDS);
  }
  return slices.sort((a, b) => a - b)[SLICES >> 1];
}

/** Milliseconds of a full checkpoint. @param {EventStore} store */
export async function fullCheckpoint(store) {
  const { milliseconds, buildsOn } = await store.checkpoint({ full: true });
  if (buildsOn !== undefined) throw new Error('Not a full checkpoint');
  return milliseconds;
}

/**
 * Milliseconds of the checkpoint after so many aggregates have changed since the one before.
 *
 * @param {EventStore} store
 * @param {number} accounts
 * @param {number} changed
 */
export async function checkpointOfChanges(store, accounts, changed) {
  await deposit(store, { from: 0, to: changed, accounts, each: 1 });
  await store.append([{ stream: 'bench-1', events: [{ type: 'Begun', data: {} }] }], { durability: 'fsync' });
  const { milliseconds, buildsOn } = await store.checkpoint();
  if (buildsOn === undefined) throw new Error('Not a checkpoint of changes');
  return milliseconds;
}

/** @type {(() => void) | undefined} */
let collect;

/** MiB that the process holds on to, on the heap and outside of it, after a collection of garbage. */
export function memoryInUse() {
  if (collect === undefined) {
    v8.setFlagsFromString('--expose-gc');
    collect = /** @type {() => void} */ (vm.runInNewContext('gc'));
  }
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 ** 2;
}
