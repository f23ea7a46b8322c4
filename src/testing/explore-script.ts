// Runs a script of steps on a simulated disk and cuts the power at every moment of its last step: before every
// operation, inside every write, with everything that a disk may make of what was not synced; and kills the process, so
// that the power goes while the next one recovers. Earlier steps are the last ones of shorter scripts.

import type { Directory } from '../storage/index.js';
import { crashStates } from './crash-states.js';
import type { Tally } from './crash-tally.js';
import { FaultyDirectory, isMutation, type DiskOperation } from './faulty-directory.js';
import type { PowerCut } from './power-cut.js';
import type { SimulatedDisk } from './simulated-disk.js';

/** What follows the script. */
export interface Scripted<S extends string, P> {
  readonly disk: SimulatedDisk;
  /** Called before every operation. */
  watch: (operation: DiskOperation) => void;
  open(): Promise<void>;
  step(step: S): Promise<void>;
  end(): Promise<void>;
  /** What has been promised by now. */
  promised(): P;
}

/** What a crash left, and what had been promised by then. */
export interface Left<P> {
  readonly disk: SimulatedDisk;
  readonly hash: string;
  readonly promises: P;
  readonly where: string;
}

export interface Oracle<P> {
  /** What distinguishes promises: with the same ones a disk is looked at once. */
  keyOf(promises: P): string;
  /** Recovers what a power cut left, holds it to what was promised, goes on from it, and loses power again. */
  check(left: Left<P>): Promise<void>;
  /** Recovers what `crash` left, holds it to what was promised, and closes; nothing else is written. */
  recover(directory: Directory, promises: P, crash: 'power cut' | 'process end', closing: () => void): Promise<void>;
}

export interface Exploration<S extends string, P> {
  readonly name: string;
  readonly script: readonly S[];
  readonly scripted: Scripted<S, P>;
  readonly oracle: Oracle<P>;
  readonly tally: Tally;
  /** An integer from 0 to `below - 1`. */
  readonly random: (below: number) => number;
  /** How much of what a power cut may leave is looked at, see {@link CrashStatesOptions}. */
  readonly states: { readonly everyByteUpTo: number; readonly exhaustiveUpTo: number; readonly draws: number };
  /** One of so many moments is also an end of the process alone. */
  readonly killEvery: number;
  /** Every so many states are cut again while they are recovered. */
  readonly cutRecoveryEvery: number;
  /** Told of the operation before which power is cut or the process killed. */
  readonly onMoment?: (operation: DiskOperation | undefined) => void;
  /** Told of what was lost in a state. */
  readonly onState?: (what: string) => void;
  /** What garbage is, see {@link PowerCut.garbage}. */
  readonly garbage?: (disk: SimulatedDisk) => PowerCut['garbage'];
}

interface Killed<P> {
  readonly disk: SimulatedDisk;
  readonly write: { readonly path: string; readonly offset: number; readonly bytes: Uint8Array } | undefined;
  readonly promises: P;
  readonly where: string;
}

