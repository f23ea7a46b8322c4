// Which paths a Directory takes: relative ones that mean the same place on every file system.

import { PathError } from '../errors/index.js';

/** Drops `.` and doubled `/`. Throws {@link PathError} for a path that could leave the root. `''` is the root. */
export function normalizePath(path: string): string {
  if (typeof path !== 'string') throw new PathError(`A path must be a string, got ${typeof path}`);
  if (path.includes('\0')) throw new PathError('A path must not contain NUL', { path: JSON.stringify(path) });
  if (path.includes('\\')) throw new PathError("Use '/' between names; '\\' is not portable", { path });
  if (path.startsWith('/') || /^[a-zA-Z]:/.test(path))
    throw new PathError('Use a path relative to the directory, not an absolute one', { path });
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw new PathError("A path must not contain '..'", { path });
  return names.join('/');
}

/** `'wal/wal_1.log'` -> `'wal'`; a name alone -> `''`, the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
