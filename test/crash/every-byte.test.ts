// Damage of every kind at every place, judged by a second parser: a log that is read gives exactly what that parser
// reads, and what it refuses is refused. Both are also held to the original: no wrong entry, nothing durable missing.

import {
  CairnError,
  MemoryDirectory,
  RecordLog,
  RecordLogReader,
  TornTailError,
  WalReader,
  WalWriter,
  type Directory,
} from 'cairnlog';
import type { LogReader, LogWriter } from 'cairnlog/wal';
import { expect } from 'chai';
import { directoryOf, flipped, imageOf, put, sameImage, type Image } from '../support/image.js';
import { bytesOf, randomOf, seeded } from '../support/seed.js';
import { canRead, secondReading, type Verdict } from '../support/second-parser.js';
import { textCodec as codec } from '../support/text-codec.js';

interface Subject {
  readonly name: string;
  readonly original: readonly string[];
  readonly image: Image;
  /** Path of a one-file log. */
  readonly single?: string;
}

const SINGLE = 'audit.log';

const readerOf = ({ single }: Subject, directory: Directory): LogReader<string> =>
  single === undefined ? new WalReader(directory, { codec }) : new RecordLogReader(directory, single, { codec });

const openOf = ({ single }: Subject, directory: Directory): Promise<LogWriter<string>> =>
  single === undefined ? WalWriter.open(directory, { codec }) : RecordLog.open(directory, single, { codec });

/** Several small segments. The last has entries that are known to be durable, and entries that are not. */
async function subject(
  name: string,
  options: { closed?: boolean; preallocateBytes?: number; single?: boolean; batches?: boolean; large?: boolean } = {},
): Promise<Subject> {
  const { closed = false, preallocateBytes = 0, single = false, batches = false, large = false } = options;
  const directory = new MemoryDirectory();
  const random = bytesOf(name);
  const original: string[] = [];
  const common = { codec, random, preallocateBytes };
  const log: LogWriter<string> = single
    ? await RecordLog.open(directory, SINGLE, common)
    : await WalWriter.open(directory, { ...common, segmentBytes: large ? 1600 : 190 });
  const next = (): string => {
    original.push(`entry ${original.length + 1}${'.'.repeat((original.length * 7) % (large ? 160 : 30))}`);
    return original.at(-1)!;
  };
  for (let step = 1; step <= (large ? 34 : batches ? 8 : 11); step++) {
    if (batches && step % 3 === 0) log.appendBatch([next(), next(), next()]);
    else log.append(next());
    if (step % 5 === 2) await log.flushAndSync();
    else if (step % 2 === 1) await log.flush();
  }
  await log.flush();
  const image = await imageOf(directory);
  await log.close();
  return { name, original, image: closed ? await imageOf(directory) : image, ...(single ? { single: SINGLE } : {}) };
}

interface Counts {
  mutations: number;
  identical: number;
  cut: number;
  refused: number;
  opened: number;
}

/** Puts the damaged files into the directory, judges what comes of them, and puts the whole ones back. */
async function judge(
  subject_: Subject,
  directory: MemoryDirectory,
  damaged: ReadonlyMap<string, Uint8Array>,
  what: string,
  counts: Counts,
  alsoOpen: boolean,
): Promise<void> {
  const image: Image = new Map([...subject_.image, ...damaged]);
  for (const [path, bytes] of damaged) await put(directory, path, bytes);
  counts.mutations++;
  const verdict = secondReading(image, subject_.single);
  const report = await outcome(readerOf(subject_, directory).replayBestEffort());
  compare(subject_, verdict, report, what, counts);

  // What best effort refuses strict replay refuses too; seen often enough, it need not be seen every time.
  if (verdict.kind === 'log' || counts.mutations % 4 === 0) await judgeStrict(subject_, directory, verdict, what);

  if (alsoOpen) {
    counts.opened++;
    const copy = await directoryOf(image);
    const log = await outcome(openOf(subject_, copy));
    if (log instanceof Error) {
      expect(log, what).to.be.instanceOf(CairnError);
      // Segments before the last are not read when a log is opened; all else must be seen then too.
      expect(verdict.kind, `${what}: ${log.message}`).to.equal('refused');
      sameImage(await imageOf(copy), image);
    } else {
      const last = log.lastEntryId;
      if (verdict.kind === 'log') expect(last, what).to.equal(verdict.entries.length);
      expect(await log.appendDurable('after'), what).to.equal(last + 1);
      await log.close();
      const again = await outcome(readerOf(subject_, copy).replay());
      if (verdict.kind === 'log') {
        if (again instanceof Error) throw new Error(`${what}: after the repair: ${again.message}`, { cause: again });
        expect(
          again.map(({ entry }) => entry),
          what,
        ).to.deep.equal([...subject_.original.slice(0, last), 'after']);
      } else expect(again, what).to.be.instanceOf(CairnError);
    }
  }
  for (const path of damaged.keys()) await put(directory, path, subject_.image.get(path)!);
}

