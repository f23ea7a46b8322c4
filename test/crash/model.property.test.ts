// Commands drawn at random against a plain list: appends, batches, flushes, durable appends, checkpoints, reopening,
// killed processes, power cuts and failed syncs, in any order. And what must not matter does not: segment size, flush
// policy and the pace of checkpoints never change what is recovered.

import { every, interval, manual, perAppend, WalReader, WalWriter, type FlushPolicy } from 'cairnlog';
import { FaultyDirectory, loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { markOf, publisherOf, recoverLedger } from '../support/ledger.js';
import { drawnCut } from '../support/drawn-cut.js';
import { check, randomOf, seeded, type Random } from '../support/seed.js';
import { textCodec as codec } from '../support/text-codec.js';
import { expectKept, Promises } from '../support/workload.js';

interface Real {
  disk: SimulatedDisk;
  /** The disk as the current process sees it; when the process is killed, it sees no more. */
  process: FaultyDirectory;
  wal: WalWriter<string>;
  readonly segmentBytes: number;
  readonly preallocateBytes: number;
  readonly recycleSegments: number;
  readonly flushPolicy: FlushPolicy;
  readonly random: Random;
  /** Entries so far, over all lineages: makes every entry unlike every other. */
  entries: number;
}

type Model = Promises;
type Command = fc.AsyncCommand<Model, Real>;

async function open(real: Real, model: Model): Promise<void> {
  real.process = new FaultyDirectory(real.disk);
  const recovered = await recoverLedger(real.process);
  expectKept(recovered.state, model, model.durable);
  expect(recovered.report.checkpoint?.lastAppliedId ?? 0).to.be.at.least(model.checkpointed);
  real.wal = await WalWriter.open(real.process, {
    codec,
    segmentBytes: real.segmentBytes,
    preallocateBytes: real.preallocateBytes,
    recycleSegments: real.recycleSegments,
    flushPolicy: real.flushPolicy,
    durableId: recovered.report.checkpoint?.lastAppliedId ?? 0,
    observer: {
      onFlush: (_, id) => void (model.flushed = Math.max(model.flushed, id)),
      onSync: (id) => void (model.durable = Math.max(model.durable, id)),
    },
  });
  expect(real.wal.lastEntryId).to.equal(recovered.state.length);
  model.kept(recovered.state.length);
}

let crashes = 0;

/** Kills the process: its writer comes to rest without doing anything more to the disk. */
async function kill(real: Real): Promise<void> {
  crashes++;
  real.process.decide = () => ({ kind: 'stop' });
  await real.wal.close().catch(() => undefined);
}

function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name };
}

const text = (real: Real, size: number): string => `entry ${++real.entries} `.padEnd(size, 'x');

function append(real: Real, model: Model, size: number): number {
  const value = text(real, size);
  const id = real.wal.append(value);
  expect(id).to.equal(model.attempted.length + 1);
  model.attempted.push(value);
  return id;
}

