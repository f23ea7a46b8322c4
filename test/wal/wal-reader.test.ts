import {
  CairnError,
  CorruptionError,
  DecodeError,
  FormatError,
  InvalidArgumentError,
  MemoryDirectory,
  messagePackCodec,
  TornTailError,
  TruncatedError,
  walEntryCodec,
  WalMaintenance,
  WalReader,
  WalWriter,
  type Directory,
} from 'cairnlog';
import { bytesCodec, type ByteReader, type ReplayMode, type WalWriterOptions } from 'cairnlog/wal';
import { FaultyDirectory } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import * as zlib from 'node:zlib';
import { changed, directoryOf, flipped, imageOf, put, sameImage, type Image } from '../support/image.js';
import { recorded } from '../support/recorded.js';
import { rejects } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { temporaryDirectory } from '../support/temporary-folder.js';
import { textCodec as codec } from '../support/text-codec.js';

const MODES: readonly ReplayMode[] = ['strict', 'bestEffort'];
const readerOf = (directory: Directory): WalReader<string> => new WalReader(directory, { codec });

/** A log of entries `e1`, `e2`, ...; lists are batches. Closed, unless `open` keeps it as a crash would leave it. */
async function logOf(
  entries: readonly (string | readonly string[])[],
  options: Partial<WalWriterOptions<string>> & { readonly crashed?: boolean; readonly durable?: number } = {},
): Promise<Image> {
  const { crashed = false, durable = 0, ...more } = options;
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, { codec, ...more });
  for (const entry of entries) {
    if (typeof entry === 'string') wal.append(entry);
    else wal.appendBatch(entry);
    if (wal.lastEntryId === durable) await wal.flushAndSync();
  }
  await wal.flush();
  const image = await imageOf(directory);
  await wal.close();
  return crashed ? image : imageOf(directory);
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const numbered = (count: number, size = 0): string[] =>
  Array.from({ length: count }, (_, index) => `e${index + 1}`.padEnd(size, '.'));

const FIRST = 'wal/wal_1.log';

