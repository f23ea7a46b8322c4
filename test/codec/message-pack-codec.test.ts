import { encode } from '@msgpack/msgpack';
import { CairnError, DecodeError, EncodeError, messagePackCodec } from 'cairnlog';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import fc from 'fast-check';
import * as assert from 'node:assert/strict';
import { decodeWhole } from '#src/codec/index.js';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { texts } from '../support/texts.js';

const codec = messagePackCodec<unknown>();

function encoded(value: unknown): Uint8Array {
  const writer = new ByteWriter(16);
  codec.encode(value, writer);
  return writer.bytes.slice(0, writer.length);
}

function decoded(bytes: Uint8Array): unknown {
  return decodeWhole(codec, new ByteReader(bytes));
}

/** Nothing may have changed but what is documented: a Buffer comes back as Uint8Array, a null prototype as a plain one. */
function expectSame(actual: unknown, expected: unknown): void {
  if (expected instanceof Uint8Array) {
    expect(Object.getPrototypeOf(actual)).to.equal(Uint8Array.prototype);
    assert.deepEqual([...(actual as Uint8Array)], [...expected]);
  } else if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual));
    assert.equal(actual.length, expected.length);
    for (const [index, item] of expected.entries()) expectSame(actual[index], item);
  } else if (typeof expected === 'object' && expected !== null && !(expected instanceof Date)) {
    const [found, wanted] = [actual as Record<string, unknown>, expected as Record<string, unknown>];
    assert.equal(Object.getPrototypeOf(found), Object.prototype);
    assert.deepEqual(Object.keys(found).sort(), Object.keys(wanted).sort());
    for (const key of Object.keys(wanted)) expectSame(found[key], wanted[key]);
  } else assert.deepStrictEqual(actual, expected);
}

const text = fc.oneof(fc.string(), texts(), fc.string({ unit: 'grapheme', minLength: 30 }));
const plain = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.double().filter((value) => !Object.is(value, -0)),
    fc.maxSafeInteger(),
    fc.constantFrom(2 ** 53, 2 ** 64, -(2 ** 63), 127, 128, -32, -33, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32),
    text,
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 300 }),
  ),
  value: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
})).value;

