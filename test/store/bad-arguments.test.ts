// What a call gets for arguments that cannot be meant: an InvalidArgumentError that says what to pass, whatever was passed.

import { expect } from 'chai';
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
});