describe('WalReader replays', () => {
  it('nothing from a missing folder, an empty folder and an empty log', async () => {
    const missing = new MemoryDirectory();
    const empty = new MemoryDirectory();
    await empty.makeDirectory('wal');
    for (const directory of [missing, empty, await directoryOf(await logOf([]))])
      for (const mode of MODES) {
        expect(await readerOf(directory).replay({ mode })).to.deep.equal([]);
        expect(await readerOf(directory).entryCount({ mode })).to.equal(0);
        expect(await readerOf(directory).replayEach(() => undefined, { mode })).to.deep.equal({
          count: 0,
          lastEntryId: 0,
          bytes: 0,
          tornTail: undefined,
        });
      }
  });

  it('nothing in a mode that there is not', async () => {
    const reader = readerOf(new MemoryDirectory());
    for (const mode of ['best-effort', '', null, 5] as never[])
      for (const call of [
        () => reader.replay({ mode }),
        () => reader.replayEach(() => undefined, { mode }),
        () => reader.entryCount({ mode }),
        () => collect(reader.entries({ mode })),
      ])
        expect((await rejects(call(), InvalidArgumentError)).message).to.include("must be 'strict' or 'bestEffort'");
  });

  it('the same entries whichever way it is asked, over any segments and in both modes', () =>
    check(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string(), fc.array(fc.string(), { maxLength: 4 })), { maxLength: 30 }),
        fc.integer({ min: 56, max: 600 }),
        fc.constantFrom(...MODES),
        async (entries, segmentBytes, mode) => {
          const directory = await directoryOf(await logOf(entries, { segmentBytes }));
          const reader = readerOf(directory);
          const expected = entries.flat().map((entry, index) => ({ entryId: index + 1, entry }));
          const visited: unknown[] = [];
          const report = await reader.replayEach((record) => void visited.push(record), { mode });
          expect(visited).to.deep.equal(expected);
          expect([report.count, report.lastEntryId]).to.deep.equal([expected.length, expected.length]);
          expect(await reader.replay({ mode })).to.deep.equal(expected);
          expect(await reader.entryCount({ mode })).to.equal(expected.length);
          expect(await collect(reader.entries({ mode }))).to.deep.equal(expected);
          expect(await collect(reader)).to.deep.equal(expected);
        },
      ),
      80,
    ));

  it('any range of ids, also one that begins or ends inside a batch', async () => {
    const texts = numbered(12);
    const entries = [texts[0]!, texts.slice(1, 4), texts[4]!, texts.slice(5, 10), texts[10]!, texts[11]!];
    for (const segmentBytes of [56, 150, 10_000]) {
      const directory = await directoryOf(await logOf(entries, { segmentBytes }));
      for (const mode of MODES)
        for (let from = 1; from <= 14; from++)
          for (let upTo = 0; upTo <= 14; upTo++) {
            const expected = texts.slice(from - 1, Math.max(upTo, from - 1));
            const records = await readerOf(directory).replay({ mode, from, upTo });
            expect(records.map(({ entry }) => entry)).to.deep.equal(expected);
            if (expected.length > 0) expect(records[0]!.entryId).to.equal(from);
            expect(await readerOf(directory).entryCount({ mode, from, upTo })).to.equal(expected.length);
          }
    }
  });

  it('through files much larger than its window, and entries larger than that', async () => {
    const sizes = [10, 600_000, 5, 524_288, 524_287 - 16, 1, 1_600_000, 140_000, 140_000, 140_000, 140_000, 140_000];
    const entries = sizes.map((size, index) => String.fromCharCode(97 + index).repeat(size));
    const image = await logOf([...entries, entries.slice(0, 4)], { segmentBytes: 6_000_000 });
    const directory = new FaultyDirectory(await directoryOf(image), ({ kind, bytes = 0 }) =>
      kind === 'read' && bytes > 1000 ? { kind: 'short', bytes: 1 + (bytes % 997) + (bytes >> 1) } : undefined,
    );
    const expected = [...entries, ...entries.slice(0, 4)];
    const records = await readerOf(directory).replay();
    expect(directory.faults).to.be.greaterThan(5);
    expect(records.every(({ entry }, index) => entry === expected[index])).to.equal(true);
    expect(records.length).to.equal(expected.length);
  });

  it('in memory that does not grow with the log', async () => {
    const directory = await temporaryDirectory();
    const wal = await WalWriter.open(directory, { codec: bytesCodec, segmentBytes: 16 * 1024 * 1024 });
    const entry = new Uint8Array(8000).fill(5);
    for (let id = 1; id <= 4000; id++) {
      wal.append(entry);
      if (id % 500 === 0) await wal.flush();
    }
    await wal.close();
    // Decodes nothing, so that what is counted is the reader's own.
    const sizes = { ...bytesCodec, decode: (reader: ByteReader) => reader.rest().length };
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const { bytes } = await new WalReader(directory, { codec: sizes as never }).replayEach(({ entryId }) => {
      if (entryId % 100 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    });
    expect(bytes).to.be.greaterThan(32_000_000);
    expect(most).to.be.lessThan(4 * 1024 * 1024);
  });

  it('fresh values: what it gave stays as it is when it reads on', async () => {
    const directory = new MemoryDirectory();
    const objects = messagePackCodec<{ n: number; raw: Uint8Array }>();
    const wal = await WalWriter.open(directory, { codec: objects, segmentBytes: 1000 });
    for (let n = 0; n < 200; n++) wal.append({ n, raw: new Uint8Array(64).fill(n) });
    await wal.close();
    const records = await new WalReader(directory, { codec: objects }).replay();
    const raw = await new WalReader(directory, { codec: bytesCodec }).replay();
    for (const [n, { entry }] of records.entries()) {
      expect(entry.n).to.equal(n);
      expect(entry.raw.every((byte) => byte === n)).to.equal(true);
      expect(entry.raw.buffer).to.not.equal(raw[n]!.entry.buffer);
      entry.raw.fill(255);
    }
    expect((await new WalReader(directory, { codec: objects }).replay())[7]!.entry.raw[0]).to.equal(7);
  });

  it('and waits for what visit returns, in order', async () => {
    const directory = await directoryOf(await logOf(numbered(5)));
    const seen: string[] = [];
    await readerOf(directory).replayEach(async ({ entry }) => {
      seen.push(`${entry} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${entry} ends`);
    });
    expect(seen).to.deep.equal(numbered(5).flatMap((entry) => [`${entry} begins`, `${entry} ends`]));
  });

  it('until visit throws, and throws that on as it is', async () => {
    const { directory, count } = recorded(await directoryOf(await logOf(numbered(30), { segmentBytes: 60 })));
    class Enough extends Error {}
    for (const fail of [
      () => {
        throw new Enough();
      },
      async () => {
        throw new Enough();
      },
    ]) {
      let visited = 0;
      const error: unknown = await readerOf(directory)
        .replayEach(({ entryId }) => {
          visited = entryId;
          return entryId === 7 ? fail() : undefined;
        })
        .catch((caught: unknown) => caught);
      expect(error).to.be.instanceOf(Enough);
      expect(visited).to.equal(7);
    }
    expect(count('close')).to.equal(count('open'));
  });

  it('no further than it is pulled: a consumer that stops ends the reading, and the file is closed', async () => {
    const image = await logOf(numbered(40, 50), { segmentBytes: 200 });
    const { directory, operations, count } = recorded(await directoryOf(image));
    const pulled: number[] = [];
    for await (const { entryId } of readerOf(directory).entries()) {
      // Headers of all segments are read first; frames only as they are pulled.
      if (pulled.length === 0) operations.length = 0;
      pulled.push(entryId);
      if (entryId === 5) break;
    }
    expect(pulled).to.deep.equal([1, 2, 3, 4, 5]);
    expect(count('open')).to.equal(2);
    expect(count('close')).to.equal(3);
    const before = directory.operations;
    await new Promise((resolve) => setImmediate(resolve));
    expect(directory.operations).to.equal(before);
  });

  it('and returns its report when the iteration is done', async () => {
    const image = await logOf(numbered(3), { crashed: true });
    const directory = await directoryOf(changed(image, FIRST, (bytes) => bytes.slice(0, -1)));
    const entries = readerOf(directory).entries({ mode: 'bestEffort' });
    for (let next = await entries.next(); ; next = await entries.next()) {
      if (next.done !== true) continue;
      expect([next.value.count, next.value.lastEntryId, next.value.bytes]).to.deep.equal([2, 2, 36]);
      expect(next.value.tornTail).to.deep.include({ segmentId: 1, path: FIRST, offset: 40 + 36, bytes: 17 });
      break;
    }
  });

  it('takes no ranges that cannot be meant', async () => {
    const reader = readerOf(new MemoryDirectory());
    for (const options of [{ from: 0 }, { from: 1.5 }, { upTo: -1 }, { upTo: 2 ** 53 }, { durableId: Number.NaN }])
      await rejects(reader.replay(options), InvalidArgumentError);
  });
});