describe('messagePackCodec', () => {
  it('gives back every plain value as it was', () =>
    check(
      fc.property(plain, (value) => expectSame(decoded(encoded(value)), value)),
      400,
    ));

  it('gives back whatever it accepts as it was, and refuses the rest by name', () =>
    check(
      fc.property(
        fc.anything({
          withBigInt: true,
          withBoxedValues: true,
          withDate: true,
          withMap: true,
          withNullPrototype: true,
          withObjectString: true,
          withSet: true,
          withSparseArray: true,
          withTypedArray: true,
        }),
        (value) => {
          let bytes: Uint8Array;
          try {
            bytes = encoded(value);
          } catch (error) {
            assert.ok(error instanceof EncodeError, String(error));
            return;
          }
          expectSame(decoded(bytes), value);
        },
      ),
      500,
    ));

  it('writes what @msgpack/msgpack writes, byte for byte', async () => {
    const same = (value: unknown): void => {
      const bytes = encoded(value);
      assert.ok(Buffer.from(encode(value)).equals(bytes), `${JSON.stringify(value)} became ${String(bytes)}`);
    };
    await check(fc.property(plain, same), 150);
    for (let power = 0; power <= 64; power++)
      for (const sign of [1, -1])
        for (const step of [-1, -0.5, 0, 1]) if (sign * 2 ** power + step !== 0) same(sign * 2 ** power + step);
    for (const size of [0, 1, 15, 16, 31, 32, 64, 65, 255, 256, 65_535, 65_536])
      for (const value of ['x'.repeat(size), 'ß'.repeat(size), Array.from({ length: size }, () => 1)]) same(value);
    for (const size of [15, 16, 65_536])
      same(Object.fromEntries(Array.from({ length: size }, (_, index) => [`k${index}`, index])));
    same({ s: `${'x'.repeat(31)}ß`, t: `${'x'.repeat(63)}😀`, n: null, b: [true, false] });
  });

  it('is deterministic', () => {
    const value = { b: [1, 'two', null], a: new Date(3), c: Uint8Array.of(4) };
    expect(Buffer.compare(encoded(value), encoded(structuredClone(value)))).to.equal(0);
  });

  class Money {
    readonly amount = 1;
  }
  const symbol = Symbol('s');
  const refused: [what: string, value: unknown, field: string][] = [
    ['undefined', undefined, ''],
    ['undefined in a field', { a: undefined }, 'a'],
    ['undefined in a list', { a: [1, undefined] }, 'a[1]'],
    ['a hole in a list', { a: Array.from({ length: 2 }).concat([1]) }, 'a[0]'],
    ['a sparse list', { a: ((list) => ((list[2] = 1), list))([] as number[]) }, 'a[0]'],
    ['-0', { a: { b: -0 } }, 'a.b'],
    ['a bigint', { total: 1n }, 'total'],
    ['a function', { f: () => 1 }, 'f'],
    ['a symbol', [symbol], '[0]'],
    ['a symbol as a key', { a: { [symbol]: 1 } }, 'a'],
    ['a symbol as a key of a list', { a: Object.assign([1], { [symbol]: 1 }) }, 'a'],
    ['a Map', { data: { m: new Map([[1, 2]]) } }, 'data.m'],
    ['a Set', new Set([1]), ''],
    ['a RegExp', { a: /x/ }, 'a'],
    ['an Error', { a: new Error('x') }, 'a'],
    ['an instance of a class', { items: [{ price: new Money() }] }, 'items[0].price'],
    ['a boxed number', { a: Object(1) as unknown }, 'a'],
    ['a typed array other than Uint8Array', { a: new Float64Array(1) }, 'a'],
    ['an ArrayBuffer', { a: new ArrayBuffer(1) }, 'a'],
    ['a Promise', { a: Promise.resolve(1) }, 'a'],
    ['an invalid Date', { at: new Date(Number.NaN) }, 'at'],
    ['a class derived from Date', { at: new (class Moment extends Date {})() }, 'at'],
    ['a list with a name', { a: Object.assign([1], { extra: 1 }) }, 'a'],
    ['half of a surrogate pair', { a: 'x\ud800y' }, 'a'],
    ['half of a surrogate pair in a name', { a: { 'x\udc00': 1 } }, 'a["x\\udc00"]'],
    ['a field named __proto__', JSON.parse('{"a":{"__proto__":{"admin":true}}}'), 'a.__proto__'],
    ['a name that needs quotes', { 'two words': { 3: undefined } }, '["two words"]["3"]'],
    ['a name in another script', { größe: undefined }, 'größe'],
  ];
  for (const [what, value, field] of refused)
    it(`refuses ${what} and names the field`, () => {
      const error = throws(() => encoded(value), EncodeError);
      expect(error.field).to.equal(field);
      expect(error.message).to.include(field === '' ? 'The value' : `'${field}'`);
    });

  it('refuses a value that refers to itself, and one nested deeper than 100 levels, with its path', () => {
    const loop: Record<string, unknown> = {};
    loop['me'] = loop;
    expect(throws(() => encoded(loop), EncodeError).field).to.match(/^me(\.me)+$/);
    const nested = (levels: number, core: unknown): unknown => {
      let value = core;
      for (let level = 0; level < levels; level++) value = [value];
      return value;
    };
    for (const core of [1, 'leaf', null, [], {}])
      for (let levels = 97; levels <= 103; levels++) {
        const value = nested(levels, core);
        let error: unknown;
        try {
          expectSame(decoded(encoded(value)), value);
        } catch (caught) {
          error = caught;
        }
        if (error === undefined) expect(levels).to.be.lessThan(101);
        else {
          expect(error).to.be.instanceOf(EncodeError);
          expect((error as EncodeError).field, `${levels} levels around ${JSON.stringify(core)}`).to.match(
            /^(\[0\])+$/,
          );
        }
      }
    expectSame(decoded(encoded(nested(100, 1))), nested(100, 1));
  });

  it('goes on after a refusal as if nothing had been', () => {
    const writer = new ByteWriter(16);
    codec.encode('before', writer);
    const length = writer.length;
    throws(() => codec.encode({ a: [1, undefined] }, writer), EncodeError);
    expect(writer.length).to.equal(length);
    codec.encode('after', writer);
    const reader = new ByteReader(writer.bytes, length, writer.length);
    expect(codec.decode(reader)).to.equal('after');
  });

  it('copies binary fields out of the bytes it reads, which are used again', () => {
    const values = [
      { raw: Uint8Array.of(1, 2, 3) },
      { deep: [{ raw: new Uint8Array(300).fill(7) }] },
      { raw: new Uint8Array(70_000).fill(9), name: 'x' },
      Uint8Array.of(1),
    ];
    const window = new Uint8Array(80_000);
    const retained: unknown[] = [];
    for (const value of values) {
      const bytes = encoded(value);
      window.set(bytes);
      retained.push(codec.decode(new ByteReader(window, 0, bytes.length)));
      window.fill(0xff);
    }
    for (const [index, value] of values.entries()) expectSame(retained[index], value);
  });

  it('keeps nothing of the value that went in', () => {
    const value = { list: [1, 2], raw: Uint8Array.of(1, 2) };
    const bytes = encoded(value);
    value.list[0] = 9;
    value.raw[0] = 9;
    expectSame(decoded(bytes), { list: [1, 2], raw: Uint8Array.of(1, 2) });
  });

  it('takes any bytes without a foreign error: a value, or DecodeError', () =>
    check(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decoded(bytes);
        } catch (error) {
          assert.ok(error instanceof CairnError, String(error));
        }
      }),
      1000,
    ));

  it('refuses bytes that are left over, and lengths that are not there, before it allocates for them', () => {
    throws(() => decoded(Uint8Array.of(1, 1)), DecodeError);
    throws(() => decoded(Uint8Array.of()), DecodeError);
    for (const type of [0xdd, 0xdf, 0xdb, 0xc6])
      throws(() => decoded(Uint8Array.of(type, 255, 255, 255, 255)), DecodeError);
  });
});
