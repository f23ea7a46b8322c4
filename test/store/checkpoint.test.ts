import { expect } from 'chai';
import {
  CorruptionError,
  defineAggregate,
  fileEngine,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  StorageError,
  type CheckpointPolicy,
  type EngineSource,
  type Event,
  type EventStore,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { bytesOf, copy, edit } from '../support/directory-contents.js';
import { HeldDirectory } from '../support/held-directory.js';
import { ManualTime } from '../support/manual-time.js';
import { rejects } from '../support/rejects.js';
import { tree } from '../support/tree.js';
import { warningsOf } from '../support/warnings.js';
import { checkpointed, count, Counter, counts, files, openCounters } from './counters.js';

/** Counts one by one, and returns after how many a checkpoint was begun. */
async function countUntilCheckpoint(policy: CheckpointPolicy, most: number): Promise<number | undefined> {
  const store = await openCounters(new MemoryDirectory(), { checkpoint: policy, elapsed: () => 0 });
  let begun: number | undefined;
  for (let i = 1; i <= most && begun === undefined; i++) {
    await count(store, 1);
    if (store.checkpointStatus.running || store.checkpointStatus.position > 0) begun = i;
  }
  await checkpointed(store);
  expect(store.checkpointStatus.position).to.equal(begun ?? 0);
  await store.close();
  return begun;
}

/** Lets the event loop go round before it looks at an item of a checkpoint. */
function unhurried(source: EngineSource): EngineSource {
  async function* late(items: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const item of items) {
      await new Promise(setImmediate);
      yield item;
    }
  }
  return {
    async open() {
      const engine = await source.open();
      const { checkpoints } = engine;
      return {
        ...engine,
        checkpoints: {
          list: () => checkpoints.list(),
          write: (position, logId, items) => checkpoints.write(position, logId, late(items)),
          read: (position, visit) => checkpoints.read(position, visit),
          remove: (position) => checkpoints.remove(position),
        },
      };
    },
  };
}

describe('checkpoint policy', () => {
  it('counts entries', async () => {
    expect(await countUntilCheckpoint({ records: 7 }, 20)).to.equal(7);
  });

  it('counts bytes as they are in the log', async () => {
    const store = await openCounters(new MemoryDirectory());
    await count(store, 1);
    const { bytesSince } = store.checkpointStatus;
    await store.close();
    expect(bytesSince).to.be.within(20, 100);
    expect(await countUntilCheckpoint({ bytes: bytesSince * 4 }, 20)).to.equal(4);
    expect(await countUntilCheckpoint({ bytes: bytesSince * 4 + 1 }, 20)).to.equal(5);
  });

  it('estimates the time of a recovery: cautiously, until one was long enough to measure', async () => {
    expect(await countUntilCheckpoint({ recoveryMs: 1 }, 100)).to.equal(50);
    const dir = new MemoryDirectory();
    const clock = new ManualTime();
    let store = await openCounters(dir, { files: {} });
    await count(store, 1000);
    await store.close();
    // Ten milliseconds for the replay, as this clock has it.
    let reads = 0;
    const elapsed = clock.elapsed.bind(clock);
    clock.elapsed = () => (reads++, elapsed() + (reads > 4 ? 10 : 0));
    store = await openCounters(dir, {
      after: clock.after,
      elapsed: clock.elapsed,
      files: {},
      checkpoint: { recoveryMs: 20 },
    });
    expect(store.recovery.phases.replay).to.equal(10);
    expect(store.checkpointStatus).to.include({ entriesSince: 1000, recoveryMs: 10, running: false });
    await count(store, 999);
    expect(store.checkpointStatus.running).to.equal(false);
    await count(store, 1);
    expect(store.checkpointStatus.running).to.equal(true);
    await store.close();
  });

  it('waits for an interval after the first entry, and not at all while nothing happens', async () => {
    const clock = new ManualTime();
    const store = await openCounters(new MemoryDirectory(), {
      after: clock.after,
      elapsed: clock.elapsed,
      checkpoint: { intervalMs: 1000 },
    });
    clock.advance(10_000);
    expect(store.checkpointStatus).to.include({ running: false, position: 0 });
    expect(clock.pending).to.equal(0);
    await count(store, 5);
    clock.advance(999);
    expect(store.checkpointStatus.running).to.equal(false);
    clock.advance(1);
    expect(store.checkpointStatus.running).to.equal(true);
    await checkpointed(store);
    expect(store.checkpointStatus).to.include({ position: 5, entriesSince: 0, bytesSince: 0 });
    expect(clock.pending).to.equal(0);
    await count(store, 1);
    expect(clock.pending).to.equal(1);
    await store.close();
  });

  it('combines limits: whichever is reached first', async () => {
    const both = { records: 5, bytes: 1_000_000, intervalMs: 1000, recoveryMs: 1_000_000 };
    expect(await countUntilCheckpoint(both, 20)).to.equal(5);
    expect(await countUntilCheckpoint({ ...both, bytes: 1 }, 20)).to.equal(1);
  });

  it('leaves it to the caller with Infinity', async () => {
    expect(await countUntilCheckpoint({ records: Infinity }, 50)).to.equal(undefined);
  });

  it('counts what opening had to replay, so that crashes do not add up', async () => {
    const dir = new MemoryDirectory();
    for (let round = 0; round < 3; round++) {
      const store = await openCounters(dir, { checkpoint: { records: 10 } });
      expect(store.checkpointStatus.entriesSince).to.equal(round * 4);
      await count(store, 4);
      if (round < 2) await store.close();
      else {
        await checkpointed(store);
        expect(store.checkpointStatus.position).to.equal(10);
        await store.close();
      }
    }
    const store = await openCounters(dir, { checkpoint: { records: 2 } });
    // Two more than the checkpoint has: due as soon as the store is open.
    await checkpointed(store);
    expect(store.checkpointStatus.position).to.equal(13);
    await store.close();
  });

  it('refuses limits that cannot be meant', async () => {
    for (const checkpoint of [{ records: 0 }, { bytes: -1 }, { intervalMs: NaN }, { retain: 0 }, { retain: 1.5 }])
      await rejects(openCounters(new MemoryDirectory(), { checkpoint }), InvalidArgumentError);
  });
});

