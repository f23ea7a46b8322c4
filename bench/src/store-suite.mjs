// The aggregate store's benchmark.

import { races, runSuite } from './suite.mjs';

const RACES = ['execute-fsync', 'execute-flush'];

/** @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options */
export async function run(options) {
  return runSuite('store', await races(RACES), options);
}
