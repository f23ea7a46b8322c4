// Measures cairnlog against other embedded stores, in one run on this machine.
//
//   npm run bench:wal                  the log against other embedded stores; the whole thing, some minutes
//   npm run bench:store                the aggregate store against other event stores; some minutes more
//   npm run bench:wal -- --quick       smaller and fewer rounds, about a minute: a smoke test, not a result
//   npm run bench:wal -- --check       exit code 1 if a target is missed
//   npm run bench:wal -- --only append,replay
//   npm run bench:wal -- --profile     also a CPU profile of each contender's process, in bench/results

import { parseArgs } from 'node:util';
import { installPeers } from './src/peers.mjs';

const SUITES = { wal: () => import('./src/wal-suite.mjs'), store: () => import('./src/store-suite.mjs') };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});
const suite = SUITES[/** @type {keyof typeof SUITES} */ (positionals[0] ?? '')];
if (suite === undefined || positionals.length !== 1) {
  console.error(
    `Usage: node bench/run.mjs ${Object.keys(SUITES).join('|')} [--quick] [--check] [--only a,b] [--profile]`,
  );
  process.exit(2);
}
installPeers();
const { run } = await suite();
const reached = await run({ quick: values.quick, only: values.only?.split(','), profile: values.profile });
if (values.check && !reached) process.exitCode = 1;
