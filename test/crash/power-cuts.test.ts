// The power goes before every operation of a workload and inside every write, with every outcome that a disk may have:
// everything unsynced lost, nothing lost, and many draws in between. What was promised is there, each time; what was
// recovered stays, whatever happens next, also when the power goes during the recovery itself.

import { CorruptionError, TornTailError, WalReader, WalWriter } from 'cairnlog';
import {
  FaultyDirectory,
  isMutation,
  loseEverything,
  loseNothing,
  SimulatedDisk,
  type DiskOperation,
} from 'cairnlog/testing';
import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { recoverLedger } from '../support/ledger.js';
import { drawnCut } from '../support/drawn-cut.js';
import { rejects } from '../support/rejects.js';
import { canRead, secondReading } from '../support/second-parser.js';
import { randomOf, seeded, type Random } from '../support/seed.js';
import { textCodec as codec } from '../support/text-codec.js';
import { expectKept, survive, Workload, type Promises, type WorkloadOptions } from '../support/workload.js';

/** What a crash left, and what had been promised by then. */
interface Left {
  readonly disk: SimulatedDisk;
  readonly promises: Promises;
  readonly least: number;
  readonly where: string;
}

type Marks = Map<string, number>;
const reached = (marks: Marks, mark: string): void => void marks.set(mark, (marks.get(mark) ?? 0) + 1);

const SEGMENT = /^wal\/wal_(\d+)\.log$/;

/** Which part of its work an operation interrupts. */
function partOf({ kind, path, offset }: DiskOperation, phase: string): string {
  if (path.startsWith('checkpoints')) return 'crash in a checkpoint';
  // A segment is removed, or renamed so that it can be used again.
  if (kind === 'remove' || (kind === 'rename' && path.endsWith('.log'))) return 'crash in a truncation';
  const segment = SEGMENT.exec(path)?.[1];
  if (phase === 'open') return 'crash while the log is opened';
  if (segment !== undefined && segment !== '1' && (kind === 'create' || (kind === 'write' && offset === 0)))
    return 'crash in a roll';
  return `crash in ${kind}`;
}

function filesOf(disk: SimulatedDisk): Map<string, Uint8Array> {
  return new Map(disk.files().map((path) => [path, disk.peek(path)!]));
}

/** Collects what crashes leave, each state once. */
class States {
  readonly all: Left[] = [];
  drawn = 0;
  readonly #seen = new Set<string>();

  add(left: Left): void {
    this.drawn++;
    const hash = createHash('sha1');
    for (const [path, bytes] of filesOf(left.disk)) hash.update(`${path} ${bytes.length} `).update(bytes);
    const { promises } = left;
    hash.update(`${left.least} ${promises.checkpointed} ${promises.attempted.length}`);
    const key = hash.digest('base64');
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.all.push(left);
  }
}

/** Cuts the power before every mutating operation. */
async function beforeEveryOperation(
  options: WorkloadOptions,
  draws: number,
  random: Random,
  marks: Marks,
): Promise<States> {
  const states = new States();
  const workload: Workload = new Workload(options, (operation) => {
    if (!isMutation(operation)) return undefined;
    const { disk, phase } = workload;
    const promises = workload.promises.copy();
    const where = `before ${operation.kind} ${operation.path} (operation ${operation.number}, ${phase})`;
    reached(marks, partOf(operation, phase));
    const add = (left: SimulatedDisk): void => states.add({ disk: left, promises, least: promises.durable, where });
    add(disk.afterPowerCut(loseEverything));
    add(disk.afterPowerCut(loseNothing));
    for (let draw = 0; draw < draws; draw++) add(disk.afterPowerCut(drawnCut(disk, random)));
    return undefined;
  });
  await workload.run();
  expect(workload.rejected).to.deep.equal([]);
  return states;
}

/** Bytes of a write that arrive before the power goes. */
function cutsOf(bytes: number, offset: number): number[] {
  const sectorEdge = 512 - (offset % 512);
  const chosen = [1, 26, bytes >> 1, bytes - 1, sectorEdge];
  return [...new Set(chosen)].filter((cut) => cut > 0 && cut < bytes);
}

