// What runs in the processes of latency: a store under one condition each, and commands that are due at fixed times,
// however long the ones before take. A command's latency counts from the moment when it was due to its acknowledgement,
// so nothing that holds the event loop is forgotten.

import * as fs from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../../dist/store/index.js';
import { Account } from '../contenders/bank/account.mjs';
import { accountId, deposit, NEVER } from '../filling.mjs';
import { quantile } from '../statistics.mjs';

/** @import { EventStore } from '../../../dist/store/index.js' */
/** @import { Size } from '../scenario.js' */

/** Commands a second. */
export const RATE = 2000;
/** Milliseconds between two looks at the clock of the event loop's delay. */
const RESOLUTION = 1;
const STRIDE = 7919;
const SEGMENT_BYTES = 10 * 1024 * 1024;
/** A few times a second full. */
const SMALL_SEGMENT_BYTES = 16 * 1024;
const TRUNCATE_EVERY_MS = 200;
const SUBSCRIBERS = 100;

/**
 * @typedef {object} Condition
 * @property {{ latency: string }} how
 * @property {number} rate
 * @property {number} share Of the aggregates of the others.
 * @property {number} segmentBytes
 * @property {number} [retain] Of checkpoints.
 * @property {(store: EventStore, folder: string) => Beside} beside What goes on beside the commands.
 */

/** @typedef {{ stop: () => Promise<unknown>, count: () => number }} Beside `count`: what it has done; 0 is an error. */

/** @typedef {{ p50: number, p99: number, p999: number, max: number }} Percentiles In milliseconds. */

/** @typedef {{ operations: number, milliseconds: number, latency: Percentiles, loop: Percentiles, count: number }} Measured */

/** @type {(how: string, rest?: Partial<Condition>) => () => Promise<Condition>} */
const condition = (how, rest = {}) => {
  const usual = { rate: RATE, share: 1, segmentBytes: SEGMENT_BYTES, beside: nothing };
  return async () => ({ how: { latency: how }, ...usual, ...rest });
};

const contenders = {
  'no load': condition('an open store that nobody uses: the jitter of the machine itself', { rate: 0 }),
  appending: condition('nothing else'),
  rolling: condition(`WAL segments of ${SMALL_SEGMENT_BYTES / 1024} KiB, so that the log goes on in a new one`, {
    segmentBytes: SMALL_SEGMENT_BYTES,
    beside: rolls,
  }),
  checkpointing: condition('full checkpoints, one after the other', { beside: checkpoints }),
  truncating: condition(
    `a checkpoint of few aggregates each ${TRUNCATE_EVERY_MS} ms, which removes the WAL segments that it covers, of ${SMALL_SEGMENT_BYTES / 1024} KiB`,
    { share: 0.01, segmentBytes: SMALL_SEGMENT_BYTES, retain: 1, beside: truncations },
  ),
  [`${SUBSCRIBERS} subscribers`]: condition(`${SUBSCRIBERS} subscribers of records$, each counts what it gets`, {
    beside: subscribers,
  }),
};

/** @type {EventStore | undefined} */
let store;
/** Of all rounds: which account is next. */
let issued = 0;

/** @type {{ contenders: Record<string, () => Promise<Condition>>, uses: 'latency', prepare: unknown, round: unknown }} */
export default { contenders, uses: 'latency', prepare, round };

/**
 * `entries`: the number of aggregates.
 *
 * @param {Condition} under
 * @param {string} folder
 * @param {Size} size
 */
async function prepare({ segmentBytes, retain = 2, share }, folder, { entries }) {
  store = await openStore({
    dir: folder,
    aggregates: [Account],
    checkpoint: { ...NEVER, retain },
    files: { segmentBytes, preallocateBytes: segmentBytes },
  });
  await deposit(store, { from: 0, to: entries * share, accounts: entries * share, each: 1 });
  await store.checkpoint();
}

/**
 * @param {Condition} under
 * @param {string} folder
 * @param {Size} size
 * @returns {Promise<Measured>}
 */
async function round({ rate, share, beside }, folder, { entries, milliseconds }) {
  if (store === undefined) throw new Error('Not prepared');
  const other = beside(store, folder);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  delay.enable();
  const latencies = await commands(store, rate, milliseconds, entries * share);
  delay.disable();
  await other.stop();
  if (other.count() === 0) throw new Error('What was to go on beside the commands did not happen');
  // What it measures is the time between two looks, at best the resolution.
  const inMs = (/** @type {number} */ nanoseconds) => Math.max(0.01, nanoseconds / 1e6 - RESOLUTION);
  const at = (/** @type {number} */ percent) => inMs(delay.percentile(percent));
  return {
    operations: latencies.length,
    milliseconds,
    latency: percentiles(latencies),
    loop: { p50: at(50), p99: at(99), p999: at(99.9), max: inMs(delay.max) },
    count: other.count(),
  };
}

/**
 * @param {EventStore} on
 * @param {number} rate
 * @param {number} milliseconds
 * @param {number} accounts
 * @returns {Promise<Float64Array>}
 */
async function commands(on, rate, milliseconds, accounts) {
  const total = Math.floor((rate * milliseconds) / 1000);
  if (total === 0) {
    await sleep(milliseconds);
    return new Float64Array(0);
  }
  const latencies = new Float64Array(total);
  const begun = performance.now();
  let sent = 0;
  let answered = 0;
  return new Promise((resolve, reject) => {
    const send = () => {
      const due = Math.min(total, Math.floor(((performance.now() - begun) * rate) / 1000));
      for (; sent < due; sent++) {
        const dueAt = begun + (sent * 1000) / rate;
        on.execute(Account, accountId((issued++ * STRIDE) % accounts), (account) => account.deposit(1)).then(() => {
          latencies[answered++] = performance.now() - dueAt;
          if (answered === total) resolve(latencies.sort());
        }, reject);
      }
      if (sent < total) setTimeout(send, 1);
    };
    send();
  });
}

/**
 * @param {Float64Array} sorted
 * @returns {Percentiles}
 */
function percentiles(sorted) {
  const at = (/** @type {number} */ share) => quantile(/** @type {any} */ (sorted), share);
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/** @returns {Beside} */
function nothing() {
  return { stop: async () => {}, count: () => 1 };
}

/** @param {EventStore} _on @param {string} folder @returns {Beside} */
function rolls(_on, folder) {
  const segments = () => fs.readdirSync(`${folder}/wal`).length;
  const before = segments();
  return { stop: async () => {}, count: () => segments() - before };
}

/** @param {EventStore} on @returns {Beside} */
function checkpoints(on) {
  return again(async () => {
    await on.checkpoint({ full: true });
    return 1;
  });
}

/** @param {EventStore} on @returns {Beside} */
function truncations(on) {
  return again(async () => {
    await sleep(TRUNCATE_EVERY_MS);
    const { truncation } = await on.checkpoint();
    return truncation.removed.length;
  });
}

/** @param {() => Promise<number>} work @returns {Beside} */
function again(work) {
  let count = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) count += await work();
  })();
  return {
    stop: () => {
      stopped = true;
      return done;
    },
    count: () => count,
  };
}

/** @param {EventStore} on @returns {Beside} */
function subscribers(on) {
  let count = 0;
  const before = on.position;
  const all = Array.from({ length: SUBSCRIBERS }, () => on.records$.subscribe(() => count++));
  return {
    stop: async () => {
      const expected = SUBSCRIBERS * (on.position - before);
      if (count !== expected) throw new Error(`Wrong result: ${count} records were seen, expected ${expected}`);
      for (const one of all) one.unsubscribe();
    },
    count: () => count,
  };
}