export async function explore<S extends string, P>(exploration: Exploration<S, P>): Promise<void> {
  const { script, scripted, oracle, tally, random } = exploration;
  if (tally.isBroken) return;
  const states: Left<P>[] = [];
  const killed: Killed<P>[] = [];
  const seen = new Set<string>();
  const look = (operation: DiskOperation | undefined): void => {
    if (operation !== undefined && !isMutation(operation)) return;
    const { disk } = scripted;
    const where = `${exploration.name}, before ${operation === undefined ? 'the end' : nameOf(operation)}`;
    exploration.onMoment?.(operation);
    tally.add('moments');
    const write = writeOf(operation);
    const garbage = exploration.garbage?.(disk);
    const promises = scripted.promised();
    const promised = oracle.keyOf(promises);
    for (const { disk: found, hash, what } of crashStates(disk, {
      ...exploration.states,
      ...(write === undefined ? {} : { write }),
      ...(garbage === undefined ? {} : { garbage }),
      random,
    })) {
      tally.images.add(hash);
      exploration.onState?.(what);
      const key = `${hash} ${promised}`;
      if (seen.has(key)) continue;
      seen.add(key);
      states.push({ disk: found, hash, promises, where: `${where}, ${what}` });
    }
    if (tally.of('moments') % exploration.killEvery === 1) killed.push({ disk: disk.copy(), write, promises, where });
  };
  if (script.length === 0) scripted.watch = look;
  await scripted.open();
  for (const [index, step] of script.entries()) {
    if (index === script.length - 1) scripted.watch = look;
    await scripted.step(step);
  }
  look(undefined);
  scripted.watch = () => undefined;
  await scripted.end();
  tally.add('scripts');
  for (const [index, left] of states.entries()) {
    if (tally.isBroken) return;
    if (index % exploration.cutRecoveryEvery === 0)
      await cutRecovery({ ...left, disk: left.disk.copy() }, 'power cut', exploration);
    await checkOne(left, exploration);
  }
  for (const kill of killed) await restart(kill, exploration);
}

async function checkOne<S extends string, P>(left: Left<P>, { tally, oracle }: Exploration<S, P>): Promise<void> {
  tally.add('power cuts');
  await tally.hold(
    () => left.where,
    async () => oracle.check(left),
  );
}

/** Recovers what a crash left, and cuts the power at every moment of that. */
async function cutRecovery<S extends string, P>(
  left: Left<P>,
  crash: 'power cut' | 'process end',
  exploration: Exploration<S, P>,
): Promise<void> {
  const { tally, oracle, random } = exploration;
  const found = new Map<string, Left<P>>();
  await tally.hold(
    () => `${left.where}, recovered`,
    async () => {
      const { disk } = left;
      let recovering = true;
      const directory = new FaultyDirectory(disk, (operation) => {
        if (!recovering || !isMutation(operation)) return undefined;
        tally.mark('crash in a recovery');
        const where = `${left.where}, then before ${nameOf(operation)} in its recovery`;
        for (const { disk: again, hash, what } of crashStates(disk, {
          exhaustiveUpTo: 24,
          draws: 4,
          random,
        }))
          if (!found.has(hash)) found.set(hash, { ...left, disk: again, hash, where: `${where}, ${what}` });
        return undefined;
      });
      await oracle.recover(directory, left.promises, crash, () => {
        recovering = false;
      });
    },
  );
  tally.add('recoveries cut');
  for (const state of found.values()) {
    tally.images.add(state.hash);
    await checkOne(state, exploration);
  }
}

/** Only the process ended, maybe in the middle of a write: the next one finds the page cache. */
async function restart<S extends string, P>(
  { disk, write, promises, where }: Killed<P>,
  exploration: Exploration<S, P>,
): Promise<void> {
  const { tally, random } = exploration;
  tally.add('kills');
  if (write !== undefined && (await disk.stat(write.path)) !== undefined) {
    const file = await disk.open(write.path, 'update');
    await file.write(write.bytes.subarray(0, random(write.bytes.length + 1)), write.offset);
    await file.close();
  }
  const left = { disk, hash: disk.hash(), promises, where: `${where}, killed` };
  // What the next process shows, and what it builds on it, stays when the power goes after that: of what the page cache
  // had nobody knows whether it ever reached the disk.
  const next = { ...left, disk: disk.copy() };
  await cutRecovery(left, 'process end', exploration);
  await checkOne(next, exploration);
}

function writeOf(operation: DiskOperation | undefined): Killed<unknown>['write'] {
  if (operation?.kind !== 'write') return undefined;
  return { path: operation.path, offset: operation.offset!, bytes: operation.data!.slice() };
}

function nameOf({ kind, path }: DiskOperation): string {
  return `${kind} of ${path}`;
}
