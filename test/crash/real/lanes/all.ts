// The lanes of `npm run crash:real`.

import type { RealLane } from '../real-lane.js';
import { errorsOfCalls } from './errors-of-calls.js';
import { failingDisk } from './failing-disk.js';
import { fileSizeLimit } from './file-size-limit.js';
import { fullDisk } from './full-disk.js';
import { killsAtCalls } from './kills-at-calls.js';
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
  failingDisk,
  lockRaces,
];
