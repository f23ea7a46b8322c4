import { BackpressureError, FsDirectory, manual, MemoryDirectory, perAppend, WalReader, WalWriter } from 'cairnlog';
import { loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { HeldDirectory } from '../support/held-directory.js';
import { recorded } from '../support/recorded.js';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { textCodec as codec } from '../support/text-codec.js';

const idle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('Group commit', () => {
  it('shares one sync among 256 appends that wait at the same time', async () => {
    const { directory, count, operations } = recorded(new MemoryDirectory());
    const wal = await WalWriter.open(directory, { codec });
    operations.length = 0;
    const ids = await Promise.all(Array.from({ length: 256 }, (_, index) => wal.appendDurable(`entry ${index}`)));
    expect(ids).to.deep.equal(Array.from({ length: 256 }, (_, index) => index + 1));
    expect(count('datasync')).to.equal(1);
    expect(count('write')).to.equal(1);
    await wal.close();
  });

  it('shares syncs among callers that append again as soon as they are answered', async () => {
    for (const inner of [new MemoryDirectory(), await FsDirectory.open(temporaryFolder())]) {
      const { directory, count, operations } = recorded(inner);
      const wal = await WalWriter.open(directory, { codec });
      operations.length = 0;
      const callers = Array.from({ length: 256 }, async (_, caller) => {
        for (let round = 0; round < 8; round++) await wal.appendDurable(`caller ${caller}, round ${round}`);
      });
      await Promise.all(callers);
      expect(wal.durableId).to.equal(256 * 8);
      expect(count('datasync')).to.be.at.most(16);
      await wal.close();
      expect(await new WalReader(inner, { codec }).entryCount()).to.equal(256 * 8);
    }
  });

  it('gathers what comes while the disk is busy, and syncs it once', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const { directory, count, operations } = recorded(held);
    const wal = await WalWriter.open(directory, { codec });
    operations.length = 0;
    held.holds.add('datasync');
    const first = wal.appendDurable('first');
    await held.blocked();
    const rest = Array.from({ length: 50 }, (_, index) => wal.appendDurable(`while busy ${index}`));
    await idle();
    expect(wal.durableId).to.equal(0);
    held.releaseAll();
    await Promise.all([first, ...rest]);
    expect(count('datasync')).to.equal(2);
    await wal.close();
  });

  it('does not sync for those who asked for less', async () => {
    const { directory, count, operations } = recorded(new MemoryDirectory());
    const wal = await WalWriter.open(directory, { codec, flushPolicy: perAppend });
    operations.length = 0;
    for (let round = 0; round < 10; round++) {
      wal.append('x');
      await wal.flush();
    }
    expect([count('write'), count('datasync')]).to.deep.equal([10, 0]);
    await wal.close();
  });

  it('asks the disk for nothing when everything is durable already', async () => {
    const { directory, operations } = recorded(new MemoryDirectory());
    const wal = await WalWriter.open(directory, { codec });
    await wal.appendDurable('x');
    operations.length = 0;
    await wal.flush();
    await wal.flushAndSync();
    await wal.flushAndSync();
    expect(operations.length).to.equal(0);
    await wal.close();
  });

  it('keeps one operation in flight at a time', async () => {
    let inFlight = 0;
    let most = 0;
    const held = new HeldDirectory(new MemoryDirectory());
    const pass = held.pass.bind(held);
    held.pass = async (kind) => {
      most = Math.max(most, ++inFlight);
      await idle();
      await pass(kind);
      inFlight--;
    };
    const wal = await WalWriter.open(held, { codec, segmentBytes: 300 });
    const work: Promise<unknown>[] = [];
    for (let index = 0; index < 60; index++) {
      work.push(index % 3 === 0 ? wal.flush() : wal.appendDurable('x'.repeat(index)));
      wal.append('between');
      if (index % 10 === 0) await idle();
    }
    await Promise.all(work);
    await wal.close();
    expect(most).to.equal(1);
  });
});

