import { InvalidArgumentError, manual, MemoryDirectory, messagePackCodec, WalReader, WalWriter } from 'cairnlog';
import { expect } from 'chai';
import fc from 'fast-check';
import { throws } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { textCodec as codec } from '../support/text-codec.js';

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), sizes: fc.tuple(fc.nat(700)) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('batch' as const), sizes: fc.array(fc.nat(300), { maxLength: 6 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('large' as const),
      sizes: fc.tuple(fc.integer({ min: 4000, max: 90_000 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('flush' as const, 'yield' as const), sizes: fc.tuple() }) },
);

describe('Staging', () => {
  it('keeps every byte and its order, however entries fall into buffers and segments', () =>
    check(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 56, max: 5000 }),
        fc.integer({ min: 0, max: 5000 }),
        async (steps, segmentBytes, bufferBytes) => {
          const directory = new MemoryDirectory();
          const wal = await WalWriter.open(directory, { codec, segmentBytes, bufferBytes, flushPolicy: manual });
          const expected: string[] = [];
          const next = (size: number): string => {
            const text = `${expected.length}:`.padEnd(size, String.fromCharCode(97 + (expected.length % 26)));
            expected.push(text);
            return text;
          };
          for (const { kind, sizes } of steps) {
            if (kind === 'flush') await wal.flush();
            else if (kind === 'yield') await new Promise((resolve) => setImmediate(resolve));
            else if (kind === 'batch') wal.appendBatch(sizes.map(next));
            else wal.append(next(sizes[0]!));
          }
          await wal.close();
          const records = await new WalReader(directory, { codec }).replay();
          expect(records).to.deep.equal(expected.map((entry, index) => ({ entryId: index + 1, entry })));
        },
      ),
      80,
    ));

  it('refuses an append from inside the encoding of another, and keeps neither', async () => {
    const directory = new MemoryDirectory();
    const objects = messagePackCodec<unknown>();
    const wal = await WalWriter.open(directory, { codec: objects });
    const greedy = {
      get field() {
        return wal.append('from a getter');
      },
    };
    wal.append('before');
    throws(() => wal.append(greedy), InvalidArgumentError);
    throws(() => wal.appendBatch(['x', greedy]), InvalidArgumentError);
    expect(wal.append('after')).to.equal(2);
    await wal.close();
    const records = await new WalReader(directory, { codec: objects }).replay();
    expect(records.map(({ entry }) => entry)).to.deep.equal(['before', 'after']);
  });

  it('lets an observer append', async () => {
    const directory = new MemoryDirectory();
    const wal: WalWriter<string> = await WalWriter.open(directory, {
      codec,
      observer: { onAppend: (id) => void (id < 4 && wal.append(`after ${id}`)) },
    });
    wal.append('first');
    await wal.close();
    const records = await new WalReader(directory, { codec }).replay();
    expect(records.map(({ entry }) => entry)).to.deep.equal(['first', 'after 1', 'after 2', 'after 3']);
  });
});
