// The lanes of `npm run crash`, and what they must have come by together.

import type { Lane } from './lane.js';
import { logFaults } from './log-faults.js';
import { logScripts } from './log-scripts.js';
import { storeBytes } from './store-bytes.js';
import { storeFaults } from './store-faults.js';
import { storeModel } from './store-model.js';
import { chainScripts, storeScripts } from './store-scripts.js';

export const lanes: readonly Lane[] = [
  logScripts,
  storeScripts,
  chainScripts,
  logFaults,
  storeFaults,
  storeBytes,
  storeModel,
];

/** Situations that must have been met by one of them. */
export const neededMarks = [
  'crash in a recovery',
  'crash in checkpoint',
  'crash in open or close',
  'crash in removing checkpoints',
  'crash in roll',
  'crash in truncate',
  'entries kept that nobody was promised',
  'entries lost that nobody was promised',
  'fell back to an older checkpoint',
  'hole',
  'poisoned with waiters',
  'recovered from a chain',
  'resurrected unlink',
  'stale frame',
  'torn header',
  'torn payload',
] as const;

/** Different disks that must have been looked at. */
export const NEEDED_IMAGES = 100_000;
