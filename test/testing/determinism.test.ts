import { expect } from 'chai';
import {
  defineAggregate,
  defineProjection,
  InvalidArgumentError,
  LockError,
  MemoryDirectory,
  memoryEngine,
  openStore,
  type DefinedAggregate,
  type Event,
  type OpenStoreOptions,
} from 'cairnlog';
import { checkDeterminism, DeterminismError, type DeterminismOptions } from 'cairnlog/testing';
import { contents } from '../support/directory-contents.js';
import { rejects } from '../support/rejects.js';

type Counted = Event<'Counted', { by: number }>;
type Reset = Event<'Reset', { to: number }>;
interface Count {
  count: number;
  resets: number;
  last: unknown;
}
type Counter = DefinedAggregate<Count, Counted | Reset, object>;

/** `last`: what the reducer of `Counted` puts into the state besides the count. */
const counterWith = (last: (event: Counted) => unknown, factor = 1): Counter =>
  defineAggregate('counter', {
    initial: { count: 0, resets: 0, last: null as unknown },
    reduce: {
      Counted(state, event: Counted) {
        state.count += event.data.by * factor;
        state.last = last(event);
      },
      Reset(state, event: Reset) {
        state.resets = event.data.to;
      },
    },
  }) as Counter;

const steady = counterWith(({ data }) => data.by);

/** Positions 1 to 3, a checkpoint at 3, its mark, positions 5 to 7, a checkpoint at 7, its mark, and position 9. */
async function fill(where: OpenStoreOptions, aggregate: Counter): Promise<void> {
  const store = await openStore({ ...where, aggregates: [aggregate] });
  const append = (id: string, ...events: (Counted | Reset)[]) => store.append([{ stream: `counter-${id}`, events }]);
  const counted = (by: number): Counted => ({ type: 'Counted', data: { by } });
  await append('a', counted(1), counted(2));
  await append('b', counted(3));
  await store.checkpoint();
  await append('b', { type: 'Reset', data: { to: 10 } });
  await append('a', counted(4));
  await append('b', counted(5));
  await store.checkpoint();
  await append('b', counted(6));
  await store.close();
}

const check = (where: DeterminismOptions | OpenStoreOptions, ...aggregates: Counter[]) =>
  checkDeterminism({ ...where, aggregates } as DeterminismOptions);

