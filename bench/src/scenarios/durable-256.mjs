// Many callers, each waiting for its own event to be durable: what group commit is for.

import { durableRound } from './durable-round.mjs';

/** @type {import('../scenario.js').Race} */
export default {
  id: 'durable-256',
  title: 'durable append, 256 callers',
  uses: 'durable',
  durability: 'fdatasync per acknowledgement: survives a power cut',
  cairn: 'cairn',
  peers: ['better-sqlite3', 'lmdb'],
  alsoShown: [],
  round: (contender, folder, { milliseconds }) => durableRound(contender, folder, 256, milliseconds),
};
