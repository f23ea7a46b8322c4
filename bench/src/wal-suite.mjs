// The write-ahead log's benchmark.

import * as replayMemory from './scenarios/replay-memory.mjs';
import { race, runSuite } from './suite.mjs';

/** @param {{ quick: boolean, only: string[] | undefined, profile: boolean }} options */
export async function run(options) {
  return runSuite(
    'wal',
    [
      await race('buffered-append', 4),
      await race('replay', 2.5),
      await race('durable-256', { 'better-sqlite3': 60 }),
      await race('durable-1', { 'better-sqlite3': 1 }),
      { id: replayMemory.id, begin: (context) => replayMemory.run(context, { mib: 1024, limitMiB: 128 }) },
    ],
    options,
  );
}
