// `npm run soak -- --minutes N [--seed S]`: a store lives for so long, see soaking.ts. Prints a line of progress every
// few seconds, and ends with an error when a promise or a gate breaks.

import { parseArgs } from 'node:util';
import { SEED } from '../support/seed.js';
import { GATES, soak } from './soaking.js';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 5);
const seed = Number(values.seed ?? SEED);
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error('npm run soak -- --minutes N [--seed S], both numbers');
  process.exit(2);
}
console.log(`Seed ${seed}, ${minutes} minutes`);
try {
  const { counts, most } = await soak({ milliseconds: minutes * 60_000, seed, tell: (line) => console.log(line) });
  console.log('\ndone');
  for (const [what, count] of counts) console.log(`  ${what.padEnd(40)} ${count.toLocaleString('en')}`);
  console.log('\ngates, and the most that was used');
  for (const [gate, limit] of Object.entries(GATES))
    console.log(`  ${gate.padEnd(40)} ${most[gate as keyof typeof GATES].toFixed(0)} of ${limit as number}`);
} catch (error) {
  console.error(`FAILED, with --seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
  process.exitCode = 1;
}
