// The contenders that execute commands, by name. Imported one at a time: each process loads one store only.

export const BANKS = {
  cairn: async () => (await import('./cairn.mjs')).cairn,
  'better-sqlite3': async () => (await import('./better-sqlite3.mjs')).betterSqlite3,
  'better-sqlite3, in groups': async () => (await import('./better-sqlite3.mjs')).betterSqlite3InGroups,
  emmett: async () => (await import('./emmett.mjs')).emmett,
  'event-storage': async () => (await import('./event-storage.mjs')).eventStorage,
  'event-storage, a stream each': async () => (await import('./event-storage.mjs')).eventStorageByStream,
};
