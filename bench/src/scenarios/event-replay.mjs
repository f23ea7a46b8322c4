// How fast domain events come back, each decoded to an object and added to a sum. Files are in the page cache.

import { EVENT_CONTENDERS } from '../contenders/index.mjs';
import replay from './replay.mjs';

/** @type {import('../scenario.js').Race<import('../contender.js').Contender, keyof typeof EVENT_CONTENDERS>} */
export default {
  id: 'event-replay',
  title: 'replay of domain events',
  contenders: EVENT_CONTENDERS,
  uses: 'replay',
  durability: replay.durability,
  cairn: 'cairn',
  peers: ['better-sqlite3', 'lmdb', 'classic-level', 'event-storage'],
  alsoShown: ['cairn, the store', 'cairn, the store, one by one', 'better-sqlite3, JSON', 'bare codec loop'],
  prepare: (contender, folder, size) => replay.prepare?.(contender, folder, quarter(size)) ?? Promise.resolve(),
  round: (contender, folder, size) => replay.round(contender, folder, quarter(size)),
};

/** @param {import('../scenario.js').Size} size */
function quarter(size) {
  return { ...size, entries: size.entries / 4 };
}
