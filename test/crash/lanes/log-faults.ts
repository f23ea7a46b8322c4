// The log with a fault at every single operation of a workload of two lives, one kind of fault after the other, until it
// no longer comes: what is rejected says so, what is acknowledged survives, and the next process goes on.

import { isMutation, loseEverything, type DiskOperation, type Fault, type SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import { drawnCut } from '../../support/drawn-cut.js';
import { recoverLedger } from '../../support/ledger.js';
import { randomOf } from '../../support/seed.js';
import { expectKept, survive, Workload, type Promises, type WorkloadOptions } from '../../support/workload.js';
import { Tally, type Lane } from './lane.js';

export const workloadOptions: WorkloadOptions = { segmentBytes: 400, preallocateBytes: 0, entryBytes: 60 };
const preallocated: WorkloadOptions = { ...workloadOptions, preallocateBytes: 512 };

export interface FaultKind {
  readonly name: string;
  readonly options?: WorkloadOptions;
  /** Operations that can fail so. */
  applies(operation: DiskOperation): boolean;
  fault(operation: DiskOperation, disk: SimulatedDisk): Fault | undefined;
  /** All later ones fail as well, until the process ends. */
  readonly persistent?: boolean;
  /** Not a failure: nothing may be rejected because of it. */
  readonly harmless?: boolean;
}

const error = (errno: string) => (): Fault => ({ kind: 'error', errno });
const writes = ({ kind, bytes = 0 }: DiskOperation): boolean => kind === 'write' && bytes > 1;
const reads = ({ kind, bytes = 0 }: DiskOperation): boolean => kind === 'read' && bytes > 1;

export const faultKinds: readonly FaultKind[] = [
  { name: 'EIO at any operation', applies: () => true, fault: error('EIO') },
  {
    name: 'EIO at any operation of a preallocated log',
    options: preallocated,
    applies: isMutation,
    fault: error('EIO'),
  },
  {
    name: 'ENOSPC where something is made longer',
    applies: ({ kind }) => ['create', 'write', 'makeDirectory', 'rename'].includes(kind),
    fault: error('ENOSPC'),
    persistent: true,
  },
  {
    name: 'EMFILE where something is opened',
    applies: ({ kind }) => ['open', 'create', 'list', 'syncDirectory', 'lock'].includes(kind),
    fault: error('EMFILE'),
  },
  { name: 'EROFS from then on', applies: isMutation, fault: error('EROFS'), persistent: true },
  { name: 'a write of one byte', applies: writes, fault: () => ({ kind: 'short', bytes: 1 }), harmless: true },
  {
    name: 'a write that is one byte short',
    applies: writes,
    fault: ({ bytes = 0 }) => ({ kind: 'short', bytes: bytes - 1 }),
    harmless: true,
  },
  {
    name: 'a write that stops half way, and then ENOSPC',
    applies: writes,
    fault: ({ bytes = 0 }) => ({ kind: 'short', bytes: bytes >> 1 }),
    persistent: true,
  },
  {
    name: 'a sync that fails and loses what it should have written, although it reads well until the power goes',
    applies: ({ kind }) => kind === 'datasync' || kind === 'syncDirectory',
    fault: (_, disk) => {
      let failed = false;
      disk.failSync = () => !failed && (failed = true);
      return undefined;
    },
  },
  { name: 'a read of one byte', applies: reads, fault: () => ({ kind: 'short', bytes: 1 }), harmless: true },
  { name: 'the end of the process', applies: isMutation, fault: () => ({ kind: 'stop' }) },
  {
    name: 'the end of the process in the middle of a write',
    applies: writes,
    fault: ({ bytes = 0 }) => ({ kind: 'stop', bytes: bytes >> 1 }),
  },
];

/** The next process: recovers, goes on, and recovers again. */
async function goesOn(disk: SimulatedDisk, promises: Promises, least: number, with_: WorkloadOptions): Promise<void> {
  const { entries, wal } = await survive(disk, promises, least, with_);
  const id = await wal.appendDurable('written by the next process');
  expect(id).to.equal(entries + 1);
  expect(id).to.be.greaterThan(promises.durable);
  // What this process was shown, it is shown again, even if the power goes now: also what an earlier one failed to sync.
  const cut = (await recoverLedger(disk.afterPowerCut(loseEverything))).state;
  expect(cut.length, 'entries after another power cut').to.equal(id);
  expectKept(cut.slice(0, -1), promises, entries);
  await wal.close();
  const { state } = await recoverLedger(disk, { mode: 'strict' });
  expect(state.pop()).to.equal('written by the next process');
  expectKept(state, promises, entries);
  expect(state.length).to.equal(entries);
}

/** One run with the fault at the `at`-th operation that it applies to. False once there is no such operation. */
async function runWith(
  kind: FaultKind,
  at: number,
  tally: Tally,
  random: ReturnType<typeof randomOf>,
): Promise<boolean> {
  const with_ = kind.options ?? workloadOptions;
  let seen = 0;
  let hit: DiskOperation | undefined;
  const workload: Workload = new Workload(with_, (operation): Fault | undefined => {
    if (!kind.applies(operation)) return undefined;
    seen++;
    if (seen < at || (seen > at && kind.persistent !== true)) return undefined;
    if (seen > at) return { kind: 'error', errno: 'ENOSPC' };
    hit = operation;
    return kind.fault(operation, workload.disk);
  });
  await workload.run();
  if (hit === undefined) return false;
  tally.add('faults');
  tally.add('steps rejected', workload.rejected.length);
  if (kind.harmless === true) expect(workload.rejected, 'steps rejected').to.deep.equal([]);
  const failures = workload.failures;
  if (failures > 0) tally.add('writers failed');
  if (workload.waitersRejected > 1) tally.mark('poisoned with waiters');
  expect(workload.afterFailure, 'operations of a failed writer').to.deep.equal([]);
  expect(failures, 'failures of a writer').to.be.at.most(2);
  const { disk, promises } = workload;
  // An operation that changes nothing leaves the disk as its failure found it: one of the ways to go on will do.
  const ways = isMutation(hit) ? [0, 1, 2] : [at % 3];
  const cuts = [loseEverything, drawnCut(disk, random)];
  for (const way of ways) {
    const cut = cuts[way];
    if (cut !== undefined) await goesOn(disk.afterPowerCut(cut), promises, promises.durable, with_);
    else await goesOn(disk.afterProcessEnd(), promises, Math.max(promises.durable, promises.flushed), with_);
    tally.add('times reopened');
  }
  return true;
}

/** All runs with one kind of fault. */
export async function withFaults(kind: FaultKind, tally: Tally): Promise<void> {
  const random = randomOf(kind.name);
  let more = true;
  for (let at = 1; more && !tally.isBroken; at++)
    await tally.hold(
      () => `${kind.name}, number ${at}`,
      async () => {
        more = await runWith(kind, at, tally, random);
      },
    );
}

export const logFaults: Lane = {
  name: 'faults of the log',
  needs: ['faults', 'steps rejected', 'writers failed', 'times reopened'],
  async run({ part }): Promise<Tally> {
    const tally = new Tally();
    for (const [index, kind] of faultKinds.entries())
      if (index % part.parts === part.index) await withFaults(kind, tally);
    return tally;
  },
};
