// Programs for shapes: an object that comes often is encoded, decoded and copied by a function made for its shape. Each
// test makes a shape come often enough, and then lets come what that function must not take for it, or must take as well.

import { Decoder, Encoder } from '@msgpack/msgpack';
import { MessagePackDecoder, PlainCopies, uncheckedMessagePackCodec } from '#src/codec/index.js';
import { EncodeError, FormatError } from 'cairnlog';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import fc from 'fast-check';
import { runModule } from '../support/module-process.js';
import { check } from '../support/seed.js';

const OFTEN = 40;
// New ones for each test: what they remember is bounded, and others must not have used it up.
let codec = uncheckedMessagePackCodec<unknown>();
let copies = new PlainCopies();
const library = { encoder: new Encoder({ maxDepth: 200 }), decoder: new Decoder() };
type Fields = Record<string, unknown>;

function copyPlainData(value: unknown): unknown {
  return copies.copy(value, '');
}

function encoded(value: unknown, capacity = 16): Uint8Array {
  const writer = new ByteWriter(capacity);
  writer.u8(0);
  codec.encode(value, writer);
  return writer.bytes.slice(1, writer.length);
}

/** What all three make of a value is what the library makes of it, or the value. */
function expectSame(value: unknown, decoder: MessagePackDecoder): void {
  const bytes = encoded(value);
  const expected = library.encoder.encode(value);
  expect(Buffer.compare(bytes, expected), `${JSON.stringify(value)} became ${String(bytes)}`).to.equal(0);
  const decoded = decoder.decode(bytes, 0, bytes.length);
  expect(decoded).to.deep.equal(library.decoder.decode(expected));
  const copy = copyPlainData(value);
  expect(copy).to.deep.equal(value);
  for (const made of [decoded, copy]) {
    expect(JSON.stringify(made), 'the order of fields').to.equal(JSON.stringify(value));
    if (typeof made === 'object' && made !== null) expect(Object.isFrozen(made)).to.equal(true);
  }
}

const odd = [
  '\\n',
  'a":1,"b',
  '"',
  "'",
  '\\',
  '\n',
  '\u2028',
  '\u2029',
  '`${1}`',
  '*/',
  '</script>',
  '',
  'é',
  '\u{1f600}',
  'constructor',
];
const name = fc.oneof(
  fc.constantFrom(...odd, 'toString', 'length', 'a', 'o', 'w', 'v0', 'at', 'x'.repeat(31), 'x'.repeat(32)),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
);
const names = fc.uniqueArray(
  name.filter((key) => key !== '__proto__'),
  { minLength: 1, maxLength: 12 },
);
const wide = [0, 31, 32, 64].map((bits) => 2 ** bits);
const leaf = fc.oneof(
  fc.constantFrom(null, true, false, '', '\ufeffx', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(64), 'x'.repeat(65)),
  fc.constantFrom('ß', `${'x'.repeat(63)}ß`, '\u{1f600}', 'order-1', 'order-2', 'OrderPlaced', 'y'.repeat(300)),
  fc.constantFrom(...[7, 8, 15, 16, 31, 32, 33, 52, 53, 63, 64].flatMap((bits) => around(2 ** bits)), ...wide, 0.5),
  fc.constantFrom(-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53), Infinity, NaN),
  fc.string({ maxLength: 40 }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 40 }),
);
const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    names.chain((keys) => fc.tuple(...keys.map(() => tie('value'))).map((list) => objectOf(keys, list))),
  ),
}));
const typical = fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.boolean(), fc.string({ maxLength: 12 }));

function around(value: number): number[] {
  return [value - 1, value, value + 1];
}

function objectOf(keys: readonly string[], list: readonly unknown[]): Fields {
  return Object.fromEntries(keys.map((key, index) => [key, list[index]]));
}