async function judgeStrict(
  subject_: Subject,
  directory: MemoryDirectory,
  verdict: Verdict,
  what: string,
): Promise<void> {
  const strict = await outcome(readerOf(subject_, directory).replay());
  if (verdict.kind === 'refused') expect(strict, what).to.be.instanceOf(CairnError);
  else if (verdict.cut !== undefined) expect(strict, what).to.be.instanceOf(TornTailError);
  else if (!(strict instanceof Error)) expect(strict.length, what).to.equal(verdict.entries.length);
  else expect.fail(`${what}: strict replay refuses a log that ends whole: ${strict.message}`);
}

async function outcome<R>(promise: Promise<R>): Promise<R | Error> {
  try {
    return await promise;
  } catch (error) {
    return error as Error;
  }
}

function compare(
  { original }: Subject,
  verdict: Verdict,
  found: readonly { readonly entryId: number; readonly entry: string }[] | Error,
  what: string,
  counts: Counts,
): void {
  if (verdict.kind === 'refused') {
    if (!(found instanceof Error)) expect.fail(`${what}: read ${found.length} entries where ${verdict.why}`);
    expect(found, what).to.be.instanceOf(CairnError);
    counts.refused++;
    return;
  }
  if (found instanceof Error) throw new Error(`${what}: refused what can be read: ${found.message}`, { cause: found });
  const texts = found.map(({ entry }) => entry);
  if (texts.length !== verdict.entries.length || verdict.entries.some(({ text }, index) => text !== texts[index]))
    expect.fail(`${what}: read ${texts.length} entries, the second parser ${verdict.entries.length}`);
  for (const [index, text] of texts.entries())
    if (text !== original[index] || found[index]!.entryId !== index + 1)
      expect.fail(`${what}: entry ${index + 1} is wrong`);
  expect(texts.length, what).to.be.at.least(verdict.durableId);
  if (texts.length === original.length) counts.identical++;
  else counts.cut++;
}

const subjects: readonly [name: string, options: Parameters<typeof subject>[1], everyBit: boolean][] = [
  ['a log that its process left behind', {}, true],
  ['a log that was closed', { closed: true }, true],
  ['a log with batches', { batches: true }, false],
  ['a preallocated log that its process left behind', { preallocateBytes: 260, batches: true }, false],
  ['a one-file log', { single: true }, false],
];

for (const [name, options, everyBit] of subjects)
  describe(`Every byte of ${name}`, () => {
    let whole: Subject;
    let directory: MemoryDirectory;
    const counts: Counts = { mutations: 0, identical: 0, cut: 0, refused: 0, opened: 0 };

    before(async function () {
      if (!canRead) {
        console.log('      skipped: node:zlib has no crc32 here, so there is no second parser');
        this.skip();
      }
      whole = await subject(name, options);
      directory = await directoryOf(whole.image);
      const verdict = secondReading(whole.image, whole.single);
      if (verdict.kind === 'refused') expect.fail(verdict.why);
      expect(verdict.entries.map(({ text }) => text)).to.deep.equal(whole.original);
      if (whole.single === undefined) expect(whole.image.size).to.be.within(3, 9);
    });

    it('may be where a file ends', async () => {
      for (const [path, bytes] of whole.image)
        for (let size = 0; size < bytes.length; size++)
          await judge(
            whole,
            directory,
            new Map([[path, bytes.slice(0, size)]]),
            `${path} cut to ${size} bytes`,
            counts,
            true,
          );
    });

    it(everyBit ? 'may have any bit wrong' : 'may have some bit wrong', async function () {
      this.timeout(60_000);
      for (const [path, bytes] of whole.image)
        for (let offset = 0; offset < bytes.length; offset++)
          for (let bit = everyBit ? 0 : offset % 3; bit < 8; bit += everyBit ? 1 : 3)
            await judge(
              whole,
              directory,
              new Map([[path, flipped(bytes, offset, bit)]]),
              `bit ${bit} of byte ${offset} of ${path}`,
              counts,
              bit === offset % (everyBit ? 8 : 3),
            );
    });

    it('may be the first of a run of zeros, or of garbage', async () =>
      seeded(async () => {
        const random = randomOf(whole.name);
        for (const [path, bytes] of whole.image)
          for (let offset = 0; offset < bytes.length; offset += 1 + random.integer(3))
            for (const run of [4, 16, 64, bytes.length]) {
              if (offset + run > bytes.length && run !== bytes.length) continue;
              const end = Math.min(bytes.length, offset + run);
              const zeroed = bytes.slice().fill(0, offset, end);
              const garbage = bytes.slice();
              for (let at = offset; at < end; at++) garbage[at] = random.integer(256);
              const open = random.chance(12);
              await judge(
                whole,
                directory,
                new Map([[path, zeroed]]),
                `${path} zero from ${offset} to ${end}`,
                counts,
                open,
              );
              await judge(
                whole,
                directory,
                new Map([[path, garbage]]),
                `${path} garbage from ${offset} to ${end}`,
                counts,
                open,
              );
            }
      }));

    it('was damaged in all those ways, and all of the outcomes came', () => {
      console.log(
        `      ${counts.mutations} mutations: ${counts.identical} read whole, ${counts.cut} cut, ${counts.refused} refused; ${counts.opened} opened`,
      );
      expect(counts.mutations).to.be.greaterThan(2000);
      expect(Math.min(counts.identical, counts.cut, counts.refused)).to.be.greaterThan(0);
    });
  });

