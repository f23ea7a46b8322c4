// The log with a fault at every single operation of a workload of two lives, one kind of fault after the other, until it
// no longer comes: what is rejected says so, what is acknowledged survives, and the next process goes on.

import {
  isMutation,
  loseEverything,
  type DiskOperation,
  type Fault,
  type SimulatedDisk,
  type SyncFailure,
} from 'cairnlog/testing';
import { expect } from 'chai';
import { drawnCut } from '../../support/drawn-cut.js';
import { recoverLedger } from '../../support/ledger.js';
import { randomOf } from '../../support/seed.js';
import { expectKept, survive, Workload, type Promises, type WorkloadOptions } from '../../support/workload.js';
import { Tally, type Lane } from './lane.js';

export const workloadOptions: WorkloadOptions = {
  segmentBytes: 400,
  preallocateBytes: 0,
  recycleSegments: 0,
  entryBytes: 60,
};
const preallocated: WorkloadOptions = { ...workloadOptions, preallocateBytes: 512 };
const recycling: WorkloadOptions = { ...preallocated, recycleSegments: 2 };

export interface FaultKind {
  readonly name: string;
  readonly options?: WorkloadOptions;
  /** Operations that can fail so. */
  applies(operation: DiskOperation): boolean;
  fault(operation: DiskOperation, disk: SimulatedDisk): Fault | undefined;
  /** What all later ones meet; nothing by default. */
  readonly then?: (operation: DiskOperation) => Fault;
  /** Not a failure: nothing may be rejected because of it. */
  readonly harmless?: boolean;
  /** What was only handed to the system is lost: a process that follows finds what a power cut would leave. */
  readonly forgets?: boolean;
}

const error = (errno: string) => (): Fault => ({ kind: 'error', errno });
const writes = ({ kind, bytes = 0 }: DiskOperation): boolean => kind === 'write' && bytes > 1;
const reads = ({ kind, bytes = 0 }: DiskOperation): boolean => kind === 'read' && bytes > 1;
const syncs = ({ kind }: DiskOperation): boolean => kind === 'datasync' || kind === 'syncDirectory';
const only =
  (...kinds: DiskOperation['kind'][]) =>
  ({ kind }: DiskOperation): boolean =>
    kinds.includes(kind);
const grows = only('create', 'write', 'makeDirectory', 'rename');
const opens = only('open', 'create', 'list', 'syncDirectory', 'lock');
const names = only('open', 'create', 'stat', 'list', 'makeDirectory', 'rename', 'remove', 'lock');

/** System errors that come once, and those that stay until the process ends. */
const errors: readonly FaultKind[] = (
  [
    ['EIO', 'at any operation', () => true],
    ['ENOSPC', 'where something is made longer', grows],
    ['EMFILE', 'where something is opened', opens],
    ['EROFS', 'where something is changed', isMutation],
    ['EACCES', 'where a name is used', names],
    ['EIO', 'at a sync of a file', only('datasync')],
    ['EIO', 'at a sync of a folder', only('syncDirectory')],
    ['EIO', 'at a close', only('close')],
    ['EIO', 'at a rename', only('rename')],
    ['EBUSY', 'at a removal', only('remove')],
  ] as const
).flatMap(([errno, where, applies]) => [
  { name: `${errno} ${where}, once`, applies, fault: error(errno) },
  { name: `${errno} ${where}, from then on`, applies, fault: error(errno), then: error(errno) },
]);

/** A sync that fails, and what that leaves on different file systems. It reads well all the same until the power goes. */
const failedSync = (name: string, failure: true | SyncFailure): FaultKind => ({
  name: `a sync that fails and ${name}`,
  applies: syncs,
  fault: (_, disk) => {
    let failed = false;
    disk.failSync = () => !failed && (failed = true) && failure;
    return undefined;
  },
});

export const faultKinds: readonly FaultKind[] = [
  ...errors,
  {
    name: 'EIO at any operation of a preallocated log',
    options: preallocated,
    applies: isMutation,
    fault: error('EIO'),
  },
  {
    name: 'EIO at any operation of a log that uses segments again',
    options: recycling,
    applies: () => true,
    fault: error('EIO'),
  },
  {
    name: 'the end of the process in the middle of a write of a log that uses segments again',
    options: recycling,
    applies: writes,
    fault: ({ bytes = 0 }) => ({ kind: 'stop', bytes: bytes >> 1 }),
  },
  {
    name: 'EINTR at any operation',
    applies: () => true,
    fault: error('EINTR'),
  },
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
    then: error('ENOSPC'),
  },
  failedSync('loses what it should have written', true),
  { ...failedSync('leaves the file as it was before', { leaves: 'reverted' }), forgets: true },
  failedSync('has written every other sector', { wrote: (sector) => sector % 2 === 0 }),
  {
    name: 'pages that the system fails to write on its own, which the next sync tells',
    applies: only('datasync'),
    fault: ({ path }, disk) => {
      disk.failWriteback(path);
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
  let phase = '';
  const workload: Workload = new Workload(with_, (operation): Fault | undefined => {
    if (!kind.applies(operation)) return undefined;
    seen++;
    if (seen < at) return undefined;
    if (seen > at) return kind.then?.(operation);
    hit = operation;
    phase = workload.phase;
    if (kind.forgets === true) workload.promises.flushed = workload.promises.durable;
    return kind.fault(operation, workload.disk);
  });
  await workload.run();
  if (hit === undefined) return false;
  tally.add('faults');
  tally.add('steps rejected', workload.rejected.length);
  if (kind.harmless === true) expect(workload.rejected, 'steps rejected').to.deep.equal([]);
  const failures = workload.failures;
  if (failures > 0) tally.add('writers failed');
  tally.mark(`fault while ${partOf(hit, phase)}`);
  if (workload.waitersRejected > 1) tally.mark('poisoned with waiters');
  expect(workload.afterFailure, 'operations of a failed writer').to.deep.equal([]);
  expect(failures, 'failures of a writer').to.be.at.most(2);
  const { disk, promises } = workload;
  // An operation that changes nothing leaves the disk as its failure found it: one of the ways to go on will do.
  const ways = isMutation(hit) ? [0, 1, 2] : [at % 3];
  const cuts = [loseEverything, drawnCut(disk, random)];
  for (const way of ways) {
    const cut = cuts[way];
    tally.add(cut === undefined ? 'kills' : 'power cuts');
    if (cut !== undefined) await goesOn(disk.afterPowerCut(cut), promises, promises.durable, with_);
    else await goesOn(disk.afterProcessEnd(), promises, Math.max(promises.durable, promises.flushed), with_);
  }
  return true;
}

/** What the log was doing then. */
export function partOf({ kind, path }: DiskOperation, phase: string): string {
  if (kind === 'remove' && path.startsWith('wal/')) return 'truncating';
  if (path.startsWith('checkpoints') || phase.includes('checkpoint') || phase === 'publish')
    return 'taking a checkpoint';
  if (kind === 'create' && path.startsWith('wal/') && phase !== 'open') return 'rolling';
  if (phase === 'open' || phase === 'reopen') return 'opening';
  return phase === 'close' ? 'closing' : 'appending';
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
  needs: ['faults', 'steps rejected', 'writers failed', 'power cuts', 'kills'],
  async run({ part }): Promise<Tally> {
    const tally = new Tally();
    for (const [index, kind] of faultKinds.entries())
      if (index % part.parts === part.index) await withFaults(kind, tally);
    return tally;
  },
};