describe('WalReader at the end of the log', () => {
  it('ends before an interrupted write with best effort, and names it when strict', async () => {
    const whole = await logOf(numbered(4), { crashed: true, segmentBytes: 80 });
    expect(whole.size).to.equal(2);
    const size = whole.get('wal/wal_2.log')!.length;
    for (let cut = 1; cut < 18; cut++) {
      const image = changed(whole, 'wal/wal_2.log', (bytes) => bytes.slice(0, size - cut));
      const directory = await directoryOf(image);
      expect((await readerOf(directory).replayBestEffort()).length).to.equal(3);
      const error = await rejects(readerOf(directory).replay(), TornTailError);
      expect([error.path, error.offset, error.entryId]).to.deep.equal(['wal/wal_2.log', 40 + 18, 4]);
      sameImage(await imageOf(directory), image);
    }
  });

  it('finds entries that were completed later', async () => {
    const whole = await logOf(numbered(2), { crashed: true });
    const directory = await directoryOf(changed(whole, FIRST, (bytes) => bytes.slice(0, -5)));
    await rejects(readerOf(directory).replay(), TornTailError);
    expect((await readerOf(directory).replayBestEffort()).length).to.equal(1);
    await put(directory, FIRST, whole.get(FIRST)!);
    expect((await readerOf(directory).replay()).length).to.equal(2);
  });

  it('takes a last segment of any number of header bytes for one that never came to be', async () => {
    const whole = await logOf(numbered(4), { segmentBytes: 80 });
    for (let size = 0; size < 40; size++) {
      const image = changed(whole, 'wal/wal_2.log', (bytes) => bytes.slice(0, size));
      const directory = await directoryOf(image);
      expect((await readerOf(directory).replayBestEffort()).length).to.equal(2);
      expect((await rejects(readerOf(directory).replay(), TornTailError)).path).to.equal('wal/wal_2.log');
      const wal = await WalWriter.open(directory, { codec });
      expect(wal.opened.tornTail).to.deep.include({ path: 'wal/wal_2.log', segmentId: 2, offset: 0, bytes: size });
      expect(await wal.appendDurable('again')).to.equal(3);
      await wal.close();
      expect((await readerOf(directory).replay()).map(({ entry }) => entry)).to.deep.equal(['e1', 'e2', 'again']);
    }
  });

  it('takes zeros behind the last entry for an unused rest, whatever their number', async () => {
    const whole = await logOf(numbered(3), { crashed: true });
    for (const zeros of [1, 3, 15, 16, 17, 40, 512, 300_000]) {
      const directory = await directoryOf(
        changed(whole, FIRST, (bytes) => Buffer.concat([bytes, new Uint8Array(zeros)])),
      );
      const report = await readerOf(directory).replayEach(() => undefined, { mode: 'bestEffort' });
      expect([report.count, report.tornTail?.bytes]).to.deep.equal([3, zeros]);
      await rejects(readerOf(directory).replay(), TornTailError);
    }
  });

  it('refuses the same damage when the entry was on stable storage', async () => {
    // Entry 2 is synced, so the watermark before entry 3 says that 1 and 2 are durable.
    const image = await logOf(numbered(4), { crashed: true, durable: 2 });
    const bytes = image.get(FIRST)!;
    for (const [offset, entryId, expected] of [
      [40 + 16, 1, CorruptionError],
      [40 + 18 + 16, 2, CorruptionError],
      [40 + 36 + 25 + 16, 3, TornTailError],
      [40 + 54 + 25 + 16, 4, TornTailError],
    ] as const) {
      const damaged = await directoryOf(new Map([[FIRST, flipped(bytes, offset, 0)]]));
      const error = await rejects(readerOf(damaged).replay(), expected as new (message: string) => CairnError);
      expect(error.entryId).to.equal(entryId);
      if (expected === CorruptionError) await rejects(readerOf(damaged).replayBestEffort(), CorruptionError);
      else expect((await readerOf(damaged).replayBestEffort()).length).to.equal(entryId - 1);
    }
  });

  it('refuses any damage of a log that was closed: the seal says that all of it was durable', async () => {
    const image = await logOf(numbered(3));
    const end = image.get(FIRST)!.length - 25;
    for (let offset = 40; offset < end; offset++) {
      const damaged = await directoryOf(changed(image, FIRST, (bytes) => flipped(bytes, offset, 5)));
      for (const mode of MODES) await rejects(readerOf(damaged).replay({ mode }), CorruptionError);
    }
  });

  it('refuses a log that ends before what the caller knows to be durable', async () => {
    const image = await logOf(numbered(3), { crashed: true });
    const directory = await directoryOf(image);
    for (const mode of MODES) {
      expect((await readerOf(directory).replay({ mode, durableId: 3 })).length).to.equal(3);
      await rejects(readerOf(directory).replay({ mode, durableId: 4 }), CorruptionError);
    }
    const torn = await directoryOf(changed(image, FIRST, (bytes) => bytes.slice(0, -1)));
    expect((await readerOf(torn).replayBestEffort({ durableId: 2 })).length).to.equal(2);
    await rejects(readerOf(torn).replayBestEffort({ durableId: 3 }), CorruptionError);
    const missing = await directoryOf(await logOf(numbered(3), { segmentBytes: 60 }));
    await missing.remove('wal/wal_3.log');
    await put(missing, 'wal/wal_3.log', new Uint8Array(7));
    expect((await readerOf(missing).replayBestEffort({ durableId: 2 })).length).to.equal(2);
    await rejects(readerOf(missing).replayBestEffort({ durableId: 3 }), CorruptionError);
  });
});

