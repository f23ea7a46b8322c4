import { expect } from 'chai';
import {
  ClosedError,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  PoisonedError,
  TruncatedError,
  type RecordFilter,
  type StoredRecord,
  type WatchOptions,
  type WatchStatus,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { take } from 'rxjs';
import { Account } from './bank.js';
import { Counted } from '../support/counted.js';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects, throws } from '../support/rejects.js';
import { temporaryDirectory } from '../support/temporary-folder.js';
import { quiet, until } from '../support/until.js';
import { addFacts, openSmall, range } from './facts.js';

describe('subscribe()', () => {
  it('shows history, then what comes, each record once', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 100);
    const seen: number[] = [];
    store.subscribe({ from: 'start' }).records$.subscribe(({ position }) => seen.push(position));
    await addFacts(store, 100);
    await until(() => seen.length >= 200);
    await addFacts(store, 5);
    await until(() => seen.length >= 205);
    expect(seen).to.deep.equal(range(1, 205));
    await store.close();
  });

  it('begins anywhere: in the middle, at the end, and at a position that is not there yet', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 10);
    const watch = (from?: WatchOptions['from']): number[] => {
      const seen: number[] = [];
      store.subscribe(from === undefined ? {} : { from }).records$.subscribe(({ position }) => seen.push(position));
      return seen;
    };
    const [middle, last, next, now, default_, future] = [
      watch(5),
      watch(10),
      watch(11),
      watch('now'),
      watch(),
      watch(14),
    ];
    await addFacts(store, 3);
    await addFacts(store, 3);
    await until(() => [middle, last, next, now, default_, future].every((seen) => seen!.at(-1) === 16));
    expect(middle).to.deep.equal(range(5, 16));
    expect(last).to.deep.equal(range(10, 16));
    for (const seen of [next, now, default_]) expect(seen).to.deep.equal(range(11, 16));
    expect(future).to.deep.equal(range(14, 16));
    await store.close();
  });

  for (const durability of ['memory', 'flush'] as const)
    it(`misses nothing while segments roll, checkpoints and truncation happen, and appends go on (${durability})`, async () => {
      const store = await openSmall({ dir: await temporaryDirectory() });
      await addFacts(store, 300, { durability });
      const readers: number[][] = [];
      const watch = (from: number): void => {
        const seen: number[] = [];
        readers.push(seen);
        store.subscribe({ from }).records$.subscribe(({ position }) => seen.push(position));
      };
      const facts = new Set<number>();
      store.subscribe({ from: 1 }).records$.subscribe(({ position }) => facts.add(position));
      watch(1);
      for (let round = 0; round < 8; round++) {
        const appended = addFacts(store, 150, { durability });
        watch(Math.max(store.oldestPosition, store.position - 40 * round));
        const checkpoint = round % 2 === 0 ? store.checkpoint() : undefined;
        await appended;
        await checkpoint;
      }
      expect(store.position).to.equal(300 + 8 * 150 + 4);
      await until(() => facts.has(store.position) && readers.every((seen) => seen.at(-1) === store.position));
      const all = [...facts].sort((a, b) => a - b);
      expect(all).to.have.length(1500);
      for (const seen of readers) expect(seen).to.deep.equal(all.filter((position) => position >= seen[0]!));
      // Nobody needs it any more.
      await store.checkpoint();
      expect(store.oldestPosition).to.be.greaterThan(1400);
      await store.close();
    });

  it('misses nothing that was committed in memory and is not in the log yet', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const store = await openStore({ dir: held });
    await addFacts(store, 3);
    held.holds.add('write');
    void addFacts(store, 3, { durability: 'memory' });
    const seen: number[] = [];
    store.subscribe({ from: 2 }).records$.subscribe(({ position }) => seen.push(position));
    await quiet();
    void addFacts(store, 3, { durability: 'memory' });
    await quiet();
    expect(seen).to.deep.equal([]);
    held.releaseAll();
    await until(() => seen.length === 8);
    expect(seen).to.deep.equal(range(2, 9));
    await store.close();
  });

  it('serves a subscriber that is slower than the appends', async () => {
    const store = await openSmall({ dir: await temporaryDirectory(), files: { segmentBytes: 64 * 1024 } });
    const seen: number[] = [];
    let work = 0;
    store.subscribe({ from: 1 }).records$.subscribe(({ position }) => {
      for (let n = 0; n < 5_000; n++) work += n;
      seen.push(position);
    });
    for (let round = 0; round < 5; round++) await addFacts(store, 400);
    await until(() => seen.length >= 2000);
    expect(seen).to.deep.equal(range(1, 2000));
    expect(work).to.be.greaterThan(0);
    await store.close();
  });

  it('keeps several subscribers of one subscribe() apart', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 20);
    const { records$ } = store.subscribe({ from: 3 });
    const first: number[] = [];
    const second: number[] = [];
    records$.pipe(take(5)).subscribe(({ position }) => first.push(position));
    await until(() => first.length === 5);
    records$.subscribe(({ position }) => second.push(position));
    await addFacts(store, 1);
    await until(() => second.length === 19);
    expect(first).to.deep.equal(range(3, 7));
    expect(second).to.deep.equal(range(3, 21));
    await store.close();
  });

  it('filters by aggregate, stream and type, and by a function', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Account] });
    await store.execute(Account, 'a', (account) => account.open('Ada'));
    await addFacts(store, 2, { stream: 'fact-1' });
    const watch = (filter: RecordFilter): number[] => {
      const seen: number[] = [];
      store.subscribe({ from: 'start', filter }).records$.subscribe(({ position }) => seen.push(position));
      return seen;
    };
    const ofAccount = watch({ aggregates: [Account] });
    const ofStreams = watch({ streams: ['fact-1', 'fact-2'] });
    const ofType = watch({ types: ['MoneyDeposited', 'Happened'] });
    const ofBoth = watch({ aggregates: [Account], types: ['MoneyDeposited'] });
    const odd = watch(({ position }) => position % 2 === 1);
    const where = watch({ streams: ['fact-1'], where: ({ version }) => version > 1 });
    const none = watch({ types: [] });
    await store.execute(Account, 'a', (account) => account.deposit(1));
    await addFacts(store, 1, { stream: 'fact-2' });
    await until(() => [ofStreams, ofType, odd].every((seen) => seen.at(-1) === 5) && ofAccount.at(-1) === 4);
    await until(() => ofBoth.length === 1 && where.length === 1);
    expect(ofAccount).to.deep.equal([1, 4]);
    expect(ofStreams).to.deep.equal([2, 3, 5]);
    expect(ofType).to.deep.equal([2, 3, 4, 5]);
    expect(ofBoth).to.deep.equal([4]);
    expect(odd).to.deep.equal([1, 3, 5]);
    expect(where).to.deep.equal([3]);
    expect(none).to.deep.equal([]);
    throws(() => watch({ type: ['A'] } as never), InvalidArgumentError);
    throws(() => watch('A' as never), InvalidArgumentError);
    await store.close();
  });

  it('tells of a filter that throws as an error, and harms nobody else', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    const errors: unknown[] = [];
    store
      .subscribe({
        filter: () => {
          throw new Error('mine');
        },
      })
      .records$.subscribe({ error: (error) => errors.push(error) });
    await addFacts(store, 1);
    await until(() => errors.length === 1);
    await addFacts(store, 1);
    expect((errors[0] as Error).message).to.equal('mine');
    await store.close();
  });

  it('refuses a beginning that has left the log, and names the oldest that has not', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 200);
    await store.checkpoint();
    const { oldestPosition } = store;
    expect(oldestPosition).to.be.greaterThan(100);
    for (const from of ['start', 1, oldestPosition - 1] as const) {
      const error = await rejects(
        new Promise((_, reject) => store.subscribe({ from }).records$.subscribe({ error: reject })),
        TruncatedError,
      );
      expect(error.entryId).to.equal(oldestPosition);
      expect(error.message).to.include(`from: ${oldestPosition}`);
    }
    const seen: number[] = [];
    store.subscribe({ from: oldestPosition }).records$.subscribe(({ position }) => seen.push(position));
    await until(() => seen.at(-1) === 200);
    expect(seen).to.deep.equal(range(oldestPosition, 200));
    await store.close();
  });

  it('refuses beginnings that are no positions', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    for (const from of [0, -1, 1.5, Number.NaN, 'end'])
      throws(() => store.subscribe({ from: from as number }), InvalidArgumentError);
    await store.close();
    throws(() => store.subscribe(), ClosedError);
  });

  it('holds what it has not read, and says so', async () => {
    const held = new HeldDirectory(new MemoryDirectory());
    const store = await openSmall({ dir: held });
    await addFacts(store, 200);
    held.holds.add('read');
    const subscriber = store.subscribe({ from: 50 }).records$.subscribe();
    await held.blocked();
    // The checkpoint is read back before it counts, so that has to wait too.
    const checkpoint = store.checkpoint();
    await quiet();
    subscriber.unsubscribe();
    const other = store.subscribe({ from: 100 }).records$.subscribe();
    held.releaseAll();
    const { truncation } = await checkpoint;
    expect(store.oldestPosition).to.be.greaterThan(50);
    expect(truncation.removed.length).to.be.greaterThan(0);
    other.unsubscribe();
    await store.close();
  });

  it('lets its files go when it is unsubscribed while it reads, and when the store is closed', async () => {
    const counted = new Counted(await temporaryDirectory());
    const open = (): number => counted.of('open').length + counted.of('create').length - counted.of('close').length;
    const store = await openSmall({ dir: counted.directory });
    await addFacts(store, 400);
    const idle = open();
    const { records$ } = store.subscribe({ from: 1 });
    let subscriber = records$.pipe(take(10)).subscribe();
    await until(() => subscriber.closed && open() === idle);
    subscriber = records$.subscribe(() => subscriber.unsubscribe());
    await until(() => subscriber.closed && open() === idle);
    subscriber = records$.subscribe();
    subscriber.unsubscribe();
    await until(() => open() === idle);
    expect((await store.truncate({ dryRun: true })).kept.flatMap(({ heldBy }) => heldBy)).not.to.include('subscribe()');
    records$.subscribe();
    // A tail whose consumer never comes back.
    const forgotten = store.tail({ from: 1 });
    await forgotten.next();
    expect(open()).to.be.greaterThan(idle);
    await store.close();
    expect(open()).to.equal(0);
  });

  it('fails with the store, after what had been committed', async () => {
    let broken = false;
    const dir = new FaultyDirectory(new MemoryDirectory(), (operation) =>
      broken && operation.kind === 'write' ? { kind: 'error', errno: 'ENOSPC' } : undefined,
    );
    const store = await openStore({ dir });
    const heard: unknown[] = [];
    store.subscribe().records$.subscribe({
      next: ({ position }) => heard.push(position),
      error: (error) => heard.push((error as PoisonedError).code),
    });
    await quiet();
    await addFacts(store, 2);
    broken = true;
    await rejects(addFacts(store, 1), PoisonedError);
    await until(() => heard.length === 3);
    expect(heard).to.deep.equal([1, 2, 'CAIRN_POISONED']);
    await store.close().catch(() => undefined);
  });

  it('shows a live subscriber everything before it completes at close', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    const heard: unknown[] = [];
    store.subscribe().records$.subscribe({
      next: ({ position }) => heard.push(position),
      complete: () => heard.push('complete'),
    });
    await quiet();
    void addFacts(store, 3);
    await store.close();
    await until(() => heard.includes('complete'));
    expect(heard).to.deep.equal([1, 2, 3, 'complete']);
  });
});