describe('Entries that take many writes', () => {
  // 256 KiB are written at a time.
  const large = 'x'.repeat(100_000);

  it('share one sync, and one that arrives while they are written waits for the next', async () => {
    const disk = new SimulatedDisk();
    const held = new HeldDirectory(disk);
    const { directory, count, operations } = recorded(held);
    const wal = await WalWriter.open(directory, { codec, flushPolicy: manual });
    operations.length = 0;
    held.holds.add('write');
    const first = Array.from({ length: 12 }, () => wal.appendDurable(large));
    await held.blocked();
    const late = wal.appendDurable('late');
    held.releaseAll();
    await Promise.all(first);
    expect([count('write'), count('datasync')]).to.deep.equal([4, 1]);
    expect(wal.durableId).to.equal(12);
    await late;
    expect([count('write'), count('datasync')]).to.deep.equal([5, 2]);
    const found = disk.afterPowerCut(loseEverything);
    expect(await new WalReader(found, { codec }).replayBestEffort()).to.have.length(13);
    await wal.close();
  });

  it('do not keep a sync waiting for ever, however fast others append', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec });
    held.holds.add('write');
    let durable = false;
    const waiting = wal.appendDurable(large).then(() => (durable = true));
    let writes = 0;
    for (; !durable && writes < 20; writes++) {
      for (let more = 0; more < 10; more++) wal.append(large);
      await held.blocked();
      held.release();
      await idle();
    }
    expect(writes).to.be.lessThan(10);
    held.releaseAll();
    await waiting;
    await wal.close();
  });
});

describe('Acknowledgements', () => {
  it('wait for the sync of an earlier entry, even if they asked for less', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec });
    const order: string[] = [];
    held.holds.add('datasync');
    const first = wal.appendDurable('durable').then(() => order.push('1 durable'));
    await held.blocked();
    wal.append('flushed');
    const second = wal.flush().then(() => order.push('2 flushed'));
    const third = wal.appendDurable('durable').then(() => order.push('3 durable'));
    await idle();
    expect(order).to.deep.equal([]);
    held.releaseAll();
    await Promise.all([first, second, third]);
    expect(order).to.deep.equal(['1 durable', '2 flushed', '3 durable']);
    await wal.close();
  });

  it('of a flush wait for an earlier durable append, even if everything is written already', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec });
    const order: string[] = [];
    held.holds.add('datasync');
    const first = wal.appendDurable('durable').then(() => order.push('durable'));
    await held.blocked();
    expect(wal.flushedId).to.equal(1);
    const second = wal.flush().then(() => order.push('flush'));
    await idle();
    expect(order).to.deep.equal([]);
    held.releaseAll();
    await Promise.all([first, second]);
    expect(order).to.deep.equal(['durable', 'flush']);
    await wal.close();
  });

  it('of a flush come without waiting for the sync of a later entry', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec, flushPolicy: manual });
    held.holds.add('write');
    wal.append('a');
    const flushed = wal.flush();
    await held.blocked();
    const durable = wal.appendDurable('b');
    held.holds.delete('write');
    held.holds.add('datasync');
    held.release();
    await flushed;
    expect([wal.flushedId, wal.durableId]).to.deep.equal([1, 0]);
    held.releaseAll();
    await durable;
    await wal.close();
  });

  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('append', 'durable', 'flush', 'sync', 'yield' as const), size: fc.nat(300) }),
    fc.record({ kind: fc.constant('batch' as const), size: fc.integer({ min: 1, max: 5 }) }),
  );

  it('come in the order of positions, and what they promise is on the platter when they come', () =>
    check(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 56, max: 3000 }),
        async (steps, segmentBytes) => {
          const disk = new SimulatedDisk();
          const wal = await WalWriter.open(disk, { codec, segmentBytes });
          const answered: number[] = [];
          const onPlatter: Promise<void>[] = [];
          const waiting: Promise<void>[] = [];
          const answer = (id: number, durable: boolean): void => {
            answered.push(id);
            if (!durable) return;
            const left = disk.afterPowerCut(loseEverything);
            onPlatter.push(
              new WalReader(left, { codec })
                .replayEach(() => undefined, { mode: 'bestEffort' })
                .then(({ lastEntryId }) => {
                  expect(lastEntryId).to.be.at.least(id);
                }),
            );
          };
          for (const { kind, size } of steps) {
            const text = 'x'.repeat(size);
            if (kind === 'append') wal.append(text);
            else if (kind === 'yield') await new Promise((resolve) => setImmediate(resolve));
            else if (kind === 'durable') waiting.push(wal.appendDurable(text).then((id) => answer(id, true)));
            else if (kind === 'batch')
              waiting.push(
                wal
                  .appendBatchDurable(Array.from({ length: size }, () => 'b'))
                  .then((ids) => answer(ids.at(-1)!, true)),
              );
            else {
              const id = wal.lastEntryId;
              const settled = kind === 'flush' ? wal.flush() : wal.flushAndSync();
              waiting.push(settled.then(() => answer(id, kind === 'sync')));
            }
          }
          await Promise.all(waiting);
          expect(answered).to.deep.equal([...answered].sort((a, b) => a - b));
          await Promise.all(onPlatter);
          await wal.close();
        },
      ),
      60,
    ));
});

