// What a payload that would not come back as it is gets: an error that names the field, and nothing else.

import { expect } from 'chai';
import {
  defineAggregate,
  EncodeError,
  MemoryDirectory,
  openStore,
  type EventStore,
  type Event,
  type OpenStoreOptions,
} from 'cairnlog';
import { collect } from '../support/collect.js';
import { rejects } from '../support/rejects.js';

const Box = defineAggregate('box', {
  initial: { last: null as unknown, count: 0 },
  reduce: {
    Put: (state, event: Event<'Put', unknown>) => {
      state.last = event.data;
      state.count++;
    },
  },
});

class Money {
  amount = 1;
}
const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;
const MiB = 1024 * 1024;

const refused: [string, unknown, string | RegExp][] = [
  ['undefined as data', undefined, 'data'],
  ['undefined in a field', { a: { b: undefined } }, 'data.a.b'],
  ['undefined in a list', [1, undefined], 'data[1]'],
  ['a hole in a list', Object.assign([1], { length: 2 }), 'data[1]'],
  ['a Map', { a: new Map([[1, 2]]) }, 'data.a'],
  ['a Set', { a: [new Set()] }, 'data.a[0]'],
  ['an instance of a class', { price: new Money() }, 'data.price'],
  ['an Error', { why: new Error('no') }, 'data.why'],
  ['-0', { n: [0, -0] }, 'data.n[1]'],
  ['a function', { f: () => 1 }, 'data.f'],
  ['a symbol', { s: Symbol('s') }, 'data.s'],
  ['a symbol as a key', { a: { [Symbol('s')]: 1 } }, 'data.a'],
  ['a bigint', { 'a b': 1n }, 'data["a b"]'],
  ['an invalid Date', { at: new Date(NaN) }, 'data.at'],
  ['half of a surrogate pair', { text: 'a\udc00' }, 'data.text'],
  ['a Float64Array', { xs: new Float64Array(1) }, 'data.xs'],
  ['what refers to itself', cyclic, /^data\.self\.self/],
  ['what is nested too deep', JSON.parse('['.repeat(101) + ']'.repeat(101)), /^data\[0\]\[0\]/],
  ['a __proto__ of its own', JSON.parse('{"a":{"__proto__":1}}'), 'data.a.__proto__'],
];

const fine: [string, unknown][] = [
  ['null', null],
  ['numbers', [0, 1.5, NaN, Infinity, -Infinity, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 60, 1e-300]],
  ['texts', ['', 'a\0b', '🪨', 'e\u0301']],
  ['dates', [new Date(0), new Date(-1), new Date(8.64e15), new Date('2024-02-29T12:00:00.123Z')]],
  ['bytes', { all: Uint8Array.from({ length: 256 }, (_, i) => i), none: new Uint8Array() }],
  ['fields of any name', { '': 1, constructor: 2, 'a.b': 3, '0': 4, toString: 5 }],
  ['nothing', [{}, []]],
  ['a text', 'only'],
  ['a boolean', false],
];

