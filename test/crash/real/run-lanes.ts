// Runs the lanes one after the other and prints what they did.

import { SEED } from '../../support/seed.js';
import { Tally } from '../lanes/lane.js';
import { lanes } from './lanes/all.js';
import { CannotRun, type RealLane } from './real-lane.js';

const PROCESSES = 2;

/** Runs the lanes whose names contain one of `names`. Resolves to the exit code. */
export async function runLanes(names: readonly string[]): Promise<number> {
  const chosen = lanes.filter(({ name }) => names.length === 0 || names.some((wanted) => name.includes(wanted)));
  if (chosen.length === 0) {
    console.error(`No lane is called ${names.join(' or ')}. There are: ${lanes.map(({ name }) => name).join(', ')}`);
    return 1;
  }
  console.log(`Seed ${SEED}, ${chosen.length} lanes`);
  const begun = performance.now();
  const problems: string[] = [];
  const skipped: string[] = [];
  const total = new Map<string, number>();
  await shareProcesses(chosen, async (lane) => {
    const tally = new Tally();
    const since = performance.now();
    try {
      await lane.run(tally);
      for (const need of lane.needs) if (tally.of(need) === 0) problems.push(`${lane.name}: no ${need}`);
    } catch (error) {
      if (error instanceof CannotRun) {
        skipped.push(`${lane.name}: ${error.message}`);
        console.log(`\n${lane.name}\n  SKIPPED, ${error.message}`);
        return;
      }
      problems.push(`${lane.name}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    console.log(`\n${lane.name}`);
    for (const [what, count] of tally.counts) {
      row(what, count);
      total.set(what, (total.get(what) ?? 0) + count);
    }
    if (tally.of('violations') === 0) row('violations', 0);
    row('seconds', Math.round((performance.now() - since) / 1000));
    for (const violation of tally.violations) problems.push(`${lane.name}: ${violation}`);
  });
  console.log('\nall');
  for (const what of ['kills', 'faults fired', 'power cuts', 'races', 'acknowledged units checked', 'recoveries'])
    row(what, total.get(what) ?? 0);
  row('lanes run', chosen.length - skipped.length);
  row('lanes skipped', skipped.length);
  row('violations', problems.length);
  row('seconds', Math.round((performance.now() - begun) / 1000));
  for (const reason of skipped) console.log(`\nSKIPPED  ${reason}`);
  for (const problem of problems) console.error(`\n${problem}`);
  if (problems.length > 0) console.error(`\nRun it again with --seed ${SEED}`);
  return problems.length === 0 ? 0 : 1;
}

/** Runs lanes in their order, as many at the same time as keep two processes busy. */
async function shareProcesses(queue: readonly RealLane[], run: (lane: RealLane) => Promise<void>): Promise<void> {
  const running = new Map<RealLane, Promise<void>>();
  for (const lane of queue) {
    const busy = (): number => [...running.keys()].reduce((sum, { processes }) => sum + processes, 0);
    while (busy() + lane.processes > PROCESSES) await Promise.race(running.values());
    running.set(
      lane,
      run(lane).finally(() => running.delete(lane)),
    );
  }
  await Promise.all(running.values());
}

function row(what: string, count: number): void {
  console.log(`  ${what.padEnd(48)} ${count.toLocaleString('en').padStart(12)}`);
}
