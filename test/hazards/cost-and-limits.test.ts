// These are defects that the model of this library still has; each test shows that this library does not.
// Cost and limits of the interface. Cost is counted in operations and bytes, never in time.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  CheckpointPublisher,
  DecodeError,
  every,
  manual,
  MemoryDirectory,
  PathError,
  perAppend,
  RecordLog,
  RecordLogReader,
  RecoveryError,
  recoverWithWal,
  walEntryCodec,
  WalMaintenance,
  WalReader,
  WalWriter,
} from 'cairnlog';
import type { Directory, FlushPolicy, WalWriterOptions } from 'cairnlog';
import { readBytes } from 'cairnlog/storage';
import { bytesCodec } from 'cairnlog/wal';
import { Counted } from '../support/counted.js';
import { elderSegment } from '../support/hand-written-segment.js';
import { Journal, recoverJournal } from '../support/journal.js';
import { contents, patch, put } from '../support/raw-files.js';
import { rejects, throws } from '../support/rejects.js';
import { temporaryDirectory } from '../support/temporary-folder.js';
import { numbered, textCodec } from '../support/text-codec.js';

const FIRST = 'wal/wal_1.log';
const HEADER_BYTES = 40;

function open(directory: Directory, options: Partial<WalWriterOptions<string>> = {}): Promise<WalWriter<string>> {
  return WalWriter.open(directory, { codec: textCodec, ...options });
}

async function replayed(directory: Directory): Promise<string[]> {
  return (await new WalReader(directory, { codec: textCodec }).replay()).map(({ entry }) => entry);
}

async function segmentPaths(directory: Directory): Promise<string[]> {
  return (await new WalMaintenance(directory).segmentRanges()).map((range) => range.path);
}

/** A closed log of segments with 40 entries of 199 bytes each, some 9 KB; the seal reaches over no end of a sector. */
async function longLog(segments: number): Promise<MemoryDirectory> {
  const disk = new MemoryDirectory();
  const wal = await open(disk, { segmentBytes: 40 * 215 + HEADER_BYTES + 25 });
  for (let entry = 0; entry < segments * 40; entry++) wal.append('x'.repeat(199));
  await wal.close();
  expect(await segmentPaths(disk)).to.have.length(segments);
  return disk;
}

