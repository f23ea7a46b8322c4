// The write-ahead log's benchmark.

import * as replayMemory from './scenarios/replay-memory.mjs';
import { races, runSuite } from './suite.mjs';

const RACES = ['buffered-append', 'replay', 'event-append', 'event-replay', 'durable-256', 'durable-1'];

/** @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options */
export async function run(options) {
  return runSuite('wal', [...(await races(RACES)), { id: replayMemory.id, begin: replayMemory.run }], options);
}
