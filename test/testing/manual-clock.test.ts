import { expect } from 'chai';
import { InvalidArgumentError, MemoryDirectory, memoryEngine, openStore, type StoredRecord } from 'cairnlog';
import { countedIds, manualClock, seededRandom } from 'cairnlog/testing';
import { imageOf, sameImage } from '../support/image.js';
import { rejects, throws } from '../support/rejects.js';

const noted = [{ stream: 'notes-1', events: [{ type: 'Noted', data: { text: 'x' } }] }];

describe('a manual clock', () => {
  it('stands still until it is told to go on', async () => {
    const clock = manualClock({ start: 1000 });
    const called: number[] = [];
    const note = (): void => void called.push(clock.now());
    clock.after(30, note);
    clock.after(10, () => {
      note();
      clock.after(5, note);
    });
    const cancel = clock.after(20, note);
    cancel();
    expect(clock.waiting()).to.equal(2);
    await clock.advance(9);
    expect([called, clock.now()]).to.deep.equal([[], 1009]);
    await clock.advance(100);
    expect([called, clock.now(), clock.waiting()]).to.deep.equal([[1010, 1015, 1030], 1109, 0]);
    for (const bad of [-1, NaN, Infinity, '5']) await rejects(clock.advance(bad as number), InvalidArgumentError);
    expect(clock.now()).to.equal(1109);
  });

  it('begins at a time', () => {
    for (const start of ['x', NaN, Infinity, null])
      expect(throws(() => manualClock({ start: start as number }), InvalidArgumentError).message).to.include('start');
  });

  it('is the time of records', async () => {
    const clock = manualClock();
    const store = await openStore({ engine: memoryEngine(), ...clock });
    expect(store.recovery.milliseconds, 'no time passed').to.equal(0);
    const seen: StoredRecord[] = [];
    store.records$.subscribe((record) => seen.push(record));
    await store.append(noted);
    await clock.advance(60_000);
    await store.append(noted);
    await store.close();
    expect(seen.map(({ recordedAt }) => new Date(recordedAt).toISOString())).to.deep.equal([
      '2020-01-01T00:00:00.000Z',
      '2020-01-01T00:01:00.000Z',
    ]);
  });

  it('decides when a checkpoint is taken by interval', async () => {
    const clock = manualClock();
    const engine = memoryEngine();
    const store = await openStore({ engine, ...clock, checkpoint: { intervalMs: 60_000 } });
    await store.append(noted);
    await clock.advance(59_999);
    const before = store.position;
    await clock.advance(1);
    expect(store.position, 'the mark of the checkpoint').to.equal(before + 1);
    await store.close();
    expect((await (await engine.open()).checkpoints.list()).map(({ position }) => position)).to.deep.equal([1]);
  });

  it('decides when a subscription tries again', async () => {
    const clock = manualClock();
    const store = await openStore({ engine: memoryEngine(), ...clock });
    const tries: number[] = [];
    const subscription = await store.subscription('s', {
      handle: () => {
        tries.push(clock.now());
        if (tries.length < 4) throw new Error('not yet');
      },
      onError: { retry: 3, delayMs: 1000 },
    });
    await store.append(noted);
    await clock.advance(10_000);
    const [first = 0] = tries;
    expect(tries.map((at) => at - first)).to.deep.equal([0, 1000, 3000, 7000]);
    await subscription.stop();
    await store.close();
  });
});

describe('a seeded random', () => {
  it('makes files come out the same, byte for byte', async () => {
    const run = async (seed: number) => {
      const dir = new MemoryDirectory();
      const store = await openStore({ dir, now: manualClock().now, random: seededRandom(seed) });
      await store.append(noted);
      await store.checkpoint();
      await store.close();
      return imageOf(dir);
    };
    sameImage(await run(1), await run(1));
    const [one, other] = [await run(1), await run(2)];
    expect(() => sameImage(one, other)).to.throw('was changed');
  });
});

describe('counted ids', () => {
  it('come in order', () => {
    const newId = countedIds('order');
    expect([newId(), newId()]).to.deep.equal(['order-1', 'order-2']);
    expect(countedIds()()).to.equal('id-1');
  });
});
