import { expect } from 'chai';
import {
  Aggregate,
  AggregateRoot,
  ClosedError,
  defineProjection,
  EncodeError,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  PoisonedError,
  ProjectionError,
  Reduces,
  TruncatedError,
  Upcasts,
  type Event,
  type EventStore,
  type Of,
  type OpenStoreOptions,
  type ProjectionDefinition,
  type StoredRecord,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { HeldDirectory } from '../support/held-directory.js';
import { rejects, throws } from '../support/rejects.js';
import { quiet } from '../support/until.js';
import { addFacts, openSmall } from './facts.js';

/** One checkpoint is too few to truncate anything. */
const KEEP_LOG = { records: 1e9, retain: 2 };

type Fact = Event<'Happened', { n: number }>;

interface Counts {
  count: number;
  sum: number;
  last: number;
}

/** Counts facts; fails at a position if it is told so. */
function counts(
  options: { version?: number; failAt?: () => number; name?: string } = {},
): ProjectionDefinition<Counts> {
  const { version = 1, failAt = () => 0, name = 'counts' } = options;
  return defineProjection<Counts>(name, {
    version,
    initial: { count: 0, sum: 0, last: 0 },
    on: {
      Happened: (state, record: StoredRecord<Fact>) => {
        if (record.position === failAt()) throw new Error('cannot count');
        state.count++;
        state.sum += record.data.n * version;
        state.last = record.position;
      },
    },
  });
}

describe('a projection', () => {
  let dir: MemoryDirectory;
  let store: EventStore;
  let reported: unknown[];
  const open = async (options: OpenStoreOptions = {}): Promise<EventStore> => {
    store = await openSmall({ dir, onSubscriberError: (error) => reported.push(error), ...options });
    return store;
  };
  beforeEach(() => {
    dir = new MemoryDirectory();
    reported = [];
  });
  afterEach(() => store.close().catch(() => undefined));

  it('folds the records of all streams, and is there again after a restart', async () => {
    const definition = counts();
    await open({ projections: [definition] });
    await addFacts(store, 5, { stream: 'a-1' });
    await addFacts(store, 5, { stream: 'b-1' });
    await addFacts(store, 5, { type: 'Other' });
    const projection = store.projection(definition);
    expect(projection.state).to.deep.equal({ count: 10, sum: 20, last: 10 });
    expect(projection.position).to.equal(15);
    await store.close();
    // From the log, from a checkpoint, and from a checkpoint and the log.
    await open({ projections: [definition] });
    expect(store.projection(definition).state).to.deep.equal({ count: 10, sum: 20, last: 10 });
    await store.checkpoint();
    await store.close();
    await open({ projections: [definition] });
    expect(store.recovery.rebuilt).to.deep.equal([]);
    expect(store.projection(definition).state).to.deep.equal({ count: 10, sum: 20, last: 10 });
    await addFacts(store, 1);
    expect(store.projection(definition).state.count).to.equal(11);
    await store.close();
    await open({ projections: [definition] });
    expect(store.projection(definition).state.count).to.equal(11);
  });

  it('is frozen, and keeps what it was defined with to itself', async () => {
    const initial = { list: [{ n: 1 }] };
    const definition = defineProjection('p', {
      initial,
      on: { Happened: (state) => void state.list.push({ n: 2 }) },
    });
    initial.list[0]!.n = 5;
    await open({ projections: [definition] });
    const before = store.projection(definition).state;
    await addFacts(store, 1);
    const after = store.projection(definition).state;
    expect(before).to.deep.equal({ list: [{ n: 1 }] });
    expect(after).to.deep.equal({ list: [{ n: 1 }, { n: 2 }] });
    expect(after.list[0]).to.equal(before.list[0]);
    for (const frozen of [before, after, after.list, after.list[1]]) expect(Object.isFrozen(frozen)).to.equal(true);
  });

  it('takes only what its filter lets through', async () => {
    const definition = defineProjection('p', {
      initial: { count: 0 },
      on: { Happened: (state) => void state.count++ },
      filter: ({ stream }) => stream.startsWith('a-'),
    });
    await open({ projections: [definition] });
    await addFacts(store, 3, { stream: 'a-1' });
    await addFacts(store, 4, { stream: 'b-1' });
    expect(store.projection(definition).state.count).to.equal(3);
  });

  it('refuses definitions that cannot work', async () => {
    const on = { Happened: () => undefined };
    for (const define of [
      () => defineProjection('', { initial: {}, on }),
      () => defineProjection(5 as never, { initial: {}, on }),
      () => defineProjection('p', { initial: {}, on: {} }),
      () => defineProjection('p', { initial: {}, on, version: 0 }),
      () => defineProjection('p', { initial: {}, on, version: 1.5 }),
      () => defineProjection('p', { initial: 5 as never, on }),
      () => defineProjection('p', { initial: null as never, on }),
      () => defineProjection('p', { initial: {}, on: { Happened: 'no' as never } }),
      () => defineProjection('p', { initial: {}, on: undefined as never }),
      () => defineProjection('p', { initial: {}, on, filter: {} as never }),
      () => defineProjection('p', { initial: {}, on: { Happened: (async () => undefined) as never } }),
      () => defineProjection('p', { initial: {}, on, filter: (async () => true) as never }),
      () => defineProjection('p', undefined as never),
    ])
      throws(define, InvalidArgumentError);
    throws(() => defineProjection('p', { initial: { at: new Map() }, on }), EncodeError);
    await rejects(openStore({ dir, projections: [counts(), counts()] }), InvalidArgumentError);
    await open({ projections: [counts()] });
    throws(() => store.projection(counts()), InvalidArgumentError);
    await rejects(store.rebuild('unknown'), InvalidArgumentError);
    await store.close();
    throws(() => store.projection(counts()), ClosedError);
    await rejects(store.rebuild('counts'), ClosedError);
  });

  describe('state$', () => {
    it('shows the state at once and as it changes, once for each append', async () => {
      const definition = counts();
      await open({ projections: [definition] });
      await addFacts(store, 2);
      const heard: unknown[] = [];
      store.projection(definition).state$.subscribe({
        next: ({ count }) => heard.push(count),
        complete: () => heard.push('complete'),
      });
      expect(heard).to.deep.equal([2]);
      await addFacts(store, 1, { type: 'Other' });
      await store.append([{ stream: 's-1', events: [1, 2, 3].map((n) => ({ type: 'Happened', data: { n } })) }]);
      expect(heard).to.deep.equal([2, 5]);
      await store.close();
      expect(heard).to.deep.equal([2, 5, 'complete']);
    });

    it('misses nothing that happens while the first state is looked at', async () => {
      const definition = counts();
      await open({ projections: [definition] });
      const heard: number[] = [];
      store.projection(definition).state$.subscribe(({ count }) => {
        heard.push(count);
        if (count < 3) void addFacts(store, 1, { durability: 'memory' });
      });
      expect(heard).to.deep.equal([0, 1, 2, 3]);
      await addFacts(store, 1);
      expect(heard).to.deep.equal([0, 1, 2, 3, 4]);
    });

    it('has folded a record before records$ shows it', async () => {
      const definition = counts();
      await open({ projections: [definition] });
      const heard: boolean[] = [];
      store.records$.subscribe(({ position }) => heard.push(store.projection(definition).state.last === position));
      await addFacts(store, 3);
      expect(heard).to.deep.equal([true, true, true]);
    });

    it('is not harmed by a subscriber that throws', async () => {
      const definition = counts();
      await open({ projections: [definition] });
      const heard: number[] = [];
      const { state$ } = store.projection(definition);
      state$.subscribe(() => {
        throw new Error('mine');
      });
      state$.subscribe(({ count }) => heard.push(count));
      await addFacts(store, 1);
      expect(heard).to.deep.equal([0, 1]);
      expect(reported).to.have.length(2);
    });
  });

  describe('waitFor', () => {
    it('resolves when the position is there: at once, or once it is committed', async () => {
      const definition = counts();
      const held = new HeldDirectory(dir);
      await open({ dir: held, projections: [definition] });
      await addFacts(store, 3);
      const projection = store.projection(definition);
      for (const waits of [store, projection]) {
        await waits.waitFor(0);
        await waits.waitFor(3);
      }
      held.holds.add('write');
      const appended = addFacts(store, 1);
      const reached: string[] = [];
      const all = [
        store.waitFor(4).then(() => reached.push(`store ${store.position}`)),
        projection.waitFor(4).then(() => reached.push(`projection ${projection.state.last}`)),
      ];
      await held.blocked();
      await quiet();
      expect(reached).to.deep.equal([]);
      held.releaseAll();
      await Promise.all([...all, appended]);
      expect(reached).to.have.members(['store 4', 'projection 4']);
    });

    it('reads what was just written', async () => {
      const definition = counts();
      await open({ projections: [definition] });
      const { lastPosition } = await store.append([{ stream: 's-1', events: [{ type: 'Happened', data: { n: 7 } }] }]);
      await store.projection(definition).waitFor(lastPosition);
      expect(store.projection(definition).state.sum).to.equal(7);
    });

    it('gives up with its signal, and leaves nothing behind', async () => {
      const definition = counts();
      await open({ projections: [definition] });
      for (const waits of [store, store.projection(definition)]) {
        const abort = new AbortController();
        const waiting = waits.waitFor(5, { signal: abort.signal });
        abort.abort(new Error('too long'));
        const message = await waiting.then(
          () => 'reached',
          (error: Error) => error.message,
        );
        expect(message).to.equal('too long');
        expect(
          await waits.waitFor(5, { signal: abort.signal }).then(
            () => 'reached',
            (error: Error) => error.message,
          ),
        ).to.equal('too long');
        await waits.waitFor(0, { signal: abort.signal });
      }
    });

    it('rejects when the store is closed or fails before, and for what is no position', async () => {
      const definition = counts();
      let broken = false;
      const faulty = new FaultyDirectory(dir, ({ kind }) =>
        broken && kind === 'write' ? { kind: 'error', errno: 'EIO' } : undefined,
      );
      await open({ dir: faulty, projections: [definition] });
      for (const position of [-1, 0.5, Number.NaN, '5'])
        await rejects(store.waitFor(position as number), InvalidArgumentError);
      const both = [store.waitFor(10), store.projection(definition).waitFor(10)].map((waiting) =>
        rejects(waiting, ClosedError),
      );
      await store.close();
      await Promise.all(both);
      await rejects(store.waitFor(0), ClosedError);
      await open({ dir: faulty, projections: [definition] });
      const poisoned = rejects(store.waitFor(1), PoisonedError);
      broken = true;
      await rejects(addFacts(store, 1), PoisonedError);
      await poisoned;
      await rejects(store.waitFor(1), PoisonedError);
    });
  });

  describe('that fails', () => {
    it('stops alone and says so; the store and the others go on', async () => {
      const failing = counts({ failAt: () => 3 });
      const other = counts({ name: 'other' });
      await open({ projections: [failing, other] });
      const projection = store.projection(failing);
      const heard: unknown[] = [];
      projection.state$.subscribe({ next: ({ count }) => heard.push(count), error: (error) => heard.push(error) });
      const waiting = rejects(projection.waitFor(6), ProjectionError);
      await addFacts(store, 5);
      const failure = projection.failure!;
      expect(failure).to.be.instanceOf(ProjectionError);
      expect(failure.entryId).to.equal(3);
      expect(failure.message).to.include("'counts'").and.include('cannot count');
      expect((failure.cause as Error).message).to.equal('cannot count');
      expect(reported).to.deep.equal([failure]);
      expect(heard).to.deep.equal([0, 1, 2, failure]);
      expect(projection.state.count).to.equal(2);
      expect(projection.position).to.equal(2);
      await waiting;
      await projection.waitFor(2);
      await rejects(projection.waitFor(3), ProjectionError);
      // Late subscribers get what there is, and why no more comes.
      projection.state$.subscribe({ next: ({ count }) => heard.push(count), error: (error) => heard.push(error) });
      expect(heard.slice(4)).to.deep.equal([2, failure]);
      expect(store.projection(other).state.count).to.equal(5);
      await store.waitFor(5);
      await rejects(store.rebuild('counts'), ProjectionError);
      expect(projection.state.count).to.equal(2);
    });

    it('holds the log behind the record, also over checkpoints and restarts, and goes on once it is mended', async () => {
      let broken = true;
      const failing = (): ProjectionDefinition<Counts> => counts({ failAt: () => (broken ? 50 : 0) });
      await open({ projections: [failing()] });
      await addFacts(store, 200);
      await store.checkpoint();
      expect(store.oldestPosition).to.be.within(30, 50);
      const { kept } = await store.truncate({ dryRun: true });
      expect(kept[1]!.heldBy).to.deep.equal(["projection 'counts', which failed"]);
      await store.close();
      let definition = failing();
      await open({ projections: [definition] });
      expect(store.projection(definition).failure!.entryId).to.equal(50);
      expect(store.recovery.warnings.join()).to.include('cannot count');
      await addFacts(store, 1);
      await store.checkpoint();
      await store.close();
      broken = false;
      definition = failing();
      await open({ projections: [definition] });
      expect(store.projection(definition).failure).to.equal(undefined);
      expect(store.projection(definition).state.count).to.equal(201);
      await store.checkpoint();
      expect(store.oldestPosition).to.be.greaterThan(100);
    });

    it('is mended by a rebuild while the store is open', async () => {
      let broken = true;
      const definition = counts({ failAt: () => (broken ? 3 : 0) });
      await open({ projections: [definition] });
      await addFacts(store, 5);
      broken = false;
      await store.rebuild('counts');
      const projection = store.projection(definition);
      expect(projection.failure).to.equal(undefined);
      expect(projection.state.count).to.equal(5);
      await addFacts(store, 1);
      expect(projection.state.count).to.equal(6);
    });

    it('fails as well where the handler returns a promise, the filter throws, or the state could not be stored', async () => {
      const async_ = defineProjection('async', {
        initial: { count: 0 },
        on: {
          Happened: ((state: { count: number }) => Promise.resolve().then(() => void state.count++)) as never,
        },
      });
      const filter = defineProjection('filter', {
        initial: { count: 0 },
        on: { Happened: (state) => void state.count++ },
        filter: () => {
          throw new Error('bad filter');
        },
      });
      const odd = defineProjection('odd', {
        initial: { at: null as Map<string, number> | null },
        on: { Happened: (state) => void (state.at = new Map()) },
      });
      await open({ projections: [async_, filter, odd] });
      await addFacts(store, 1);
      expect(store.projection(odd).failure!.message).to.include("Field 'at' is an instance of Map");
      expect(store.projection(async_).failure!.message).to.include('failed with: it is async: it returned a promise');
      expect(store.projection(filter).failure!.message).to.include('bad filter');
    });
  });

  describe('of another version', () => {
    it('is folded anew from the log when the store is opened', async () => {
      await open({ projections: [counts()], checkpoint: KEEP_LOG });
      await addFacts(store, 20);
      await store.checkpoint();
      await addFacts(store, 1);
      await store.close();
      const definition = counts({ version: 2 });
      await open({ projections: [definition] });
      expect(store.recovery.rebuilt).to.deep.equal(['counts']);
      expect(store.projection(definition).state).to.deep.equal({ count: 21, sum: 2 * 190, last: 22 });
    });

    it('is refused when the log does not reach back, and the old version still opens the store', async () => {
      await open({ projections: [counts()] });
      await addFacts(store, 200);
      await store.checkpoint();
      await store.close();
      for (const projections of [[counts({ version: 2 })], [counts(), counts({ name: 'new' })]]) {
        const error = await rejects(openSmall({ dir, projections }), TruncatedError);
        expect(error.message).to.include('position 1');
      }
      const definition = counts();
      await open({ projections: [definition] });
      expect(store.projection(definition).state.count).to.equal(200);
      await rejects(store.rebuild('counts'), TruncatedError);
      expect(store.projection(definition).state.count).to.equal(200);
    });

    it('is warned of where only the handlers have changed', async () => {
      await open({ projections: [counts()] });
      await addFacts(store, 1);
      await store.checkpoint();
      await store.close();
      const changed = defineProjection<Counts>('counts', {
        initial: { count: 0, sum: 0, last: 0 },
        on: { Happened: (state) => void (state.count += 10) },
      });
      await open({ projections: [changed] });
      expect(store.recovery.warnings.join()).to.include("projection 'counts'");
      expect(store.projection(changed).state.count).to.equal(1);
    });

    it('is warned of where the program does not define it any more', async () => {
      await open({ projections: [counts()] });
      await addFacts(store, 1);
      await store.checkpoint();
      await store.close();
      await open();
      expect(store.recovery.warnings.join()).to.include("'counts'");
    });
  });

  it('can be added to a store with history', async () => {
    await open({ checkpoint: KEEP_LOG });
    await addFacts(store, 20);
    await store.checkpoint();
    await addFacts(store, 5);
    await store.close();
    const definition = counts();
    await open({ projections: [definition] });
    expect(store.projection(definition).state.count).to.equal(25);
  });

  it('does not stand in the way of a look at the past', async () => {
    await open({ checkpoint: KEEP_LOG });
    await addFacts(store, 20);
    await store.checkpoint();
    await store.close();
    const definition = counts();
    await open({ projections: [definition], checkpoint: KEEP_LOG });
    await addFacts(store, 200);
    await store.checkpoint();
    expect(store.oldestPosition).to.be.greaterThan(1);
    // The older checkpoint does not know the projection.
    expect((await store.at(30)).position).to.equal(30);
  });

  it('gets every event in its current version: live, after a restart, and when it is rebuilt', async () => {
    const definition = defineProjection('names', {
      initial: { names: [] as string[] },
      on: { Named: (state, record: StoredRecord<NamedNow>) => void state.names.push(record.data.full) },
    });
    await open({ aggregates: [PersonBefore] });
    await store.append([{ stream: 'person-1', events: [{ type: 'Named', data: { first: 'Ada', last: 'Byron' } }] }]);
    await store.close();
    await open({ aggregates: [Person], projections: [definition] });
    expect(store.projection(definition).state.names).to.deep.equal(['Ada Byron']);
    await store.append([{ stream: 'person-1', events: [{ type: 'Named', data: { full: 'Ada Lovelace' } }] }]);
    expect(store.projection(definition).state.names).to.deep.equal(['Ada Byron', 'Ada Lovelace']);
    await store.rebuild('names');
    expect(store.projection(definition).state.names).to.deep.equal(['Ada Byron', 'Ada Lovelace']);
    await store.close();
    await open({ aggregates: [Person], projections: [definition] });
    expect(store.projection(definition).state.names).to.deep.equal(['Ada Byron', 'Ada Lovelace']);
    for await (const record of store.tail({ from: 1 })) {
      expect(Object.isFrozen(record.data)).to.equal(true);
      break;
    }
  });

  describe('rebuild', () => {
    it('loses no record while appends go on, and shows the old state until the new one is there', async () => {
      let factor = 1;
      const definition = defineProjection('p', {
        initial: { count: 0, weighed: 0 },
        on: {
          Happened: (state) => {
            state.count++;
            state.weighed += factor;
          },
        },
      });
      await open({ projections: [definition] });
      await addFacts(store, 500);
      factor = 2;
      const projection = store.projection(definition);
      const counted: number[] = [];
      projection.state$.subscribe(({ count }) => counted.push(count));
      let rebuilt = false;
      const rebuilding = store.rebuild('p').then(() => (rebuilt = true));
      let appended = 500;
      while (!rebuilt) {
        await addFacts(store, 20);
        appended += 20;
        expect(projection.state.count).to.equal(appended);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await rebuilding;
      await addFacts(store, 1);
      expect(projection.state).to.deep.equal({ count: appended + 1, weighed: 2 * (appended + 1) });
      // Whoever watched never saw it go back.
      expect(counted).to.deep.equal([...counted].sort((a, b) => a - b));
    });

    it('shows the new state to who watches, without waiting for another record', async () => {
      let factor = 1;
      const definition = defineProjection('p', {
        initial: { sum: 0 },
        on: { Happened: (state) => void (state.sum += factor) },
      });
      await open({ projections: [definition] });
      await addFacts(store, 3);
      // The last position is no record.
      await store.checkpoint();
      factor = 10;
      const heard: number[] = [];
      store.projection(definition).state$.subscribe(({ sum }) => heard.push(sum));
      await store.rebuild('p');
      expect(heard).to.deep.equal([3, 30]);
    });

    it('holds the log while it reads, and joins one that is under way', async () => {
      const definition = counts();
      const held = new HeldDirectory(dir);
      await open({ dir: held, projections: [definition] });
      await addFacts(store, 200);
      held.holds.add('read');
      const first = store.rebuild('counts');
      await held.blocked();
      const second = store.rebuild('counts');
      held.holds.clear();
      await quiet();
      const checkpoint = store.checkpoint();
      held.releaseAll();
      await Promise.all([first, second, checkpoint]);
      expect(store.projection(definition).state.count).to.equal(200);
    });

    it('rejects when the store is closed meanwhile, and the old state stays', async () => {
      const definition = counts();
      const held = new HeldDirectory(dir);
      await open({ dir: held, projections: [definition] });
      await addFacts(store, 100);
      held.holds.add('read');
      const rebuilding = store.rebuild('counts');
      const projection = store.projection(definition);
      await held.blocked();
      const closing = store.close();
      await quiet();
      held.releaseAll();
      await rejects(rebuilding, ClosedError);
      await closing;
      expect(projection.state.count).to.equal(100);
    });
  });
});

type NamedBefore = Event<'Named', { first: string; last: string }>;
type NamedNow = Event<'Named', { full: string }>;

@Aggregate({ name: 'person', version: 1 })
class PersonBefore extends AggregateRoot<{ name: string }, NamedBefore> {
  static readonly initial = { name: '' };

  @Reduces('Named')
  static named(state: { name: string }, event: Of<NamedBefore, 'Named'>): void {
    state.name = event.data.first;
  }
}

@Aggregate({ name: 'person', version: 1 })
class Person extends AggregateRoot<{ name: string }, NamedNow> {
  static readonly initial = { name: '' };

  @Upcasts('Named', 1)
  static joined(data: { first: string; last: string }): { full: string } {
    return { full: `${data.first} ${data.last}` };
  }

  @Reduces('Named')
  static named(state: { name: string }, event: Of<NamedNow, 'Named'>): void {
    state.name = event.data.full;
  }
}
