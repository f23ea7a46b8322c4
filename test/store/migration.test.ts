import { expect } from 'chai';
import {
  Aggregate,
  AggregateRoot,
  Command,
  defineAggregate,
  defineProjection,
  InvalidArgumentError,
  MemoryDirectory,
  MigratesState,
  openStore,
  RecoveryError,
  Reduces,
  TruncatedError,
  type Directory,
  type Event,
  type EventStore,
  type StoredRecord,
} from 'cairnlog';
import { rejects } from '../support/rejects.js';
import { tree } from '../support/tree.js';
import { warningsOf } from '../support/warnings.js';
import { count, Counter, openCounters } from './counters.js';

type Counted = Event<'Counted', { by: number }>;
type Wide = Event<'Widened', object>;

/** Version 1 counts; version 2 counts in tens as well; version 3 calls it total. */
@Aggregate({ name: 'counter', version: 2 })
class Tens extends AggregateRoot<{ count: number; tens: number }, Counted> {
  static readonly initial = { count: 0, tens: 0 };
  @Reduces('Counted')
  static counted(state: { count: number; tens: number }, event: Counted): void {
    state.count += event.data.by;
    state.tens = Math.floor(state.count / 10);
  }
  @MigratesState(1)
  static withTens(state: { count: number }): { count: number; tens: number } {
    return { ...state, tens: Math.floor(state.count / 10) };
  }
}

interface TotalState {
  total: number;
  tens: number;
}

@Aggregate({ name: 'counter', version: 3 })
class Total extends AggregateRoot<TotalState, Counted> {
  static readonly initial: TotalState = { total: 0, tens: 0 };
  @Command()
  count(by: number): void {
    this.emit('Counted', { by });
  }
  @Reduces('Counted')
  static counted(state: TotalState, event: Counted): void {
    state.total += event.data.by;
    state.tens = Math.floor(state.total / 10);
  }
  @MigratesState(1)
  static withTens(state: { count: number }): { count: number; tens: number } {
    return { ...state, tens: Math.floor(state.count / 10) };
  }
  @MigratesState(2)
  static asTotal({ count: total, tens }: { count: number; tens: number }): TotalState {
    return { total, tens };
  }
}

@Aggregate({ name: 'counter', version: 3 })
class HalfMigrated extends AggregateRoot<TotalState, Counted> {
  static readonly initial: TotalState = { total: 0, tens: 0 };
  @Reduces('Counted')
  static counted(state: TotalState, event: Counted): void {
    state.total += event.data.by;
  }
  @MigratesState(1)
  static withTens(state: { count: number }): { count: number; tens: number } {
    return { ...state, tens: 0 };
  }
}

@Aggregate({ name: 'counter', version: 2 })
class Failing extends AggregateRoot<object, Counted> {
  static readonly initial = {};
  @Reduces('Counted')
  static counted(): void {}
  @MigratesState(1)
  static no(): object {
    throw new Error('cannot be done');
  }
}

/** The same version, but it counts double. */
@Aggregate({ name: 'counter' })
class Doubling extends AggregateRoot<{ count: number }, Counted> {
  static readonly initial = { count: 0 };
  @Reduces('Counted')
  static counted(state: { count: number }, event: Counted): void {
    state.count += event.data.by * 2;
  }
}

@Aggregate({ name: 'other' })
class Other extends AggregateRoot<{ width: number }, Wide> {
  static readonly initial = { width: 0 };
  @Reduces('Widened')
  static widened(state: { width: number }): void {
    state.width++;
  }
}

/** Thirty counts for each of three counters, checkpointed; the log reaches back to them or not. */
async function written(reachesBack: boolean): Promise<MemoryDirectory> {
  const dir = new MemoryDirectory();
  const store = await openCounters(dir);
  for (let i = 0; i < 2; i++) {
    await count(store, 45);
    if (i === 1 || !reachesBack) await store.checkpoint();
  }
  await store.close();
  return dir;
}

async function refused<E extends Error>(dir: Directory, open: () => Promise<EventStore>, Class: never): Promise<E> {
  const before = await tree(dir);
  const error = await rejects(open(), Class);
  expect(await tree(dir)).to.deep.equal(before);
  return error as unknown as E;
}

const totals = defineProjection('totals', {
  initial: { counted: 0 },
  on: {
    Counted: (state, record: StoredRecord<Counted>) => {
      state.counted += record.data.by;
    },
  },
});

