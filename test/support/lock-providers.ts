// The ways of locking that can be tried on this platform.

import { abstractSocketProvider, defaultLockProvider, flockProvider, type LockProvider } from 'cairnlog/storage';

export const lockProviders = {
  'the default': defaultLockProvider,
  flock: () => flockProvider,
  'the abstract socket': () => abstractSocketProvider,
} as const satisfies Record<string, () => LockProvider>;

export type ProviderName = keyof typeof lockProviders;

/** Those that this platform has. The default on Linux is flock: it is tried once, under that name. */
export const providersHere: readonly ProviderName[] =
  process.platform === 'linux' ? ['flock', 'the abstract socket'] : ['the default'];
