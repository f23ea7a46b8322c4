import { expect } from 'chai';
import { MemoryDirectory } from 'cairnlog';
import { FaultyDirectory, type DiskOperation } from 'cairnlog/testing';
import { copy, edit } from '../support/directory-contents.js';
import { ManualTime } from '../support/manual-time.js';
import { count, Counter, counts, files, openCounters } from './counters.js';

describe('Booting a store', () => {
  it('gives the same state from the log alone and from any checkpoint on', async () => {
    const dir = new MemoryDirectory();
    const store = await openCounters(dir, { checkpoint: { retain: 100 } });
    for (let i = 0; i < 8; i++) {
      await count(store, 17, 5);
      await store.checkpoint();
    }
    await count(store, 9, 5);
    const expected = await counts(store, 5);
    await store.close();
    const names = (await files(dir, 'checkpoints')).sort((a, b) => Number(/\d+/.exec(b)) - Number(/\d+/.exec(a)));
    for (let use = 0; use <= names.length; use++) {
      const again = await openCounters(dir, { checkpoint: { retain: 100 } });
      expect(await counts(again, 5)).to.deep.equal(expected);
      expect(again.recovery.checkpoint?.name).to.equal(
        names[use] === undefined ? undefined : `checkpoints/${names[use]}`,
      );
      await again.close();
      if (names[use] !== undefined) await dir.remove(`checkpoints/${names[use]}`);
    }
  });

  it('reads of the log only headers and what comes after the checkpoint, and nothing of it twice', async () => {
    const inner = new MemoryDirectory();
    const dir = new FaultyDirectory(inner);
    let store = await openCounters(inner, { files: { segmentBytes: 4096 } });
    await count(store, 400, 5);
    await store.checkpoint();
    await count(store, 300, 5);
    await store.close();
    const reads: DiskOperation[] = [];
    dir.decide = (operation) => {
      if (operation.kind === 'read' && operation.path.startsWith('wal/')) reads.push(operation);
      return undefined;
    };
    store = await openCounters(dir, { files: { segmentBytes: 4096 } });
    expect(store.recovery.checkpoint?.position).to.equal(400);
    const { entriesReplayed, bytesReplayed } = store.recovery;
    expect(entriesReplayed).to.equal(301);
    await store.close();
    const names = await files(inner, 'wal');
    expect(names.length).to.be.greaterThan(8);
    const framesOf = (path: string): number =>
      reads.filter((read) => read.path === path && read.bytes! > 40).reduce((sum, { bytes }) => sum + bytes!, 0);
    const last = `wal/wal_${names.length}.log`;
    // Once to find the end of the last segment, once to replay what is behind the checkpoint.
    const replayed = names.map((name) => framesOf(`wal/${name}`)).reduce((sum, bytes) => sum + bytes, 0);
    const { size } = (await inner.stat(last))!;
    expect(replayed).to.be.lessThan(bytesReplayed + entriesReplayed * 16 + 4096 + 2 * size + names.length * 40);
    expect(framesOf('wal/wal_1.log')).to.equal(0);
    expect(framesOf('wal/wal_2.log')).to.equal(0);
  });

  it('does not read a full last segment again that was read to find its end', async () => {
    const inner = new MemoryDirectory();
    let store = await openCounters(inner, { files: {} });
    for (let i = 0; i < 3; i++)
      await store.append([
        {
          stream: 'raw',
          events: Array.from({ length: 20 }, () => ({ type: 'Filled', data: 'x'.repeat(20_000) })),
        },
      ]);
    await store.checkpoint();
    await count(store, 3);
    await store.close();
    const { size } = (await inner.stat('wal/wal_1.log'))!;
    expect(size).to.be.greaterThan(1_000_000);
    let read = 0;
    const dir = new FaultyDirectory(inner, (operation) => {
      if (operation.kind === 'read' && operation.path === 'wal/wal_1.log') read += operation.bytes!;
      return undefined;
    });
    store = await openCounters(dir, { files: {} });
    expect(await counts(store)).to.deep.equal([1, 1, 1]);
    expect(read).to.be.lessThan(size * 1.4);
    await store.close();
  });

  it('reports what it did', async () => {
    const dir = new MemoryDirectory();
    let store = await openCounters(dir);
    expect(store.recovery).to.deep.include({
      checkpoint: undefined,
      skippedCheckpoints: [],
      entriesReplayed: 0,
      bytesReplayed: 0,
      rebuilt: [],
      migrated: [],
      warnings: [],
      tornTail: undefined,
      position: 0,
    });
    for (let i = 0; i < 2; i++) {
      await count(store, 20);
      await store.checkpoint();
    }
    await count(store, 5);
    await store.close();
    await edit(dir, 'checkpoints/ckpt_41.ckpt', (bytes) => {
      bytes[40]! ^= 1;
    });
    const last = Math.max(...(await files(dir, 'wal')).map((name) => Number(/\d+/.exec(name))));
    await edit(dir, `wal/wal_${last}.log`, (bytes) => Buffer.concat([bytes, Buffer.alloc(11, 5)]));
    const clock = new ManualTime();
    let at = 0;
    clock.elapsed = () => (at += 3);
    store = await openCounters(dir, { elapsed: clock.elapsed });
    const { recovery } = store;
    expect(recovery.checkpoint).to.include({ name: 'checkpoints/ckpt_20.ckpt', position: 20 });
    expect(recovery.checkpoint?.bytes).to.be.greaterThan(50);
    expect(recovery.skippedCheckpoints).to.have.length(1);
    expect(recovery.skippedCheckpoints[0]).to.include({ name: 'checkpoints/ckpt_41.ckpt', position: 41 });
    expect(recovery.skippedCheckpoints[0]!.reason).to.include('damaged');
    expect(recovery.tornTail).to.include({ bytes: 11 });
    expect(recovery.tornTail?.reason).to.be.a('string');
    expect(recovery.entriesReplayed).to.equal(27);
    expect(recovery.position).to.equal(47);
    expect(recovery.phases).to.deep.equal({ log: 3, checkpoint: 3, replay: 3, start: 3 });
    expect(recovery.milliseconds).to.be.at.least(12);
    await store.close();
  });

  it('reports the replay of the checkpoint that was used, and none of one that was given up', async () => {
    const whole = new MemoryDirectory();
    let store = await openCounters(whole, { receipts: 3 });
    for (let i = 0; i < 5; i++)
      await store.execute(Counter, 'c0', (counter) => counter.count(1), { commandId: `id-${i}` });
    await store.checkpoint();
    await store.execute(Counter, 'c0', (counter) => counter.count(1), { commandId: 'id-5' });
    await store.checkpoint();
    await store.close();
    const dir = new MemoryDirectory();
    await copy(whole, dir, ['wal', 'checkpoints']);
    // In the footer's frame, which is only seen when everything else was taken in.
    await edit(dir, 'checkpoints/ckpt_7.ckpt', (bytes) => {
      bytes[bytes.length - 40]! ^= 1;
    });
    store = await openCounters(dir, { receipts: 3 });
    expect(store.recovery.skippedCheckpoints).to.have.length(1);
    expect((await store.load(Counter, 'c0')).state.count).to.equal(6);
    for (const [id, position] of [
      ['id-5', 7],
      ['id-4', 5],
      ['id-3', 4],
    ] as const)
      expect(await store.execute(Counter, 'c0', (counter) => counter.count(1), { commandId: id })).to.include({
        position,
      });
    expect((await store.load(Counter, 'c0')).state.count).to.equal(6);
    await store.close();
  });
});
