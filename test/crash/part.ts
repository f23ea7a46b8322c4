// One part of one lane, in a process of its own. Arguments: name of the lane, index, parts, file for the result.

import * as fs from 'node:fs';
import { lanes } from './lanes/all.js';
import { writeTally } from './lanes/lane.js';

const [name, index, parts, file] = process.argv.slice(2) as [string, string, string, string];
const lane = lanes.find((one) => one.name === name)!;
const tally = await lane.run({ part: { index: Number(index), parts: Number(parts) }, effort: 'full' });
fs.writeFileSync(file, JSON.stringify(writeTally(tally)));
