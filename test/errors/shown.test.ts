// Whatever it is, it can be shown in a message.

import { expect } from 'chai';
import { InvalidArgumentError } from 'cairnlog';
import { messageOf } from '#src/errors/message-of.js';
import { shown } from '#src/errors/shown.js';

const revoked = Proxy.revocable({}, {});
revoked.revoke();
const cyclic: unknown[] = [];
cyclic.push(cyclic);
class Money {
  toString(): string {
    throw new Error('no text');
  }
}
class Mute extends Error {
  override get message(): string {
    throw new Error('no message');
  }
}

const values: [unknown, string][] = [
  [undefined, 'undefined'],
  [null, 'null'],
  ['a"b', '"a\\"b"'],
  ['\ud800', '"\\ud800"'],
  [-0, '-0'],
  [NaN, 'NaN'],
  [10n, '10n'],
  [Symbol('s'), 'Symbol(s)'],
  [Date, 'a function'],
  [{}, 'an object'],
  [Object.create(null), 'an object'],
  [[], 'an empty array'],
  [cyclic, 'an array'],
  [new Money(), 'an object of class Money'],
  [Promise.resolve(), 'an object of class Promise'],
  [revoked.proxy, 'an object'],
  [new RangeError('no'), 'RangeError: no'],
  [new Mute(), 'an object'],
];

describe('a value in a message', () => {
  for (const [value, text] of values) it(`is shown: ${text}`, () => expect(shown(value)).to.equal(text));

  it('is shown in part if it is long', () => {
    const text = 'x'.repeat(17 * 1024 * 1024);
    expect(shown(text)).to.equal(`"${'x'.repeat(100)}"… (17825792 characters)`);
    for (const value of [
      10n ** 5000n,
      Symbol(text),
      class {},
      new Error(text),
      Object.create({ constructor: { name: text } }),
    ])
      expect(shown(value).length).to.be.lessThan(1100);
  });
});

describe('the message of what was thrown', () => {
  it('is that of the error, or what was thrown', () => {
    expect(messageOf(new RangeError('no'))).to.equal('no');
    expect(messageOf('no')).to.equal('no');
    expect(messageOf(10n)).to.equal('10n');
    expect(messageOf(Object.create(null))).to.equal('an object');
    expect(messageOf(revoked.proxy)).to.equal('an object');
    expect(messageOf(new Mute())).to.equal('an object');
  });
});

describe('a message', () => {
  it('is bounded, however long the names in it are, and keeps its end', () => {
    const { message } = new InvalidArgumentError(`'${'x'.repeat(17 * 1024 * 1024)}' is too long; take another one`);
    expect(message.length).to.be.lessThan(10_100);
    expect(message)
      .to.match(/^'xxx/)
      .and.to.match(/characters left out.*; take another one$/);
  });
});