describe('Payloads', () => {
  let store: EventStore;
  let dir: MemoryDirectory;
  const options = (): OpenStoreOptions => ({ dir, aggregates: [Box] });
  beforeEach(async () => {
    dir = new MemoryDirectory();
    store = await openStore(options());
    await store.execute(Box, 'b', (box) => box.emit('Put', 'before'));
  });
  afterEach(async () => {
    expect(await store.load(Box, 'b')).to.deep.equal({ id: 'b', version: 1, state: { last: 'before', count: 1 } });
    // And as if nothing had been, also on the disk.
    expect((await store.execute(Box, 'b', (box) => box.emit('Put', 'after'))).position).to.equal(2);
    await store.close();
    store = await openStore(options());
    expect(store.recovery.entriesReplayed).to.equal(2);
    expect((await collect(store.readAll())).map(({ data }) => data)).to.deep.equal(['before', 'after']);
    await store.close();
  });

  const check = (error: EncodeError, field: string | RegExp): void => {
    if (typeof field === 'string') expect(error.field).to.equal(field);
    else expect(error.field).to.match(field);
    expect(error.message).to.include(`'${error.field}'`).and.include("'Put'");
  };

  for (const [what, data, field] of refused)
    it(`refuse ${what}`, async () => {
      check(
        await rejects(
          store.execute(Box, 'b', (box) => {
            box.emit('Put', 'gone with the other');
            box.emit('Put', data);
          }),
          EncodeError,
        ),
        field,
      );
      for (const stream of ['box-b', 'raw']) {
        const events = [
          { type: 'Put', data: 1 },
          { type: 'Put', data },
        ];
        const error = await rejects(store.append([{ stream, events }]), EncodeError);
        check(error, field);
        expect(error.message).to.include(`events[1] for '${stream}'`);
      }
      if (typeof data !== 'object') return;
      const metadata = { ...data, extra: data };
      const error = await rejects(
        store.execute(Box, 'b', (box) => box.emit('Put', 1), { metadata }),
        EncodeError,
      );
      expect(error.field).to.match(/^metadata[.[]/);
    });

  it('refuse more than 16 MiB in one event, and name the field that is to blame', async () => {
    const tooMuch: [unknown, string][] = [
      ['x'.repeat(16 * MiB), 'data'],
      [{ title: 'a', pages: [{ text: 'b' }, { text: 'c'.repeat(17 * MiB) }] }, 'data.pages[1].text'],
      [{ blob: new Uint8Array(16 * MiB) }, 'data.blob'],
      [{ parts: [new Uint8Array(9 * MiB), new Uint8Array(9 * MiB)] }, 'data.parts'],
    ];
    for (const [data, field] of tooMuch) {
      const append = store.append([
        {
          stream: 'box-b',
          events: [
            { type: 'Put', data: 1 },
            { type: 'Put', data },
          ],
        },
      ]);
      const error = await rejects(append, EncodeError);
      expect(error.field).to.equal(field);
      expect(error.message).to.include('at most 16777216 are allowed').and.include("'Put' for 'box-b'");
    }
    const metadata = { note: 'x'.repeat(17 * MiB) };
    const run = store.execute(Box, 'b', (box) => box.emit('Put', 1), { metadata });
    expect((await rejects(run, EncodeError)).field).to.equal('metadata.note');
    const big = 'x'.repeat(17 * MiB);
    const kept = store.execute(Box, 'b', () => big, { commandId: 'c' });
    expect((await rejects(kept, EncodeError)).field).to.equal('result');
    const long = `box-${'x'.repeat(17 * MiB)}`;
    const named = store.append([{ stream: long, events: [{ type: 'Put', data: 1 }] }]);
    const unnamed = await rejects(named, EncodeError);
    expect(unnamed.field).to.equal('stream');
    expect(unnamed.message.length, 'a message with all of the name').to.be.lessThan(11_000);
  });

  it('refuse more than 64 MiB in one append', async () => {
    const events = Array.from({ length: 9 }, () => ({ type: 'Put', data: new Uint8Array(8 * MiB) }));
    const error = await rejects(store.append([{ stream: 'box-b', events }]), EncodeError);
    expect(error.message).to.include('at most 67108864 are allowed');
  });
});

describe('Payloads that are plain data', () => {
  for (const [what, data] of fine)
    it(`come back as they are: ${what}`, async () => {
      const dir = new MemoryDirectory();
      let store = await openStore({ dir, aggregates: [Box] });
      await store.execute(Box, 'b', (box) => box.emit('Put', data), { metadata: { data } });
      for (let i = 0; i < 3; i++) {
        expect((await store.load(Box, 'b')).state.last).to.deep.equal(data);
        const [record] = await collect(store.readAll());
        expect(record!.data).to.deep.equal(data);
        expect(record!.metadata).to.deep.equal({ data });
        if (i === 1) await store.checkpoint();
        await store.close();
        store = await openStore({ dir, aggregates: [Box] });
      }
      await store.close();
    });

  it('come back as they are: almost 16 MiB, in a segment of its own', async () => {
    const dir = new MemoryDirectory();
    let store = await openStore({ dir, aggregates: [Box], files: { segmentBytes: 1000 } });
    const data = new Uint8Array(16 * MiB - 100).fill(7);
    await store.append([{ stream: 'box-b', events: [{ type: 'Put', data }] }]);
    await store.close();
    store = await openStore({ dir, aggregates: [Box] });
    const { last } = (await store.load(Box, 'b')).state;
    expect(Buffer.compare(last as Uint8Array, data)).to.equal(0);
    await store.close();
  });

  it("are copies: what is done to the caller's object later is nobody's business", async () => {
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Box] });
    const data = { list: [1], at: new Date(5), bytes: Uint8Array.of(1) };
    const run = store.execute(Box, 'b', (box) => box.emit('Put', data));
    data.list.push(2);
    data.at.setTime(9);
    data.bytes[0] = 9;
    await run;
    const expected = { list: [1], at: new Date(5), bytes: Uint8Array.of(1) };
    expect((await store.load(Box, 'b')).state.last).to.deep.equal(expected);
    expect((await collect(store.readAll()))[0]!.data).to.deep.equal(expected);
    expect(Object.isFrozen(data) || Object.isFrozen(data.list)).to.equal(false);
    await store.close();
  });
});
