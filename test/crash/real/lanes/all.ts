// The lanes of `npm run crash:real`.

import type { RealLane } from '../real-lane.js';
import { errorsOfCalls } from './errors-of-calls.js';
import { failingDisks } from './failing-disk.js';
import { fileSizeLimit } from './file-size-limit.js';
import { fullDisk } from './full-disk.js';
import { killsAtCalls } from './kills-at-calls.js';
import { littleMemory } from './little-memory.js';
import { lockRaces } from './lock-races.js';
import { powerCuts } from './power-cuts.js';
import { randomKills } from './random-kills.js';
import { readOnly } from './read-only.js';

export const lanes: readonly RealLane[] = [
  randomKills,
  killsAtCalls,
  errorsOfCalls,
  ...powerCuts,
  fullDisk,
  fileSizeLimit,
  readOnly,
  ...failingDisks,
  lockRaces,
  littleMemory,
];
