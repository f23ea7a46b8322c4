import {
  AlreadyExistsError,
  CorruptionError,
  FormatError,
  InvalidArgumentError,
  LockError,
  MemoryDirectory,
  NotFoundError,
  PathError,
  PoisonedError,
  RecordLog,
  RecordLogReader,
  TornTailError,
  WalReader,
  WalWriter,
} from 'cairnlog';
import { FaultyDirectory, loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { changed, directoryOf, flipped, imageOf, put, sameImage, type Image } from '../support/image.js';
import { recorded } from '../support/recorded.js';
import { rejects } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { temporaryDirectory } from '../support/temporary-folder.js';
import { textCodec as codec } from '../support/text-codec.js';
import { texts } from '../support/texts.js';

const PATH = 'logs/audit.log';

/** A log as a crash leaves it: written, and synced up to entry `durable`. */
async function crashed(entries: readonly string[], durable = 0): Promise<Image> {
  const directory = new MemoryDirectory();
  const log = await RecordLog.open(directory, PATH, { codec });
  for (const entry of entries) if (log.append(entry) === durable) await log.flushAndSync();
  await log.flush();
  const image = await imageOf(directory);
  await log.close();
  return image;
}

const reader = (directory: MemoryDirectory): RecordLogReader<string> => new RecordLogReader(directory, PATH, { codec });
const replayed = async (directory: MemoryDirectory): Promise<string[]> =>
  (await reader(directory).replayBestEffort()).map(({ entry }) => entry);

describe('RecordLog', () => {
  it('gives back what was appended, across openings, on memory and on disk', async () => {
    for (const directory of [new MemoryDirectory(), await temporaryDirectory()]) {
      const first = await RecordLog.open(directory, PATH, { codec });
      expect(first.append('one')).to.equal(1);
      expect(await first.appendDurable('two')).to.equal(2);
      await first.close();
      const second = await RecordLog.open(directory, PATH, { codec });
      expect(second.opened).to.deep.include({ firstEntryId: 1, lastEntryId: 2, segments: 1, tornTail: undefined });
      expect(second.appendBatch(['three', ''])).to.deep.equal([3, 4]);
      await second.close();
      const records = await new RecordLogReader(directory, PATH, { codec }).replay();
      expect(records.map(({ entry }) => entry)).to.deep.equal(['one', 'two', 'three', '']);
    }
  });

  it('is one file beside its lock, however large it grows', async () => {
    const directory = new MemoryDirectory();
    const log = await RecordLog.open(directory, PATH, { codec, segmentBytes: 100 } as never);
    for (let id = 1; id <= 200; id++) log.append('x'.repeat(100));
    await log.close();
    expect(await directory.list('logs')).to.deep.equal(['audit.log', 'audit.log.lock']);
    expect(log.currentSegmentId).to.equal(1);
    expect((await replayed(directory)).length).to.equal(200);
  });

  it('creates and resumes as it is told to', async () => {
    const directory = new MemoryDirectory();
    await rejects(RecordLog.resume(directory, PATH, { codec }), NotFoundError);
    await (await RecordLog.create(directory, PATH, { codec })).close();
    await rejects(RecordLog.create(directory, PATH, { codec }), AlreadyExistsError);
    await (await RecordLog.resume(directory, PATH, { codec })).close();
  });

  it('may lie in the root, and has one writer at a time', async () => {
    const directory = new MemoryDirectory();
    const log = await RecordLog.open(directory, 'a.log', { codec });
    await rejects(RecordLog.open(directory, './a.log', { codec }), LockError);
    const other = await RecordLog.open(directory, 'b.log', { codec });
    await Promise.all([log.close(), other.close()]);
  });

  it('refuses paths that are no file of its own', async () => {
    const directory = new MemoryDirectory();
    for (const path of ['../audit.log', '/audit.log', 'a\\b'])
      await rejects((async () => RecordLog.open(directory, path, { codec }))(), PathError);
    await rejects((async () => RecordLog.open(directory, '.', { codec }))(), InvalidArgumentError);
    await directory.makeDirectory('folder');
    await rejects(RecordLog.open(directory, 'folder', { codec }), NotFoundError);
    const wal = await WalWriter.open(directory, { codec });
    await wal.close();
    await rejects(RecordLog.open(directory, 'wal/wal_1.log', { codec }), FormatError);
    await put(directory, 'wal/wal_1.log', (await crashed(['x'])).get(PATH)!);
    await rejects(new WalReader(directory, { codec }).replay(), FormatError);
  });

  it('reads a missing file as an empty log', async () => {
    expect(await reader(new MemoryDirectory()).replay()).to.deep.equal([]);
  });

  it('cut at every byte replays a prefix, and goes on from there', async () => {
    const entries = Array.from({ length: 100 }, (_, index) => `record ${index + 1}`.repeat(index % 3));
    const whole = (await crashed(entries)).get(PATH)!;
    const ends: number[] = [40];
    for (const entry of entries) ends.push(ends.at(-1)! + 16 + entry.length);
    expect(ends.at(-1)).to.equal(whole.length);
    for (let size = 0; size <= whole.length; size++) {
      const directory = await directoryOf(new Map([[PATH, whole.slice(0, size)]]));
      const count = Math.max(
        0,
        ends.findLastIndex((end) => end <= size),
      );
      expect(await replayed(directory)).to.deep.equal(entries.slice(0, count));
      if (size >= 40 && ends.includes(size)) expect((await reader(directory).replay()).length).to.equal(count);
      else if (size > 0 || count > 0) await rejects(reader(directory).replay(), TornTailError);
      if (size % 7 !== 0) continue;
      const log = await RecordLog.open(directory, PATH, { codec });
      expect(await log.appendDurable('again')).to.equal(count + 1);
      await log.close();
      expect((await reader(directory).replay()).map(({ entry }) => entry)).to.deep.equal([
        ...entries.slice(0, count),
        'again',
      ]);
    }
  });

  it('cut anywhere is a prefix, whatever the records are', () =>
    check(
      fc.asyncProperty(fc.array(texts()), fc.nat(10_000), async (entries, cut) => {
        const directory = await directoryOf(
          changed(await crashed(entries), PATH, (bytes) => bytes.slice(0, cut % (bytes.length + 1))),
        );
        const found = await replayed(directory);
        expect(found).to.deep.equal(entries.slice(0, found.length));
      }),
      60,
    ));

  it('takes zeros at its end for nothing, never for empty records', async () => {
    const image = await crashed(['one', '']);
    const directory = await directoryOf(changed(image, PATH, (bytes) => Buffer.concat([bytes, new Uint8Array(64)])));
    expect(await replayed(directory)).to.deep.equal(['one', '']);
    const log = await RecordLog.open(directory, PATH, { codec });
    await log.appendDurable('three');
    await log.close();
    expect((await reader(directory).replay()).map(({ entry }) => entry)).to.deep.equal(['one', '', 'three']);
  });

  it('refuses to cut off records that were durable, and leaves the file as it is', async () => {
    const whole = await crashed(['one', 'two', 'three', 'four'], 3);
    const image = changed(whole, PATH, (bytes) => flipped(bytes, 40 + 19 + 17, 0));
    const directory = await directoryOf(image);
    const error = await rejects(RecordLog.open(directory, PATH, { codec }), CorruptionError);
    expect([error.path, error.offset, error.entryId]).to.deep.equal([PATH, 40 + 19, 2]);
    await rejects(reader(directory).replayBestEffort(), CorruptionError);
    sameImage(await imageOf(directory), image);
  });

  it('fails for good at the first failed write or sync', async () => {
    for (const kind of ['write', 'datasync'] as const) {
      const inner = new MemoryDirectory();
      const directory = new FaultyDirectory(inner);
      const log = await RecordLog.open(directory, PATH, { codec });
      await log.appendDurable('one');
      directory.decide = (operation) => (operation.kind === kind ? { kind: 'error', errno: 'ENOSPC' } : undefined);
      await rejects(log.appendDurable('two'), PoisonedError);
      const before = directory.operations;
      await rejects(log.appendDurable('three'), PoisonedError);
      expect(directory.operations).to.equal(before);
      directory.decide = () => undefined;
      await log.close();
      const next = await RecordLog.open(inner, PATH, { codec });
      expect(next.nextEntryId).to.equal(kind === 'write' ? 2 : 3);
      await next.close();
    }
  });

  it('makes its name and its folder durable before the first record, and syncs names no more after that', async () => {
    const disk = new SimulatedDisk();
    const { directory, count, operations } = recorded(disk);
    const log = await RecordLog.open(directory, 'a/b/c.log', { codec });
    operations.length = 0;
    for (let id = 1; id <= 5; id++) await log.appendDurable(`record ${id}`);
    expect(count('syncDirectory')).to.equal(0);
    const left = disk.afterPowerCut(loseEverything);
    expect((await new RecordLogReader(left, 'a/b/c.log', { codec }).replayBestEffort()).length).to.equal(5);
    await log.close();
  });
});
