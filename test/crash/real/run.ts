// `npm run crash:real`: the part of the proof that needs real file systems, most of it as root. Prints what every lane
// did; ends with an error on any violation, and on a lane that was run and did not do what it is for. What cannot be run
// on this machine is said in as many words, and counted. `npm run crash:real -- NAME` does the lanes of that name,
// `-- --seed N` draws everything from that seed, as CAIRN_SEED does.

import { readArguments } from './arguments.js';

const wanted = readArguments(process.argv.slice(2));
// Before anything draws from it, here and in the processes that are started.
if (wanted.seed !== undefined) process.env['CAIRN_SEED'] = `${wanted.seed}`;
const { runLanes } = await import('./run-lanes.js');
const code = await runLanes(wanted.names);
// Whatever a lane has left running is ended with it.
process.exit(code);