describe('Every sector of a log of larger segments', () => {
  it('may be zeros, old, garbage, or another sector', async function () {
    if (!canRead) this.skip();
    const whole = await subject('larger segments', { large: true, batches: true });
    const directory = await directoryOf(whole.image);
    const counts: Counts = { mutations: 0, identical: 0, cut: 0, refused: 0, opened: 0 };
    await seeded(async () => {
      const random = randomOf('sectors');
      for (const [path, bytes] of whole.image) {
        const sectors = Math.ceil(bytes.length / 512);
        // Every subset of the sectors of a file, as zeros and as garbage.
        for (let subset = 1; subset < 2 ** sectors; subset++)
          for (const fill of ['zeros', 'garbage'] as const) {
            const damaged = bytes.slice();
            for (let sector = 0; sector < sectors; sector++)
              if ((subset & (1 << sector)) !== 0)
                for (let at = sector * 512; at < Math.min(bytes.length, sector * 512 + 512); at++)
                  damaged[at] = fill === 'zeros' ? 0 : random.integer(256);
            await judge(
              whole,
              directory,
              new Map([[path, damaged]]),
              `${path} sectors ${subset} ${fill}`,
              counts,
              true,
            );
          }
        // Runs of a sector's length anywhere, and sectors in each other's places.
        for (let offset = 0; offset + 512 <= bytes.length; offset += 8)
          await judge(
            whole,
            directory,
            new Map([[path, bytes.slice().fill(0, offset, offset + 512)]]),
            `${path} zero sector at ${offset}`,
            counts,
            false,
          );
        for (let one = 0; one < sectors; one++)
          for (let other = 0; other < sectors; other++) {
            if (one === other || (other + 1) * 512 > bytes.length) continue;
            const damaged = bytes.slice();
            damaged.copyWithin(one * 512, other * 512, other * 512 + 512);
            await judge(
              whole,
              directory,
              new Map([[path, damaged]]),
              `${path} sector ${other} over ${one}`,
              counts,
              true,
            );
          }
      }
      // Two files at once, cut at random.
      const paths = [...whole.image.keys()];
      for (let draw = 0; draw < 300; draw++) {
        const damaged = new Map(
          [random.pick(paths), random.pick(paths)].map((path) => [
            path,
            whole.image.get(path)!.slice(0, random.integer(1700)),
          ]),
        );
        await judge(whole, directory, damaged, `two files cut, draw ${draw}`, counts, true);
      }
    });
    console.log(`      ${counts.mutations} mutations: ${counts.cut} cut, ${counts.refused} refused`);
    expect(Math.min(counts.cut, counts.refused)).to.be.greaterThan(20);
  });
});

describe('Files that are spliced, lost or doubled', () => {
  it('are read whole or refused', async function () {
    if (!canRead) this.skip();
    const whole = await subject('splices', { batches: true });
    const other = await subject('splices of another log', { batches: true });
    const paths = [...whole.image.keys()];
    const variants: Image[] = [];
    for (const path of paths) {
      const without: Image = new Map(whole.image);
      without.delete(path);
      variants.push(without);
      for (const source of [...whole.image.values(), ...other.image.values()])
        variants.push(new Map([...whole.image, [path, source]]));
    }
    let refused = 0;
    for (const [index, image] of variants.entries()) {
      const verdict = secondReading(image);
      const directory = await directoryOf(image);
      const found = await outcome(new WalReader(directory, { codec }).replayBestEffort());
      if (verdict.kind === 'refused') {
        expect(found, `variant ${index}: ${verdict.why}`).to.be.instanceOf(CairnError);
        refused++;
        continue;
      }
      if (found instanceof Error) throw new Error(`variant ${index}: ${found.message}`, { cause: found });
      expect(found.map(({ entry }) => entry)).to.deep.equal(verdict.entries.map(({ text }) => text));
      expect(
        found.every(
          ({ entryId, entry }) => whole.original[entryId - 1] === entry || other.original[entryId - 1] === entry,
        ),
      ).to.equal(true);
    }
    expect(refused).to.be.greaterThan(variants.length / 2);
  });
});
