// Whatever happens at once, whoever watches sees exactly the records from its beginning on: each once, in order, none
// left out, and nothing that nobody else sees.

import { expect } from 'chai';
import fc from 'fast-check';
import { defineProjection, MemoryDirectory, openStore, type EventStore, type StoredRecord } from 'cairnlog';
import { check } from '../support/seed.js';
import { UnevenDirectory } from '../support/uneven-directory.js';
import { until } from '../support/until.js';

type Step =
  | { readonly do: 'append'; readonly count: number; readonly durability: 'memory' | 'flush' | 'fsync' }
  | { readonly do: 'checkpoint' | 'truncate' | 'rebuild' }
  | { readonly do: 'watch'; readonly how: 'records$' | 'subscribe' | 'tail' | 'durable'; readonly back: number }
  | { readonly do: 'end'; readonly which: number }
  | { readonly do: 'wait'; readonly turns: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      count: fc.oneof(
        { weight: 9, arbitrary: fc.integer({ min: 1, max: 40 }) },
        { weight: 1, arbitrary: fc.constant(1500) },
      ),
      durability: fc.constantFrom('memory', 'flush', 'fsync'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('checkpoint', 'truncate', 'rebuild') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('watch' as const),
      how: fc.constantFrom('records$', 'subscribe', 'tail', 'durable'),
      back: fc.integer({ min: -5, max: 60 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 12 }) }) },
);

/** Somebody who watches, and what was seen. */
interface Watching {
  readonly how: string;
  from: number;
  readonly seen: number[];
  ended: boolean;
  end: () => unknown;
}

async function run(steps: readonly Step[], turns: readonly number[]): Promise<void> {
  let drawn = 0;
  const directory = new UnevenDirectory(new MemoryDirectory(), () => turns[drawn++ % turns.length]!);
  const reported: unknown[] = [];
  const counts = defineProjection('counts', {
    initial: { count: 0 },
    on: { T: (state) => void state.count++, Echo: (state) => void state.count++ },
  });
  const store = await openStore({
    dir: directory,
    projections: [counts],
    checkpoint: { records: 1e9, retain: 1 },
    files: { segmentBytes: 600 },
    onSubscriberError: (error) => reported.push(error),
  });
  const all: number[] = [];
  const watching: Watching[] = [];
  const background: Promise<unknown>[] = [];
  const slow = { turn: 0 };
  // Somebody who answers, in the middle of being told.
  store.records$.subscribe(({ type, position }) => {
    if (type !== 'T' || position % 9 !== 0) return;
    const events = [{ type: 'Echo', data: position }];
    background.push(
      store.append([{ stream: 'echo-1', events }], { durability: position % 2 === 0 ? 'memory' : 'flush' }),
    );
  });
  store.records$.subscribe(({ position }) => all.push(position));
  for (const [index, one] of steps.entries()) {
    switch (one.do) {
      case 'append':
        background.push(
          store.append(
            [{ stream: `s-${index}`, events: Array.from({ length: one.count }, (_, n) => ({ type: 'T', data: n })) }],
            { durability: one.durability },
          ),
        );
        break;
      case 'checkpoint':
        background.push(store.checkpoint());
        break;
      case 'truncate':
        background.push(store.truncate());
        break;
      case 'rebuild':
        // It may come too late for the log to have everything.
        background.push(
          store.rebuild('counts').catch((error: { code?: string }) => expect(error.code).to.equal('CAIRN_TRUNCATED')),
        );
        break;
      case 'watch': {
        const from = Math.max(store.oldestPosition, store.position - one.back);
        watching.push(await watch(store, one.how, from, `w${index}`, slow));
        break;
      }
      case 'end': {
        const chosen = watching[one.which];
        if (chosen === undefined || chosen.ended) break;
        chosen.ended = true;
        background.push(Promise.resolve(chosen.end()));
        break;
      }
      case 'wait':
        for (let turn = 0; turn < one.turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  while (background.length > 0) await background.shift();
  const last = all.at(-1) ?? 0;
  await until(() => watching.every(({ ended, seen, from }) => ended || last < from || seen.at(-1) === last));
  for (const { how, from, seen, ended } of watching) {
    const expected = all.filter((position) => position >= from);
    expect(seen, `${how} from ${from}`).to.deep.equal(ended ? expected.slice(0, seen.length) : expected);
  }
  expect(store.projection(counts).state.count).to.equal(all.length);
  expect(reported).to.deep.equal([]);
  // Nobody holds anything any more.
  for (const one of watching) await one.end();
  for (const { name } of store.subscriptions()) await store.unsubscribe(name);
  const held = (await store.truncate({ dryRun: true })).kept.flatMap(({ heldBy }) => heldBy);
  expect(held.filter((name) => /tail|subscri|rebuild/.test(name))).to.deep.equal([]);
  await store.close();
}

async function watch(
  store: EventStore,
  how: string,
  from: number,
  name: string,
  slow: { turn: number },
): Promise<Watching> {
  const seen: number[] = [];
  const take = ({ position }: StoredRecord): void => void seen.push(position);
  // Every third one takes its time.
  const delay = slow.turn++ % 3 === 0 ? () => new Promise((resolve) => setImmediate(resolve)) : () => undefined;
  const watching = { how, from, seen, ended: false, end: (): unknown => undefined };
  /** Truncation was faster: then it is told so, and sees nothing. */
  const failed = (error: unknown): void => {
    expect((error as { code?: string }).code).to.equal('CAIRN_TRUNCATED');
    expect(seen).to.deep.equal([]);
    watching.ended = true;
  };
  switch (how) {
    case 'records$': {
      const subscriber = store.records$.subscribe(take);
      watching.from = store.position + 1;
      watching.end = () => subscriber.unsubscribe();
      break;
    }
    case 'subscribe': {
      const subscriber = store.subscribe({ from }).records$.subscribe({ next: take, error: failed });
      watching.end = () => subscriber.unsubscribe();
      break;
    }
    case 'tail': {
      const abort = new AbortController();
      const done = (async () => {
        for await (const record of store.tail({ from, signal: abort.signal })) {
          take(record);
          await delay();
        }
      })().catch(failed);
      watching.end = () => {
        abort.abort();
        return done;
      };
      break;
    }
    default: {
      const handle = async (record: StoredRecord): Promise<void> => {
        take(record);
        await delay();
      };
      const subscription = await store.subscription(name, { from, handle }).catch(failed);
      watching.end = () => subscription?.stop();
    }
  }
  return watching;
}

describe('watching, whatever happens at once', () => {
  it('shows everybody the records from a beginning on, each once and in order', async () => {
    await check(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 30 }),
        fc.array(fc.nat(4), { minLength: 7, maxLength: 31 }),
        run,
      ),
      10,
    );
  });
});