const size = fc.oneof(fc.constantFrom(0, 40, 470, 471, 472, 495, 496, 497, 512), fc.nat(80), fc.nat(900));
const commands = [
  size.map((bytes) =>
    command(`append(${bytes})`, async (model, real) => {
      append(real, model, bytes);
    }),
  ),
  fc.array(size, { minLength: 1, maxLength: 5 }).map((sizes) =>
    command(`batch(${sizes.join()})`, async (model, real) => {
      const values = sizes.map((bytes) => text(real, bytes));
      const ids = real.wal.appendBatch(values);
      expect(ids[0]).to.equal(model.attempted.length + 1);
      model.attempted.push(...values);
      model.batches.push([ids[0]!, ids.at(-1)!]);
    }),
  ),
  fc.constant(
    command('flush', async (model, real) => {
      await real.wal.flush();
      model.flushed = Math.max(model.flushed, model.attempted.length);
    }),
  ),
  fc.constant(
    command('flushAndSync', async (model, real) => {
      await real.wal.flushAndSync();
      model.durable = model.attempted.length;
    }),
  ),
  fc.array(size, { minLength: 1, maxLength: 4 }).map((sizes) =>
    command(`durable(${sizes.join()})`, async (model, real) => {
      const values = sizes.map((bytes) => text(real, bytes));
      const waiting = values.map((value) => real.wal.appendDurable(value));
      model.attempted.push(...values);
      const ids = await Promise.all(waiting);
      expect(ids.at(-1)).to.equal(model.attempted.length);
      model.durable = model.attempted.length;
    }),
  ),
  fc.integer({ min: 1, max: 3 }).map((retain) =>
    command(`publish(keep ${retain})`, async (model, real) => {
      const position = real.wal.lastEntryId;
      if (position === 0) return;
      const publisher = publisherOf(real.wal, retain, (_, id) => {
        model.attempted.push(markOf(id));
        return markOf(id);
      });
      const { markEntryId } = await publisher.publish(model.attempted.slice(0, position), position);
      expect(markEntryId).to.equal(model.attempted.length);
      model.checkpointed = position;
      model.durable = model.attempted.length;
    }),
  ),
  fc.constant(
    command('close and reopen', async (model, real) => {
      await real.wal.close();
      model.durable = model.attempted.length;
      await open(real, model);
      expect(real.wal.lastEntryId).to.equal(model.attempted.length);
    }),
  ),
  fc.constant(
    command('the process is killed', async (model, real) => {
      await kill(real);
      real.disk = real.disk.afterProcessEnd();
      // The page cache stays: what was written is there.
      model.durable = Math.max(model.durable, model.flushed);
      await open(real, model);
    }),
  ),
  fc.boolean().map((all) =>
    command(all ? 'power cut, everything lost' : 'power cut', async (model, real) => {
      await kill(real);
      real.disk = real.disk.afterPowerCut(all ? loseEverything : drawnCut(real.disk, real.random));
      model.flushed = model.durable;
      await open(real, model);
    }),
  ),
  fc.constantFrom('killed', 'power cut' as const).map((end) =>
    command(`a sync fails, then ${end}`, async (model, real) => {
      const { wal, disk } = real;
      append(real, model, 30);
      disk.failSync = () => true;
      const flushed = model.flushed;
      const durable = model.durable;
      expect(await wal.flushAndSync().catch((error: Error) => error.name)).to.equal('PoisonedError');
      disk.failSync = () => false;
      expect(model.durable, 'nothing is shown as durable after a failed sync').to.equal(durable);
      await wal.close();
      await kill(real);
      if (end === 'power cut') {
        real.disk = disk.afterPowerCut(drawnCut(disk, real.random));
        model.flushed = model.durable;
      } else {
        real.disk = disk.afterProcessEnd();
        model.flushed = flushed;
      }
      await open(real, model);
    }),
  ),
];

const setting = fc.record({
  segmentBytes: fc.constantFrom(56, 300, 700, 2000),
  preallocateBytes: fc.constantFrom(0, 0, 1024),
  recycleSegments: fc.constantFrom(0, 2),
  flushPolicy: fc.constantFrom<FlushPolicy>(manual, perAppend, every(3)),
});

describe('Any sequence of commands', () => {
  it('leaves what a plain list holds, whatever crashes come between', async function () {
    this.timeout(60_000);
    await check(
      fc.asyncProperty(
        setting,
        fc.nat(),
        fc.commands(commands, { maxCommands: 30, size: '+1' }),
        async (options, cuts, drawn) => {
          let last: Real | undefined;
          const begin = async (): Promise<{ model: Model; real: Real }> => {
            const disk = new SimulatedDisk();
            const model = new Promises();
            const real: Real = {
              disk,
              process: new FaultyDirectory(disk),
              wal: undefined as never,
              random: randomOf(`cuts ${cuts}`),
              entries: 0,
              ...options,
            };
            await open(real, model);
            last = real;
            return { model, real };
          };
          try {
            await fc.asyncModelRun(begin, drawn);
          } finally {
            if (last !== undefined) await kill(last);
          }
        },
      ),
      500,
    );
    console.log(`      ${crashes} crashes`);
    expect(crashes).to.be.greaterThan(200);
  });
});

