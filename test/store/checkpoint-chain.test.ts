import { expect } from 'chai';
import {
  defineProjection,
  MemoryDirectory,
  type CheckpointPolicy,
  type Directory,
  type EventStore,
  type OpenStoreOptions,
  type StoredRecord,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import fc from 'fast-check';
import { bytesOf, copy, edit } from '../support/directory-contents.js';
import { count, Counter, counts, files, openCounters, type Counted } from './counters.js';

/** Checkpoints of changes, however small the state is. */
const CHANGES: CheckpointPolicy = { records: Infinity, changesAboveBytes: 1 };

const totals = defineProjection('totals', {
  initial: { counted: 0 },
  on: {
    Counted: (state, record: StoredRecord<Counted>) => {
      state.counted += record.data.by;
    },
  },
});

const STREAMS = 300;

function open(dir: Directory, options: Partial<OpenStoreOptions> = {}): Promise<EventStore> {
  return openCounters(dir, { checkpoint: CHANGES, ...options });
}

/** Three changes at the given streams, and a checkpoint of them. */
async function changeAndCheckpoint(store: EventStore, first: number, full = false): Promise<number | undefined> {
  for (let i = first; i < first + 3; i++)
    await store.execute(Counter, `c${i % STREAMS}`, (counter) => counter.count(1));
  return (await store.checkpoint({ full })).buildsOn;
}

async function sizes(dir: Directory): Promise<number[]> {
  const found: { position: number; size: number }[] = [];
  for (const name of await files(dir, 'checkpoints'))
    found.push({ position: Number(/\d+/.exec(name)), size: (await dir.stat(`checkpoints/${name}`))!.size });
  return found.sort((a, b) => a.position - b.position).map(({ size }) => size);
}

describe('A checkpoint of changes', () => {
  it('costs what has changed', async () => {
    const dir = new MemoryDirectory();
    const store = await open(dir);
    await count(store, STREAMS * 3, STREAMS);
    const first = await store.checkpoint();
    expect(first.buildsOn).to.equal(undefined);
    await count(store, 3, STREAMS);
    const second = await store.checkpoint();
    expect(second.buildsOn).to.equal(first.position);
    expect(second.bytes).to.be.lessThan(first.bytes * 0.05);
    await store.close();
    const again = await open(dir);
    expect(again.recovery.checkpoint).to.deep.include({
      position: second.position,
      buildsOn: [first.position],
      bytes: first.bytes + second.bytes,
    });
    expect(again.recovery.entriesReplayed).to.equal(1);
    const found = await counts(again, STREAMS);
    expect(found.slice(0, 4)).to.deep.equal([4, 4, 4, 3]);
    await again.close();
  });

  it('is not made of a small state, unless that is asked for', async () => {
    const store = await open(new MemoryDirectory(), { checkpoint: { records: Infinity } });
    await count(store, STREAMS, STREAMS);
    await store.checkpoint();
    await count(store, 1);
    expect(await store.checkpoint()).to.include({ taken: true, buildsOn: undefined });
    await store.close();
  });

  it('is followed by a full one when there are eight, when they come to half of it, or when much was appended', async () => {
    const store = await open(new MemoryDirectory());
    await count(store, STREAMS, STREAMS);
    expect(await changeAndCheckpoint(store, 0)).to.equal(undefined);
    for (let i = 0; i < 8; i++) expect(await changeAndCheckpoint(store, 0), String(i)).to.be.a('number');
    expect(await changeAndCheckpoint(store, 0), 'eight').to.equal(undefined);
    await count(store, STREAMS / 2, STREAMS);
    expect((await store.checkpoint()).buildsOn, 'half').to.equal(undefined);
    await count(store, STREAMS + 1, 2);
    expect((await store.checkpoint()).buildsOn, 'much appended').to.equal(undefined);
    await store.close();
  });

  it('goes on with the chain after a restart', async () => {
    const dir = new MemoryDirectory();
    let store = await open(dir);
    await count(store, STREAMS, STREAMS);
    await changeAndCheckpoint(store, 0);
    for (let i = 1; i <= 8; i++) {
      const base = store.checkpointStatus.position;
      await store.close();
      store = await open(dir);
      expect(await changeAndCheckpoint(store, i * 3)).to.equal(base);
    }
    await store.close();
    store = await open(dir);
    expect(store.recovery.checkpoint?.buildsOn).to.have.length(8);
    expect(await changeAndCheckpoint(store, 0)).to.equal(undefined);
    await store.close();
  });

  it('is not made where the program makes something else of the records than the one before', async () => {
    const dir = new MemoryDirectory();
    let store = await open(dir);
    await count(store, STREAMS, STREAMS);
    await changeAndCheckpoint(store, 0);
    await store.close();
    store = await open(dir, { projections: [totals] });
    expect(await changeAndCheckpoint(store, 0)).to.equal(undefined);
    expect(await changeAndCheckpoint(store, 0)).to.be.a('number');
    await store.close();
    store = await open(dir, { projections: [totals] });
    expect(store.projection(totals).state.counted).to.equal(STREAMS + 9);
    await store.close();
  });

  it('has in it what a failed one before it would have had', async () => {
    const inner = new MemoryDirectory();
    const disk = new FaultyDirectory(inner);
    const store = await open(disk);
    await count(store, STREAMS, STREAMS);
    await changeAndCheckpoint(store, 0);
    await count(store, 4, 4);
    disk.decide = ({ kind, path }) =>
      kind === 'write' && path.startsWith('checkpoints/') ? { kind: 'error', errno: 'EIO' } : undefined;
    await store.checkpoint().then(
      () => expect.fail(),
      () => undefined,
    );
    disk.decide = () => undefined;
    await count(store, 2, 2);
    expect((await store.checkpoint()).buildsOn).to.be.a('number');
    await store.close();
    const again = await open(inner);
    expect((await counts(again, STREAMS)).slice(0, 5)).to.deep.equal([4, 4, 3, 2, 1]);
    await again.close();
  });

  it('keeps receipts, subscriptions and projections as they were', async () => {
    const dir = new MemoryDirectory();
    const options = { projections: [totals], receipts: 4 };
    let store = await open(dir, options);
    await count(store, STREAMS, STREAMS);
    for (const name of ['stays', 'goes']) await (await store.subscription(name, { handle: () => undefined })).stop();
    await store.execute(Counter, 'c0', (counter) => counter.count(1), { commandId: 'first' });
    await store.checkpoint();
    await store.unsubscribe('goes');
    for (const commandId of ['a', 'b', 'c'])
      await store.execute(Counter, 'c1', (counter) => counter.count(1), { commandId });
    expect((await store.checkpoint()).buildsOn).to.be.a('number');
    await store.execute(Counter, 'c2', (counter) => counter.count(1), { commandId: 'd' });
    const last = await store.checkpoint();
    expect(last.buildsOn).to.be.a('number');
    await store.close();
    store = await open(dir, options);
    expect(store.recovery.checkpoint?.position).to.equal(last.position);
    expect(store.projection(totals).state.counted).to.equal(STREAMS + 5);
    const { position } = store;
    for (const [id, commandId] of [
      ['c1', 'a'],
      ['c1', 'c'],
      ['c2', 'd'],
    ] as const)
      await store.execute(Counter, id, (counter) => counter.count(1), { commandId });
    expect(store.position, 'answered before').to.equal(position);
    await store.execute(Counter, 'c0', (counter) => counter.count(1), { commandId: 'first' });
    expect(store.position, 'forgotten: more than four since').to.equal(position + 1);
    // Truncation is still held by one of them, and by one only.
    await store.checkpoint({ full: true });
    await store.checkpoint({ full: true });
    const holders = (await store.truncate({ dryRun: true })).kept.flatMap(({ heldBy }) => heldBy);
    expect(holders).to.include("subscription 'stays'").and.not.to.include("subscription 'goes'");
    // A projection whose state did not change is not written again.
    await store.execute(Counter, 'c0', () => undefined, { commandId: 'nothing' });
    await store.checkpoint();
    await store.close();
    store = await open(dir, options);
    expect(store.projection(totals).state.counted).to.equal(STREAMS + 6);
    await store.close();
  });

  it('is the same bytes for the same history, crashes or not', async () => {
    const written: Buffer[] = [];
    for (const restarts of [false, true]) {
      const dir = new MemoryDirectory();
      const options = { files: { random: (size: number) => new Uint8Array(size).fill(9) }, now: () => 5 };
      let store = await open(dir, options);
      await count(store, STREAMS, STREAMS);
      await store.checkpoint();
      await count(store, 5, 5);
      if (restarts) {
        await store.close();
        store = await open(dir, options);
      }
      await count(store, 3, 3);
      const { position, buildsOn } = await store.checkpoint();
      expect(buildsOn).to.be.a('number');
      written.push(await bytesOf(dir, `checkpoints/ckpt_${position}.ckpt`));
      await store.close();
    }
    expect(written[0]!.equals(written[1]!)).to.equal(true);
  });
});

describe('Chains of checkpoints', () => {
  /** Two full checkpoints with changes behind each, the log truncated as far as that allows, and a few entries more. */
  async function twoChains(dir: Directory): Promise<number[]> {
    const store = await open(dir);
    await count(store, STREAMS, STREAMS);
    for (let chain = 0; chain < 3; chain++) {
      expect(await changeAndCheckpoint(store, 0, true)).to.equal(undefined);
      for (let i = 1; i < 4; i++) expect(await changeAndCheckpoint(store, i)).to.be.a('number');
    }
    await count(store, 5, 5);
    const found = await counts(store, STREAMS);
    await store.close();
    return found;
  }

  it('are kept whole, two of them, and the log behind the older one', async () => {
    const dir = new MemoryDirectory();
    await twoChains(dir);
    expect(await sizes(dir)).to.have.length(8);
    const store = await open(dir);
    const { kept } = await store.truncate({ dryRun: true });
    const tips = (await files(dir, 'checkpoints')).map((name) => Number(/\d+/.exec(name))).sort((a, b) => a - b);
    expect(kept[0]!.part.firstPosition)
      .to.be.greaterThan(1)
      .and.to.be.at.most(tips[3]! + 1);
    expect(kept[0]!.heldBy).to.deep.equal([`checkpoint at ${tips[3]}`]);
    await store.close();
  });

  it('recover whichever single file is damaged or gone, wherever', async function () {
    this.timeout(20_000);
    const whole = new MemoryDirectory();
    const expected = await twoChains(whole);
    for (const name of await files(whole, 'checkpoints')) {
      const path = `checkpoints/${name}`;
      const { size } = (await whole.stat(path))!;
      for (const at of [0, 9, 26, 40, size >> 1, size - 20, 'gone'] as const) {
        const dir = new MemoryDirectory();
        await copy(whole, dir, ['wal', 'checkpoints']);
        if (at === 'gone') await dir.remove(path);
        else
          await edit(dir, path, (bytes) => {
            bytes[at]! ^= 0x20;
          });
        let store = await open(dir);
        expect(await counts(store, STREAMS), `${path} ${at}`).to.deep.equal(expected);
        // And what is built on it then is as good.
        await store.execute(Counter, 'c7', (counter) => counter.count(1));
        await store.checkpoint();
        await store.close();
        store = await open(dir);
        expect((await store.load(Counter, 'c7')).state.count).to.equal(expected[7]! + 1);
        await store.close();
      }
    }
  });

  it('stay two whole ones when one is damaged, whoever found that out has ended, and another one is damaged', async () => {
    const dir = new MemoryDirectory();
    const expected = await twoChains(dir);
    const damage = (position: number): Promise<void> =>
      edit(dir, `checkpoints/ckpt_${position}.ckpt`, (bytes) => {
        bytes[bytes.length >> 1]! ^= 0x20;
      });
    const positions = (await files(dir, 'checkpoints')).map((name) => Number(/\d+/.exec(name))).sort((a, b) => a - b);
    await damage(positions[4]!);
    let store = await open(dir);
    expect(store.recovery.checkpoint?.position).to.equal(positions[3]);
    const { position: newest } = await store.checkpoint({ full: true });
    await store.close();
    // This process begins with the newest one and has no reason to look at others, until it removes some.
    store = await open(dir);
    expect(store.recovery.skippedCheckpoints).to.deep.equal([]);
    await changeAndCheckpoint(store, 0);
    await store.close();
    await damage(newest);
    store = await open(dir);
    expect(store.recovery.checkpoint?.position).to.equal(positions[3]);
    expect(await counts(store, STREAMS)).to.deep.equal(expected.map((count_, index) => count_ + (index < 3 ? 1 : 0)));
    await store.close();
  });

  it('hold the log until there are two, which `full` makes at once', async () => {
    const dir = new MemoryDirectory();
    const store = await open(dir);
    await count(store, STREAMS, STREAMS);
    await store.checkpoint();
    await changeAndCheckpoint(store, 0);
    expect((await store.truncate({ dryRun: true })).kept[0]!.heldBy).to.deep.equal([
      'fewer than 2 full checkpoints (1)',
    ]);
    await changeAndCheckpoint(store, 0, true);
    expect((await store.truncate({ dryRun: true })).kept[0]!.part.firstPosition).to.be.greaterThan(1);
    await store.close();
  });

  it('give the state of the log, for any mixture of changes, checkpoints, restarts and looks at the past', async function () {
    this.timeout(20_000);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('count' as const), id: fc.nat(30), times: fc.nat(6) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const), full: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const dir = new MemoryDirectory();
        let store = await open(dir);
        const model: number[] = Array.from({ length: 60 }, () => 1);
        await count(store, 60, 60);
        const seen: { position: number; count: number }[] = [];
        for (const next of steps) {
          if (next.kind === 'count') {
            await Promise.all(
              Array.from({ length: next.times }, () =>
                store.execute(Counter, `c${next.id}`, (counter) => counter.count(1)),
              ),
            );
            model[next.id]! += next.times;
            seen.push({ position: store.position, count: model[3]! });
          } else if (next.kind === 'checkpoint') {
            await store.checkpoint({ full: next.full });
          } else {
            await store.close();
            store = await open(dir);
          }
          expect(await counts(store, 60)).to.deep.equal(model);
        }
        const oldest = (await store.truncate({ dryRun: true })).kept[0]!.part.firstPosition;
        for (const { position, count: was } of seen.filter((past) => oldest === 1 || past.position === store.position))
          expect((await store.at(position)).load(Counter, 'c3').state.count).to.equal(was);
        await store.close();
        store = await open(dir);
        expect(await counts(store, 60)).to.deep.equal(model);
        await store.close();
      }),
      { numRuns: 25 },
    );
  });
});
