// The lanes of `npm run crash:real`.

import type { RealLane } from '../real-lane.js';
import { errorsOfCalls } from './errors-of-calls.js';
import { killsAtCalls } from './kills-at-calls.js';
import { powerCuts } from './power-cuts.js';
import { randomKills } from './random-kills.js';

export const lanes: readonly RealLane[] = [randomKills, killsAtCalls, errorsOfCalls, ...powerCuts];
