// What a call gets for arguments that cannot be meant: an InvalidArgumentError that says what to pass, whatever was passed.

import { expect } from 'chai';
import { inspect } from 'node:util';
import {
  defineAggregate,
  defineProjection,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  type EventStore,
} from 'cairnlog';
import { rejects, throws } from '../support/rejects.js';
import { Account } from './bank.js';

const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;

/** What JSON.stringify or String throw for, and what would make a message as long as itself. */
const unshowable: [string, unknown][] = [
  ['a bigint', 10n],
  ['an object that refers to itself', cyclic],
  ['an object without a prototype', Object.create(null)],
  ['a symbol', Symbol('s')],
  ['half of a long surrogate pair', `${'x'.repeat(1024 * 1024)}\ud800`],
];

describe('Arguments', () => {
  let store: EventStore;
  beforeEach(async () => {
    store = await openStore({ dir: new MemoryDirectory(), aggregates: [Account] });
  });
  afterEach(async () => {
    expect(store.position, 'something was appended').to.equal(0);
    await store.close();
  });

  const event = { type: 'Noted', data: 1 };

  for (const [what, value] of unshowable)
    it(`are refused by name, and shown, also ${what}`, async () => {
      const any = value as never;
      const calls: [string, () => Promise<unknown>][] = [
        ['id of an aggregate', () => store.execute(Account, any, (account) => account.deposit(1))],
        ['commandId', () => store.execute(Account, 'a', (account) => account.deposit(1), { commandId: any })],
        ['retry', () => store.execute(Account, 'a', (account) => account.deposit(1), { retry: any })],
        [
          'expectedVersion',
          () => store.execute(Account, 'a', (account) => account.deposit(1), { expectedVersion: any }),
        ],
        ['durability', () => store.execute(Account, 'a', (account) => account.deposit(1), { durability: any })],
        ['id of an aggregate', () => store.load(Account, any)],
        ['version', () => store.load(Account, 'a', { version: any })],
        ['position', () => store.at(any)],
        ['position', () => store.waitFor(any)],
        ['stream', () => store.append([{ stream: any, events: [event] }])],
        ['type', () => store.append([{ stream: 's', events: [{ type: any, data: 1 }] }])],
        ['commandId', () => store.append([{ stream: 's', events: [event] }], { commandId: any })],
        ['from', () => store.readAll({ from: any }).next()],
        ['limit', () => store.readStream('s', { limit: any }).next()],
        ['stream', () => store.readStream(any).next()],
        ['subscription', () => store.subscription(any, { handle: () => undefined })],
        ['from', () => store.subscription('s', { handle: () => undefined, from: any })],
        ['retry', () => store.subscription('s', { handle: () => undefined, onError: { retry: any } })],
        ['onError.then', () => store.subscription('s', { handle: () => undefined, onError: { then: any } })],
      ];
      for (const [name, call] of calls) {
        const { message } = await rejects(call(), InvalidArgumentError);
        expect(message).to.include(name);
        expect(message.length, name).to.be.lessThan(400);
      }
      const on = { Noted: () => undefined };
      const reduce = { Noted: () => undefined };
      for (const call of [
        () => defineProjection(any, { initial: {}, on }),
        () => defineProjection('p', { version: any, initial: {}, on }),
        () => defineAggregate(any, { initial: {}, reduce }),
        () => defineAggregate('a', { version: any, initial: {}, reduce }),
      ])
        expect(throws(call, InvalidArgumentError).message.length).to.be.lessThan(11_000);
    });

  const bad: [string, (any: never) => Promise<unknown>, [unknown, string | RegExp][]][] = [
    [
      'append(value)',
      (any) => store.append(any),
      [
        ['x', 'append takes an array of { stream, events }, got "x"'],
        [[null], 'append takes an array of { stream, events }, got null as element 0'],
      ],
    ],
    [
      'append(streams, value)',
      (any) => store.append([{ stream: 's', events: [event] }], any),
      [
        [null, 'The options of append must be an object, got null'],
        [
          { checks: { stream: 's', expectedVersion: 0 } },
          'checks takes an array of { stream, expectedVersion }, got an obj',
        ],
        [{ checks: [0] }, 'checks takes an array of { stream, expectedVersion }, got 0 as element 0'],
        [{ checks: [{ stream: 's' }] }, 'expectedVersion must be'],
      ],
    ],
    [
      'execute(…, value)',
      (any) => store.execute(Account, 'a', (account) => account.deposit(1), any),
      [[null, 'execute']],
    ],
    ['load(…, value)', (any) => store.load(Account, 'a', any), [[5, 'The options of load must be an object, got 5']]],
    ['waitFor(…, value)', (any) => store.waitFor(9, any), [[{ signal: 5 }, 'signal must be an AbortSignal']]],
    ['checkpoint(value)', (any) => store.checkpoint(any), [[null, 'The options of checkpoint must be an object']]],
    ['truncate(value)', (any) => store.truncate(any), [[true, 'The options of truncate must be an object']]],
    [
      'projection(value)',
      async (any) => store.projection(any),
      [[null, 'A projection is what defineProjection returned']],
    ],
    ['rebuild(value)', (any) => store.rebuild(any), [[Symbol('p'), 'no projection Symbol(p)']]],
    [
      'readAll(value)',
      (any) => store.readAll(any).next(),
      [
        [null, 'The options of readAll must be an object, got null'],
        [{ filter: 5 }, 'filter must be a function, got 5'],
        [{ filter: { types: ['Noted'] } }, /filter must be a function.*types are options of readAll itself/],
        [{ types: 5 }, 'types must be an array of texts, got 5'],
        [{ types: 'Noted' }, 'types must be an array of texts, got "Noted"'],
        [{ types: [5] }, 'types[0] must be a text, got 5'],
        [{ aggregates: Account }, 'aggregates must be an array of aggregates: [Account], got a function'],
        [{ streams: 'account-a' }, 'streams must be an array of texts, got "account-a"'],
      ],
    ],
    [
      'readStream(…, value)',
      (any) => store.readStream('s', any).next(),
      [[null, 'The options of readStream must be an object, got null']],
    ],
    ['tail(value)', async (any) => store.tail(any), [[{ signal: {} }, 'signal must be an AbortSignal']]],
    [
      'subscription(…, value)',
      (any) => store.subscription('s', any),
      [
        [undefined, 'The options of subscription must be an object, got undefined'],
        [{ handle: () => undefined, onError: 'park' }, 'The options of onError must be an object, got "park"'],
      ],
    ],
  ];
  for (const [what, call, cases] of bad)
    for (const [value, text] of cases)
      it(`are refused: ${what} with ${inspect(value, { breakLength: Infinity })}`, async () => {
        const { message } = await rejects(call(value as never), InvalidArgumentError);
        if (typeof text === 'string') expect(message).to.include(text);
        else expect(message).to.match(text);
      });

  it('of defineAggregate are refused by name', () => {
    const define = (options: unknown) => () => defineAggregate('a', options as never);
    const reduce = { Noted: () => undefined };
    for (const [options, text] of [
      [undefined, "aggregate 'a': say what it is: { initial, reduce }, got undefined"],
      [null, "aggregate 'a': say what it is: { initial, reduce }, got null"],
      [{ initial: {}, reduce, upcast: { Noted: () => 1 } }, "the upcasters of 'Noted' must be an array of functions"],
      [{ initial: {}, reduce, upcast: { Noted: undefined } }, "the upcasters of 'Noted' must be an array of functions"],
    ] as const)
      expect(throws(define(options), InvalidArgumentError).message).to.include(text);
  });

  const filters: [unknown, string][] = [
    [5, 'A filter is a function or { aggregates, streams, types, where }, got 5'],
    [{ types: 'Noted' }, 'types must be an array of texts'],
    [{ streams: 'account-a' }, 'streams must be an array of texts'],
    [{ streams: [Symbol('s')] }, 'streams[0] must be a text, got Symbol(s)'],
    [{ aggregates: Account }, 'aggregates must be an array of aggregates'],
    [{ where: true }, 'where must be a function, got true'],
    [{ where: async () => true }, 'where must answer at once; the function is async'],
    [async () => true, 'A filter must answer at once; the function is async'],
  ];
  for (const [value, text] of filters)
    it(`are refused: the filter ${inspect(value, { breakLength: Infinity })} of whatever watches`, async () => {
      const filter = value as never;
      for (const call of [
        async () => store.tail({ filter }),
        async () => store.subscribe({ filter }),
        () => store.subscription('s', { handle: () => undefined, filter }),
      ])
        expect((await rejects(call(), InvalidArgumentError)).message).to.include(text);
    });
});