describe('EventStore.checkpoint', () => {
  it('says that it did nothing where nothing has changed', async () => {
    const dir = new MemoryDirectory();
    let store = await openCounters(dir);
    expect(await store.checkpoint()).to.include({ taken: false, position: 0, name: '' });
    await count(store, 4);
    const first = await store.checkpoint();
    expect(first).to.include({ taken: true, position: 4, name: 'checkpoints/ckpt_4.ckpt' });
    const before = await tree(dir);
    expect(await store.checkpoint()).to.include({ taken: false, position: 4, name: first.name, bytes: first.bytes });
    expect(await tree(dir)).to.deep.equal(before);
    await store.close();
    store = await openCounters(dir);
    expect(await store.checkpoint()).to.include({ taken: false, position: 4, name: first.name });
    await count(store, 1);
    expect(await store.checkpoint()).to.include({ taken: true, position: 6 });
    await store.close();
  });

  it('is shared by those who ask at the same time', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openCounters(disk);
    await count(store, 4);
    disk.holds.add('rename');
    const asked = [store.checkpoint(), store.checkpoint()];
    await disk.blocked();
    asked.push(store.checkpoint());
    await store.execute(Counter, 'c0', (counter) => counter.count(1));
    // What came after the first was begun is not in it: these share the next one.
    asked.push(store.checkpoint(), store.checkpoint());
    disk.releaseAll();
    const results = await Promise.all(asked);
    expect(results.map(({ position }) => position)).to.deep.equal([4, 4, 4, 6, 6]);
    expect(results[1]).to.equal(results[0]);
    expect(results[4]).to.equal(results[3]);
    await store.close();
  });

  it('holds the state of its position, whatever is appended before it is written', async () => {
    const written: Buffer[] = [];
    for (const goesOn of [false, true]) {
      const inner = new MemoryDirectory();
      const disk = new HeldDirectory(inner);
      const store = await openCounters(disk, {
        receipts: 5,
        files: { random: (size) => new Uint8Array(size).fill(3) },
        now: () => 1000,
      });
      await count(store, 90, 30);
      for (let i = 0; i < 5; i++)
        await store.execute(Counter, 'c0', (counter) => counter.count(1), { commandId: `before-${i}` });
      // Cut, but nothing of it is encoded yet.
      disk.holds.add('create');
      const taken = store.checkpoint();
      await disk.blocked();
      if (goesOn) {
        await count(store, 300, 60);
        for (let i = 0; i < 8; i++)
          await store.execute(Counter, 'c1', (counter) => counter.count(1), { commandId: `after-${i}` });
      }
      disk.releaseAll();
      expect((await taken).position).to.equal(95);
      written.push(await bytesOf(inner, 'checkpoints/ckpt_95.ckpt'));
      if (goesOn) {
        expect((await store.load(Counter, 'c7')).state.count).to.equal(8);
        expect((await store.at(95)).load(Counter, 'c7').state.count).to.equal(3);
      }
      await store.close();
    }
    expect(written[1]!.equals(written[0]!)).to.equal(true);
  });

  it('is the same bytes for the same history', async () => {
    const written: Buffer[] = [];
    let logId: (size: number) => Uint8Array = () => new Uint8Array(8).fill(7);
    for (const crash of [false, true]) {
      const dir = new MemoryDirectory();
      let store = await openCounters(dir, { files: { random: logId }, now: () => 1000 });
      await count(store, 20, 5);
      if (crash) {
        await store.close();
        store = await openCounters(dir, { files: { random: logId }, now: () => 1000 });
      }
      await count(store, 7, 7);
      await store.checkpoint();
      written.push(await bytesOf(dir, 'checkpoints/ckpt_27.ckpt'));
      await store.close();
      logId = (size) => new Uint8Array(size).fill(7);
    }
    expect(written[0]!.equals(written[1]!)).to.equal(true);
  });

  it('gives the event loop its turns', async () => {
    const Wide = defineAggregate('wide', {
      initial: { numbers: [] as number[] },
      reduce: {
        Filled: (state, event: Event<'Filled', { numbers: number[] }>) => {
          state.numbers = event.data.numbers;
        },
      },
      commands: (wide) => ({ fill: (numbers: number[]) => wide.emit('Filled', { numbers }) }),
    });
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Wide] });
    const numbers = Array.from({ length: 1000 }, (_, index) => index);
    for (let i = 0; i < 1000; i++) await store.execute(Wide, `w${i}`, (wide) => wide.fill(numbers));
    let turns = 0;
    let done = false;
    const spin = (): void => {
      turns++;
      if (!done) setImmediate(spin);
    };
    setImmediate(spin);
    await store.checkpoint();
    done = true;
    // A million numbers: even a machine of the future needs some slices for them.
    expect(turns).to.be.greaterThan(3);
    await store.close();
  });

  it('is not mixed with that of another store, also on an engine that takes its time with each item', async () => {
    const stores: EventStore[] = [];
    const disks = [new MemoryDirectory(), new MemoryDirectory()];
    for (const [index, disk] of disks.entries()) {
      const store = await openStore({ engine: unhurried(fileEngine(disk)), aggregates: [Counter] });
      await count(store, 40 + index, 20 + index);
      stores.push(store);
    }
    await Promise.all(stores.map((store) => store.checkpoint()));
    for (const [index, disk] of disks.entries()) {
      await stores[index]!.close();
      const store = await openCounters(disk);
      expect(store.recovery.entriesReplayed).to.be.at.most(1);
      const ids = 20 + index;
      // Each twice, but for the last of 21.
      expect(await counts(store, ids)).to.deep.equal(Array.from({ length: ids }, (_, id) => (id < 20 ? 2 : 1)));
      await store.close();
    }
  });

  it('goes on where a crash came between the file and its mark', async () => {
    const dir = new MemoryDirectory();
    let store = await openCounters(dir);
    await count(store, 4);
    const crashed = new MemoryDirectory();
    await copy(dir, crashed, ['wal']);
    await store.checkpoint();
    await copy(dir, crashed, ['checkpoints']);
    await store.close();
    store = await openCounters(crashed);
    expect(store.recovery.checkpoint?.position).to.equal(4);
    expect(await store.checkpoint()).to.include({ taken: false, position: 4 });
    await count(store, 2);
    expect(await store.checkpoint()).to.include({ taken: true, position: 6 });
    await store.close();
  });

  it('keeps as many as it is told to', async () => {
    const dir = new MemoryDirectory();
    const store = await openCounters(dir, { checkpoint: { retain: 3 } });
    for (let i = 0; i < 6; i++) {
      await count(store, 5);
      await store.checkpoint();
    }
    expect(await files(dir, 'checkpoints')).to.have.length(3);
    await store.close();
  });
});

