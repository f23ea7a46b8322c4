// Every single operation of a workload fails once, in each of the ways in which it can. Whatever came of the workload,
// the next process finds everything that was acknowledged, on a disk that is well and after a power cut.

import { CairnError, MemoryDirectory, WalWriter, type Directory } from 'cairnlog';
import {
  FaultyDirectory,
  isMutation,
  loseEverything,
  type DiskOperation,
  type Fault,
  type SimulatedDisk,
} from 'cairnlog/testing';
import { expect } from 'chai';
import { drawnCut } from '../support/drawn-cut.js';
import { publisherOf, recoverLedger } from '../support/ledger.js';
import { randomOf, seeded } from '../support/seed.js';
import { textCodec } from '../support/text-codec.js';
import { expectKept, survive, Workload, type Promises, type WorkloadOptions } from '../support/workload.js';

const options: WorkloadOptions = { segmentBytes: 400, preallocateBytes: 0, entryBytes: 60 };
const preallocated: WorkloadOptions = { ...options, preallocateBytes: 512 };

interface FaultKind {
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

const kinds: readonly FaultKind[] = [
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

interface Tally {
  faults: number;
  rejectedSteps: number;
  poisoned: number;
  reopened: number;
}

/** Counts the files that are open. */
function countingOpenFiles(inner: Directory): { directory: Directory; opened: { files: number } } {
  const opened = { files: 0 };
  const directory: Directory = {
    async open(path, mode) {
      const file = await inner.open(path, mode);
      opened.files++;
      let closed = false;
      return {
        path: file.path,
        read: (target, offset) => file.read(target, offset),
        write: (source, offset) => file.write(source, offset),
        datasync: () => file.datasync(),
        truncate: (size) => file.truncate(size),
        size: () => file.size(),
        close: () => {
          if (!closed) opened.files--;
          closed = true;
          return file.close();
        },
      };
    },
    stat: (path) => inner.stat(path),
    list: (path) => inner.list(path),
    makeDirectory: (path) => inner.makeDirectory(path),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncDirectory: (path) => inner.syncDirectory(path),
    lock: (path) => inner.lock(path),
  };
  return { directory, opened };
}

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
  const with_ = kind.options ?? options;
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
  tally.faults++;
  tally.rejectedSteps += workload.rejected.length;
  if (kind.harmless === true) expect(workload.rejected, 'steps rejected').to.deep.equal([]);
  const failures = workload.failures;
  if (failures > 0) tally.poisoned++;
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
    tally.reopened++;
  }
  return true;
}

describe('A fault at every single operation:', () => {
  it('without one the workload is not rejected, and reaches every part of the log', async () => {
    const operations: DiskOperation[] = [];
    const workload = new Workload(options, (operation) => {
      operations.push(operation);
      return undefined;
    });
    await workload.run();
    expect(workload.rejected).to.deep.equal([]);
    const met = new Set(operations.map(({ kind }) => kind));
    expect([...met].sort()).to.deep.equal(
      [
        'close',
        'create',
        'datasync',
        'list',
        'lock',
        'makeDirectory',
        'open',
        'read',
        'remove',
        'rename',
        'size',
        'stat',
        'syncDirectory',
        'truncate',
        'write',
      ].sort(),
    );
    expect(
      operations.filter(({ kind, path }) => kind === 'create' && path.startsWith('wal/')).length,
    ).to.be.greaterThan(6);
    expect(
      operations.filter(({ kind, path }) => kind === 'remove' && path.startsWith('wal/')).length,
    ).to.be.greaterThan(3);
    expect((await recoverLedger(workload.disk)).state).to.deep.equal(workload.promises.attempted);
  });

  it('leaves no file open, whichever operation failed', async () => {
    let mostFailures = 0;
    for (let at = 1; ; at++) {
      const { directory, opened } = countingOpenFiles(new MemoryDirectory());
      const faulty = new FaultyDirectory(directory, ({ number }) =>
        number === at ? { kind: 'error', errno: 'EIO' } : undefined,
      );
      let rejected = 0;
      const attempt = async <R>(run: () => Promise<R>): Promise<R | undefined> =>
        run().catch((problem: unknown) => {
          if (!(problem instanceof CairnError)) throw problem;
          rejected++;
          return undefined;
        });
      for (let life = 0; life < 2; life++) {
        await attempt(() => recoverLedger(faulty));
        expect(opened.files, `recovered, with a fault at ${at}`).to.equal(0);
        const wal = await attempt(() =>
          WalWriter.open(faulty, { codec: textCodec, segmentBytes: 100, preallocateBytes: 200 }),
        );
        expect(opened.files, `opened, with a fault at ${at}`).to.equal(wal === undefined ? 0 : 1);
        for (let round = 0; wal !== undefined && round < 2; round++) {
          await attempt(() => wal.appendBatchDurable(['a', 'b']));
          await attempt(() => wal.appendDurable('x'.repeat(90)));
          await attempt(() => publisherOf(wal, 1).publish(['state'], wal.lastEntryId));
          expect(opened.files, `published, with a fault at ${at}`).to.be.at.most(1);
        }
        await attempt(async () => wal?.close());
        expect(opened.files, `closed, with a fault at ${at}`).to.equal(0);
      }
      mostFailures = Math.max(mostFailures, rejected);
      if (faulty.faults === 0) break;
    }
    expect(mostFailures).to.be.greaterThan(3);
  });

  for (const kind of kinds)
    it(kind.name, async function () {
      this.timeout(60_000);
      const tally: Tally = { faults: 0, rejectedSteps: 0, poisoned: 0, reopened: 0 };
      await seeded(async () => {
        const random = randomOf(kind.name);
        for (let at = 1; ; at++)
          try {
            if (!(await runWith(kind, at, tally, random))) break;
          } catch (problem) {
            if (problem instanceof Error) problem.message = `${kind.name}, number ${at}: ${problem.message}`;
            throw problem;
          }
      });
      console.log(
        `      ${tally.faults} faults: ${tally.rejectedSteps} steps rejected, ${tally.poisoned} writers failed, ${tally.reopened} times reopened`,
      );
      expect(tally.faults).to.be.greaterThan(20);
    });
});