describe('checkDeterminism', () => {
  it('rebuilds the newest checkpoint from the one before, and goes on to the end', async () => {
    for (const where of [{ engine: memoryEngine() }, { dir: new MemoryDirectory() }]) {
      await fill(where, steady);
      expect(await check(where, steady)).to.deep.equal({ from: 3, compared: 7, upTo: 9, records: 4, aggregates: 2 });
    }
  });

  it('begins with the first record where there is one checkpoint or none', async () => {
    const engine = memoryEngine();
    const store = await openStore({ engine, aggregates: [steady] });
    await store.append([{ stream: 'counter-a', events: [{ type: 'Counted', data: { by: 1 } }] }]);
    await store.close();
    expect(await check({ engine }, steady)).to.deep.equal({
      from: 0,
      compared: undefined,
      upTo: 1,
      records: 1,
      aggregates: 0,
    });
    const again = await openStore({ engine, aggregates: [steady] });
    await again.checkpoint();
    await again.close();
    expect(await check({ engine }, steady)).to.include({ from: 0, compared: 1, records: 1, aggregates: 1 });
  });

  const unrepeatable: Record<string, () => unknown> = {
    'the time': () => Date.now(),
    'a date': () => new Date(),
    'random numbers': () => Math.random(),
    'the flip of a coin': () => Math.random() > 0.5,
  };
  for (const [what, last] of Object.entries(unrepeatable))
    it(`names the first record whose reducer uses ${what}`, async () => {
      const engine = memoryEngine();
      const counter = counterWith(last);
      await fill({ engine }, counter);
      const error = await rejects(check({ engine }, counter), DeterminismError);
      // Not position 5, which is reduced by another one.
      expect(error).to.include({ entryId: 6, stream: 'counter-a', version: 3, eventType: 'Counted' });
      expect(error.message).to.match(
        /^The reducer of 'Counted' in 'counter' makes another state each time it runs on the record at position 6 \(version 3 of 'counter-a'\)\. .*\n- once {3}\+ once more\n[^]*\n- {3}last: .*\n\+ {3}last: /,
      );
    });

  it('finds it after the newest checkpoint, too', async () => {
    const engine = memoryEngine();
    await fill({ engine }, steady);
    const counter = counterWith(({ data }) => (data.by === 6 ? Date.now() : data.by));
    expect(await rejects(check({ engine }, counter), DeterminismError)).to.include({ entryId: 9 });
  });

  it('names the first record that changed what differs, where the reducer repeats itself', async () => {
    const engine = memoryEngine();
    await fill({ engine }, steady);
    const changed = await rejects(
      check(
        { engine },
        counterWith(({ data }) => data.by, 100),
      ),
      DeterminismError,
    );
    expect(changed).to.include({ entryId: 6, stream: 'counter-a', version: 3, eventType: 'Counted' });
    expect(changed.message).to.equal(
      [
        "memory checkpoint at 7 holds another state of 'counter-a' than its records make, in 'count'. The first record that " +
          "changed that is at position 6 (version 3). Look at the reducer of 'Counted': it was another one then, or it uses " +
          'something outside of state and event',
        '- in the checkpoint   + rebuilt',
        '',
        '  {',
        '    state: {',
        '-     count: 7,',
        '+     count: 403,',
        '      last: 4,',
        '      resets: 0',
        '    },',
        '  ...',
        ' [entry 6]',
      ].join('\n'),
    );
  });

  it('says so when no record explains a difference', async () => {
    const events = [{ type: 'Counted', data: { by: 1 } }];
    const begin = async (aggregate: Counter) => {
      const engine = memoryEngine();
      const store = await openStore({ engine, aggregates: [aggregate] });
      await store.append([{ stream: 'counter-a', events }]);
      await store.checkpoint();
      await store.append([{ stream: 'counter-b', events }]);
      await store.checkpoint();
      await store.close();
      return engine;
    };
    const engine = await begin(steady);
    const items: Uint8Array[] = [];
    const other = await (await begin(counterWith(({ data }) => data.by, 100))).open();
    await other.checkpoints.read(1, (item) => items.push(item.slice()));
    const { checkpoints, log } = await engine.open();
    await checkpoints.write(
      1,
      log.logId,
      (async function* () {
        yield* items;
      })(),
    );
    const error = await rejects(check({ engine }, steady), DeterminismError);
    expect(error.message).to.include(
      "'counter-a' than its records make, in 'count'. No record since the checkpoint before",
    );
    expect(error).to.include({ stream: 'counter-a', version: undefined, entryId: undefined });
  });

  it('reads only', async () => {
    const dir = new MemoryDirectory();
    await fill({ dir }, steady);
    const before = [await contents(dir, 'wal'), await contents(dir, 'checkpoints')];
    await check({ dir }, steady);
    expect([await contents(dir, 'wal'), await contents(dir, 'checkpoints')]).to.deep.equal(before);
  });

  it('takes projections, and needs a closed store', async () => {
    const dir = new MemoryDirectory();
    const totals = defineProjection('totals', { initial: { all: 0 }, on: { Counted: (state) => void state.all++ } });
    const store = await openStore({ dir, aggregates: [steady], projections: [totals] });
    await rejects(checkDeterminism({ dir, aggregates: [steady], projections: [totals] }), LockError);
    await store.close();
    await checkDeterminism({ dir, aggregates: [steady], projections: [totals] });
    await rejects(checkDeterminism({ aggregates: [steady] }), InvalidArgumentError);
  });

  it('says what is missing when the log begins later than the only checkpoint', async () => {
    const engine = memoryEngine({ partEntries: 2 });
    const store = await openStore({ engine, aggregates: [steady], checkpoint: { retain: 1 } });
    for (let by = 0; by < 6; by++)
      await store.append([{ stream: 'counter-a', events: [{ type: 'Counted', data: { by } }] }]);
    await store.checkpoint();
    await store.close();
    expect((await rejects(check({ engine }, steady), InvalidArgumentError)).message).to.include('checkpoint.retain');
  });
});