/** Ends the process inside every write; the power goes right then, or later, while the next process recovers. */
async function insideEveryWrite(
  options: WorkloadOptions,
  draws: number,
  random: Random,
  marks: Marks,
): Promise<States> {
  const states = new States();
  for (let at = 1, more = true; more; at++) {
    more = false;
    for (let index = 0, cuts = 1; index < cuts; index++) {
      let seen = 0;
      let where = '';
      const workload: Workload = new Workload(options, (operation) => {
        if (operation.kind !== 'write' || ++seen !== at) return undefined;
        more = true;
        const { bytes = 0, offset = 0, path } = operation;
        const choices = cutsOf(bytes, offset);
        cuts = choices.length;
        where = `after ${choices[index]} of ${bytes} bytes written to ${path} (${workload.phase})`;
        if (workload.phase === 'open') reached(marks, 'crash while the log is opened');
        return { kind: 'stop', bytes: choices[index] ?? bytes };
      });
      await workload.run();
      if (where === '') break;
      const { disk, promises } = workload;
      const add = (left: SimulatedDisk, least: number): void => states.add({ disk: left, promises, least, where });
      add(disk.afterPowerCut(loseEverything), promises.durable);
      add(disk.afterPowerCut(loseNothing), Math.max(promises.durable, promises.flushed));
      for (let draw = 0; draw < draws; draw++) add(disk.afterPowerCut(drawnCut(disk, random)), promises.durable);
      // Only the process ends: the next one finds everything in the page cache, and the power goes while it recovers.
      const next = disk.afterProcessEnd();
      await whileRecovering(next, { promises, least: promises.durable, where }, states, index % 2, random, options);
    }
  }
  return states;
}

/** Recovers, and adds what power cuts before each of the recovery's own operations leave. */
async function whileRecovering(
  disk: SimulatedDisk,
  left: Omit<Left, 'disk'>,
  states: States,
  draws: number,
  random: Random,
  options: WorkloadOptions,
): Promise<void> {
  let showing = false;
  const directory = new FaultyDirectory(disk, (operation) => {
    if (!isMutation(operation) || showing) return undefined;
    const where = `${left.where}, then before ${operation.kind} ${operation.path} of the recovery`;
    states.add({ ...left, disk: disk.afterPowerCut(loseEverything), where });
    for (let draw = 0; draw < draws; draw++)
      states.add({ ...left, disk: disk.afterPowerCut(drawnCut(disk, random)), where });
    return undefined;
  });
  const { wal } = await survive(directory, left.promises, left.least, options);
  showing = true;
  await wal.close();
}

/** Recovers one state, goes on from it, cuts the power again, and recovers again. */
async function check(left: Left, random: Random, marks: Marks, options: WorkloadOptions): Promise<void> {
  const { disk, promises, least } = left;
  const reading = canRead ? secondReading(filesOf(disk)) : undefined;
  const { entries, checkpoint, wal } = await survive(disk, promises, least, options);
  const { tornTail } = wal.opened;
  if (tornTail !== undefined) reached(marks, tornTail.offset === 0 ? 'torn header' : 'torn payload');
  if (tornTail?.reason.includes('zeros') === true) reached(marks, 'zeros');
  if (entries < promises.attempted.length) reached(marks, 'entries lost that nobody was promised');
  if (entries > least) reached(marks, 'entries kept that nobody was promised');
  if (reading !== undefined) {
    if (reading.kind === 'refused') expect.fail(`the second parser refuses it: ${reading.why}`);
    const last = reading.entries.at(-1)?.entryId;
    if (last !== undefined) expect(entries, 'the last entry that the second parser finds').to.equal(last);
    if (reading.entriesBehindCut > 0) reached(marks, 'hole');
  }
  // What is shown now stays, whatever happens: also to the entries that nobody had been promised before.
  const after = promises.copy();
  after.kept(entries);
  after.attempted.push('after the power cut');
  const next = await wal.appendDurable('after the power cut');
  expect(next).to.equal(entries + 1);
  after.durable = next;
  wal.append('never flushed');
  after.attempted.push('never flushed');
  await wal.flush();
  for (const cut of [loseEverything, drawnCut(disk, random)]) {
    const again = disk.afterPowerCut(cut);
    const { state, report } = await recoverLedger(again);
    expectKept(state, after, next);
    expect(report.checkpoint?.lastAppliedId).to.equal(checkpoint);
  }
  await wal.close();
  const last = await recoverLedger(disk.afterPowerCut(loseEverything), { mode: 'strict' });
  expect(last.state, 'after a clean close').to.deep.equal(after.attempted);
}

