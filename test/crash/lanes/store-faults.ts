// The store with a fault at every single operation of one life, through every kind of its work, one kind of fault after
// the other: what is rejected says so, what was acknowledged or shown survives, and the next process goes on.

import { CairnError } from 'cairnlog';
import { isMutation, loseEverything, type DiskOperation, type Fault } from 'cairnlog/testing';
import { expect } from 'chai';
import { drawnCut } from '../../support/drawn-cut.js';
import { ScriptedStore, type StoreScriptOptions, type StoreStep } from '../../support/scripted-store.js';
import { randomOf, type Random } from '../../support/seed.js';
import { Tally, type Lane } from './lane.js';
import { faultKinds, type FaultKind } from './log-faults.js';
import { StoreOracle } from './store-scripts.js';

const variants: readonly StoreScriptOptions[] = [
  { segmentBytes: 600, durability: 'fsync', retain: 1 },
  { segmentBytes: 1500, durability: 'flush', retain: 2, streams: 40 },
];

const life: readonly StoreStep[] = [
  'small',
  'batch',
  'roll',
  'checkpoint',
  'small',
  'checkpoint',
  'reopen',
  'small',
  'full checkpoint',
  'batch',
  'truncate',
  'roll',
  'full checkpoint',
  'small',
];
const appends = new Set<StoreStep>(['small', 'batch', 'roll', 'reopen']);

export const storeFaults: Lane = {
  name: 'faults of the store',
  needs: ['faults', 'steps rejected', 'lives ended early', 'times reopened'],
  async run({ part, effort }): Promise<Tally> {
    const tally = new Tally();
    let number = 0;
    for (const options of variants)
      for (const kind of faultKinds) {
        // Those that concern the log alone were tried there.
        if (kind.options !== undefined || number++ % part.parts !== part.index) continue;
        const random = randomOf(`store ${options.durability} ${kind.name}`);
        const stride = effort === 'short' ? 23 : 1;
        let more = true;
        for (let at = 1 + (number % stride); more && !tally.isBroken; at += stride)
          await tally.hold(
            () => `${kind.name}, number ${at} (${JSON.stringify(options)})`,
            async () => {
              more = await runWith(options, kind, at, tally, random);
            },
          );
      }
    return tally;
  },
};

/** One life with the fault at the `at`-th operation that it applies to. False once there is no such operation. */
async function runWith(
  options: StoreScriptOptions,
  kind: FaultKind,
  at: number,
  tally: Tally,
  random: Random,
): Promise<boolean> {
  const scripted = new ScriptedStore(options);
  let seen = 0;
  const last: { operation?: DiskOperation } = {};
  let first: DiskOperation | undefined;
  scripted.watch = (operation): Fault | undefined => {
    // Syncs are seen twice, the second time when they are done.
    if (last.operation === operation || !kind.applies(operation)) return undefined;
    last.operation = operation;
    seen++;
    if (seen < at || (seen > at && kind.persistent !== true)) return undefined;
    if (seen > at) return { kind: 'error', errno: 'ENOSPC' };
    first = operation;
    return kind.fault(operation, scripted.disk);
  };
  const rejected = await inTime(live(scripted));
  if (first === undefined) return false;
  tally.add('faults');
  tally.add('steps rejected', rejected.length);
  if (kind.harmless === true) expect(rejected, 'steps rejected').to.deep.equal([]);
  if (rejected.some((step) => appends.has(step as StoreStep))) tally.add('lives ended early');

  const { disk, promises } = scripted;
  const oracle = new StoreOracle(options, tally, random);
  const cuts = [loseEverything, drawnCut(disk, random)];
  for (const way of isMutation(first) ? [0, 1, 2] : [at % 3]) {
    const cut = cuts[way];
    tally.add('times reopened');
    if (cut === undefined) await oracle.recover(disk.afterProcessEnd(), promises, 'process end', () => undefined);
    else {
      const found = disk.afterPowerCut(cut);
      await oracle.check({ disk: found, hash: '', promises, where: '' });
    }
  }
  return true;
}

/** Returns the steps that were rejected. After an append that was, nobody knows what the log has: it was the last. */
async function live(scripted: ScriptedStore): Promise<string[]> {
  const rejected: string[] = [];
  const attempt = async (name: string, run: () => Promise<void>): Promise<boolean> => {
    try {
      await run();
      return true;
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      rejected.push(name);
      return false;
    }
  };
  if (!(await attempt('open', () => scripted.open()))) return rejected;
  for (const step of life) if (!(await attempt(step, () => scripted.step(step))) && appends.has(step)) break;
  await attempt('close', () => scripted.end());
  return rejected;
}

async function inTime<R>(work: Promise<R>): Promise<R> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Nothing happens any more')), 60_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