describe('WalReader refuses', () => {
  it('damage in any segment but the last, in both modes', async () => {
    const image = await logOf(numbered(6), { segmentBytes: 80, crashed: true });
    for (const path of [FIRST, 'wal/wal_2.log']) {
      const size = image.get(path)!.length;
      for (const damaged of [
        changed(image, path, (bytes) => bytes.slice(0, size - 1)),
        changed(image, path, (bytes) => bytes.slice(0, 60)),
        changed(image, path, (bytes) => bytes.slice(0, 40)),
        changed(image, path, (bytes) => bytes.slice(0, 17)),
        changed(image, path, (bytes) => flipped(bytes, size - 1, 0)),
        changed(image, path, (bytes) => flipped(bytes, 41, 3)),
        changed(image, path, (bytes) => bytes.fill(0, size - 18)),
        changed(image, path, () => undefined),
      ]) {
        if (path === FIRST && !damaged.has(path)) continue;
        const directory = await directoryOf(damaged);
        for (const mode of MODES) await rejects(readerOf(directory).replay({ mode }), CorruptionError);
        sameImage(await imageOf(directory), damaged);
      }
    }
  });

  it('a segment without a header in the middle, even an empty file', async () => {
    const image = await logOf(numbered(6), { segmentBytes: 80 });
    const directory = await directoryOf(changed(image, 'wal/wal_2.log', () => new Uint8Array(0)));
    for (const mode of MODES) await rejects(readerOf(directory).replay({ mode }), CorruptionError);
    await rejects(WalWriter.open(directory, { codec }), CorruptionError);
  });

  it('renamed, copied and foreign segments', async () => {
    const image = await logOf(numbered(6), { segmentBytes: 80 });
    const other = await logOf(numbered(6), { segmentBytes: 80 });
    const cases: [what: string, image: Image, Class: new (message: string) => CairnError][] = [
      [
        'swapped',
        new Map([...image, [FIRST, image.get('wal/wal_2.log')!], ['wal/wal_2.log', image.get(FIRST)!]]),
        CorruptionError,
      ],
      ['copied', new Map([...image, ['wal/wal_4.log', image.get('wal/wal_3.log')!]]), CorruptionError],
      ['of another log', new Map([...image, ['wal/wal_2.log', other.get('wal/wal_2.log')!]]), CorruptionError],
      ['with a leading zero', new Map([...image, ['wal/wal_01.log', image.get(FIRST)!]]), FormatError],
      ['with a sign', new Map([...image, ['wal/wal_+1.log', image.get(FIRST)!]]), FormatError],
      ['with the number 0', new Map([...image, ['wal/wal_0.log', image.get(FIRST)!]]), FormatError],
      [
        'with a number above 2^53-1',
        new Map([...image, ['wal/wal_9007199254740992.log', image.get(FIRST)!]]),
        FormatError,
      ],
    ];
    for (const [what, files, Class] of cases) {
      const directory = await directoryOf(files);
      for (const mode of MODES)
        await rejects(readerOf(directory).replay({ mode }), Class).catch((error: unknown) =>
          expect.fail(`${what}: ${String(error)}`),
        );
      await rejects(WalWriter.open(directory, { codec }), Class);
      sameImage(await imageOf(directory), files);
    }
  });

  it('headers that do not fit each other, whatever their checksums say', async function () {
    const crc32 = (zlib as { crc32?: (data: Uint8Array) => number }).crc32;
    if (crc32 === undefined) this.skip();
    const image = await logOf(numbered(6), { segmentBytes: 80 });
    const forged = (path: string, change: (header: Buffer) => void): Image =>
      changed(image, path, (bytes) => {
        const header = Buffer.from(bytes.buffer, 0, 40);
        change(header);
        header.writeUInt32LE(crc32(header.subarray(0, 36)), 36);
        return bytes;
      });
    sameImage(
      forged(FIRST, () => undefined),
      image,
    );
    const cases: [image: Image, Class: new (message: string) => CairnError][] = [
      [forged(FIRST, (header) => header.writeBigUInt64LE(0n, 8)), FormatError],
      [forged(FIRST, (header) => header.writeBigUInt64LE(2n, 8)), CorruptionError],
      [forged('wal/wal_2.log', (header) => header.writeBigUInt64LE(2n, 8)), CorruptionError],
      [forged('wal/wal_2.log', (header) => header.writeBigUInt64LE(4n, 8)), CorruptionError],
      [forged('wal/wal_3.log', (header) => header.writeBigUInt64LE(1n, 8)), CorruptionError],
      [forged('wal/wal_2.log', (header) => header.writeBigUInt64LE(2n ** 53n, 8)), FormatError],
      [forged('wal/wal_2.log', (header) => header.writeBigUInt64LE(2n ** 64n - 1n, 16)), FormatError],
      [forged('wal/wal_2.log', (header) => header.writeBigUInt64LE(2n ** 53n, 24)), FormatError],
    ];
    for (const [files, Class] of cases) {
      const directory = await directoryOf(files);
      for (const mode of MODES) await rejects(readerOf(directory).replay({ mode }), Class);
      sameImage(await imageOf(directory), files);
    }
  });

  it('what becomes shorter while it is read', async () => {
    const image = await logOf(numbered(800, 1000), { crashed: true });
    const inner = await directoryOf(image);
    let reads = 0;
    const directory = new FaultyDirectory(inner, ({ kind, offset = 0 }) => {
      if (kind === 'read' && offset >= 40 && ++reads === 1)
        void inner.open(FIRST, 'update').then(async (file) => {
          await file.truncate(100_000);
          await file.close();
        });
      return undefined;
    });
    await rejects(readerOf(directory).replay(), TornTailError);
    expect(reads).to.be.greaterThan(1);
  });

  it('a range of an empty log that must have held it', async () => {
    const reader = readerOf(new MemoryDirectory());
    await rejects(reader.replay({ from: 3, durableId: 5 }), TruncatedError);
    expect(await reader.replay({ from: 6, durableId: 5 })).to.deep.equal([]);
    expect(await reader.replay({ from: 3 })).to.deep.equal([]);
  });

  it('frames of another segment, of an earlier life of the file, and of a log stored as an entry', async () => {
    const image = await logOf(numbered(2), { crashed: true });
    const [, second] = await Promise.all([logOf([]), logOf(numbered(9), { crashed: true })]);
    // Entry 3 of another log, in the place where entry 3 would be: dense, whole, but of another salt.
    const foreign = second.get(FIRST)!.subarray(40 + 36);
    const directory = await directoryOf(changed(image, FIRST, (bytes) => Buffer.concat([bytes, foreign])));
    expect((await readerOf(directory).replayBestEffort()).length).to.equal(2);
    const nested = new MemoryDirectory();
    const wal = await WalWriter.open(nested, { codec: bytesCodec });
    wal.append(second.get(FIRST)!);
    await wal.close();
    expect((await new WalReader(nested, { codec: bytesCodec }).replay()).length).to.equal(1);
  });

  it('entries that the codec cannot read, by id, in both modes', async () => {
    const directory = await directoryOf(await logOf(['\u0000\u0001\u0002', 'what is this']));
    for (const mode of MODES) {
      const reader = new WalReader(directory, { codec: walEntryCodec });
      const error = await rejects(reader.replay({ mode }), DecodeError);
      expect([error.entryId, error.path]).to.deep.equal([2, 'wal']);
      expect(await reader.entryCount({ mode })).to.equal(2);
      expect((await reader.replay({ mode, upTo: 1 })).length).to.equal(1);
    }
    const broken = new WalReader<string>(directory, {
      codec: {
        ...codec,
        decode: () => {
          throw new RangeError('codec bug');
        },
      },
    });
    const error = await rejects(broken.replay(), DecodeError);
    expect(error.cause).to.be.instanceOf(RangeError);
  });

  it('a length that is not there before it takes memory for it', async () => {
    const image = await logOf(numbered(1), { crashed: true });
    for (const length of [0x0fff_ffff, 16 + 16 * 1024 * 1024, 17 + 16 * 1024 * 1024, 0x8fff_ffff, 15, 1, 0x3000_0014]) {
      const directory = await directoryOf(
        changed(image, FIRST, (bytes) => {
          const frame = Buffer.alloc(64, 7);
          frame.writeUInt32LE(length, 0);
          return Buffer.concat([bytes, frame]);
        }),
      );
      const before = process.memoryUsage().arrayBuffers;
      expect((await readerOf(directory).replayBestEffort()).length).to.equal(1);
      expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(4 * 1024 * 1024);
    }
  });

  it('nothing it is given with anything but a typed error, whatever the bytes', () =>
    check(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 120 }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom('none', 'magic', 'header' as const),
        async (files, begin) => {
          const header = (await logOf([], { random: (size) => new Uint8Array(size).fill(7) })).get(FIRST)!;
          const image: Image = new Map();
          for (const [index, bytes] of files.entries())
            image.set(
              `wal/wal_${index + 1}.log`,
              Buffer.concat(
                [begin === 'none' ? [] : header.subarray(0, begin === 'magic' ? 8 : 40), bytes].map((part) =>
                  Uint8Array.from(part),
                ),
              ),
            );
          const directory = await directoryOf(image);
          for (const mode of MODES)
            await readerOf(directory)
              .replay({ mode })
              .catch((error: unknown) => expect(error).to.be.instanceOf(CairnError));
          sameImage(await imageOf(directory), image);
          await WalWriter.open(directory, { codec }).then(
            (wal) => wal.close(),
            (error: unknown) => expect(error).to.be.instanceOf(CairnError),
          );
        },
      ),
      300,
    ));
});