async function checkAll(states: States, random: Random, marks: Marks, options: WorkloadOptions): Promise<void> {
  for (const left of states.all)
    try {
      await check(left, random, marks, options);
    } catch (error) {
      if (error instanceof Error) error.message = `${left.where}: ${error.message}`;
      throw error;
    }
}

const variants: readonly [name: string, options: WorkloadOptions, draws: number][] = [
  ['segments of a sector', { segmentBytes: 400, preallocateBytes: 0, recycleSegments: 0, entryBytes: 60 }, 8],
  ['segments of several sectors', { segmentBytes: 3000, preallocateBytes: 0, recycleSegments: 0, entryBytes: 500 }, 12],
  ['preallocated segments', { segmentBytes: 1500, preallocateBytes: 2048, recycleSegments: 0, entryBytes: 300 }, 12],
  [
    'segments that are used again',
    { segmentBytes: 1500, preallocateBytes: 0, recycleSegments: 2, entryBytes: 300 },
    12,
  ],
];

const everyMark = [
  'crash in a checkpoint',
  'crash in a roll',
  'crash in a truncation',
  'crash while the log is opened',
  'entries kept that nobody was promised',
  'entries lost that nobody was promised',
];

for (const [name, options, draws] of variants)
  describe(`Power cuts, ${name}:`, () => {
    const marks: Marks = new Map();
    let firstDepth: States | undefined;

    it('before every operation', async function () {
      this.timeout(60_000);
      await seeded(async () => {
        const random = randomOf(`before, ${name}`);
        firstDepth = await beforeEveryOperation(options, draws, random, marks);
        console.log(`      ${firstDepth.drawn} power cuts, ${firstDepth.all.length} states`);
        await checkAll(firstDepth, random, marks, options);
        expect(firstDepth.all.length).to.be.greaterThan(150);
      });
    });

    it('inside every write, at once or while the next process recovers', async function () {
      this.timeout(60_000);
      await seeded(async () => {
        const random = randomOf(`inside, ${name}`);
        const states = await insideEveryWrite(options, 1, random, marks);
        console.log(`      ${states.drawn} power cuts, ${states.all.length} states`);
        await checkAll(states, random, marks, options);
        expect(states.all.length).to.be.greaterThan(150);
      });
    });

    it('and again before every operation of the recovery', async function () {
      this.timeout(60_000);
      await seeded(async () => {
        const random = randomOf(`again, ${name}`);
        const states = new States();
        const fresh = await beforeEveryOperation(options, 1, random, new Map());
        for (const [index, left] of fresh.all.entries())
          if (index % 2 === 0) await whileRecovering(left.disk, left, states, 1, random, options);
        console.log(`      ${states.drawn} power cuts, ${states.all.length} states`);
        await checkAll(states, random, marks, options);
        expect(states.all.length).to.be.greaterThan(50);
      });
    });

    it('came in all the places that they were meant for', () => {
      console.log(`      ${[...marks].map(([mark, count]) => `${mark}: ${count}`).join(', ')}`);
      const wanted = [...everyMark, ...(options.preallocateBytes > 0 ? ['zeros'] : ['torn payload', 'torn header'])];
      if (canRead && options.segmentBytes > 2000) wanted.push('hole');
      for (const mark of wanted) expect(marks.get(mark) ?? 0, mark).to.be.greaterThan(0);
    });
  });

