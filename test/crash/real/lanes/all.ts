// The lanes of `npm run crash:real`.

import type { RealLane } from '../real-lane.js';
import { randomKills } from './random-kills.js';

export const lanes: readonly RealLane[] = [randomKills];
