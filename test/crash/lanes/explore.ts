// Runs a script of steps on a simulated disk and cuts the power at every moment of its last step: before every
// operation, inside every write, with everything that a disk may make of what was not synced; and kills the process, so
// that the power goes while the next one recovers. Earlier steps are the last ones of shorter scripts.

import { crashStates, FaultyDirectory, isMutation, type DiskOperation, type SimulatedDisk } from 'cairnlog/testing';
import type { Directory } from 'cairnlog';
import type { Random } from '../../support/seed.js';
import type { LaneOptions, Tally } from './lane.js';

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
  readonly random: Random;
  readonly effort: LaneOptions['effort'];
  /** One of so many moments is also an end of the process alone. */
  readonly killEvery: number;
  /** Every so many states are cut again while they are recovered. */
  readonly cutRecoveryEvery: number;
}

interface Killed<P> {
  readonly disk: SimulatedDisk;
  readonly write: { readonly path: string; readonly offset: number; readonly bytes: Uint8Array } | undefined;
  readonly promises: P;
  readonly where: string;
}

export async function explore<S extends string, P>(exploration: Exploration<S, P>): Promise<void> {
  const { script, scripted, oracle, tally, random, effort } = exploration;
  if (tally.isBroken) return;
  const states: Left<P>[] = [];
  const killed: Killed<P>[] = [];
  const seen = new Set<string>();
  const last = script.at(-1) ?? 'open';
  const look = (operation: DiskOperation | undefined): void => {
    if (operation !== undefined && !isMutation(operation)) return;
    const { disk } = scripted;
    const where = `${exploration.name}, before ${operation === undefined ? 'the end' : nameOf(operation)}`;
    markPart(operation, last, tally);
    tally.add('moments');
    const write = writeOf(operation);
    const promises = scripted.promised();
    const promised = oracle.keyOf(promises);
    for (const { disk: found, hash, what } of crashStates(disk, {
      ...(write === undefined ? {} : { write, everyByteUpTo: effort === 'short' ? 24 : 256 }),
      exhaustiveUpTo: effort === 'short' ? 24 : 48,
      draws: effort === 'short' ? 4 : 8,
      random: random.integer,
      garbage: (path, offset) => staleBytes(disk, path, offset),
    })) {
      tally.images.add(hash);
      if (/unlink of wal\S* false/.test(what)) tally.mark('resurrected unlink');
      if (/page [1-9] of wal\/wal_([2-9]|\d\d)\.log: garbage/.test(what)) tally.mark('stale frame');
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
  tally.add('checks');
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
          random: random.integer,
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
    await file.write(write.bytes.subarray(0, random.integer(write.bytes.length + 1)), write.offset);
    await file.close();
  }
  await cutRecovery({ disk, hash: disk.hash(), promises, where: `${where}, killed` }, 'process end', exploration);
}

/**
 * What a page that was never written may show: here, frames that lie at the same place of the segment before. Not its
 * header: a segment that begins with another one's is refused as misplaced, which nothing can tell from a stale block.
 */
function staleBytes(disk: SimulatedDisk, path: string, offset: number): Uint8Array | undefined {
  const segment = Number(/^wal\/wal_(\d+)\.log$/.exec(path)?.[1] ?? 0);
  return segment < 2 || offset === 0 ? undefined : disk.peek(`wal/wal_${segment - 1}.log`)?.subarray(offset);
}

function writeOf(operation: DiskOperation | undefined): Killed<unknown>['write'] {
  if (operation?.kind !== 'write') return undefined;
  return { path: operation.path, offset: operation.offset!, bytes: operation.data!.slice() };
}

function nameOf({ kind, path }: DiskOperation): string {
  return `${kind} of ${path}`;
}

/** Which part of its work an operation interrupts. */
function markPart(operation: DiskOperation | undefined, step: string, tally: Tally): void {
  if (operation === undefined) return;
  const segment = /^wal\/wal_(\d+)\.log$/.exec(operation.path)?.[1];
  if (operation.kind === 'remove' && segment !== undefined) tally.mark('crash in truncate');
  if (operation.path.startsWith('checkpoints')) tally.mark('crash in checkpoint');
  const makes = operation.kind === 'create' || (operation.kind === 'write' && operation.offset === 0);
  if (segment !== undefined && segment !== '1' && makes) tally.mark('crash in roll');
  if (step === 'open' || step === 'reopen') tally.mark('crash in open or close');
}