describe('What must not matter', () => {
  interface Setup {
    readonly segmentBytes: number;
    readonly flushPolicy: FlushPolicy;
    readonly bufferBytes: number;
    readonly preallocateBytes: number;
    readonly recycleSegments: number;
    readonly pace: number;
    readonly retain: number;
    readonly reopenEvery: number;
  }
  const setup: fc.Arbitrary<Setup> = fc.record({
    segmentBytes: fc.integer({ min: 56, max: 4000 }),
    flushPolicy: fc.oneof(
      fc.constant(perAppend),
      fc.constant(manual),
      fc.integer({ min: 1, max: 9 }).map(every),
      fc.constant(interval(1)),
    ),
    bufferBytes: fc.integer({ min: 0, max: 2000 }),
    preallocateBytes: fc.constantFrom(0, 0, 3000),
    recycleSegments: fc.nat(3),
    pace: fc.integer({ min: 1, max: 40 }),
    retain: fc.integer({ min: 1, max: 3 }),
    reopenEvery: fc.integer({ min: 2, max: 60 }),
  });
  type Step = { readonly kind: 'append' | 'batch' | 'durable'; readonly sizes: readonly number[] };
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('append' as const, 'batch' as const, 'durable' as const),
    sizes: fc.array(fc.nat(200), { minLength: 1, maxLength: 4 }),
  });

  /** The entries that are recovered; marks of checkpoints are left out, there are more of them at a higher pace. */
  async function recovered(steps: readonly Step[], setup_: Setup): Promise<string[]> {
    const disk = new SimulatedDisk();
    const ledger: string[] = [];
    const reopen = (): Promise<WalWriter<string>> => WalWriter.open(disk, { codec, ...setup_ });
    let wal = await reopen();
    let count = 0;
    const value = (size_: number): string => {
      const made = `value ${++count} `.padEnd(size_, 'y');
      ledger.push(made);
      return made;
    };
    for (const [index, { kind, sizes }] of steps.entries()) {
      if (kind === 'append') for (const size_ of sizes) wal.append(value(size_));
      else if (kind === 'batch') wal.appendBatch(sizes.map(value));
      else await Promise.all(sizes.map((size_) => wal.appendDurable(value(size_))));
      if ((index + 1) % setup_.pace === 0)
        await publisherOf(wal, setup_.retain, (_, id) => {
          ledger.push(markOf(id));
          return markOf(id);
        }).publish([...ledger], wal.lastEntryId);
      if ((index + 1) % setup_.reopenEvery === 0) {
        await wal.close();
        wal = await reopen();
      }
    }
    await wal.flushAndSync();
    const left = disk.afterPowerCut(loseEverything);
    await wal.close();
    const { state } = await recoverLedger(left);
    expect(state).to.deep.equal(ledger);
    return state.filter((entry) => !entry.startsWith('mark of'));
  }

  it('segment size, flush policy, buffer, preallocation, pace of checkpoints and reopening change nothing', () =>
    check(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), setup, setup, async (steps, one, other) => {
        expect(await recovered(steps, one)).to.deep.equal(await recovered(steps, other));
      }),
      60,
    ));

  it('recovering twice, or from the log that a recovery wrote again, changes nothing', async () =>
    seeded(async () => {
      const random = randomOf('twice');
      for (let round = 0; round < 40; round++) {
        const disk = new SimulatedDisk();
        const wal = await WalWriter.open(disk, { codec, segmentBytes: 600 });
        for (let entry = 0; entry < 12; entry++) {
          if (random.chance(30)) wal.appendBatch(['a'.repeat(random.integer(300)), 'b']);
          else wal.append('c'.repeat(random.integer(400)));
          if (random.chance(30)) await wal.flush();
          if (random.chance(20)) await wal.flushAndSync();
        }
        await wal.flush();
        const left = disk.afterPowerCut(drawnCut(disk, random));
        const first = (await recoverLedger(left)).state;
        for (let again = 0; again < 2; again++) {
          const opened = await WalWriter.open(left, { codec });
          expect(opened.lastEntryId).to.equal(first.length);
          expect(opened.opened.tornTail === undefined || again === 0).to.equal(true);
          await opened.close();
          expect((await recoverLedger(left, { mode: 'strict' })).state).to.deep.equal(first);
          expect(await new WalReader(left, { codec }).entryCount()).to.equal(first.length);
        }
        await wal.close();
      }
    }));
});
