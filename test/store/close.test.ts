import { expect } from 'chai';
import * as fs from 'node:fs';
import { ClosedError, defineProjection, MemoryDirectory, PoisonedError, type StoredRecord } from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { HeldDirectory } from '../support/held-directory.js';
import { ManualTime } from '../support/manual-time.js';
import { rejects, throws } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { count, Counter, counts, openCounters } from './counters.js';

const totals = defineProjection('totals', {
  initial: { counted: 0 },
  on: {
    Counted: (state, record: StoredRecord<{ type: 'Counted'; data: { by: number } }>) => {
      state.counted += record.data.by;
    },
  },
});

/** Resolves once a subscriber was completed. */
function completes(source: { subscribe(observer: object): unknown }): Promise<string> {
  return new Promise((resolve) =>
    source.subscribe({ complete: () => resolve('completed'), error: () => resolve('failed') }),
  );
}

describe('EventStore.close', () => {
  it('refuses every call from then on with ClosedError, while it still waits for what is in flight', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openCounters(disk, { projections: [totals] });
    await count(store, 3);
    disk.holds.add('datasync');
    const inFlight = store.execute(Counter, 'c0', (counter) => counter.count(1));
    await disk.blocked();
    const closed = store.close();
    const events = [{ type: 'Counted', data: { by: 1 } }];
    const calls: Record<string, () => Promise<unknown>> = {
      execute: () => store.execute(Counter, 'c0', (counter) => counter.count(1)),
      append: () => store.append([{ stream: 'counter-c0', events }]),
      load: () => store.load(Counter, 'c0'),
      'load in the past': () => store.load(Counter, 'c0', { version: 1 }),
      at: () => store.at(1),
      readStream: () => store.readStream('counter-c0').next(),
      readAll: () => store.readAll().next(),
      subscription: () => store.subscription('s', { handle: () => undefined }),
      unsubscribe: () => store.unsubscribe('s'),
      rebuild: () => store.rebuild('totals'),
      waitFor: () => store.waitFor(1),
      checkpoint: () => store.checkpoint(),
      truncate: () => store.truncate(),
      'truncate, dry': () => store.truncate({ dryRun: true }),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error = await call().then(
        () => expect.fail(`${name} was done`),
        (reason: unknown) => reason,
      );
      expect(error, name).to.be.instanceOf(ClosedError);
    }
    throws(() => store.tail(), ClosedError);
    throws(() => store.subscribe(), ClosedError);
    throws(() => store.changes(Counter), ClosedError);
    throws(() => store.projection(totals), ClosedError);
    disk.releaseAll();
    expect(await inFlight).to.include({ version: 2 });
    await closed;
    for (const [name, call] of Object.entries(calls))
      expect(await call().catch((error: unknown) => error), name).to.be.instanceOf(ClosedError);
    expect(await completes(store.records$)).to.equal('completed');
    expect(store.recovery.position).to.equal(0);
    expect(store.position).to.equal(4);
  });

  it('is done once, however often it is called', async () => {
    const store = await openCounters(new MemoryDirectory());
    const first = store.close();
    expect(store.close()).to.equal(first);
    await first;
    await store.close();
    await store[Symbol.asyncDispose]();
  });

  it('is what the end of an `await using` block does', async () => {
    const dir = new MemoryDirectory();
    {
      await using store = await openCounters(dir);
      await count(store, 3);
    }
    await using again = await openCounters(dir);
    expect(await counts(again)).to.deep.equal([1, 1, 1]);
  });

  it('completes all Observables and ends all tails', async () => {
    const store = await openCounters(new MemoryDirectory(), { projections: [totals] });
    await count(store, 3);
    const watched = [
      store.records$,
      store.changes(Counter),
      store.subscribe({ from: 'start' }).records$,
      store.projection(totals).state$,
    ].map(completes);
    const seen: number[] = [];
    const tail = (async () => {
      for await (const record of store.tail({ from: 'start' })) seen.push(record.position);
    })();
    while (seen.length < 3) await new Promise((resolve) => setImmediate(resolve));
    await store.close();
    await tail;
    expect(await Promise.all(watched)).to.deep.equal(['completed', 'completed', 'completed', 'completed']);
  });

  it('rejects whoever goes on reading with ClosedError, and waits for nobody who does not', async () => {
    const store = await openCounters(new MemoryDirectory());
    await count(store, 30);
    const reader = store.readAll();
    expect((await reader.next()).value).to.include({ position: 1 });
    const forgotten = store.readAll();
    await forgotten.next();
    const late = store.readAll();
    await store.close();
    await rejects(reader.next(), ClosedError);
    await rejects(late.next(), ClosedError);
  });

  it('leaves no descriptor and no timer behind, and gives the lock up at once', async function () {
    if (!fs.existsSync('/proc/self/fd')) {
      console.log('      skipped: there is no /proc/self/fd to count descriptors in');
      this.skip();
    }
    const folder = temporaryFolder();
    await (await openCounters(folder)).close();
    const before = fs.readdirSync('/proc/self/fd').length;
    const clock = new ManualTime();
    for (let round = 0; round < 3; round++) {
      const store = await openCounters(folder, {
        after: clock.after,
        elapsed: clock.elapsed,
        checkpoint: { intervalMs: 1000 },
      });
      await count(store, 20);
      const paused = store.readAll();
      await paused.next();
      const tail = store.tail({ from: 'start' });
      await tail.next();
      expect(clock.pending).to.equal(1);
      await store.close();
      expect(clock.pending).to.equal(0);
    }
    expect(fs.readdirSync('/proc/self/fd').length).to.equal(before);
  });

  it('waits for the checkpoint that is being taken, and for those who asked for one', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openCounters(disk);
    await count(store, 30);
    disk.holds.add('rename');
    const taken = store.checkpoint();
    await disk.blocked();
    const executed = store.execute(Counter, 'c0', (counter) => counter.count(1));
    await executed;
    const next = store.checkpoint();
    const closed = store.close();
    disk.releaseAll();
    await closed;
    expect((await taken).position).to.equal(30);
    expect((await next).position).to.equal(32);
    const again = await openCounters(disk);
    expect(again.recovery.checkpoint?.position).to.equal(32);
    expect(await counts(again)).to.deep.equal([11, 10, 10]);
    await again.close();
  });

  it('waits for the record that a subscription is handling, and notes it', async () => {
    const dir = new MemoryDirectory();
    const store = await openCounters(dir);
    let finish = (): void => undefined;
    const handled: number[] = [];
    await store.subscription('slow', {
      handle: async (record) => {
        await new Promise<void>((resolve) => (finish = resolve));
        handled.push(record.position);
      },
    });
    await count(store, 2);
    await new Promise((resolve) => setImmediate(resolve));
    const closed = store.close();
    finish();
    await closed;
    const again = await openCounters(dir);
    await again.subscription('slow', { handle: (record) => handled.push(record.position) });
    await again.waitFor(3);
    while (handled.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(handled).to.deep.equal([2, 3]);
    await again.close();
  });

  it('works after the disk has failed, and does not report again what was reported', async () => {
    const inner = new MemoryDirectory();
    const disk = new FaultyDirectory(inner);
    const store = await openCounters(disk);
    await count(store, 3);
    const watched = completes(store.records$);
    disk.decide = ({ kind }) => (kind === 'write' ? { kind: 'error', errno: 'EIO' } : undefined);
    await rejects(
      store.execute(Counter, 'c0', (counter) => counter.count(1)),
      PoisonedError,
    );
    await rejects(store.checkpoint(), PoisonedError);
    expect(await watched).to.equal('failed');
    expect((await store.load(Counter, 'c0')).state.count).to.equal(1);
    await store.close();
    await rejects(store.load(Counter, 'c0'), ClosedError);
    const again = await openCounters(inner);
    expect(await counts(again)).to.deep.equal([1, 1, 1]);
    await again.close();
  });

  it('reports a failed disk if nobody was told, because all were acknowledged at once', async () => {
    const inner = new MemoryDirectory();
    const disk = new FaultyDirectory(inner);
    const store = await openCounters(disk, { durability: 'memory' });
    await count(store, 3);
    await new Promise((resolve) => setImmediate(resolve));
    disk.decide = ({ kind }) => (kind === 'write' ? { kind: 'error', errno: 'EIO' } : undefined);
    await count(store, 1);
    await rejects(store.close(), PoisonedError);
    await (await openCounters(inner)).close();
  });

  it('reports a failed disk if only a checkpoint in the background met it', async () => {
    const inner = new MemoryDirectory();
    const disk = new FaultyDirectory(inner);
    const store = await openCounters(disk, { durability: 'flush', checkpoint: { records: 4 } });
    await count(store, 3);
    disk.decide = ({ kind }) => (kind === 'datasync' ? { kind: 'error', errno: 'EIO' } : undefined);
    await count(store, 1);
    while (store.checkpointStatus.failure === undefined) await new Promise((resolve) => setImmediate(resolve));
    // What was acknowledged at durability `flush` is not on stable storage, and nobody has been told so far.
    const failure = await rejects(store.close(), PoisonedError);
    expect(failure.message).to.match(/Whether everything that was acknowledged without a sync/);
    await (await openCounters(inner)).close();
  });

  it('does not report again what a checkpoint that was asked for reported', async () => {
    const disk = new FaultyDirectory(new MemoryDirectory());
    const store = await openCounters(disk, { durability: 'flush' });
    await count(store, 3);
    disk.decide = ({ kind }) => (kind === 'datasync' ? { kind: 'error', errno: 'EIO' } : undefined);
    await rejects(store.checkpoint(), PoisonedError);
    await store.close();
  });

  it('lets the same process open the store again at once', async () => {
    const folder = temporaryFolder();
    for (let round = 1; round <= 5; round++) {
      const store = await openCounters(folder);
      await count(store, 3);
      expect(await counts(store)).to.deep.equal([round, round, round]);
      await store.close();
    }
  });
});
