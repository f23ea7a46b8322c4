import { expect } from 'chai';
import { MemoryDirectory, TruncatedError, type EventStore, type TruncationReport } from 'cairnlog';
import { FaultyDirectory, loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { Counted } from '../support/counted.js';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects } from '../support/rejects.js';
import { tree } from '../support/tree.js';
import { count, counts, files, openCounters } from './counters.js';

/** What holds the first part that stays. */
function holders({ kept }: TruncationReport): readonly string[] {
  return kept[0]!.heldBy;
}

async function twoCheckpoints(store: EventStore): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await count(store, 40);
    await store.checkpoint();
  }
}

describe('EventStore.truncate', () => {
  it('says what holds each segment, and changes nothing, when it is dry', async () => {
    const dir = new MemoryDirectory();
    const store = await openCounters(dir);
    await count(store, 40);
    const before = await tree(dir);
    expect(holders(await store.truncate({ dryRun: true }))).to.deep.equal(['fewer than 2 full checkpoints (0)']);
    expect(await tree(dir)).to.deep.equal(before);
    await store.checkpoint();
    expect(holders(await store.truncate({ dryRun: true }))).to.deep.equal(['fewer than 2 full checkpoints (1)']);
    await count(store, 40);
    await store.checkpoint();
    await count(store, 40);
    const { removed, kept } = await store.truncate({ dryRun: true });
    expect(removed).to.deep.equal([]);
    expect(kept[0]!.heldBy).to.deep.equal(['checkpoint at 40']);
    expect(kept[0]!.part.firstPosition).to.be.at.most(41);
    expect(kept[0]!.part.lastPosition).to.be.at.least(41);
    expect(kept.at(-1)!.heldBy).to.deep.equal(['active: entries are added to it']);
    expect(kept.map(({ part }) => part.name)).to.deep.equal(
      (await files(dir, 'wal'))
        .map((name) => `wal/${name}`)
        .sort((a, b) => Number(/\d+/.exec(a)) - Number(/\d+/.exec(b))),
    );
    await store.close();
  });

  it('reads no header of the log again to find out what may go, neither at a checkpoint nor when it is asked', async () => {
    const disk = new MemoryDirectory();
    const early = await openCounters(disk);
    await count(early, 200);
    await early.close();
    const counted = new Counted(disk);
    const store = await openCounters(counted.directory);
    const before = new Set((await files(disk, 'wal')).map((name) => `wal/${name}`));
    expect(before.size).to.be.greaterThan(8);
    const last = `wal/wal_${before.size}.log`;
    expect(before).to.include(last);
    counted.clear();
    await count(store, 40);
    await store.checkpoint();
    await store.truncate({ dryRun: true });
    const opened = (): string[] => counted.of('open').flatMap(({ path }) => (path.startsWith('wal/') ? [path] : []));
    expect(opened().filter((path) => before.has(path) && path !== last)).to.deep.equal([]);
    // Those that were made meanwhile have been read, once each.
    counted.clear();
    const { kept } = await store.truncate({ dryRun: true });
    expect(kept.length).to.be.at.least(before.size - 1);
    expect(new Set(opened())).to.have.length.at.most(1);
    await store.close();
  });

  it('removes what lies wholly at or below the oldest checkpoint that is kept, and says the same when it is dry', async () => {
    const dir = new MemoryDirectory();
    const store = await openCounters(dir);
    const holder = await store.subscription('slow', { from: 'now', handle: () => undefined });
    await holder.stop();
    await twoCheckpoints(store);
    await count(store, 40);
    await store.unsubscribe('slow');
    const dry = await store.truncate({ dryRun: true });
    expect(dry.removed).to.have.length.greaterThan(0);
    expect(dry.removed.every(({ lastPosition }) => lastPosition! <= 41)).to.equal(true);
    const done = await store.truncate();
    expect(done).to.deep.equal(dry);
    expect((await files(dir, 'wal')).length).to.equal(done.kept.length);
    expect((await store.truncate()).removed).to.deep.equal([]);
    await store.close();
    const again = await openCounters(dir);
    expect(await counts(again)).to.deep.equal([42, 39, 39]);
    await rejects(again.readAll({ from: 1 }).next(), TruncatedError);
    await again.close();
  });

  it('is held back by a durable subscription, also one that does not run', async () => {
    const dir = new MemoryDirectory();
    let store = await openCounters(dir);
    const mailer = await store.subscription('mailer', { from: 'start', handle: () => undefined });
    await mailer.stop();
    await store.close();
    store = await openCounters(dir);
    await twoCheckpoints(store);
    await count(store, 40);
    const dry = await store.truncate({ dryRun: true });
    expect(dry.removed).to.deep.equal([]);
    expect(holders(dry)).to.deep.equal(["subscription 'mailer'"]);
    await store.unsubscribe('mailer');
    expect((await store.truncate()).removed).to.have.length.greaterThan(0);
    await store.close();
  });

  it('is held back by whoever reads, and no longer', async () => {
    const store = await openCounters(new MemoryDirectory());
    const reader = store.readAll();
    await count(store, 40);
    await reader.next();
    const tail = store.tail({ from: 'start' });
    await tail.next();
    await twoCheckpoints(store);
    expect(holders(await store.truncate({ dryRun: true }))).to.deep.equal(['a reader', 'a tail']);
    await reader.return();
    expect(holders(await store.truncate({ dryRun: true }))).to.deep.equal(['a tail']);
    await tail.return();
    expect((await store.truncate()).removed).to.have.length.greaterThan(0);
    await store.close();
  });

  it('lets whoever begins to read while it is at work begin behind what goes', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openCounters(disk, { archive: 'old' });
    const holder = store.tail({ from: 'start' });
    await count(store, 1);
    await holder.next();
    await twoCheckpoints(store);
    await holder.return();
    disk.holds.add('rename');
    const truncated = store.truncate();
    await disk.blocked();
    const reader = store.readAll();
    const { position } = (await reader.next()).value as { position: number };
    disk.releaseAll();
    const { removed } = await truncated;
    expect(removed.length).to.be.greaterThan(1);
    expect(position).to.equal(removed.at(-1)!.lastPosition! + 1);
    const seen = [position];
    for await (const record of reader) seen.push(record.position);
    expect(seen.at(-1)).to.equal(store.position - 1);
    await store.close();
  });

  it('leaves alone what somebody began to read before it has decided', async () => {
    const disk = new HeldDirectory(new MemoryDirectory());
    const store = await openCounters(disk);
    const holder = store.tail({ from: 'start' });
    await count(store, 1);
    await holder.next();
    await twoCheckpoints(store);
    await holder.return();
    disk.holds.add('read');
    const truncated = store.truncate();
    await disk.blocked();
    const reader = store.readAll();
    const first = reader.next();
    disk.releaseAll();
    expect((await truncated).removed).to.deep.equal([]);
    expect((await first).value).to.include({ position: 1 });
    await reader.return();
    await store.close();
  });

  it('lets nothing go for a checkpoint whose name a power cut may take', async () => {
    const CHANGED = { checkpoint: { records: Infinity, retain: 1 }, files: { segmentBytes: 300 } };
    for (const end of ['the process ends', 'the sync fails', 'the sync takes its time'] as const) {
      let disk = new SimulatedDisk();
      const faulty = new FaultyDirectory(disk);
      let store = await openCounters(faulty, CHANGED);
      await count(store, 10);
      await store.checkpoint();
      await count(store, 10);
      let release = (): void => undefined;
      let reached: Promise<void> | undefined;
      faulty.decide = ({ kind, path }) => {
        if (kind !== 'syncDirectory' || path !== 'checkpoints' || reached !== undefined) return undefined;
        if (end === 'the process ends') return { kind: 'stop' };
        if (end === 'the sync fails') return { kind: 'error', errno: 'EIO' };
        const until = new Promise<void>((resolve) => (release = resolve));
        reached = Promise.resolve();
        return { kind: 'wait', until };
      };
      const taken = store.checkpoint().catch(() => undefined);
      if (end === 'the sync takes its time')
        while (reached === undefined) await new Promise((resolve) => setImmediate(resolve));
      else await taken;
      if (end === 'the process ends') {
        await store.close().catch(() => undefined);
        disk = disk.afterProcessEnd();
        store = await openCounters(disk, CHANGED);
      }
      await store.truncate();
      const again = await openCounters(disk.afterPowerCut(loseEverything), CHANGED);
      expect(await counts(again), end).to.deep.equal([8, 6, 6]);
      await again.close();
      release();
      await taken;
      await store.close();
    }
  });

  it('moves segments to the archive instead of removing them', async () => {
    const dir = new MemoryDirectory();
    const store = await openCounters(dir, { archive: 'old/segments' });
    await twoCheckpoints(store);
    await count(store, 40);
    await store.checkpoint();
    const archived = await files(dir, 'old/segments');
    expect(archived).to.include('wal_1.log');
    const kept = await files(dir, 'wal');
    expect(archived.some((name) => kept.includes(name))).to.equal(false);
    expect(archived.length + kept.length).to.equal(
      Math.max(...[...archived, ...kept].map((name) => Number(/\d+/.exec(name)))),
    );
    await store.close();
    await (await openCounters(dir)).close();
  });
});
