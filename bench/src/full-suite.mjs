// Everything, in groups, with the targets that the library is held to. `npm run bench`.

import * as boot from './scenarios/boot.mjs';
import * as changesCheckpoint from './scenarios/changes-checkpoint.mjs';
import * as checkpointLatency from './scenarios/checkpoint-latency.mjs';
import * as growthOfLog from './scenarios/growth-log.mjs';
import * as growthOfState from './scenarios/growth-state.mjs';
import * as growthOfSubscribers from './scenarios/growth-subscribers.mjs';
import * as importing from './scenarios/importing.mjs';
import * as latency from './scenarios/latency.mjs';
import * as replayMemory from './scenarios/replay-memory.mjs';
import * as rolling from './scenarios/rolling.mjs';
import { race } from './suite.mjs';

/** @import { Context, Outcome, RaceTarget } from './scenario.js' */

/**
 * @typedef {object} Group
 * @property {string} id Name of its files, too.
 * @property {string} title
 * @property {(context: Context) => Promise<Outcome>} begin
 */

/** @type {readonly Group[]} */
export const GROUPS = [
  ofRace('buffered-append', 'Appending small entries', 6),
  ofRace('event-append', 'Appending domain events', 2.5),
  ofRace('durable-1', 'Durable appends of one caller', { 'better-sqlite3': 1.5, 'bare loop, sync': 0.85 }),
  ofRace('durable-256', 'Durable appends of 256 callers', { lmdb: 1.5 }),
  ofRace('replay', 'Replaying small entries', 4),
  ofRace('event-replay', 'Replaying domain events', 2),
  ofRace('execute-fsync', 'Executing durable commands', { emmett: 40 }),
  ofRace('execute-flush', 'Executing commands', {}),
  {
    id: 'boot',
    title: 'Opening a store with a long history',
    begin: (context) => boot.run(context, { short: 100_000, long: 10_000_000, noSlower: 1.1 }),
  },
  {
    id: 'changes-checkpoint',
    title: 'A checkpoint of what changed',
    begin: (context) => changesCheckpoint.run(context, { accounts: 1_000_000, share: 0.01, atMost: 0.05 }),
  },
  {
    id: 'checkpoint-latency',
    title: 'Commands during a checkpoint',
    begin: (context) => checkpointLatency.run(context, { accounts: 1_000_000, lessThan: 2 }),
  },
  {
    id: 'memory',
    title: 'Memory of a replay',
    begin: (context) => replayMemory.run(context, { mib: 2048, limitMiB: 128 }),
  },
  { id: 'import', title: 'Loading the library', begin: (context) => importing.run(context, { atMost: 2 }) },
  { id: 'latency', title: 'Latency under load', begin: latency.run },
  { id: 'rolling', title: 'Rolling under load', begin: rolling.run },
  { id: 'growth-log', title: 'Growth with the length of the log', begin: growthOfLog.run },
  { id: 'growth-state', title: 'Growth with the number of aggregates', begin: growthOfState.run },
  { id: 'growth-subscribers', title: 'Growth with the number of subscribers', begin: growthOfSubscribers.run },
];

/**
 * @param {string} id File below scenarios/.
 * @param {string} title
 * @param {RaceTarget} target
 * @returns {Group}
 */
function ofRace(id, title, target) {
  return { id, title, begin: async (context) => (await race(id, target)).begin(context) };
}