describe('A higher version of an aggregate', () => {
  it('is made from the log, where that reaches back', async () => {
    const dir = await written(true);
    let store = await openStore({ dir, aggregates: [Total] });
    expect(store.recovery).to.deep.include({ rebuilt: ['counter'], migrated: [], warnings: [] });
    expect(store.recovery.entriesReplayed).to.equal(91);
    expect((await store.load(Total, 'c0')).state).to.deep.equal({ total: 30, tens: 3 });
    expect((await store.load(Total, 'c0')).version).to.equal(30);
    // From now on the checkpoint has it.
    expect(await store.checkpoint()).to.include({ taken: true });
    await store.close();
    store = await openStore({ dir, aggregates: [Total] });
    expect(store.recovery).to.deep.include({ rebuilt: [], entriesReplayed: 1 });
    expect((await store.load(Total, 'c0')).state).to.deep.equal({ total: 30, tens: 3 });
    await store.close();
  });

  it('is migrated where the log does not reach back, step by step', async () => {
    const dir = await written(false);
    let store = await openStore({ dir, aggregates: [Tens] });
    expect(store.recovery).to.deep.include({ rebuilt: [], migrated: ['counter'] });
    expect((await store.load(Tens, 'c1')).state).to.deep.equal({ count: 30, tens: 3 });
    await store.close();
    // Not checkpointed, so from version 1 again, through 2.
    store = await openStore({ dir, aggregates: [Total] });
    expect((await store.load(Total, 'c1')).state).to.deep.equal({ total: 30, tens: 3 });
    await store.execute(Total, 'c1', (counter) => counter.count(10));
    expect((await store.load(Total, 'c1')).state).to.deep.equal({ total: 40, tens: 4 });
    await store.checkpoint();
    await store.close();
    store = await openStore({ dir, aggregates: [Total] });
    expect(store.recovery.migrated).to.deep.equal([]);
    expect((await store.load(Total, 'c1')).state).to.deep.equal({ total: 40, tens: 4 });
    await store.close();
  });

  it('is refused where neither will do, with both named, and nothing is changed', async () => {
    const dir = await written(false);
    const open = (): Promise<EventStore> => openStore({ dir, aggregates: [HalfMigrated] });
    const { message } = await refused<Error>(dir, open, RecoveryError as never);
    expect(message).to.include('version 1 to 3').and.to.include('@MigratesState(2)');
    expect(message).to.match(/log begins with position \d+/);
  });

  it('is refused when it is made anew and a reducer throws, with the record named', async () => {
    const dir = await written(true);
    const Throwing = defineAggregate('counter', {
      version: 2,
      initial: { count: 0 },
      reduce: {
        Counted: () => {
          throw new Error('cannot be done');
        },
      },
    });
    const open = (): Promise<EventStore> => openStore({ dir, aggregates: [Throwing] });
    const error = await refused<RecoveryError>(dir, open, RecoveryError as never);
    expect(error.entryId).to.equal(1);
    expect(error.message).to.include('cannot be done');
  });

  it('is refused when its migration makes no state', async () => {
    for (const made of [null, 5, 'text', [], undefined]) {
      const dir = await written(false);
      const Broken = defineAggregate('counter', {
        version: 2,
        initial: { count: 0 },
        reduce: { Counted: () => undefined },
        migrate: { 1: () => made as never },
      });
      const open = (): Promise<EventStore> => openStore({ dir, aggregates: [Broken] });
      expect((await refused<Error>(dir, open, RecoveryError as never)).message).to.include('no state');
    }
  });

  it('is refused when its migration throws, with the stream named', async () => {
    const dir = await written(false);
    const open = (): Promise<EventStore> => openStore({ dir, aggregates: [Failing] });
    const { message } = await refused<Error>(dir, open, RecoveryError as never);
    expect(message).to.include("'counter-c").and.to.include('cannot be done');
  });
});

describe('A lower version of an aggregate', () => {
  it('is refused: a newer program wrote the checkpoint', async () => {
    const dir = await written(true);
    const store = await openStore({ dir, aggregates: [Total] });
    await store.checkpoint();
    await store.close();
    const { message } = await refused<Error>(dir, () => openCounters(dir), RecoveryError as never);
    expect(message).to.include("'counter' in version 3").and.to.include('declares 1');
  });
});

describe('Reducers that have changed while the version has not', () => {
  it('are warned of, once per opening, and used from now on', async () => {
    const dir = await written(true);
    const warnings = await warningsOf('CAIRN_RECOVERY', async () => {
      const store = await openStore({ dir, aggregates: [Doubling] });
      expect(store.recovery.warnings).to.have.length(1);
      expect(store.recovery.warnings[0]).to.include("'counter'");
      expect((await store.load(Doubling, 'c0')).state.count).to.equal(30);
      expect((await store.at(91)).load(Doubling, 'c0').state.count).to.equal(30);
      await store.checkpoint();
      await store.close();
    });
    expect(warnings).to.have.length(1);
    const store = await openStore({ dir, aggregates: [Doubling] });
    expect(store.recovery.warnings).to.deep.equal([]);
    await store.close();
  });
});

