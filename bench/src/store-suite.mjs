// The aggregate store's benchmark.

import * as boot from './scenarios/boot.mjs';
import * as checkpointLatency from './scenarios/checkpoint-latency.mjs';
import { race, runSuite } from './suite.mjs';

/** @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options */
export async function run(options) {
  return runSuite(
    'store',
    [
      await race('execute-fsync', { emmett: 20, 'better-sqlite3': 10 }),
      await race('execute-flush', { 'event-storage': 1.5 }),
      {
        id: boot.id,
        begin: (context) =>
          boot.run(context, { short: 1_000_000, long: 10_000_000, fasterThanReplay: 10, noSlower: 1.1 }),
      },
      {
        id: checkpointLatency.id,
        begin: (context) => checkpointLatency.run(context, { accounts: 200_000, lessThan: 3 }),
      },
    ],
    options,
  );
}
