// The lanes of `npm run crash`, and what they must have come by together.

import type { Lane, Tally } from './lane.js';
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
const NEEDED_MARKS = [
  'crash in a recovery',
  'crash in checkpoint',
  'crash in open or close',
  'crash in removing checkpoints',
  'crash in roll',
  'crash in truncate',
  'crash in using a segment again',
  'entries kept that nobody was promised',
  'entries lost that nobody was promised',
  'fault while appending',
  'fault while closing',
  'fault while opening',
  'fault while rolling',
  'fault while taking a checkpoint',
  'fault while truncating',
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
const NEEDED_IMAGES = 100_000;

/** What was found, and what a lane is for and did not do. */
export function problemsOf({ name, needs }: Lane, tally: Tally): string[] {
  return [
    ...tally.violations.map((violation) => `${name}: ${violation}`),
    ...needs.filter((need) => tally.of(need) === 0).map((need) => `${name}: no ${need}`),
  ];
}

/** What all lanes together did not come by. */
export function neverMet(marks: ReadonlyMap<string, number>, disks: number): string[] {
  const problems = NEEDED_MARKS.filter((mark) => !marks.has(mark)).map((mark) => `never met: ${mark}`);
  if (disks < NEEDED_IMAGES) problems.push(`${disks} different disks, ${NEEDED_IMAGES} are needed`);
  return problems;
}
