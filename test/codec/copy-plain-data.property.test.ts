// Copies are made from the shapes of objects that were copied before: whatever came before, a copy is a copy.

import { copyPlainData } from '#src/codec/plain-copies.js';
import { EncodeError } from 'cairnlog';
import { expect } from 'chai';
import fc from 'fast-check';
import { check } from '../support/seed.js';

const name = fc.oneof(fc.constantFrom('id', 'amount', 'constructor', '1', 'ä'), fc.string({ unit: 'grapheme' }));
const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.string({ unit: 'grapheme' })),
    fc.array(tie('value'), { maxLength: 8 }),
    fc.dictionary(
      name.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 8 },
    ),
  ),
}));

describe('copyPlainData', () => {
  it('copies every value as it is, frozen, in the order of its fields, again and again', async () => {
    await check(
      fc.property(fc.array(values, { minLength: 1, maxLength: 20 }), (list) => {
        for (const value of [...list, ...list, ...list]) {
          const copy = copyPlainData(value);
          expect(JSON.stringify(copy)).to.equal(JSON.stringify(value));
          expect(copy).to.deep.equal(value);
          expectFrozen(copy);
          if (typeof value === 'object' && value !== null) expect(copy).not.to.equal(value);
        }
      }),
      150,
    );
  });

  it('refuses a name that would replace the prototype, wherever its object came before', () => {
    const bad = JSON.parse('{"a":1,"__proto__":{"b":2}}') as object;
    for (let round = 0; round < 100; round++) {
      expect(copyPlainData({ a: 1, b: 2 })).to.deep.equal({ a: 1, b: 2 });
      expect(() => copyPlainData(bad)).to.throw(EncodeError, '__proto__');
      expect(() => copyPlainData({ a: 1, ['\ud800']: 2 })).to.throw(EncodeError, 'surrogate');
    }
  });

  it('copies what a getter copies meanwhile apart from it', () => {
    for (let round = 0; round < 100; round++) {
      const value = {
        first: 'one',
        get second() {
          return copyPlainData({ first: 'inner', second: [round] });
        },
        third: 'three',
      };
      expect(copyPlainData(value)).to.deep.equal({
        first: 'one',
        second: { first: 'inner', second: [round] },
        third: 'three',
      });
    }
  });

  it('goes on after a value that it refused in the middle', () => {
    for (let round = 0; round < 100; round++) {
      expect(() => copyPlainData({ a: { b: { c: undefined } } })).to.throw(EncodeError, 'a.b.c');
      expect(copyPlainData({ a: { b: { c: round } } })).to.deep.equal({ a: { b: { c: round } } });
    }
  });

  it('copies objects of more fields than have a shape', () => {
    const value = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`f${index}`, { index }]));
    expect(copyPlainData(value)).to.deep.equal(value);
    expect(() => copyPlainData({ ...value, bad: undefined })).to.throw(EncodeError, 'bad');
  });
});

function expectFrozen(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  expect(Object.isFrozen(value)).to.equal(true);
  for (const item of Object.values(value)) expectFrozen(item);
}
