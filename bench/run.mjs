// Measures cairnlog against other embedded stores, in one run on this machine.
//
//   npm run bench                      everything, with all targets: half an hour; report in docs/benchmarks
//   npm run bench -- --resume          goes on with a run of the same commit that was interrupted
//   npm run bench -- --report          measures nothing: writes the report from what there is
//   npm run bench -- --quick           the same in small sizes: under three minutes; report in bench/results/quick
//   npm run bench -- --only boot,latency
//   npm run bench:wal                  the log against other embedded stores; some minutes
//   npm run bench:store                the aggregate store against other event stores; some minutes more
//
//   --quick      smaller and fewer rounds: a smoke test, not a result
//   --check      exit code 1 if a target is missed, or something could not be measured
//   --only a,b   some scenarios
//   --profile    also a CPU profile of each contender's process, in bench/results

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
    resume: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    // Of a group's own process.
    to: { type: 'string' },
    work: { type: 'string' },
  },
});
const { quick, profile, resume, report } = values;
const only = values.only?.split(',');
const [suite = '', ...more] = positionals;
if (more.length > 0 || !['all', 'group', ...Object.keys(SUITES)].includes(suite)) {
  console.error(
    'Usage: node bench/run.mjs all|wal|store [--quick] [--check] [--only a,b] [--profile] [--resume] [--report]',
  );
  process.exit(2);
}
if (suite === 'group') {
  const { runGroup } = await import('./src/full-run.mjs');
  await runGroup(values.only ?? '', { path: values.to ?? '', work: values.work ?? '', quick, profile });
} else {
  installPeers();
  const reached = await measured();
  if (values.check && !reached) process.exitCode = 1;
}

async function measured() {
  if (suite !== 'all') {
    const { run } = await SUITES[/** @type {keyof typeof SUITES} */ (suite)]();
    return run({ quick, only, profile });
  }
  const { run } = await import('./src/full-run.mjs');
  return run({ quick, only, profile, resume, report });
}
