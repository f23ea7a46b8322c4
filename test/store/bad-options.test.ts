// What openStore says to options that cannot be meant: at once, with what to pass, and before anything is touched.

import { expect } from 'chai';
import { inspect } from 'node:util';
import {
  defineAggregate,
  defineProjection,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  type OpenStoreOptions,
} from 'cairnlog';
import { seededRandom } from 'cairnlog/testing';
import { collect } from '../support/collect.js';
import { imageOf, sameImage } from '../support/image.js';
import { rejects } from '../support/rejects.js';
import { Account } from './bank.js';

const deposit = [{ stream: 'account-a', events: [{ type: 'MoneyDeposited', data: { amount: 1 } }] }];
const reduce = { Noted: () => undefined };

describe('openStore', () => {
  const refuses = async (options: unknown, text: string | RegExp): Promise<void> => {
    const { message } = await rejects(openStore(options as OpenStoreOptions), InvalidArgumentError);
    if (typeof text === 'string') expect(message).to.include(text);
    else expect(message).to.match(text);
  };

  for (const value of [0, -1, 1.5, NaN, Infinity, 'abc', null])
    it(`refuses ${String(value)} as its high-water mark`, async () => {
      const dir = new MemoryDirectory();
      await refuses({ dir, highWaterMarkBytes: value }, /^highWaterMarkBytes must be a whole number of bytes from 1/);
      expect(await dir.list('')).to.deep.equal([]);
    });

  const notOptions: [string, unknown, string | RegExp][] = [
    ['nothing', undefined, /^openStore takes options.*openStore\(\{ dir: '.\/data' \}\); got undefined/],
    ['null', null, /^openStore takes options.*got null/],
    ['a path alone', './data', /^openStore takes options.*got ".\/data"/],
    ['neither dir nor engine', {}, /^Say where the data is/],
    ['a URL as the folder', { dir: new URL('file:///tmp/x') }, /^dir must be the path.*class URL; fileURLToPath/],
    ['a number as the folder', { dir: 5 }, /^dir must be the path of a folder, or a Directory, got 5$/],
    ['an object as the folder', { dir: {} }, /^dir must be the path of a folder, or a Directory, got an object$/],
    ['null as the folder', { dir: null }, /^dir must be .* got null$/],
    ['a function as the engine', { engine: () => undefined }, /^engine must be an object with open/],
  ];
  for (const [what, options, text] of notOptions) it(`refuses ${what}`, () => refuses(options, text));

  const badOptions: [object, string | RegExp][] = [
    [{ aggregates: Account }, 'aggregates must be an array of aggregates: [Account], got a function'],
    [{ aggregates: [{}] }, 'An aggregate is a class decorated with @Aggregate'],
    [{ forget: 'account' }, 'forget must be an array of texts, got "account"'],
    [{ forget: [Account] }, 'forget[0] must be a text, got a function'],
    [{ projections: {} }, 'projections must be an array of what defineProjection returned'],
    [{ projections: [{}] }, 'A projection is what defineProjection returned, got an object'],
    [{ projections: [5] }, 'A projection is what defineProjection returned, got 5'],
    [{ projections: [null] }, 'A projection is what defineProjection returned, got null'],
    [{ projections: [Account] }, 'A projection is what defineProjection returned, got a function'],
    [
      { projections: [defineAggregate('a', { initial: {}, reduce })] },
      'A projection is what defineProjection returned',
    ],
    [{ checkpoint: 100 }, 'checkpoint must be an object with options, got 100'],
    [{ checkpoint: { bogus: 1 } }, "checkpoint has no 'bogus'; it knows records, bytes, intervalMs"],
    [{ checkpoint: { archive: 'x' } }, /^archive is an option of openStore itself/],
    [{ files: 'x' }, 'files must be an object with options'],
    [{ now: 5 }, 'now must be a function, got 5'],
    [{ onSubscriberError: 'warn' }, 'onSubscriberError must be a function'],
  ];
  for (const [option, text] of badOptions)
    it(`refuses ${inspect(option, { depth: 0, breakLength: Infinity })}: ${String(text)}`, async () => {
      const dir = new MemoryDirectory();
      await refuses({ dir, ...option }, text);
      expect(await dir.list('')).to.deep.equal([]);
    });

  it('takes what is undefined for left out', async () => {
    const store = await openStore({
      dir: new MemoryDirectory(),
      engine: undefined,
      aggregates: [Account],
      projections: [defineProjection('p', { version: undefined, initial: {}, on: reduce, filter: undefined })],
      forget: undefined,
      durability: undefined,
      checkpoint: { records: 5, intervalMs: undefined },
      archive: undefined,
      receipts: undefined,
      highWaterMarkBytes: undefined,
      // What is said of files in particular is not said by leaving it out.
      files: { segmentBytes: undefined, now: undefined, random: undefined, archive: undefined },
      now: () => 5,
      random: seededRandom(1),
      after: undefined,
      elapsed: undefined,
      onCheckpointFailure: undefined,
      onSubscriberError: undefined,
    });
    await store.append([{ stream: 'account-a', expectedVersion: undefined, events: [] }, ...deposit], {
      checks: undefined,
      commandId: undefined,
      metadata: undefined,
      durability: undefined,
    });
    expect((await store.load(Account, 'a', { version: undefined })).version).to.equal(1);
    expect(await collect(store.readAll({ from: undefined, limit: undefined, types: undefined }))).to.have.length(1);
    await store.close();
  });

  it('draws its files from the same source when nothing is said of files', async () => {
    const images = [];
    for (const files of [undefined, { now: undefined, random: undefined }]) {
      const dir = new MemoryDirectory();
      const store = await openStore({ dir, aggregates: [Account], files, now: () => 5, random: seededRandom(1) });
      await store.append(deposit);
      await store.close();
      images.push(await imageOf(dir));
    }
    sameImage(images[0]!, images[1]!);
  });

  for (const time of [NaN, Infinity, '2024-01-01', undefined, null, 5n, new Date(), Promise.resolve(1)])
    it(`appends nothing at a time that is none: ${inspect(time)}`, async () => {
      let now: unknown = 1000;
      const dir = new MemoryDirectory();
      const store = await openStore({ dir, aggregates: [Account], now: () => now as number });
      now = time;
      const event = { type: 'MoneyDeposited', data: { amount: 1 } };
      for (const call of [
        () => store.append([{ stream: 'account-a', events: [event] }]),
        () => store.append([{ stream: 'account-a', events: [event] }], { commandId: 'c' }),
        () => store.execute(Account, 'a', (account) => account.deposit(1)),
        () => store.execute(Account, 'a', (account) => account.deposit(1), { commandId: 'c' }),
      ])
        expect((await rejects(call(), InvalidArgumentError)).message).to.include('now of openStore must return');
      now = 2000;
      expect((await store.load(Account, 'a')).version).to.equal(0);
      const { version } = await store.execute(Account, 'a', (account) => account.deposit(1), { commandId: 'c' });
      expect([version, store.position]).to.deep.equal([1, 1]);
      for await (const record of store.readAll()) expect(record.recordedAt).to.equal(2000);
      await store.close();
    });

  it('waits for every entry with the smallest high-water mark that there is', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), highWaterMarkBytes: 1 });
    const event = { type: 'Noted', data: 1 };
    await Promise.all(Array.from({ length: 5 }, () => store.append([{ stream: 's', events: [event] }])));
    expect(store.position).to.equal(5);
    await store.close();
  });
});