describe('status$', () => {
  it('goes from catching-up to live, with the lag in records', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 100);
    const { records$, status$ } = store.subscribe({ from: 11 });
    const heard: WatchStatus[] = [];
    status$.subscribe((status) => heard.push(status));
    expect(heard).to.deep.equal([{ state: 'catching-up', position: 10, lag: 90 }]);
    const subscriber = records$.subscribe();
    await until(() => heard.at(-1)!.state === 'live');
    expect(heard.at(-1)).to.deep.equal({ state: 'live', position: 100, lag: 0 });
    const lags = heard.map(({ lag }) => lag);
    expect(lags).to.deep.equal([...lags].sort((a, b) => b - a));
    await addFacts(store, 2);
    await until(() => heard.at(-1)!.position === 102 && heard.at(-1)!.lag === 0);
    // Two that come late hear where it is at once.
    const late: WatchStatus[] = [];
    status$.subscribe((status) => late.push(status));
    expect(late).to.deep.equal([{ state: 'live', position: 102, lag: 0 }]);
    subscriber.unsubscribe();
    expect(late.at(-1)).to.deep.equal({ state: 'ended', position: 102, lag: 0 });
    await store.close();
  });

  it('begins again with a new reader, and completes when the store is closed', async () => {
    const store = await openSmall({ dir: new MemoryDirectory() });
    await addFacts(store, 10);
    const { records$, status$ } = store.subscribe({ from: 1 });
    const states: string[] = [];
    status$.subscribe({ next: ({ state }) => states.push(state), complete: () => states.push('complete') });
    const first = records$.subscribe();
    await until(() => states.at(-1) === 'live');
    first.unsubscribe();
    records$.subscribe();
    await until(() => states.at(-1) === 'live' && states.includes('ended'));
    await store.close();
    await until(() => states.at(-1) === 'complete');
    expect(states.filter((state, index) => state !== states[index - 1])).to.deep.equal([
      'catching-up',
      'live',
      'ended',
      'catching-up',
      'live',
      'ended',
      'complete',
    ]);
  });

  it('does not count what is no record, once it is live', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    const { records$, status$ } = store.subscribe({ from: 1 });
    let status: WatchStatus | undefined;
    status$.subscribe((next) => (status = next));
    records$.subscribe();
    await addFacts(store, 1);
    await store.checkpoint();
    await quiet();
    expect(store.position).to.equal(2);
    expect(status).to.deep.equal({ state: 'live', position: 2, lag: 0 });
    await store.close();
  });

  it('says that it catches up again when a slow consumer has fallen behind what is kept in memory', async () => {
    const store = await openSmall({ dir: new MemoryDirectory(), files: {} });
    const states: string[] = [];
    const seen: StoredRecord[] = [];
    const { records$, status$ } = store.subscribe({ from: 1 });
    status$.subscribe(({ state }) => states.at(-1) !== state && states.push(state));
    records$.subscribe((record) => seen.push(record));
    await until(() => states.at(-1) === 'live');
    // One append that is more than is kept in memory.
    await store.append([{ stream: 's-1', events: Array.from({ length: 2000 }, (_, n) => ({ type: 'T', data: n })) }]);
    await until(() => seen.length === 2000 && states.at(-1) === 'live');
    expect(states).to.deep.equal(['catching-up', 'live', 'catching-up', 'live']);
    await store.close();
  });
});
