// Segments that are used again: what was truncated is written over instead of being removed, and nothing of its earlier
// life is ever seen, by nobody, whenever the power goes.

import { expect } from 'chai';
import {
  CorruptionError,
  FsDirectory,
  InvalidArgumentError,
  MemoryDirectory,
  TornTailError,
  TruncatedError,
  WalMaintenance,
  WalReader,
  WalWriter,
} from 'cairnlog';
import type { Directory, WalWriterOptions } from 'cairnlog';
import { readBytes } from 'cairnlog/storage';
import { FaultyDirectory, loseEverything, loseNothing, SimulatedDisk, type DiskOperation } from 'cairnlog/testing';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { patch, put } from '../support/raw-files.js';
import { rejects } from '../support/rejects.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { replayed, text } from '../support/text-log.js';
import { until } from '../support/until.js';

const HEADER = 40;
const CONTROL = 25;
/** Frames of this are 100 bytes, and three of them fill a segment. */
const entry = (id: number): string => `entry ${id} `.padEnd(84, String(id % 10));
const options = { ...text, segmentBytes: 420, recycleSegments: 2 };

const open = (directory: Directory, rest: Partial<WalWriterOptions<string>> = {}): Promise<WalWriter<string>> =>
  WalWriter.open(directory, { ...options, ...rest });

async function append(wal: WalWriter<string>, count: number): Promise<void> {
  for (let left = count; left > 0; left--) await wal.appendDurable(entry(wal.nextEntryId));
}

const truncate = async (wal: WalWriter<string>, upTo: number): Promise<void> =>
  void (await new WalMaintenance(wal).truncatePrefix(upTo));