describe('WalReader up to an entry', () => {
  it('neither decodes nor checksums anything later, so damage behind it goes unnoticed', async () => {
    const texts = numbered(9);
    const entries = [texts[0]!, texts[1]!, texts.slice(2, 5), texts[5]!, texts[6]!, texts[7]!, texts[8]!];
    for (const segmentBytes of [10_000, 110]) {
      const image = await logOf(entries, { segmentBytes });
      const frames: [path: string, payload: number][] = [];
      for (const [path, bytes] of [...image].sort(([a], [b]) => a.localeCompare(b)))
        for (let at = 40; at < bytes.length;) {
          const word = Buffer.from(bytes).readUInt32LE(at);
          if ((word & 0x4000_0000) === 0) frames.push([path, at + 16]);
          at += word & 0x0fff_ffff;
        }
      expect(frames.length).to.equal(9);
      for (let upTo = 0; upTo < 9; upTo++)
        for (let broken = upTo + 1; broken <= 9; broken++) {
          const [path, payload] = frames[broken - 1]!;
          const directory = await directoryOf(changed(image, path, (bytes) => flipped(bytes, payload, 1)));
          for (const mode of MODES) {
            const decoded: string[] = [];
            const watching = {
              ...codec,
              decode: (reader: Parameters<typeof codec.decode>[0]) => {
                const text = codec.decode(reader);
                decoded.push(text);
                return text;
              },
            };
            await new WalReader(directory, { codec: watching }).replay({ mode, upTo });
            expect(decoded).to.deep.equal(texts.slice(0, upTo));
            await rejects(readerOf(directory).replay({ mode, upTo: broken }), CorruptionError);
          }
        }
    }
  });

  it('refuses a range that was truncated, but not one that begins right behind it', async () => {
    const directory = await directoryOf(await logOf(numbered(6), { segmentBytes: 80 }));
    await new WalMaintenance(directory).truncatePrefix(4);
    const error = await rejects(readerOf(directory).replay({ from: 4 }), TruncatedError);
    expect(error.entryId).to.equal(4);
    await rejects(readerOf(directory).replay({ upTo: 3 }), TruncatedError);
    expect(await readerOf(directory).replay({ upTo: 4 })).to.deep.equal([]);
    expect((await readerOf(directory).replay({ from: 5 })).map(({ entryId }) => entryId)).to.deep.equal([5, 6]);
    expect((await readerOf(directory).replay()).map(({ entryId }) => entryId)).to.deep.equal([5, 6]);
  });
});

