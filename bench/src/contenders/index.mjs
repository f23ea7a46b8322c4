// The contenders by name. Imported one at a time: each process loads one store only.

export const CONTENDERS = {
  cairn: async () => (await import('./cairn.mjs')).cairn,
  'cairn, a turn per block': async () => (await import('./cairn.mjs')).cairnTurnPerBlock,
  'cairn, each block awaited': async () => (await import('./cairn.mjs')).cairnAwaitingEachBlock,
  'better-sqlite3': async () => (await import('./better-sqlite3.mjs')).betterSqlite3,
  "better-sqlite3, Cairn's codec": async () => (await import('./better-sqlite3.mjs')).betterSqlite3WithCodec,
  lmdb: async () => (await import('./lmdb.mjs')).lmdb,
  "lmdb, Cairn's codec": async () => (await import('./lmdb.mjs')).lmdbWithCodec,
  'lmdb, 2048 per transaction': async () => (await import('./lmdb.mjs')).lmdbInLargeTransactions,
  'lmdb, as documented': async () => (await import('./lmdb.mjs')).lmdbAsDocumented,
  'classic-level': async () => (await import('./classic-level.mjs')).classicLevel,
  'bare loop, O_DSYNC': async () => (await import('./bare-loop.mjs')).bareLoopSynced,
  'bare loop, async': async () => (await import('./bare-loop.mjs')).bareLoopAsync,
  'bare loop, sync': async () => (await import('./bare-loop.mjs')).bareLoop,
  'bare codec loop': async () => (await import('./bare-codec.mjs')).bareCodec,
};

/** The same for domain events. */
export const EVENT_CONTENDERS = {
  cairn: async () => (await import('./cairn-event-log.mjs')).cairnEventLog,
  'cairn, the store': async () => (await import('./cairn-events.mjs')).cairnOfEvents,
  'cairn, the store, one by one': async () => (await import('./cairn-events.mjs')).cairnOfEventsOneByOne,
  'better-sqlite3': async () => (await import('./better-sqlite3.mjs')).betterSqlite3OfEvents,
  'better-sqlite3, JSON': async () => (await import('./better-sqlite3.mjs')).betterSqlite3OfJson,
  lmdb: async () => (await import('./lmdb.mjs')).lmdbOfEvents,
  'classic-level': async () => (await import('./classic-level.mjs')).classicLevelOfEvents,
  'event-storage': async () => (await import('./event-storage.mjs')).eventStorageOfEvents,
  'bare codec loop': async () => (await import('./bare-codec.mjs')).bareCodecOfEvents,
};