const entries = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}:${entry(from + index)}`);

/** Segments of three entries: 1 and 2 are truncated, 3 is full, and what comes next is made of 1. */
async function begun(directory: Directory, rest?: Partial<WalWriterOptions<string>>): Promise<WalWriter<string>> {
  const wal = await open(directory, rest);
  await append(wal, 9);
  await truncate(wal, 6);
  return wal;
}

const names = async (directory: Directory): Promise<string[]> =>
  (await directory.list('wal')).filter((name) => name !== '.lock');

describe('A truncated segment', () => {
  it('waits as a spare one and becomes the next segment, with as many bytes as before', async () => {
    const directory = new MemoryDirectory();
    const wal = await begun(directory);
    expect(await names(directory)).to.deep.equal(['wal_1.log.spare', 'wal_2.log.spare', 'wal_3.log']);
    const { size } = (await directory.stat('wal/wal_1.log.spare'))!;
    await append(wal, 1);
    expect(await names(directory)).to.deep.equal(['wal_2.log.spare', 'wal_3.log', 'wal_4.log']);
    expect((await directory.stat('wal/wal_4.log'))!.size).to.equal(size);
    expect(await replayed(directory)).to.deep.equal(entries(7, 10));
    await append(wal, 5);
    expect(await names(directory)).to.deep.equal(['wal_3.log', 'wal_4.log', 'wal_5.log']);
    expect(await replayed(directory)).to.deep.equal(entries(7, 15));
    await wal.close();
    expect(await replayed(directory)).to.deep.equal(entries(7, 15));
  });

  it('is removed where none is asked for, and so is what an earlier process kept', async () => {
    const directory = new MemoryDirectory();
    await (await begun(directory)).close();
    const wal = await open(directory, { recycleSegments: 0 });
    expect(await names(directory)).to.deep.equal(['wal_3.log']);
    await append(wal, 3);
    await truncate(wal, 9);
    expect(await names(directory)).to.deep.equal(['wal_4.log']);
    await wal.close();
  });

  it('is kept up to the number that was asked for, also by the next process', async () => {
    const directory = new MemoryDirectory();
    const wal = await open(directory);
    await append(wal, 15);
    await truncate(wal, 12);
    expect(await names(directory)).to.deep.equal(['wal_1.log.spare', 'wal_2.log.spare', 'wal_5.log']);
    await wal.close();
    const next = await open(directory, { recycleSegments: 1 });
    expect(await names(directory)).to.deep.equal(['wal_1.log.spare', 'wal_5.log']);
    await append(next, 1);
    expect(await names(directory)).to.deep.equal(['wal_5.log', 'wal_6.log']);
    await next.close();
  });

  it('is moved to the archive where there is one', async () => {
    const directory = new MemoryDirectory();
    const wal = await open(directory);
    await append(wal, 9);
    await new WalMaintenance(wal).truncatePrefix(6, { archive: 'archive' });
    expect(await names(directory)).to.deep.equal(['wal_3.log']);
    expect(await directory.list('archive')).to.deep.equal(['wal_1.log', 'wal_2.log']);
    await wal.close();
  });

  it('is removed if it is much larger or smaller than a segment should be', async () => {
    const directory = new MemoryDirectory();
    const wal = await open(directory);
    await wal.appendDurable('x'.repeat(900));
    await wal.appendDurable('y'.repeat(900));
    await truncate(wal, 1);
    expect(await names(directory)).to.deep.equal(['wal_2.log']);
    await wal.close();
    const larger = await open(directory, { segmentBytes: 4000 });
    await larger.appendDurable('z'.repeat(3500));
    await truncate(larger, 2);
    expect(await names(directory)).to.deep.equal(['wal_3.log']);
    await larger.close();
  });

  it('is removed if it was of another size when it became a spare one', async () => {
    const directory = new MemoryDirectory();
    await (await begun(directory)).close();
    const wal = await open(directory, { segmentBytes: 4000 });
    expect(await names(directory)).to.deep.equal(['wal_3.log']);
    await wal.close();
  });

  it('keeps no room that its segment has not half used: nobody would use the file again', async () => {
    const directory = new MemoryDirectory();
    let clock = 0;
    const wal = await open(directory, {
      segmentBytes: 4096,
      preallocateBytes: 4096,
      segmentMaxAgeMs: 1,
      now: () => (clock += 10),
    });
    await append(wal, 4);
    for (const id of [1, 2, 3]) expect((await directory.stat(`wal/wal_${id}.log`))!.size).to.be.lessThan(200);
    await wal.close();
  });

  it('begins its age anew with the segment that is in it', async () => {
    const directory = await FsDirectory.open(temporaryFolder());
    let clock = Date.now();
    const aged = { segmentMaxAgeMs: 60_000, now: () => clock };
    const wal = await begun(directory, aged);
    clock += 120_000;
    await append(wal, 1);
    await wal.close();
    const next = await open(directory, aged);
    const { currentSegmentId } = next;
    await append(next, 1);
    expect(next.currentSegmentId).to.equal(currentSegmentId);
    await next.close();
  });

  it('takes nothing but a number of segments', async () => {
    for (const recycleSegments of [-1, 1.5, NaN, '2' as never])
      await rejects(open(new MemoryDirectory(), { recycleSegments }), InvalidArgumentError);
  });
});

describe('A segment that is used again', () => {
  it('grows no file: a durable append is one write into bytes that are there', async () => {
    const seen: DiskOperation[] = [];
    const disk = new FaultyDirectory(new SimulatedDisk(), (operation) => void seen.push(operation));
    const wal = await open(disk, { segmentBytes: 4200, preallocateBytes: 4200 });
    while (wal.currentSegmentId < 4) await append(wal, 1);
    await truncate(wal, wal.lastEntryId);
    while (wal.currentSegmentId < 5) await append(wal, 1);
    const at = 'wal/wal_5.log';
    const { size } = (await disk.stat(at))!;
    seen.length = 0;
    await append(wal, 10);
    const steps = seen.filter(({ path: of }) => of === at).map(({ kind, bytes }) => [kind, bytes]);
    const bytes = CONTROL + 100 + CONTROL;
    for (let step = 0; step < steps.length; step += 2)
      expect(steps.slice(step, step + 2)).to.deep.equal([
        ['write', bytes],
        ['datasync', bytes],
      ]);
    expect(steps.length).to.equal(20);
    expect((await disk.stat(at))!.size)
      .to.equal(size)
      .and.to.equal(4200);
    await wal.close();
  });

  it('ends where its last write did, when its process ends: nothing was interrupted', async () => {
    for (const count of [1, 2, 3, 4]) {
      const disk = new SimulatedDisk();
      const wal = await begun(disk);
      await append(wal, count);
      const left = disk.afterProcessEnd();
      expect(await replayed(left, { mode: 'strict' })).to.deep.equal(entries(7, 9 + count));
      const next = await open(left);
      expect(next.opened).to.include({ lastEntryId: 9 + count, tornTail: undefined });
      await append(next, 5);
      await next.close();
      expect(await replayed(left)).to.deep.equal(entries(7, 14 + count));
      await wal.close();
    }
  });

  it('ends with its header as long as nothing was written to it, and the one before it stays', async () => {
    const disk = new SimulatedDisk();
    const wal = await begun(disk);
    const faulty = disk.afterProcessEnd();
    await wal.close();
    // The process ends once the segment has its name.
    const dying = new FaultyDirectory(faulty, ({ kind, path: of }) =>
      kind === 'write' && of === 'wal/wal_4.log' ? { kind: 'stop' } : undefined,
    );
    const next = await open(dying);
    void next.appendDurable(entry(10)).catch(() => undefined);
    await until(() => dying.stopped);
    const left = faulty.afterProcessEnd();
    expect(await names(left)).to.include('wal_4.log');
    expect(await replayed(left)).to.deep.equal(entries(7, 9));
    const report = await new WalMaintenance(left).truncatePrefix(9);
    expect(report.removed).to.deep.equal([]);
    const last = await open(left);
    expect(last.opened).to.include({ lastEntryId: 9, tornTail: undefined });
    await append(last, 1);
    await last.close();
    expect(await replayed(left)).to.deep.equal(entries(7, 10));
  });

  it('shows an interrupted write for what it is', async () => {
    const disk = new SimulatedDisk();
    const wal = await begun(disk);
    await append(wal, 1);
    await patch(disk, 'wal/wal_4.log', (bytes) => void bytes.fill(0x55, HEADER + 100, HEADER + 100 + 30));
    const left = disk.afterProcessEnd();
    const error = await rejects(replayed(left), TornTailError);
    expect(error.offset).to.equal(HEADER + 100);
    expect(await replayed(left, { mode: 'bestEffort' })).to.deep.equal(entries(7, 10));
    await wal.close().catch(() => undefined);
  });

  it('shows damage to what was acknowledged, before an end mark and behind an old one', async () => {
    const disk = new SimulatedDisk();
    const wal = await begun(disk);
    await append(wal, 1);
    const afterFirst = await readBytes(disk, 'wal/wal_4.log');
    await append(wal, 1);
    await wal.appendDurable('short');
    const damaged = disk.copy();
    await patch(damaged, 'wal/wal_4.log', (bytes) => void (bytes[HEADER + 20]! ^= 1));
    await rejects(replayed(damaged, { mode: 'bestEffort' }), CorruptionError);
    await rejects(open(damaged), CorruptionError);
    // A write that the disk lost, so that the mark of the one before is there again.
    const lost = disk.copy();
    await patch(lost, 'wal/wal_4.log', (bytes) =>
      bytes.set(afterFirst.subarray(HEADER + 100, HEADER + 100 + CONTROL), HEADER + 100),
    );
    expect((await rejects(replayed(lost, { mode: 'bestEffort' }), CorruptionError)).entryId).to.equal(11);
    await rejects(open(lost), CorruptionError);
    await wal.close();
  });

  it('has nothing that salvage would miss, and nothing of its earlier life', async () => {
    const disk = new SimulatedDisk();
    const wal = await begun(disk, { preallocateBytes: 600 });
    await append(wal, 5);
    const found: string[] = [];
    const left = disk.afterProcessEnd();
    const report = await new WalMaintenance(left).salvage(({ entryId, payload }) =>
      found.push(`${entryId}:${Buffer.from(payload).toString()}`),
    );
    expect(found).to.deep.equal(entries(7, 14));
    expect(report).to.deep.equal({ entries: 8, lost: [], missing: [] });
    await patch(left, 'wal/wal_4.log', (bytes) => void (bytes[HEADER + 20]! ^= 1));
    const again = await new WalMaintenance(left).salvage(() => undefined);
    expect(again.missing).to.deep.equal([{ from: 10, to: 10 }]);
    expect(again.lost.map(({ offset, bytes }) => [offset, bytes])).to.deep.equal([[HEADER, 100]]);
    await wal.close();
  });
});

describe('A file is not used again', () => {
  it('before its spare name is on the disk: a power cut brings no segment back with a header of another', async () => {
    const disk = new SimulatedDisk();
    const begins = { resolve: (): void => undefined };
    const isHeld = new Promise<void>((resolve) => (begins.resolve = resolve));
    let goOn = (): void => undefined;
    const cuts: SimulatedDisk[] = [];
    const held = new FaultyDirectory(disk, ({ kind, path: of }) => {
      if (isHolding) cuts.push(disk.afterPowerCut(loseEverything), disk.afterPowerCut(loseNothing));
      if (kind === 'rename') renames++;
      if (kind !== 'syncDirectory' || of !== 'wal' || renames !== 1) return undefined;
      renames++;
      isHolding = true;
      begins.resolve();
      return { kind: 'wait', until: new Promise<void>((resolve) => (goOn = resolve)) };
    });
    let renames = 0;
    let isHolding = false;
    const wal = await open(held);
    await append(wal, 9);
    const truncation = truncate(wal, 6);
    await isHeld;
    // The segment has its spare name, which is not on the disk yet; meanwhile the log rolls.
    expect(await names(disk)).to.include('wal_1.log.spare');
    await append(wal, 2);
    isHolding = false;
    expect(cuts.length).to.be.greaterThan(10);
    for (const left of cuts) expect(await replayed(left, { mode: 'bestEffort' })).to.include.members(entries(7, 9));
    goOn();
    await truncation;
    await wal.close();
  });

  it('as long as its segment is in the log, under both names of one file', async () => {
    const folder = temporaryFolder();
    const wal = await open(await FsDirectory.open(folder));
    await append(wal, 9);
    await wal.close();
    // What some file systems show after a power cut in the middle of a rename.
    fs.linkSync(path.join(folder, 'wal/wal_1.log'), path.join(folder, 'wal/wal_1.log.spare'));
    const directory = await FsDirectory.open(folder);
    const next = await open(directory);
    await append(next, 3);
    expect(await replayed(directory)).to.deep.equal(entries(1, 12));
    await next.close();
  });

  it('under a spare name that a segment had before it, though both are names of one file', async () => {
    const folder = temporaryFolder();
    const directory = await FsDirectory.open(folder);
    const wal = await begun(directory);
    await append(wal, 3);
    await wal.close();
    fs.linkSync(path.join(folder, 'wal/wal_4.log'), path.join(folder, 'wal/wal_1.log.spare'));
    const next = await open(directory);
    await append(next, 9);
    expect(await replayed(directory)).to.deep.equal(entries(7, 21));
    await next.close();
  });

  it('if it is of another log, or is no segment at all', async () => {
    const other = new MemoryDirectory();
    await (await begun(other)).close();
    const directory = new MemoryDirectory();
    const wal = await open(directory);
    await append(wal, 3);
    await wal.close();
    await put(directory, 'wal/wal_1000.log.spare', await readBytes(other, 'wal/wal_1.log.spare'));
    await put(directory, 'wal/wal_2000.log.spare', new Uint8Array(400).fill(7));
    const next = await open(directory);
    const before = (await directory.stat('wal/wal_1000.log.spare'))!.size;
    expect(before).to.be.greaterThan(300);
    await append(next, 3);
    expect(await names(directory)).to.deep.equal(['wal_1.log', 'wal_2.log']);
    expect(await replayed(directory)).to.deep.equal(entries(1, 6));
    await next.close();
  });
});

describe('Who reads a segment while it is truncated and used again', () => {
  /** Entries of 100 KiB, so that a segment is read in several windows. */
  const large = (id: number): string => `${id} `.padEnd(100 * 1024, 'x');
  const sizes = { segmentBytes: 2 * 1024 * 1024, recycleSegments: 2 };

  async function longLog(directory: Directory): Promise<WalWriter<string>> {
    const wal = await open(directory, sizes);
    while (wal.currentSegmentId < 3) wal.append(large(wal.nextEntryId));
    await wal.flushAndSync();
    return wal;
  }

  for (const [name, make] of [
    ['in memory', () => Promise.resolve(new MemoryDirectory())],
    ['on a file system', () => FsDirectory.open(temporaryFolder())],
  ] as const)
    it(`is told so, ${name}, and is shown nothing wrong before`, async () => {
      const directory = await make();
      const wal = await longLog(directory);
      const seen: number[] = [];
      const reading = new WalReader<string>(directory, text).replayEach(
        async ({ entryId, entry: found }) => {
          expect(found).to.equal(large(entryId));
          seen.push(entryId);
          if (entryId !== 1) return;
          await truncate(wal, wal.lastEntryId);
          while (wal.currentSegmentId < 5) wal.append(large(wal.nextEntryId));
          await wal.flushAndSync();
        },
        { mode: 'bestEffort' },
      );
      const error = await rejects(reading, TruncatedError);
      expect(error.entryId).to.equal(seen.length + 1);
      expect(seen.length).to.be.within(2, 30);
      expect(seen).to.deep.equal(seen.map((_, index) => index + 1));
      await wal.close();
    });

  it('is told so also in the segment that was the last when it began', async () => {
    const directory = new MemoryDirectory();
    const wal = await open(directory, sizes);
    while (wal.nextEntryId < 15) wal.append(large(wal.nextEntryId));
    await wal.flushAndSync();
    let begins = true;
    const reading = new WalReader<string>(directory, text).replayEach(
      async () => {
        if (!begins) return;
        begins = false;
        while (wal.currentSegmentId < 3) wal.append(large(wal.nextEntryId));
        await wal.flushAndSync();
        await truncate(wal, wal.lastEntryId);
        while (wal.currentSegmentId < 5) wal.append(large(wal.nextEntryId));
        await wal.flushAndSync();
      },
      { mode: 'bestEffort' },
    );
    await rejects(reading, TruncatedError);
    await wal.close();
  });

  for (const mode of ['strict', 'bestEffort'] as const)
    for (const wasLast of [true, false])
      it(`is told so where the new segment is shorter, and ends where a window of the reader did (${mode}, ${String(wasLast)})`, async () => {
        const directory = new MemoryDirectory();
        // Frames of a KiB: windows of 512 KiB end with one.
        const value = (id: number): string => `${id} `.padEnd(1008, 'x');
        const wal = await open(directory, { segmentBytes: 2 * 1024 * 1024 });
        const fill = async (segment: number): Promise<void> => {
          while (wal.currentSegmentId < segment) wal.append(value(wal.nextEntryId));
          await wal.flushAndSync();
        };
        for (let count = 0; count < 1800; count++) wal.append(value(wal.nextEntryId));
        await fill(wasLast ? 1 : 3);
        let begins = true;
        let seen = 0;
        const reading = new WalReader<string>(directory, text).replayEach(
          async ({ entryId }) => {
            seen = entryId;
            if (!begins) return;
            begins = false;
            await fill(3);
            await truncate(wal, wal.lastEntryId);
            await fill(4);
            // Cuts the segment behind its few entries.
            await wal.close();
          },
          { mode },
        );
        const error = await rejects(reading, TruncatedError);
        expect(error.entryId).to.equal(seen + 1);
        expect(seen).to.be.lessThan(1800);
      });

  it('takes a frame that goes beyond the earlier life of the file for one that is being written', async () => {
    for (const mode of ['strict', 'bestEffort'] as const) {
      const directory = new MemoryDirectory();
      const wal = await open(directory, { segmentBytes: 700 });
      const add = (bytes: number): Promise<number> => wal.appendDurable('x'.repeat(bytes));
      while (wal.currentSegmentId < 3) await add(124);
      await truncate(wal, wal.lastEntryId);
      while (wal.currentSegmentId < 4) await add(124);
      await add(230);
      const { flushedId } = wal;
      const openFile = directory.open.bind(directory);
      let isFirst = true;
      directory.open = async (of, how) => {
        const file = await openFile(of, how);
        const size = file.size.bind(file);
        file.size = async () => {
          const found = await size();
          if (isFirst && of === 'wal/wal_4.log') {
            isFirst = false;
            await add(200);
            await add(3);
          }
          return found;
        };
        return file;
      };
      const report = await new WalReader<string>(directory, text).replayEach(() => undefined, { mode });
      expect(isFirst).to.equal(false);
      expect(report.tornTail).to.equal(undefined);
      expect(report.lastEntryId).to.be.at.least(flushedId);
      await wal.close();
    }
  });

  it('begins again if it has read no more than the name', async () => {
    const directory = new MemoryDirectory();
    const wal = await begun(directory);
    // Between the listing and the header: the last truncated segment is gone, and its file is segment 4.
    const list = directory.list.bind(directory);
    let first = true;
    directory.list = async (folder) => {
      const found = await list(folder);
      if (!first || folder !== 'wal') return found;
      first = false;
      await append(wal, 4);
      await truncate(wal, 9);
      await append(wal, 6);
      return found;
    };
    const found = await replayed(directory, { mode: 'bestEffort' });
    expect(found.at(-1)).to.equal(entries(19, 19)[0]);
    await wal.close();
  });
});

describe('A log that is opened again with room ahead', () => {
  it('has it for the rest of its last segment', async () => {
    const directory = new MemoryDirectory();
    const preallocated = { segmentBytes: 4096, preallocateBytes: 4096 };
    const wal = await open(directory, preallocated);
    await append(wal, 3);
    await wal.close();
    const { size } = (await directory.stat('wal/wal_1.log'))!;
    expect(size).to.be.lessThan(500);
    const next = await open(directory, preallocated);
    expect((await directory.stat('wal/wal_1.log'))!.size).to.equal(4096);
    expect(await replayed(directory)).to.deep.equal(entries(1, 3));
    await append(next, 3);
    expect((await directory.stat('wal/wal_1.log'))!.size).to.equal(4096);
    await next.close();
    expect(await replayed(directory)).to.deep.equal(entries(1, 6));
  });

  it('opens without it where the disk is full', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk);
    await append(wal, 3);
    await wal.close();
    const full = new FaultyDirectory(disk, ({ kind, bytes = 0 }) =>
      kind === 'write' && bytes > 1000 ? { kind: 'error', errno: 'ENOSPC' } : undefined,
    );
    const next = await open(full, { segmentBytes: 4096, preallocateBytes: 4096 });
    expect(next.opened.lastEntryId).to.equal(3);
    await append(next, 1);
    await next.close();
    expect(await replayed(disk)).to.deep.equal(entries(1, 4));
  });
});