describe('WalReader beside a writer', () => {
  it('sees a prefix, whenever it looks', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 200, bufferBytes: 50 });
    for (let id = 1; id <= 150; id++) {
      wal.append(`e${id}`);
      if (id % 10 === 0) {
        const records = await readerOf(directory).replayBestEffort();
        expect(records.map(({ entry }) => entry)).to.deep.equal(numbered(records.length));
      }
    }
    await wal.close();
  });

  /** Removes the first segments when an operation is about to happen, as a truncating writer would. */
  async function truncatedAt(operationNumber: number): Promise<{ directory: FaultyDirectory; reached: () => boolean }> {
    const inner = await directoryOf(await logOf(numbered(8), { segmentBytes: 80 }));
    const directory = new FaultyDirectory(inner, ({ number }) => {
      if (number === operationNumber)
        for (const name of [FIRST, 'wal/wal_2.log']) void inner.remove(name).catch(() => undefined);
      return undefined;
    });
    return { directory, reached: () => directory.operations >= operationNumber };
  }

  it('that truncates meanwhile, reads what is left or says what was truncated, and never fails otherwise', async () => {
    let whole = 0;
    let rest = 0;
    let refused = 0;
    for (let at = 1; ; at++) {
      const { directory, reached } = await truncatedAt(at);
      try {
        const records = await readerOf(directory).replay();
        const ids = records.map(({ entryId }) => entryId);
        if (ids[0] === 1) whole++;
        else rest++;
        expect(ids).to.deep.equal(
          numbered(8)
            .map((_, index) => index + 1)
            .slice(ids[0]! - 1),
        );
      } catch (error) {
        expect(error, `truncated before operation ${at}`).to.be.instanceOf(TruncatedError);
        refused++;
      }
      if (!reached()) break;
    }
    expect(whole).to.be.greaterThan(0);
    expect(rest).to.be.greaterThan(0);
    expect(refused).to.be.greaterThan(0);
  });

  it('that truncates meanwhile, is told so if it wanted the entries that went', async () => {
    for (let at = 1; ; at++) {
      const { directory, reached } = await truncatedAt(at);
      const ids: number[] = [];
      try {
        await readerOf(directory).replayEach(({ entryId }) => void ids.push(entryId), { from: 1 });
        expect(ids).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
      } catch (error) {
        expect(error, `truncated before operation ${at}`).to.be.instanceOf(TruncatedError);
        expect(ids).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8].slice(0, ids.length));
      }
      if (!reached()) break;
    }
  });
});