describe('An aggregate that the program no longer defines', () => {
  it('is refused, unless its states may be forgotten; its streams stay', async () => {
    const dir = await written(false);
    const open = (): Promise<EventStore> => openStore({ dir, aggregates: [Other] });
    const { message } = await refused<Error>(dir, open, InvalidArgumentError as never);
    expect(message).to.include("'counter'").and.to.include('same name');
    let store = await openStore({ dir, aggregates: [Other], forget: ['counter'] });
    const appended = await store.append([
      { stream: 'counter-c0', expectedVersion: 30, events: [{ type: 'Counted', data: { by: 1 } }] },
    ]);
    expect(appended.versions.get('counter-c0')).to.equal(31);
    await store.checkpoint();
    await store.close();
    // It is gone, and asked for again it cannot be made of half a log.
    store = await openStore({ dir, aggregates: [Other] });
    await store.close();
    const both = (): Promise<EventStore> => openCounters(dir, { aggregates: [Counter, Other] });
    const again = await refused<Error>(dir, both, RecoveryError as never);
    expect(again.message).to.include("'counter'").and.to.include('counter-c');
  });
});

describe('An aggregate that is new to a store', () => {
  it('takes in the records that its streams have already, where the log has them', async () => {
    const dir = new MemoryDirectory();
    let store = await openCounters(dir);
    await store.append([{ stream: 'other-o', events: [{ type: 'Widened', data: {} }] }]);
    await count(store, 6);
    await store.checkpoint();
    await store.close();
    store = await openStore({ dir, aggregates: [Counter, Other] });
    expect(store.recovery.rebuilt).to.deep.equal(['other']);
    expect((await store.load(Other, 'o')).state.width).to.equal(1);
    expect((await store.load(Counter, 'c0')).state.count).to.equal(2);
    await store.close();
  });

  it('costs nothing where it has no streams yet', async () => {
    const dir = await written(false);
    const store = await openStore({ dir, aggregates: [Counter, Other] });
    expect(store.recovery).to.deep.include({ rebuilt: [], entriesReplayed: 1, warnings: [] });
    expect((await store.load(Other, 'o')).version).to.equal(0);
    await store.close();
  });
});

describe('A projection that is new to a store', () => {
  it('is folded from the first record, where the log has it', async () => {
    const dir = await written(true);
    const store = await openCounters(dir, { projections: [totals] });
    expect(store.recovery.rebuilt).to.deep.equal(['totals']);
    expect(store.projection(totals).state.counted).to.equal(90);
    await store.close();
  });

  it('is refused where the log does not', async () => {
    const dir = await written(false);
    const open = (): Promise<EventStore> => openCounters(dir, { projections: [totals] });
    expect((await refused<Error>(dir, open, TruncatedError as never)).message).to.include("'totals'");
  });
});

describe('A projection that the program no longer defines', () => {
  it('is warned of before its state is gone', async () => {
    const dir = await written(true);
    let store = await openCounters(dir, { projections: [totals] });
    await store.checkpoint();
    await store.close();
    store = await openCounters(dir);
    expect(store.recovery.warnings[0]).to.include("'totals'");
    await store.close();
  });
});

describe('A projection that failed', () => {
  const breaking = (mended: boolean): ReturnType<typeof defineProjection<{ counted: number }>> =>
    defineProjection('totals', {
      initial: { counted: 0 },
      on: {
        Counted: (state: { counted: number }, record: StoredRecord<Counted>) => {
          if (record.position === 50 && !mended) throw new Error('not this one');
          state.counted += record.data.by;
        },
      },
    });

  it('holds the log back, survives checkpoints, and goes on where it stopped once it is mended', async () => {
    const dir = new MemoryDirectory();
    const broken = breaking(false);
    let store = await openCounters(dir, { projections: [broken] });
    for (let i = 0; i < 4; i++) {
      await count(store, 40);
      await store.checkpoint();
    }
    expect(store.projection(broken).failure?.message).to.include('not this one');
    expect((await store.truncate({ dryRun: true })).kept[0]!.heldBy).to.include("projection 'totals', which failed");
    await store.close();
    store = await openCounters(dir, { projections: [broken] });
    expect(store.projection(broken).failure?.message).to.include('not this one');
    await store.close();
    const mended = breaking(true);
    store = await openCounters(dir, { projections: [mended] });
    expect(store.projection(mended).failure).to.equal(undefined);
    expect(store.projection(mended).state.counted).to.equal(160);
    await store.close();
  });
});