describe('A power cut after a sync that failed', () => {
  /** Entries of 600 bytes, so that each lies in sectors of its own. */
  const large = (name: string): string => name.repeat(600);

  it('takes no entry that a later process acknowledged or was shown', async () => {
    const disk = new SimulatedDisk();
    const first = await WalWriter.open(disk, { codec });
    await first.appendDurable(large('A'));
    disk.failSync = () => true;
    await first.appendDurable(large('B')).catch(() => undefined);
    await first.close();
    disk.failSync = () => false;
    // The disk says that all is well, and the page cache shows B, but the platter does not have it.
    expect((await new WalReader(disk.afterPowerCut(loseEverything), { codec }).replayBestEffort()).length).to.equal(1);

    const sameBoot = disk.afterProcessEnd();
    const second = await WalWriter.open(sameBoot, { codec });
    expect(second.opened.lastEntryId).to.equal(2);
    expect(second.opened.rewrittenBytes).to.be.greaterThan(600);
    const shown = await new WalReader(sameBoot.afterPowerCut(loseEverything), { codec }).replayBestEffort();
    expect(shown.length, 'entries that opening has shown').to.equal(2);
    expect(await second.appendDurable(large('C'))).to.equal(3);

    const left = sameBoot.afterPowerCut(loseEverything);
    const third = await WalWriter.open(left, { codec });
    expect(third.opened.lastEntryId).to.equal(3);
    await third.close();
    const records = await new WalReader(left, { codec }).replay();
    expect(records.map(({ entry }) => entry[0])).to.deep.equal(['A', 'B', 'C']);
    await second.close();
  });

  it('takes no segment whose header was synced in vain', async () => {
    for (const failing of ['wal/wal_2.log', 'wal']) {
      const disk = new SimulatedDisk();
      const first = await WalWriter.open(disk, { codec, segmentBytes: 700 });
      await first.appendDurable(large('A'));
      disk.failSync = (path) => path === failing;
      await first.appendDurable(large('B')).catch(() => undefined);
      await first.close();
      disk.failSync = () => false;
      const sameBoot = disk.afterProcessEnd();
      const second = await WalWriter.open(sameBoot, { codec, segmentBytes: 700 });
      expect(second.opened.lastEntryId).to.equal(1);
      expect(await second.appendDurable(large('C'))).to.equal(2);
      const left = sameBoot.afterPowerCut(loseEverything);
      const third = await WalWriter.open(left, { codec });
      expect(third.opened.lastEntryId, `after a failed sync of ${failing}`).to.equal(2);
      await third.close();
      await second.close();
    }
  });

  it('brings back nothing that a recovery has dropped', async () => {
    const disk = new SimulatedDisk();
    const first = await WalWriter.open(disk, { codec });
    await first.appendDurable(large('A'));
    for (const name of ['B', 'C', 'D']) first.append(large(name));
    await first.flush();
    // The sector where B ends and C begins is lost, D arrives.
    const torn = disk.afterPowerCut({ ...loseNothing, page: (_, page) => (page === 2 ? 'zero' : 'new') });
    if (canRead) expect(secondReading(filesOf(torn))).to.deep.include({ kind: 'log', entriesBehindCut: 1 });
    await rejects(new WalReader(torn, { codec }).replay(), TornTailError);
    const second = await WalWriter.open(torn, { codec });
    expect(second.opened.lastEntryId).to.equal(1);
    expect(await second.appendDurable('short')).to.equal(2);
    for (const cut of [loseEverything, loseNothing]) {
      const records = await new WalReader(torn.afterPowerCut(cut), { codec }).replay();
      expect(records.map(({ entry }) => entry[0])).to.deep.equal(['A', 's']);
    }
    await second.close();
    await first.close();
  });

  it('is told apart from damage to what was acknowledged', async () => {
    const disk = new SimulatedDisk();
    const first = await WalWriter.open(disk, { codec });
    await first.appendDurable(large('A'));
    await first.appendDurable(large('B'));
    first.append(large('C'));
    await first.flush();
    const left = disk.afterPowerCut(loseNothing);
    const file = await left.open('wal/wal_1.log', 'update');
    await file.write(new Uint8Array(100), 700);
    await file.close();
    const before = filesOf(left);
    await rejects(new WalReader(left, { codec }).replayBestEffort(), CorruptionError);
    await rejects(WalWriter.open(left, { codec }), CorruptionError);
    expect(filesOf(left)).to.deep.equal(before);
    await first.close();
  });
});
