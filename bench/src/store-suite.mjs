// The aggregate store's benchmark.

import * as boot from './scenarios/boot.mjs';
import * as checkpointLatency from './scenarios/checkpoint-latency.mjs';
import { races, runSuite } from './suite.mjs';

const RACES = ['execute-fsync', 'execute-flush'];

/** @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options */
export async function run(options) {
  return runSuite(
    'store',
    [
      ...(await races(RACES)),
      { id: boot.id, begin: boot.run },
      { id: checkpointLatency.id, begin: checkpointLatency.run },
    ],
    options,
  );
}
