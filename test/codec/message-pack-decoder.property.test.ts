// The decoder that expects what it has met gives what the library gives, whatever it has met before.

import { Decoder, Encoder } from '@msgpack/msgpack';
import { expect } from 'chai';
import fc from 'fast-check';
import { MessagePackDecoder } from '#src/codec/message-pack-decoder.js';
import { runModule } from '../support/module-process.js';
import { check, seeded } from '../support/seed.js';

const library = new Decoder();
const encoder = new Encoder();

function decoderOf(frozen = false): MessagePackDecoder {
  return new MessagePackDecoder({ frozen });
}

/** Of the library. What goes wrong is part of the outcome, but not how it is worded. */
function outcomeOf(decode: () => unknown): unknown {
  try {
    return { value: decode() };
  } catch {
    return 'refused';
  }
}

const names = fc.constantFrom('id', 'orderId', 'customer', 'é', 'a'.repeat(40), '1', 'constructor', 'length');
const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.string(),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.constantFrom('', 'order-1', 'order-2', 'OrderPlaced', 'ﬁ', '\u{1f600}'),
  fc.uint8Array({ maxLength: 300 }),
  fc.date({ noInvalidDate: true }),
);
const { value: values } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.oneof(names, fc.string()), tie('value'), { maxKeys: 20 }),
  ),
}));

