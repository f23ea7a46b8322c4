// Domain events of six fields in the store's envelope (stream, version, type, time), in blocks of 64, without a sync.

import { EVENT_CONTENDERS } from '../contenders/index.mjs';
import append from './buffered-append.mjs';

/** @type {import('../scenario.js').Race<import('../contender.js').Contender, keyof typeof EVENT_CONTENDERS>} */
export default {
  id: 'event-append',
  title: 'buffered append of domain events, a flush every 64',
  contenders: EVENT_CONTENDERS,
  uses: 'append',
  durability: append.durability,
  cairn: 'cairn',
  peers: ['better-sqlite3', 'lmdb', 'classic-level', 'event-storage'],
  alsoShown: ['cairn, the store', 'cairn, the store, one by one', 'better-sqlite3, JSON', 'bare codec loop'],
  round: (contender, folder, size) => append.round(contender, folder, { ...size, entries: size.entries / 4 }),
};