describe('objects of a shape that came often', () => {
  beforeEach(() => {
    codec = uncheckedMessagePackCodec();
    copies = new PlainCopies();
  });

  it('are what they are, whatever their fields hold now', () =>
    check(
      fc.property(
        names.chain((keys) =>
          fc.record({
            keys: fc.constant(keys),
            often: fc.array(fc.tuple(...keys.map(() => typical)), { minLength: 1, maxLength: 3 }),
            then: fc.array(fc.tuple(...keys.map(() => values)), { minLength: 1, maxLength: 8 }),
          }),
        ),
        ({ keys, often, then }) => {
          codec = uncheckedMessagePackCodec();
          copies = new PlainCopies();
          const decoder = new MessagePackDecoder({ frozen: true });
          for (let round = 0; round < OFTEN; round++) expectSame(objectOf(keys, often[round % often.length]!), decoder);
          for (const list of then) expectSame(objectOf(keys, list), decoder);
        },
      ),
      30,
    ));

  it('are not taken for others: with a field less, one more, or another order', () =>
    check(
      fc.property(
        names,
        fc.array(typical, { minLength: 13, maxLength: 13 }),
        fc.nat(),
        name,
        (keys, list, at, other) => {
          codec = uncheckedMessagePackCodec();
          copies = new PlainCopies();
          const decoder = new MessagePackDecoder({ frozen: true });
          const value = objectOf(keys, list);
          const without = objectOf(
            keys.filter((_, index) => index !== at % keys.length),
            list,
          );
          const others = [
            without,
            { ...without, [keys[at % keys.length]!]: 'last' },
            objectOf([...keys].reverse(), list),
            other === '__proto__' ? {} : { [other]: 1, ...value },
            other === '__proto__' ? {} : { ...value, [other]: 1 },
            other === '__proto__' ? {} : { ...without, [other]: 1 },
          ];
          for (let round = 0; round < OFTEN; round++) expectSame(value, decoder);
          for (const one of others) expectSame(one, decoder);
          for (let round = 0; round < OFTEN; round++) for (const one of [...others, value]) expectSame(one, decoder);
        },
      ),
      12,
    ));

  it('may have many fields', () => {
    for (const count of [15, 16, 17, 63, 64, 65, 200]) {
      const decoder = new MessagePackDecoder({ frozen: true });
      for (let round = 0; round < OFTEN; round++)
        expectSame(
          Object.fromEntries(
            Array.from({ length: count }, (_, at) => [`field ${at}`, at % 3 === 0 ? `v${round}` : at]),
          ),
          decoder,
        );
    }
  });

  it('may have names that are long, all together', () => {
    const decoder = new MessagePackDecoder({ frozen: true });
    for (let round = 0; round < OFTEN; round++)
      expectSame({ ['x'.repeat(5000)]: round, ['ß'.repeat(5000)]: 'y' }, decoder);
  });

  it('may have names that would mean something in a program', () => {
    for (const key of odd) {
      const decoder = new MessagePackDecoder({ frozen: true });
      for (let round = 0; round < OFTEN; round++) expectSame({ [key]: round, other: 'x' }, decoder);
    }
  });

  it('may have no prototype, or be frozen, or have been made in other ways', () => {
    const decoder = new MessagePackDecoder({ frozen: true });
    for (let round = 0; round < OFTEN; round++) expectSame({ a: round, b: 'x' }, decoder);
    const bare = Object.assign(Object.create(null) as Fields, { a: 1, b: 'x' });
    expect(encoded(bare)).to.deep.equal(encoded({ a: 1, b: 'x' }));
    expect(copyPlainData(bare)).to.deep.equal({ a: 1, b: 'x' });
    expectSame(Object.freeze({ a: 1, b: 'x' }), decoder);
    const removed: Fields = { a: 1, c: 2, b: 'x' };
    delete removed['c'];
    expectSame(removed, decoder);
    const hidden = Object.defineProperty({ a: 1, b: 'x' }, 'hidden', { value: 1, enumerable: false });
    expect(encoded(hidden)).to.deep.equal(encoded({ a: 1, b: 'x' }));
    expect(copyPlainData(hidden)).to.deep.equal({ a: 1, b: 'x' });
  });

  it('are refused for what nobody sees in their fields', () => {
    for (let round = 0; round < OFTEN; round++) copyPlainData({ a: round, b: { c: 'x' } });
    class Money {
      readonly c = 'x';
    }
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: 1, b: deep(levels - 1) });
    for (const bad of [undefined, -0, 1n, Symbol('s'), () => 1, 'x\ud800', new Money(), new Map(), new Date(NaN)]) {
      expect(() => copyPlainData({ a: bad, b: { c: 'x' } })).to.throw(EncodeError, "'a'");
      expect(() => copyPlainData({ a: 1, b: { c: bad } })).to.throw(EncodeError, "'b.c'");
    }
    expect(() => copyPlainData({ a: 1, b: { c: 'x' }, [Symbol('s')]: 1 })).to.throw(EncodeError, 'symbol');
    expect(() => copyPlainData({ a: 1, b: { c: 'x', [Symbol('s')]: 1 } })).to.throw(EncodeError, "'b'");
    const hidden = Object.defineProperty({ a: 1, b: { c: 'x' } }, Symbol('s'), { value: 1, enumerable: false });
    expect(() => copyPlainData(hidden)).to.throw(EncodeError, 'symbol');
    expect(() => copyPlainData(JSON.parse('{"a":1,"__proto__":{"c":"x"}}'))).to.throw(EncodeError, '__proto__');
    for (let round = 0; round < OFTEN; round++) expect(copyPlainData(deep(100))).to.deep.equal(deep(100));
    expect(() => copyPlainData(deep(101))).to.throw(EncodeError, 'deeper');
    expect(encoded(deep(101))).to.deep.equal(library.encoder.encode(deep(101)));
    expect(() => encoded(deep(102))).to.throw(EncodeError, 'too deep');
  });

  it('have a field named __proto__ encoded as it is, which no decoder takes', () => {
    const value = JSON.parse('{"a":1,"__proto__":{"b":2}}') as unknown;
    for (let round = 0; round < OFTEN; round++) {
      expect(encoded(value)).to.deep.equal(library.encoder.encode(value));
      const decoder = new MessagePackDecoder({ frozen: true });
      expect(() => decoder.decode(encoded(value), 0, encoded(value).length)).to.throw('__proto__');
    }
  });

  it('have each getter called once and in turn, and what it does to the others seen', () => {
    const make = (): { value: object; calls: string[] } => {
      const calls: string[] = [];
      const value = {
        before: { count: 0 },
        get first() {
          calls.push('first');
          value.before.count += 1;
          value.after.count += 1;
          return { inner: copyPlainData({ before: { count: 0 }, first: 1, second: '2', after: { count: 3 } }) };
        },
        get second() {
          calls.push('second');
          codec.encode({ before: 1, first: 2, second: 3, after: 4 }, new ByteWriter());
          return 'two';
        },
        after: { count: 0 },
      };
      return { value, calls };
    };
    const inner = { before: { count: 0 }, first: 1, second: '2', after: { count: 3 } };
    const expected = { before: { count: 0 }, first: { inner }, second: 'two', after: { count: 1 } };
    for (let round = 0; round < OFTEN; round++) {
      const [one, two] = [make(), make()];
      expect(encoded(one.value, 2000)).to.deep.equal(library.encoder.encode(expected));
      expect(encoded(make().value)).to.deep.equal(library.encoder.encode(expected));
      expect(copyPlainData(two.value)).to.deep.equal(expected);
      for (const { calls } of [one, two]) expect(calls).to.deep.equal(['first', 'second']);
    }
    const failing = {
      before: 1,
      get first(): number {
        throw new Error('not now');
      },
      second: 2,
      after: 3,
    };
    expect(() => encoded(failing)).to.throw('not now');
    expect(() => copyPlainData(failing)).to.throw('not now');
  });

  it('fill the bytes that are allowed, and no more', () => {
    // Room is made anew behind what is long, and may be none there.
    const value = {
      orderId: 'o-1',
      note: 'x'.repeat(70),
      lines: [{ sku: 'a', count: 300 }],
      text: 'y'.repeat(900),
      cents: 1999,
      express: true,
    };
    for (let round = 0; round < OFTEN; round++) encoded(value);
    const expected = library.encoder.encode(value);
    for (const start of [0, 3, 100])
      for (let allowed = 0; allowed < expected.length + 500; allowed += allowed < 900 ? 17 : 1) {
        const writer = new ByteWriter(8);
        for (let at = 0; at < start; at++) writer.u8(7);
        writer.restrict(allowed);
        let refused = false;
        try {
          codec.encode(value, writer);
        } catch (error) {
          expect(error).to.be.instanceOf(FormatError);
          refused = true;
        }
        // Give or take what a number reserves.
        if (allowed >= expected.length + 1) expect(refused, `${allowed} allowed`).to.equal(false);
        if (allowed < expected.length - 8) expect(refused, `${allowed} allowed`).to.equal(true);
        if (!refused) expect(writer.bytes.slice(start, writer.length)).to.deep.equal(expected);
      }
  });

  it('are refused or decoded as the library does when any of their bytes is cut off or another', () => {
    const value = {
      id: 'o-1',
      n: 300,
      ok: true,
      w: 2 ** 40,
      in: { id: 'x', at: new Date(5) },
      list: [{ id: 'é' }, -7],
    };
    const bytes = library.encoder.encode(value).slice();
    const decoder = new MessagePackDecoder({ frozen: true });
    const train = (): void => {
      for (let round = 0; round < 3; round++) expect(decoder.decode(bytes, 0, bytes.length)).to.deep.equal(value);
    };
    for (let round = 0; round < OFTEN; round++) train();
    const outcome = (decode: () => unknown): unknown => {
      try {
        return { value: decode() };
      } catch {
        return 'refused';
      }
    };
    // At the end of their buffer, and with the bytes of others behind them.
    for (const behind of [0, 20]) {
      const buffer = new Uint8Array(3 + bytes.length + behind).fill(0xa1);
      buffer.set(bytes, 3);
      for (let end = 0; end <= bytes.length; end++)
        expect(
          outcome(() => decoder.decode(buffer, 3, 3 + end)),
          `cut at ${end}`,
        ).to.deep.equal(outcome(() => library.decoder.decode(bytes.slice(0, end))));
      for (let end = 0; end <= bytes.length; end++) {
        const cut = buffer.slice(0, 3 + end);
        expect(outcome(() => decoder.decode(cut, 3, cut.length))).to.deep.equal(
          outcome(() => library.decoder.decode(bytes.slice(0, end))),
        );
      }
      for (let at = 0; at < bytes.length; at++)
        for (const byte of [
          0, 0x41, 0x7f, 0x80, 0x81, 0x86, 0x91, 0xa0, 0xa1, 0xbf, 0xc0, 0xc1, 0xc4, 0xcb, 0xcd, 0xd9, 0xdd, 0xdf,
        ]) {
          const was = buffer[3 + at]!;
          buffer[3 + at] = byte;
          const expected = outcome(() => library.decoder.decode(buffer.slice(3, 3 + bytes.length)));
          const actual = outcome(() => decoder.decode(buffer, 3, 3 + bytes.length));
          // What becomes of bytes that are no UTF-8 is the one thing in which the two differ.
          if (/[^ -~]|\\u/.test(JSON.stringify([expected, actual])))
            expect(actual === 'refused').to.equal(expected === 'refused');
          else expect(actual, `${byte} at ${at}`).to.deep.equal(expected);
          buffer[3 + at] = was;
        }
      train();
    }
  });

  it('come in turns at one place', () => {
    const decoder = new MessagePackDecoder({ frozen: true });
    const kinds = Array.from({ length: 9 }, (_, kind) => (round: number) => ({
      id: `id-${round}`,
      [`only ${kind}`]: round,
      [kind % 2 === 0 ? 'same' : 'other']: { id: 'x', kind },
    }));
    for (let round = 0; round < 300; round++) {
      const list = kinds.map((make) => make(round));
      const bytes = library.encoder.encode(list);
      expect(decoder.decode(bytes, 0, bytes.length)).to.deep.equal(list);
      expect(encoded(list)).to.deep.equal(bytes);
      expect(copyPlainData(list)).to.deep.equal(list);
    }
  });

  it('are the same where a process forbids code from strings', async () => {
    const program = `
      import assert from 'node:assert/strict';
      import { Encoder } from '@msgpack/msgpack';
      import { copyPlainData, uncheckedMessagePackCodec } from '#src/codec/index.js';
      import { ByteReader } from '#src/bytes/byte-reader.js';
      import { ByteWriter } from '#src/bytes/byte-writer.js';
      assert.throws(() => new Function('return 1'));
      const codec = uncheckedMessagePackCodec({ frozen: true });
      for (let round = 0; round < 99; round++)
        for (const value of [
          { id: 'a' + round, amount: 7 * round, lines: [{ sku: 'é', ok: true, at: new Date(round) }] },
          { amount: 7, id: 'a' }, { id: 'a', amount: null, lines: [] }, { 'a"b': { '\\u2028': 'x'.repeat(99) } }, {},
        ]) {
          const writer = new ByteWriter();
          codec.encode(value, writer);
          const bytes = writer.bytes.slice(0, writer.length);
          assert.deepEqual(bytes, new Encoder().encode(value).slice());
          const decoded = codec.decode(new ByteReader(bytes));
          const copy = copyPlainData(value);
          for (const made of [decoded, copy]) {
            assert.deepEqual(made, value);
            assert.equal(JSON.stringify(made), JSON.stringify(value));
            assert.ok(Object.isFrozen(made));
          }
        }
      assert.throws(() => copyPlainData({ id: 'a', amount: undefined }), /amount/);
    `;
    const { code, stderr } = await runModule(program, [], ['--disallow-code-generation-from-strings']);
    expect(stderr).to.equal('');
    expect(code).to.equal(0);
  });

  it('may have names in which one character differs', () => {
    const value = { customerId: 1, orderId: 'x', in: 2, quantity1: 3 };
    const keys = Object.keys(value);
    const decoder = new MessagePackDecoder({ frozen: true });
    for (let round = 0; round < OFTEN; round++) expectSame(value, decoder);
    for (const [index, key] of keys.entries())
      for (let at = 0; at < key.length; at++) {
        const other = `${key.slice(0, at)}_${key.slice(at + 1)}`;
        expectSame(objectOf(keys.with(index, other), Object.values(value)), decoder);
      }
  });

  it('keep strings apart whose first and last bytes are the same', () => {
    // What is remembered of them has room for few of them at a time: some come to lie where another one was.
    const digits = '0123456789abcdefghijklmnopqrstuvwxyz'.repeat(2);
    for (const a of digits)
      for (const b of digits) {
        const objects = Array.from({ length: 36 }, (_, at) => `${a}${b}${digits[at]!}-`).flatMap((text) => [
          text.slice(0, 1),
          `${text.slice(0, 1)}`.repeat(3),
          text,
          text.repeat(2),
          text.repeat(4),
          text.repeat(5),
        ]);
        const bytes = encoded(objects);
        expect(String(codec.decode(new ByteReader(bytes)))).to.equal(String(objects));
      }
  });

  it('keep strings of ASCII apart that are of one length', () =>
    check(
      fc.property(
        fc.array(fc.string({ unit: 'binary-ascii', maxLength: 34 }), { minLength: 50, maxLength: 200 }),
        (list) => {
          const objects = [...list, ...list].flatMap((text) => [
            { text, same: 'x' },
            { text: `${text.slice(0, 1)}!${text.slice(2)}`, same: 'x' },
            { text: `${text.slice(0, -1)}!`, same: 'x' },
          ]);
          const bytes = encoded(objects);
          expect(codec.decode(new ByteReader(bytes))).to.deep.equal(objects);
        },
      ),
      30,
    ));
});