describe('MessagePackDecoder', () => {
  it('gives what the library gives, in any order and again and again', async () => {
    await check(
      fc.property(fc.array(values, { minLength: 1, maxLength: 30 }), fc.nat(40), (list, margin) => {
        const decoder = decoderOf();
        for (const value of [...list, ...list]) {
          const encoded = encoder.encode(value);
          // Somewhere in a larger buffer, whose other bytes are not its business.
          const bytes = new Uint8Array(margin + encoded.length + margin).fill(0xa1);
          bytes.set(encoded, margin);
          const decoded = decoder.decode(bytes, margin, margin + encoded.length);
          expect(decoded).to.deep.equal(library.decode(encoded));
          bytes.fill(0xff);
          expect(decoded, 'when its bytes are used again').to.deep.equal(library.decode(encoded));
        }
      }),
      100,
    );
  });

  it('refuses what the library refuses, byte by byte', async () => {
    await check(
      fc.property(values, fc.nat(), fc.nat(255), (value, place, byte) => {
        const decoder = decoderOf();
        const bytes = encoder.encode(value).slice();
        decoder.decode(bytes, 0, bytes.length);
        for (let end = 0; end < Math.min(bytes.length, 40); end++)
          expect(outcomeOf(() => decoder.decode(bytes, 0, end))).to.deep.equal(
            outcomeOf(() => library.decode(bytes.slice(0, end))),
          );
        bytes[place % bytes.length] = byte;
        // Bytes that are no UTF-8 are the one thing where the two may differ in what they make of it.
        const expected = outcomeOf(() => library.decode(bytes));
        const actual = outcomeOf(() => decoder.decode(bytes, 0, bytes.length));
        if (!hasOtherText(actual) && !hasOtherText(expected)) expect(actual).to.deep.equal(expected);
        else expect(actual === 'refused').to.equal(expected === 'refused');
      }),
      200,
    );
  });

  it('makes objects of many shapes, each with its own fields in their order', async () => {
    await seeded(async () => {
      const decoder = decoderOf();
      for (let round = 0; round < 200; round++)
        for (let shape = 0; shape < 30; shape++) {
          const fields = Array.from({ length: 1 + (shape % 6) }, (_, index) => [
            `f${(shape * 7 + index * 3) % 11}`,
            round + index,
          ]);
          const value = Object.fromEntries(fields) as object;
          const bytes = encoder.encode(value);
          const decoded = decoder.decode(bytes, 0, bytes.length) as object;
          expect(decoded).to.deep.equal(value);
          expect(Object.keys(decoded)).to.deep.equal(Object.keys(value));
        }
    });
  });

  it('takes names for names, whatever they would mean in a program', () => {
    const decoder = decoderOf();
    const value = {
      '"]: process.exit(1), ["': 1,
      '\\': 2,
      '\u2028': 3,
      '`${1}`': 4,
      constructor: 5,
      toString: 6,
      'a\nb': 7,
    };
    const bytes = encoder.encode(value);
    for (let round = 0; round < 100; round++) {
      const decoded = decoder.decode(bytes, 0, bytes.length) as object;
      expect(decoded).to.deep.equal(value);
      expect(Object.getPrototypeOf(decoded)).to.equal(Object.prototype);
    }
  });

  it('does without code of its own where a process forbids that', async () => {
    const program = `
      import { messagePackCodec } from 'cairnlog';
      import { ByteReader } from '#src/bytes/byte-reader.js';
      import { ByteWriter } from '#src/bytes/byte-writer.js';
      const codec = messagePackCodec();
      const writer = new ByteWriter();
      codec.encode({ id: 'a', amount: 7 }, writer);
      for (let round = 0; round < 99; round++) {
        const value = codec.decode(new ByteReader(writer.bytes, 0, writer.length));
        if (JSON.stringify(value) !== '{"id":"a","amount":7}') throw new Error(JSON.stringify(value));
      }
    `;
    const { code, stderr } = await runModule(program, [], ['--disallow-code-generation-from-strings']);
    expect(stderr).to.equal('');
    expect(code).to.equal(0);
  });

  it('refuses a field that would replace the prototype, as the library does', () => {
    const decoder = decoderOf();
    const bytes = Uint8Array.of(0x81, 0xa9, ...Buffer.from('__proto__'), 0x80);
    for (let round = 0; round < 100; round++)
      expect(() => decoder.decode(bytes, 0, bytes.length)).to.throw('__proto__');
  });

  it('keeps a byte order mark at the beginning of a string of any length', () => {
    const decoder = decoderOf();
    for (const length of [1, 10, 31, 32, 33, 100, 199, 200, 201, 5000]) {
      const value = `\ufeff${'x'.repeat(length)}`;
      const bytes = encoder.encode(value);
      expect(decoder.decode(bytes, 0, bytes.length)).to.equal(value);
    }
  });

  it('does not take memory for a count that the bytes cannot hold', () => {
    const decoder = decoderOf();
    for (const type of [0xdd, 0xdf, 0xc6, 0xdb]) {
      const bytes = Uint8Array.of(type, 0xff, 0xff, 0xff, 0xff, 1, 1);
      expect(() => decoder.decode(bytes, 0, bytes.length)).to.throw();
    }
  });

  it('goes on when names and shapes are too many to remember', () => {
    const decoder = decoderOf();
    for (let number = 0; number < 6000; number++) {
      const value = { [`name-${number}`]: number, [`other-${number % 50}`]: `text-${number}`, same: true };
      const bytes = encoder.encode(value);
      for (let again = 0; again < 2; again++) expect(decoder.decode(bytes, 0, bytes.length)).to.deep.equal(value);
    }
  });

  it('makes objects of more fields than it remembers', () => {
    const decoder = decoderOf();
    const value = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`f${index}`, index]));
    const bytes = encoder.encode(value);
    expect(decoder.decode(bytes, 0, bytes.length)).to.deep.equal(value);
  });

  it('freezes all that an outermost array holds where it is asked to', () => {
    const decoder = decoderOf(true);
    const bytes = encoder.encode([
      1,
      { a: [{ b: 1 }], many: Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`f${i}`, {}])) },
    ]);
    const [, data] = decoder.decode(bytes, 0, bytes.length) as [number, { a: object[]; many: Record<string, object> }];
    for (const object of [data, data.a, data.a[0], data.many, data.many['f98']])
      expect(Object.isFrozen(object)).to.equal(true);
  });
});

/** Whether there is text beyond ASCII in it. */
function hasOtherText(outcome: unknown): boolean {
  // oxlint-disable-next-line no-control-regex
  return /[^\x00-\x7f]|\\u[0-9a-f]{4}/.test(JSON.stringify(outcome));
}