describe('Backpressure', () => {
  it('refuses appends past the high-water mark, takes no id for them, and lets go after a drain', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec, flushPolicy: manual, highWaterMarkBytes: 100 });
    held.holds.add('write');
    for (let id = 1; id <= 5; id++) wal.append('1234');
    expect(wal.stagedBytes).to.equal(100);
    expect(wal.needsDrain).to.equal(true);
    throws(() => wal.append('6'), BackpressureError);
    throws(() => wal.appendBatch(['6', '7']), BackpressureError);
    expect(wal.lastEntryId).to.equal(5);
    let drained = false;
    const draining = wal.drain().then(() => (drained = true));
    await held.blocked();
    // What is being written still takes its memory.
    expect(wal.stagedBytes).to.equal(100);
    throws(() => wal.append('6'), BackpressureError);
    expect(drained).to.equal(false);
    held.releaseAll();
    await draining;
    expect(wal.stagedBytes).to.be.lessThan(100);
    expect(wal.needsDrain).to.equal(false);
    expect(wal.append('6')).to.equal(6);
    await wal.drain();
    await wal.close();
  });

  it('is not met by a producer that drains', async () => {
    const wal = await WalWriter.open(new MemoryDirectory(), { codec, highWaterMarkBytes: 500, segmentBytes: 400 });
    let refused = 0;
    for (let id = 1; id <= 300; id++) {
      try {
        wal.append('x'.repeat(id % 90));
      } catch (error) {
        expect(error).to.be.instanceOf(BackpressureError);
        refused++;
        await wal.drain();
        wal.append('x'.repeat(id % 90));
      }
      expect(wal.stagedBytes).to.be.at.most(500 + 106);
    }
    expect(wal.lastEntryId).to.equal(300);
    expect(refused).to.be.greaterThan(0);
    await wal.close();
  });

  it('lets a producer go on while the disk is busy with the next write', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec, highWaterMarkBytes: 1000 });
    held.holds.add('write');
    const appended: number[] = [];
    const producer = (async () => {
      while (wal.lastEntryId < 200) {
        if (wal.needsDrain) await wal.drain();
        // Whether a write was under way.
        if (wal.append('1234') > 50) appended.push(held.waiting);
      }
    })();
    for (let last = 0; last < 200; last = wal.lastEntryId) {
      await held.blocked();
      held.release();
      await idle();
    }
    await producer;
    expect([...new Set(appended)]).to.deep.equal([1]);
    held.releaseAll();
    await wal.close();
  });

  it('lets several wait for the same room', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const wal = await WalWriter.open(held, { codec, highWaterMarkBytes: 10 });
    held.holds.add('write');
    wal.append('x');
    const waiting = [wal.drain(), wal.drain(), wal.drain()];
    await held.blocked();
    held.releaseAll();
    await Promise.all(waiting);
    await wal.close();
  });
});
