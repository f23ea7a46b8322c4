import { expect } from 'chai';
import { Readable } from 'node:stream';
import { ClosedError, MemoryDirectory, openStore, TruncatedError, type StoredRecord } from 'cairnlog';
import { Counted } from '../support/counted.js';
import { rejects, throws } from '../support/rejects.js';
import { temporaryDirectory } from '../support/temporary-folder.js';
import { quiet, until } from '../support/until.js';
import { addFacts, openSmall, range } from './facts.js';

describe('tail()', () => {
  it('hands out history and what comes, as fast as it is asked', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 50);
    const seen: number[] = [];
    for await (const record of store.tail({ from: 'start' })) {
      seen.push(record.position);
      if (record.position === 50) void addFacts(store, 10);
      if (record.position === 60) break;
    }
    expect(seen).to.deep.equal(range(1, 60));
    await store.close();
  });

  it('begins now unless it is told otherwise', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 5);
    const tail = store.tail();
    const next = tail.next();
    await addFacts(store, 1);
    expect(((await next).value as StoredRecord).position).to.equal(6);
    await tail.return();
    await store.close();
  });

  it('ends at once when it is left while it waits for the next record, and lets the log go', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 5);
    const tail = store.tail();
    const next = tail.next();
    await quiet();
    expect(await tail.return()).to.deep.equal({ done: true, value: undefined });
    expect(await next).to.deep.equal({ done: true, value: undefined });
    const stream = Readable.from(store.tail());
    stream.resume();
    await quiet();
    stream.destroy();
    await new Promise((resolve) => stream.once('close', resolve));
    const { kept } = await store.truncate({ dryRun: true });
    for (const { heldBy } of kept) expect(heldBy.join()).to.not.include('tail');
    expect(await store.tail().return()).to.deep.equal({ done: true, value: undefined });
    await store.close();
  });

  it('reads from the log instead of keeping in memory what its consumer does not fetch', async () => {
    const counted = new Counted(new MemoryDirectory());
    const store = await openStore({ dir: counted.directory, durability: 'flush' });
    const tail = store.tail({ from: 1 });
    const first = tail.next();
    await addFacts(store, 1);
    await first;
    await addFacts(store, 1000);
    counted.clear();
    const seen: number[] = [];
    const fetch = async (count: number): Promise<void> => {
      while (seen.length < count) seen.push(((await tail.next()).value as StoredRecord).position);
    };
    await fetch(1000);
    expect(counted.of('read')).to.have.length(0);
    await addFacts(store, 4000);
    await fetch(5000);
    expect(counted.of('read').length).to.be.greaterThan(0);
    expect(seen).to.deep.equal(range(2, 5001));
    await tail.return();
    await store.close();
  });

  it('holds the log while it is under way, and lets it go when the loop is left', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 200);
    for await (const record of store.tail({ from: 1 })) {
      if (record.position === 20) {
        await store.checkpoint();
        expect(store.oldestPosition).to.be.lessThan(22);
        const { kept } = await store.truncate({ dryRun: true });
        expect(kept[1]!.heldBy).to.deep.equal(['a tail']);
        break;
      }
    }
    await store.truncate();
    expect(store.oldestPosition).to.be.greaterThan(100);
    await rejects(store.tail({ from: 'start' }).next(), TruncatedError);
    await store.close();
  });

  it('does not hold the log behind what is no record', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 50);
    const tail = store.tail({ from: 50 });
    await tail.next();
    const next = tail.next();
    await quiet();
    // Cursors and marks of checkpoints are entries too, but nobody who watches is told of them.
    for (let n = 0; n < 20; n++) {
      await store.subscription('s', { from: 'now', handle: () => undefined });
      await store.unsubscribe('s');
      await store.checkpoint();
    }
    await quiet();
    await store.truncate();
    expect(store.oldestPosition).to.be.greaterThan(51);
    await addFacts(store, 1);
    expect(((await next).value as StoredRecord).position).to.equal(store.position);
    await tail.return();
    await store.close();
  });

  it('ends when it is aborted: while it waits, while it reads, and before it begins', async () => {
    const store = await openSmall({ dir: await temporaryDirectory() });
    await addFacts(store, 100);
    const abort = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { position } of store.tail({ from: 1, signal: abort.signal })) seen.push(position);
    })();
    await until(() => seen.length === 100);
    abort.abort();
    await reading;
    const again = new AbortController();
    for await (const { position } of store.tail({ from: 1, signal: again.signal })) if (position === 10) again.abort();
    expect(await store.tail({ from: 1, signal: abort.signal }).next()).to.deep.equal({ done: true, value: undefined });
    expect((await store.truncate({ dryRun: true })).kept.flatMap(({ heldBy }) => heldBy)).not.to.include('a tail');
    await store.close();
  });

  it('ends when the store is closed: what it has in memory is still handed out', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    const tail = store.tail({ from: 1 });
    const first = tail.next();
    await addFacts(store, 3);
    await first;
    const waiting = store.tail();
    const nothing = waiting.next();
    await quiet();
    await store.close();
    expect((await nothing).done).to.equal(true);
    const rest: number[] = [];
    for await (const { position } of tail) rest.push(position);
    expect(rest).to.deep.equal([2, 3]);
    throws(() => store.tail(), ClosedError);
  });

  it('filters, and goes on behind what does not pass', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 100, { type: 'Boring' });
    await addFacts(store, 1, { type: 'Rare' });
    const tail = store.tail({ from: 1, filter: { types: ['Rare'] } });
    expect(((await tail.next()).value as StoredRecord).position).to.equal(101);
    await store.checkpoint();
    expect(store.oldestPosition).to.be.greaterThan(50);
    await tail.return();
    await store.close();
  });

  it('gives others a turn while a consumer that waits for nothing reads a long history', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), durability: 'flush' });
    await addFacts(store, 5000);
    let turns = 0;
    let reading = true;
    const count = (): void => {
      turns++;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    let work = 0;
    for await (const { position } of store.tail({ from: 1 })) {
      for (let n = 0; n < 10_000; n++) work += n;
      if (position === 5000) break;
    }
    reading = false;
    expect(work).to.be.greaterThan(0);
    expect(turns).to.be.greaterThan(2);
    await store.close();
  });
});