describe('Cost and limits', () => {
  it('B28 opening reads the headers and the last segment, however long the log is', async () => {
    for (const segments of [3, 30]) {
      const disk = await longLog(segments);
      const paths = await segmentPaths(disk);
      const counted = new Counted(disk);
      const wal = await open(counted.directory);
      for (const segment of paths.slice(0, -1)) {
        expect(counted.bytesRead(segment)).to.equal(HEADER_BYTES);
        expect(counted.of('read', segment)).to.have.length(1);
      }
      const last = paths.at(-1)!;
      expect(counted.bytesRead(last)).to.be.at.most((await disk.stat(last))!.size + HEADER_BYTES);
      // Written again is only what proves all the rest: the seal.
      expect(counted.of('write').map(({ path: file, bytes }) => [file, bytes])).to.deep.equal([[last, 25]]);
      await wal.close();
    }
  });

  it('B28 a log of one file is read in windows, not whole, and what is searched behind damage is read once', async () => {
    const disk = new MemoryDirectory();
    const log = await RecordLog.open(disk, 'journal', { codec: textCodec });
    for (let entry = 0; entry < 3000; entry++) log.append('x'.repeat(500));
    await log.flushAndSync();
    // An interrupted write of another megabyte, of which the first bytes are missing.
    const acknowledged = log.currentSegmentBytes;
    for (let entry = 0; entry < 2000; entry++) log.append('y'.repeat(500));
    await log.flush();
    const size = log.currentSegmentBytes;
    const torn = new MemoryDirectory();
    await put(torn, 'journal', (await readBytes(disk, 'journal')).fill(0, acknowledged, acknowledged + 600));
    const counted = new Counted(torn);
    const again = await RecordLog.open(counted.directory, 'journal', { codec: textCodec });
    expect(again.opened.lastEntryId).to.equal(3000);
    expect(again.opened.tornTail?.bytes).to.be.within(size - acknowledged - 30, size - acknowledged);
    for (const { bytes = 0 } of counted.of('read')) expect(bytes).to.be.at.most(512 * 1024);
    // Once to find the end, once to look behind the damage, and what was never proven durable once to write it again.
    expect(counted.bytesRead()).to.be.at.most(3 * size);
    await again.close();
    await log.close();
  });

  it('B28 an interrupted entry that itself holds bytes of a log is cut like any other', async () => {
    // What a replica stores: the segments of other logs, and of this one, as payloads.
    const source = new MemoryDirectory();
    const other = await open(source);
    for (const entry of numbered(50)) await other.appendDurable(entry);
    await other.close();
    const foreign = await readBytes(source, FIRST);

    const disk = new MemoryDirectory();
    const wal = await WalWriter.open(disk, { codec: bytesCodec });
    for (let entry = 0; entry < 3; entry++) await wal.appendDurable(Buffer.from(`entry ${entry}`));
    const own = await readBytes(disk, FIRST);
    const begin = wal.currentSegmentBytes;
    wal.append(Buffer.concat([foreign, own, elderSegment(3, 1, 1, numbered(20))]));
    await wal.flush();
    const whole = await readBytes(disk, FIRST);
    for (let cut = begin; cut < whole.length; cut += 11) {
      const torn = new MemoryDirectory();
      for (const bytes of [whole.slice(0, cut), whole.slice().fill(0, cut)]) {
        await put(torn, FIRST, bytes);
        const again = await WalWriter.open(torn, { codec: bytesCodec });
        expect(again.opened.lastEntryId, `cut at ${cut}`).to.equal(3);
        await again.close();
      }
    }
    await wal.close();
  });

  it('B29 truncation reads headers, and no damage elsewhere keeps it from its work', async () => {
    const disk = await longLog(10);
    const paths = await segmentPaths(disk);
    for (const segment of [paths[1]!, paths[6]!])
      await patch(disk, segment, (bytes) => {
        bytes[4000]! ^= 1;
      });
    const counted = new Counted(disk);
    const { removed } = await new WalMaintenance(counted.directory).truncatePrefix(200);
    expect(removed.map((segment) => segment.path)).to.deep.equal(paths.slice(0, 5));
    for (const segment of paths) expect(counted.bytesRead(segment)).to.be.at.most(2 * HEADER_BYTES + 17);
  });

  it('B29 a checkpoint is published while the last segment ends in preallocated zeros, and says what was truncated', async () => {
    const disk = new MemoryDirectory();
    const journal = await Journal.open(disk, { segmentBytes: 300, preallocateBytes: 300, publisher: { retain: 1 } });
    await journal.append(30);
    // Damage where nothing but a replay would meet it.
    await patch(disk, FIRST, (bytes) => {
      bytes[60]! ^= 1;
    });
    const last = await readBytes(disk, `wal/wal_${journal.wal.currentSegmentId}.log`);
    expect([last.length, last.at(-1), journal.wal.currentSegmentBytes < 300]).to.deep.equal([300, 0, true]);
    const { truncation, coveredId } = await journal.publish();
    expect(coveredId).to.equal(30);
    expect(truncation.removed.at(-1)?.endEntryId).to.be.at.most(30);
    expect(truncation.removed.length).to.be.greaterThan(1);
    expect((await recoverJournal(disk)).state.slice(0, 30)).to.deep.equal(journal.written.slice(0, 30));
    await journal.wal.close();
    expect((await recoverJournal(disk, { mode: 'strict' })).state).to.deep.equal(journal.written);
  });

  it('B30 recovery reads a segment once, in windows, and nothing that a checkpoint covers', async () => {
    const disk = await longLog(20);
    const paths = await segmentPaths(disk);
    const counted = new Counted(disk);
    let held = 0;
    const count = await recoverWithWal<string, string, number>(counted.directory, {
      walCodec: textCodec,
      checkpointCodec: textCodec,
      init: () => 0,
      restore: (entries) => entries + 1,
      apply: (entries, { entryId }) => {
        // One at a time: when an entry is applied, the segments behind its own have not been read.
        const segment = Math.floor((entryId - 1) / 40);
        const later = paths.slice(segment + 1, -1);
        held += later.filter((name) => counted.bytesRead(name) > 2 * HEADER_BYTES).length;
        return entries + 1;
      },
    });
    expect([count.state, held]).to.deep.equal([800, 0]);
    for (const segment of paths.slice(0, -1))
      expect(counted.bytesRead(segment)).to.be.at.most((await disk.stat(segment))!.size + 2 * HEADER_BYTES);

    const wal = await open(disk);
    const publisher = new CheckpointPublisher<string, string>({ wal, codec: textCodec, makeEntry: () => 'mark' });
    await publisher.publish(['state'], 700);
    await wal.close();
    counted.clear();
    await recoverJournal(counted.directory);
    // Entry 700 is in segment 18; of the 17 before it only the headers are looked at.
    for (const segment of paths.slice(0, 17)) expect(counted.bytesRead(segment)).to.be.at.most(2 * HEADER_BYTES);
  });

  it('B31 replay of 10,000 small entries takes a handful of reads', async () => {
    const disk = new MemoryDirectory();
    const wal = await WalWriter.open(disk, { codec: walEntryCodec });
    for (let entry = 0; entry < 10_000; entry++)
      wal.append({ type: 'AddSegment', segmentId: entry + 1, docCount: entry % 1000 });
    await wal.close();
    const counted = new Counted(disk);
    const { count } = await new WalReader(counted.directory, { codec: walEntryCodec }).replayEach(() => undefined);
    expect(count).to.equal(10_000);
    expect(counted.of('read').length).to.be.at.most(5);
    expect(counted.operations.length).to.be.at.most(20);
  });

  it('B32 a durable append syncs the file and no folder', async () => {
    const counted = new Counted(new MemoryDirectory());
    const wal = await open(counted.directory);
    await wal.appendDurable('entry 1');
    counted.clear();
    for (const entry of numbered(100, 2)) await wal.appendDurable(entry);
    expect(counted.mutations().map(({ kind, path: file }) => `${kind} ${file}`)).to.deep.equal(
      Array.from({ length: 100 }, () => [`write ${FIRST}`, `datasync ${FIRST}`]).flat(),
    );
    // And callers who wait together share the sync.
    counted.clear();
    await Promise.all(numbered(100, 102).map((entry) => wal.appendDurable(entry)));
    expect(counted.of('datasync')).to.have.length(1);
    await wal.close();
  });

  it('B33 a small segment limit holds for entries that are still buffered', async () => {
    for (const segmentBytes of [56, 100, 300, 1000]) {
      const disk = new MemoryDirectory();
      const wal = await open(disk, { segmentBytes, flushPolicy: manual });
      for (const entry of numbered(200)) wal.append(entry);
      expect(wal.flushedId).to.equal(0);
      const fits = Math.max(1, Math.floor((segmentBytes - HEADER_BYTES) / 25));
      expect(wal.currentSegmentId).to.be.at.least(Math.floor(200 / (fits + 1)));
      expect(wal.currentSegmentBytes).to.be.at.most(Math.max(segmentBytes, HEADER_BYTES + 25));
      await wal.close();
      const paths = await segmentPaths(disk);
      // One entry may be larger than the limit, and the last segment is closed with a seal.
      for (const [index, segment] of paths.entries())
        expect((await disk.stat(segment))!.size).to.be.at.most(
          Math.max(segmentBytes, HEADER_BYTES + 25) + (index === paths.length - 1 ? 25 : 0),
        );
      expect(await replayed(disk)).to.deep.equal(numbered(200));
    }
  });

  it('B34 the age of a segment is counted from its making, whoever opened it since', async () => {
    let now = 1_000_000;
    const clock = (): number => now;
    const disk = new MemoryDirectory({ now: clock });
    const options = { segmentMaxAgeMs: 1000, now: clock };
    const first = await open(disk, options);
    await first.appendDurable('entry 1');
    await first.close();
    now += 600;
    const second = await open(disk, options);
    expect(await second.appendDurable('entry 2')).to.equal(2);
    expect(second.currentSegmentId).to.equal(1);
    await second.close();
    now += 600;
    const third = await open(disk, options);
    expect(await third.appendDurable('entry 3')).to.equal(3);
    expect(third.currentSegmentId).to.equal(2);
    now += 999;
    await third.appendDurable('entry 4');
    expect(third.currentSegmentId).to.equal(2);
    await third.close();
    expect(await replayed(disk)).to.deep.equal(numbered(4));
  });

  it('B35 a log that is opened again takes the flush policy and the buffer size that it is given', async () => {
    const disk = new MemoryDirectory();
    await (await open(disk)).close();
    const flushedAfter = async (options: Partial<WalWriterOptions<string>>, appends: number): Promise<number> => {
      const wal = await WalWriter.resume(disk, { codec: textCodec, ...options });
      const before = wal.lastEntryId;
      for (let left = appends; left > 0; left--) wal.append('x'.repeat(84));
      // Nobody asks for a flush; whatever the policy began has ended after a few turns of the event loop.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      const flushed = wal.flushedId - before;
      await wal.close();
      return flushed;
    };
    const policies: [FlushPolicy | undefined, number, number][] = [
      [perAppend, 1, 1],
      [every(3), 2, 0],
      [every(3), 3, 3],
      [manual, 200, 0],
      [undefined, 63, 0],
      [undefined, 64, 64],
    ];
    for (const [flushPolicy, appends, flushed] of policies)
      expect(await flushedAfter(flushPolicy === undefined ? {} : { flushPolicy }, appends)).to.equal(flushed);
    // 100 bytes a frame.
    expect(await flushedAfter({ flushPolicy: manual, bufferBytes: 1000 }, 9)).to.equal(0);
    expect(await flushedAfter({ flushPolicy: manual, bufferBytes: 1000 }, 10)).to.equal(10);
  });

  it('B36 checkpoints beyond the number that is kept are removed, and only those', async () => {
    for (const retain of [1, 2, 4]) {
      const disk = new MemoryDirectory();
      const journal = await Journal.open(disk, { publisher: { retain } });
      await put(disk, 'checkpoints/notes.txt', Buffer.from('not ours'));
      const all: string[] = [];
      for (let round = 0; round < 6; round++) {
        await journal.append(2);
        const { checkpointPath, removedCheckpoints } = await journal.publish();
        all.push(checkpointPath);
        expect(removedCheckpoints).to.deep.equal(all.length > retain ? [all.at(-1 - retain)] : []);
        const kept = (await disk.list('checkpoints')).filter((name) => name.endsWith('.ckpt'));
        expect(kept.map((name) => `checkpoints/${name}`)).to.have.members(all.slice(-retain));
      }
      expect(await disk.list('checkpoints')).to.include('notes.txt');
      await journal.wal.close();
    }
  });

  it('B37 a state that refuses an entry ends the recovery with its own error and the id of the entry', async () => {
    const disk = new MemoryDirectory();
    const wal = await open(disk);
    for (const entry of numbered(5)) wal.append(entry);
    await wal.close();
    const refusal = new RangeError('no such account');
    const applied: number[] = [];
    const recovery = recoverWithWal<string, string, null>(disk, {
      walCodec: textCodec,
      checkpointCodec: textCodec,
      init: () => null,
      restore: () => null,
      apply: (state, { entryId }) => {
        if (entryId === 4) throw refusal;
        applied.push(entryId);
        return state;
      },
    });
    const error = await rejects(recovery, RecoveryError);
    expect([error.entryId, error.cause, applied]).to.deep.equal([4, refusal, [1, 2, 3]]);
    expect(error.message).to.include('no such account');
    // Plain replay hands on what its visitor throws, as it is.
    let thrown: unknown;
    await new WalReader(disk, { codec: textCodec })
      .replayEach(() => {
        throw refusal;
      })
      .catch((caught: unknown) => (thrown = caught));
    expect(thrown).to.equal(refusal);
  });

  it('B37 an entry of another type is an error that names it, and everything around it can still be had', async () => {
    const disk = new MemoryDirectory();
    const wal = await WalWriter.open(disk, { codec: bytesCodec });
    const payloads = [Uint8Array.of(0, 1, 100), Uint8Array.of(99, 1), Uint8Array.of(0, 2, 100)];
    for (const payload of payloads) wal.append(payload);
    await wal.close();
    const before = await contents(disk);
    const reader = new WalReader(disk, { codec: walEntryCodec });
    for (const mode of ['strict', 'bestEffort'] as const) {
      const error = await rejects(reader.replay({ mode }), DecodeError);
      expect(error.entryId).to.equal(2);
    }
    expect(await reader.replay({ upTo: 1 })).to.have.length(1);
    expect((await reader.replay({ from: 3 })).map(({ entryId }) => entryId)).to.deep.equal([3]);
    expect(await reader.entryCount()).to.equal(3);
    const raw = await new WalReader(disk, { codec: bytesCodec }).replay();
    expect(raw.map(({ entry }) => entry)).to.deep.equal(payloads);
    expect(await contents(disk)).to.deep.equal(before);
  });

  it('B38 no symlink leads a log or a checkpoint out of its directory', async () => {
    for (const link of ['wal', 'checkpoints', 'file']) {
      const disk = await temporaryDirectory();
      const outside = await temporaryDirectory();
      const victim = path.join(outside.root, 'victim');
      fs.writeFileSync(victim, 'untouched');
      const journal = await Journal.open(disk);
      await journal.append(3);
      if (link === 'checkpoints') {
        fs.symlinkSync(outside.root, path.join(disk.root, link));
        await rejects(journal.publish(), PathError);
        await rejects(recoverJournal(disk), PathError);
      }
      await journal.wal.close();
      if (link === 'wal') {
        fs.renameSync(path.join(disk.root, 'wal'), path.join(outside.root, 'wal'));
        fs.symlinkSync(path.join(outside.root, 'wal'), path.join(disk.root, 'wal'));
      } else if (link === 'file') {
        fs.renameSync(path.join(disk.root, FIRST), path.join(outside.root, 'wal_1.log'));
        fs.symlinkSync(path.join(outside.root, 'wal_1.log'), path.join(disk.root, FIRST));
      }
      if (link !== 'checkpoints') {
        const before = await contents(outside);
        await rejects(open(disk), PathError);
        await rejects(new WalReader(disk, { codec: textCodec }).replay(), PathError);
        await rejects(new WalMaintenance(disk).truncatePrefix(3), PathError);
        expect(await contents(outside)).to.deep.equal(before);
      }
      expect(fs.readdirSync(outside.root)).to.include('victim');
      expect(fs.readFileSync(victim, 'utf8')).to.equal('untouched');
    }
  });

  it('B38 a path in memory means one file, however it is spelled', async () => {
    const disk = new MemoryDirectory();
    const log = await RecordLog.open(disk, './some//where/./journal', { codec: textCodec });
    await log.appendDurable('entry 1');
    for (const spelling of ['some/where/journal', 'some/where//journal', './some/./where/journal']) {
      expect(await new RecordLogReader(disk, spelling, { codec: textCodec }).entryCount()).to.equal(1);
      expect((await disk.stat(spelling))?.kind).to.equal('file');
    }
    await log.close();
    expect(Object.keys(await contents(disk))).to.deep.equal(['some/where/journal']);
    for (const leaving of ['../journal', 'some/../../journal', '/journal', 'C:\\journal'])
      throws(() => new RecordLogReader(disk, leaving, { codec: textCodec }), PathError);
  });

  it('B39 a last segment without a whole header is whole again once a writer has opened the log', async () => {
    const disk = new MemoryDirectory();
    const wal = await open(disk, { segmentBytes: 100 });
    for (const entry of numbered(4)) await wal.appendDurable(entry);
    await wal.close();
    const header = (await readBytes(disk, 'wal/wal_2.log')).slice(0, HEADER_BYTES);
    for (let size = 0; size <= HEADER_BYTES; size++)
      for (const bytes of [header.slice(0, size), new Uint8Array(size)]) {
        await put(disk, 'wal/wal_2.log', bytes);
        expect(await new WalReader(disk, { codec: textCodec }).replayBestEffort()).to.have.length(2);
        const again = await open(disk);
        // Nothing was appended: readers and maintenance need not wait for that.
        expect(await replayed(disk)).to.deep.equal(numbered(2));
        const ranges = await new WalMaintenance(disk).segmentRanges();
        expect(ranges.map(({ startEntryId, endEntryId }) => [startEntryId, endEntryId])).to.deep.equal([
          [1, 2],
          [3, undefined],
        ]);
        await new WalMaintenance(again).truncatePrefix(0);
        expect(again.nextEntryId).to.equal(3);
        await again.close();
        expect(await replayed(disk)).to.deep.equal(numbered(2));
      }
  });
});