describe('A checkpoint that fails', () => {
  it('removes nothing, harms nobody, is reported, and is tried again by the policy', async () => {
    const inner = new MemoryDirectory();
    const disk = new FaultyDirectory(inner);
    const failures: Error[] = [];
    const store = await openCounters(disk, {
      checkpoint: { records: 10 },
      onCheckpointFailure: (error) => failures.push(error),
    });
    await count(store, 10);
    await checkpointed(store);
    const before = await tree(inner, 'checkpoints');
    disk.decide = ({ path, kind }) =>
      path.startsWith('checkpoints/') && kind === 'write' ? { kind: 'error', errno: 'ENOSPC' } : undefined;
    await count(store, 10);
    await checkpointed(store);
    expect(failures).to.have.length(1);
    expect(failures[0]).to.be.instanceOf(StorageError);
    expect(store.checkpointStatus).to.include({ failure: failures[0], position: 10, entriesSince: 10 });
    expect(await tree(inner, 'checkpoints')).to.deep.equal(before);
    // Not with every entry from now on, but after as many again.
    await count(store, 9);
    expect(failures).to.have.length(1);
    await count(store, 1);
    await checkpointed(store);
    expect(failures).to.have.length(2);
    const error = await rejects(store.checkpoint(), StorageError);
    expect(error.errno).to.equal('ENOSPC');
    expect(failures, 'asked for, so told to who asked').to.have.length(2);
    disk.decide = () => undefined;
    await count(store, 10);
    await checkpointed(store);
    expect(store.checkpointStatus).to.include({ failure: undefined, position: 41, entriesSince: 0 });
    await store.close();
    const again = await openCounters(inner);
    expect(await counts(again)).to.deep.equal([16, 12, 12]);
    await again.close();
  });

  it('because it does not read back as it was written is taken away, and the older ones stay', async () => {
    const inner = new MemoryDirectory();
    const disk = new FaultyDirectory(inner);
    const store = await openCounters(disk, { checkpoint: { records: Infinity, retain: 1 } });
    await count(store, 3);
    await store.checkpoint();
    await count(store, 3);
    const before = await tree(inner, 'checkpoints');
    // A bit rots between writing and reading back.
    const rot = (bytes: Uint8Array): void => void (bytes[60]! ^= 1);
    disk.decide = ({ kind, path }) => (kind === 'rename' ? { kind: 'wait', until: edit(inner, path, rot) } : undefined);
    await rejects(store.checkpoint(), CorruptionError);
    disk.decide = () => undefined;
    expect(await tree(inner, 'checkpoints')).to.deep.equal(before);
    await store.close();
    const again = await openCounters(inner);
    expect(again.recovery.skippedCheckpoints).to.deep.equal([]);
    expect(await counts(again)).to.deep.equal([2, 2, 2]);
    await again.close();
  });

  it('is a process warning unless somebody listens', async () => {
    const disk = new FaultyDirectory(new MemoryDirectory());
    const warnings = await warningsOf('CAIRN_CHECKPOINT', async () => {
      const store = await openCounters(disk, { checkpoint: { records: 5 } });
      disk.decide = ({ path }) => (path.startsWith('checkpoints/') ? { kind: 'error', errno: 'EIO' } : undefined);
      await count(store, 5);
      await checkpointed(store);
      await store.close();
    });
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include('EIO');
  });

  it('is tried again after the next interval', async () => {
    const clock = new ManualTime();
    const disk = new FaultyDirectory(new MemoryDirectory());
    const failures: Error[] = [];
    const store = await openCounters(disk, {
      after: clock.after,
      checkpoint: { intervalMs: 100 },
      onCheckpointFailure: (error) => failures.push(error),
    });
    await count(store, 1);
    disk.decide = ({ path }) => (path.startsWith('checkpoints/') ? { kind: 'error', errno: 'EIO' } : undefined);
    clock.advance(100);
    await checkpointed(store);
    expect(failures).to.have.length(1);
    disk.decide = () => undefined;
    clock.advance(100);
    await checkpointed(store);
    expect(store.checkpointStatus).to.include({ position: 1, failure: undefined });
    await store.close();
  });

  it('at any operation leaves a store that goes on, and one that recovers', async () => {
    let reached = false;
    for (let fails = 1; !reached; fails++) {
      const inner = new MemoryDirectory();
      const disk = new FaultyDirectory(inner);
      const store = await openCounters(disk);
      await count(store, 40);
      await store.checkpoint();
      await count(store, 40);
      await store.checkpoint();
      await count(store, 40);
      let seen = 0;
      disk.decide = ({ path }) =>
        path.startsWith('checkpoints') && ++seen === fails ? { kind: 'error', errno: 'EIO' } : undefined;
      const result = await store.checkpoint().catch((error: unknown) => error);
      reached = seen < fails;
      disk.decide = () => undefined;
      if (!reached) expect(result, `operation ${fails}`).to.be.instanceOf(Error);
      await count(store, 3);
      await store.close();
      const again = await openCounters(inner);
      expect(await counts(again), `operation ${fails}`).to.deep.equal([43, 40, 40]);
      expect(again.recovery.skippedCheckpoints, `operation ${fails}`).to.deep.equal([]);
      await again.close();
    }
  });
});
