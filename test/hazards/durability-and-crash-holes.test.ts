// These are defects that the model of this library still has; each test shows that this library does not.
// Durability and crash holes: what is lost, or cannot be opened any more, after the process or the power went.

import { expect } from 'chai';
import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  CheckpointPublisher,
  FsDirectory,
  InvalidArgumentError,
  MemoryDirectory,
  PoisonedError,
  RecoveryError,
  RecordLog,
  RecordLogReader,
  StorageError,
  WalMaintenance,
  WalReader,
  WalWriter,
  manual,
} from 'cairnlog';
import type { Directory, WalWriterOptions } from 'cairnlog';
import { readBytes, writeBytesAtomically } from 'cairnlog/storage';
import { FaultyDirectory, isMutation, loseEverything, loseNothing, SimulatedDisk } from 'cairnlog/testing';
import type { DiskOperation, PowerCut } from 'cairnlog/testing';
import { Counted } from '../support/counted.js';
import { elderFrame, elderSegment } from '../support/hand-written-segment.js';
import { Journal, recoverJournal } from '../support/journal.js';
import {
  CutEverywhere,
  everyFate,
  everySubsetOfNames,
  extremes,
  sizeBeforeData,
  sparingDurable,
} from '../support/power-cuts.js';
import { contents, patch, put } from '../support/raw-files.js';
import { rejects, throws } from '../support/rejects.js';
import { systemCallsOf, type SystemCall } from '../support/system-calls.js';
import { temporaryDirectory, temporaryFolder } from '../support/temporary-folder.js';
import { numbered, textCodec } from '../support/text-codec.js';

const FIRST = 'wal/wal_1.log';

function open(directory: Directory, options: Partial<WalWriterOptions<string>> = {}): Promise<WalWriter<string>> {
  return WalWriter.open(directory, { codec: textCodec, ...options });
}

/** Entries of a strict replay, which refuses everything that is not as it should be. */
async function replayed(directory: Directory): Promise<string[]> {
  return (await new WalReader(directory, { codec: textCodec }).replay()).map(({ entry }) => entry);
}

/** What a new writer finds; it then appends and closes, after which the log must be whole. */
async function survivors(directory: Directory, options: Partial<WalWriterOptions<string>> = {}): Promise<string[]> {
  const wal = await open(directory, options);
  const { lastEntryId } = wal.opened;
  expect(await wal.appendDurable('one more')).to.equal(lastEntryId + 1);
  await wal.close();
  const entries = await replayed(directory);
  expect(entries.pop()).to.equal('one more');
  return entries;
}

describe('Durability and crash holes', () => {
  it('B01 a power cut at any moment loses no entry of a complete segment, although nobody ever asked for a sync', async () => {
    const disk = new SimulatedDisk();
    const log = new CutEverywhere(disk, extremes, () => disk.files().filter((path) => path.endsWith('.log')).length);
    const wal = await open(log.directory, { segmentBytes: 160 });
    const attempted = numbered(30);
    for (const entry of attempted) {
      wal.append(entry);
      await wal.flush();
    }
    log.cut('the end');
    expect(wal.currentSegmentId).to.be.greaterThan(5);
    let kept = 0;
    for (const { before, noted: segments, disk: after } of log.points) {
      const names = after.files().filter((path) => path.endsWith('.log')).length;
      expect(names, before).to.be.lessThanOrEqual(segments);
      const entries = await survivors(after);
      expect(entries, before).to.deep.equal(attempted.slice(0, entries.length));
      // Four entries of 23 to 24 bytes fit a segment.
      expect(entries.length, before).to.be.at.least(4 * (names - 1));
      kept = Math.max(kept, entries.length);
    }
    expect(kept).to.equal(30);
  });

  it('B01 every byte of a segment is synced after its last write and before its successor is made', async () => {
    const disk = new Counted(new MemoryDirectory());
    const wal = await open(disk.directory, { segmentBytes: 160 });
    for (const entry of numbered(20)) wal.append(entry);
    await wal.flush();
    for (let segmentId = 2; segmentId <= wal.currentSegmentId; segmentId++) {
      const old = `wal/wal_${segmentId - 1}.log`;
      const made = disk.of('create', `wal/wal_${segmentId}.log`)[0]!.number;
      const lastWrite = disk.of('write', old).at(-1)!.number;
      const lastSync = disk.of('datasync', old).at(-1)!.number;
      expect([lastWrite < lastSync, lastSync < made]).to.deep.equal([true, true]);
    }
    await wal.close();
  });

  for (const size of [3, 20, 300, 5000])
    it(`B02 the log opens at every cut of a frame with ${size} bytes of payload, and nothing acknowledged is lost`, async () => {
      const disk = new MemoryDirectory();
      const wal = await open(disk, { preallocateBytes: 8192 });
      await wal.appendDurable('first');
      await wal.appendDurable('second');
      const begin = wal.currentSegmentBytes;
      const zeros = await readBytes(disk, FIRST);
      wal.append('x'.repeat(size));
      await wal.flush();
      const end = wal.currentSegmentBytes;
      const whole = await readBytes(disk, FIRST);
      await wal.close();
      expect(zeros.length).to.equal(8192);
      // An end mark, and zeros.
      expect(whole.slice(end + 25).every((byte) => byte === 0)).to.equal(true);

      const cutFile = new MemoryDirectory();
      for (let cut = begin; cut < end; cut++) {
        const bytes = zeros.slice();
        bytes.set(whole.subarray(begin, cut), begin);
        await put(cutFile, FIRST, bytes);
        const found = await new WalReader(cutFile, { codec: textCodec }).replayBestEffort();
        expect(found.map(({ entry }) => entry)).to.deep.equal(['first', 'second']);
        const again = await open(cutFile);
        expect(again.opened.lastEntryId, `cut at ${cut}`).to.equal(2);
        // A watermark of 25 bytes goes before the frame, in the place of the end mark, with which it begins alike.
        if (Buffer.compare(bytes, zeros) === 0) expect(again.opened.tornTail).to.equal(undefined);
        else expect(again.opened.tornTail?.offset, `cut at ${cut}`).to.be.within(begin, Math.max(cut, begin + 25));
        // Some of them all the way to the next clean close.
        if ((cut - begin) % 97 < 2) {
          expect(await again.appendDurable('third')).to.equal(3);
          await again.close();
          expect(await replayed(cutFile)).to.deep.equal(['first', 'second', 'third']);
        } else await again.close();
      }
    });

  it('B02 the same holds for a log of one file', async () => {
    const disk = new MemoryDirectory();
    const log = await RecordLog.open(disk, 'journal', { codec: textCodec, preallocateBytes: 1024 });
    await log.appendDurable('first');
    const begin = log.currentSegmentBytes;
    log.append('x'.repeat(40));
    await log.flush();
    const whole = await readBytes(disk, 'journal');
    const end = log.currentSegmentBytes;
    for (let cut = begin; cut < end; cut++) {
      const cutFile = new MemoryDirectory();
      await put(cutFile, 'journal', whole.slice().fill(0, cut));
      const again = await RecordLog.open(cutFile, 'journal', { codec: textCodec });
      expect(again.opened.lastEntryId, `cut at ${cut}`).to.equal(1);
      expect(await again.appendDurable('second')).to.equal(2);
      await again.close();
    }
  });

  it('B03 the log opens whichever sectors of the last write arrived, and keeps what was acknowledged', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk);
    await wal.appendDurable('first');
    await wal.appendDurable('second');
    wal.append('x'.repeat(3000));
    wal.append('y'.repeat(1500));
    await wal.flush();
    const { sectors } = disk.unsynced();
    expect(sectors).to.be.within(8, 10);
    for (const missing of ['zero', 'garbage'] as const)
      for (let arrived = 0; arrived < 2 ** sectors; arrived++) {
        let asked = 0;
        const cut: PowerCut = {
          page: () => (((arrived >> asked++) & 1) === 1 ? 'new' : missing),
          size: () => true,
          name: () => true,
        };
        const after = disk.afterPowerCut(sparingDurable(disk, cut));
        const again = await open(after);
        expect(again.opened.lastEntryId, arrived.toString(2)).to.be.within(2, 4);
        await again.close();
        expect((await replayed(after)).slice(0, 2)).to.deep.equal(['first', 'second']);
      }
  });

  for (const [what, isOnly] of [
    ['the only segment', true],
    ['a segment after a complete one', false],
  ] as const)
    it(`B03 ${what} may be any number of zeros: it never held an entry`, async () => {
      for (let zeros = 0; zeros <= 200; zeros++) {
        const disk = new MemoryDirectory();
        if (!isOnly) await (await open(disk)).close();
        await put(disk, isOnly ? FIRST : 'wal/wal_2.log', new Uint8Array(zeros));
        const found = await new WalReader(disk, { codec: textCodec }).replayBestEffort();
        expect(found).to.have.length(0);
        expect(await survivors(disk)).to.deep.equal([]);
      }
    });

  for (const preallocateBytes of [0, 3000])
    it(`B03 a power cut at any moment while a segment with ${preallocateBytes} bytes of zeros is made leaves a log that opens`, async () => {
      const disk = new SimulatedDisk();
      let acknowledged = 0;
      const log = new CutEverywhere(disk, everyFate, () => acknowledged);
      const wal = await open(log.directory, { segmentBytes: 100, preallocateBytes });
      const attempted = numbered(6);
      for (const entry of attempted) acknowledged = await wal.appendDurable(entry);
      expect(wal.currentSegmentId).to.equal(3);
      for (const { before, noted, disk: after } of log.points) {
        const entries = await survivors(after, { segmentBytes: 100, preallocateBytes });
        expect(entries, before).to.deep.equal(attempted.slice(0, entries.length));
        expect(entries.length, before).to.be.at.least(noted);
      }
    });

  it('B04 no file is used again under another name, so a crash at a segment change leaves no stranger in the log', async () => {
    const disk = new SimulatedDisk();
    let acknowledged = 0;
    const log = new CutEverywhere(
      disk,
      (now) => [...extremes(now), ...everySubsetOfNames(now)],
      () => acknowledged,
    );
    const operations: DiskOperation[] = [];
    const { decide } = log.directory;
    log.directory.decide = (operation) => {
      operations.push(operation);
      return decide(operation);
    };
    const wal = await open(log.directory, { segmentBytes: 100 });
    const maintenance = new WalMaintenance(wal);
    const attempted = numbered(16);
    for (const entry of attempted) {
      acknowledged = await wal.appendDurable(entry);
      if (acknowledged % 5 === 0) await maintenance.truncatePrefix(acknowledged - 2);
    }
    await wal.close();
    log.cut('the end');

    expect(operations.filter(({ kind }) => kind === 'remove')).to.have.length.above(3);
    expect(operations.filter(({ kind }) => kind === 'rename')).to.have.length(0);
    const made = operations.filter(({ kind }) => kind === 'create').map(({ path }) => path);
    expect(new Set(made).size).to.equal(made.length);
    for (const { before, noted, disk: after } of log.points) {
      const again = await open(after);
      const { firstEntryId, lastEntryId } = again.opened;
      await again.close();
      expect(lastEntryId, before).to.be.at.least(noted);
      expect(await replayed(after), before).to.deep.equal(attempted.slice(firstEntryId - 1, lastEntryId));
    }
  });

  for (const version of [2, 3] as const) {
    it(`B05 a writer that resumes on version ${version} begins a segment of its own, and all of it is readable`, async () => {
      const disk = new MemoryDirectory();
      const elder = elderSegment(version, 7, 40, ['one', 'two']);
      await put(disk, 'wal/wal_7.log', elder);
      const wal = await WalWriter.resume(disk, { codec: textCodec });
      expect(await wal.appendDurable('three')).to.equal(42);
      await wal.close();
      expect(await replayed(disk)).to.deep.equal(['one', 'two', 'three']);
      expect(await readBytes(disk, 'wal/wal_7.log')).to.deep.equal(new Uint8Array(elder));
      const ranges = await new WalMaintenance(disk).segmentRanges();
      expect(
        ranges.map(({ segmentId, startEntryId, version: written }) => [segmentId, startEntryId, written]),
      ).to.deep.equal([
        [7, 40, version],
        [8, 42, 4],
      ]);
      expect(await survivors(disk)).to.deep.equal(['one', 'two', 'three']);
    });

    it(`B05 the torn tail of a version ${version} segment is cut first`, async () => {
      const whole = elderSegment(version, 1, 1, ['one', 'two']);
      const torn = elderFrame(version, 3, 'three');
      for (let cut = 0; cut < torn.length; cut++) {
        const disk = new MemoryDirectory();
        await put(disk, FIRST, Buffer.concat([whole, torn.subarray(0, cut)]));
        expect(await survivors(disk), `cut at ${cut}`).to.deep.equal(['one', 'two']);
        expect(await readBytes(disk, FIRST), `cut at ${cut}`).to.deep.equal(new Uint8Array(whole));
      }
    });
  }

  it('B06 a position beyond the end of the log removes all other segments, and the writer goes on', async () => {
    const disk = await temporaryDirectory();
    const wal = await open(disk, { segmentBytes: 100 });
    for (const entry of numbered(9)) await wal.appendDurable(entry);
    const { removed, kept } = await new WalMaintenance(wal).truncatePrefix(Number.MAX_SAFE_INTEGER);
    expect(removed.map(({ segmentId }) => segmentId)).to.deep.equal([1, 2, 3, 4]);
    expect(kept.map(({ segment, reason }) => [segment.segmentId, reason])).to.deep.equal([
      [wal.currentSegmentId, 'active'],
    ]);
    expect(await wal.appendDurable('entry 10')).to.equal(10);
    await wal.close();
    // Also without a writer.
    await new WalMaintenance(disk).truncatePrefix(Number.MAX_SAFE_INTEGER);
    const entries = await survivors(disk);
    expect(entries.at(-1)).to.equal('entry 10');
  });

  it('B06 a checkpoint of a position that the log has not reached is refused before anything is done', async () => {
    const disk = new MemoryDirectory();
    const journal = await Journal.open(disk, { segmentBytes: 100 });
    await journal.append(9);
    const before = await contents(disk);
    const publisher = new CheckpointPublisher<string, string>({
      wal: journal.wal,
      codec: textCodec,
      makeEntry: () => 'mark',
    });
    for (const position of [10, Number.MAX_SAFE_INTEGER])
      await rejects(publisher.publish(['state'], position), InvalidArgumentError);
    expect(await contents(disk)).to.deep.equal(before);
    expect(journal.wal.lastEntryId).to.equal(9);
    await journal.wal.close();
  });

  it('B06 a checkpoint goes to the directory of its log, and to no other', async () => {
    const [disk, other] = [new MemoryDirectory(), new MemoryDirectory()];
    const journal = await Journal.open(disk);
    const stranger = await Journal.open(other);
    await journal.append(3);
    await stranger.append(3);
    const untouched = await contents(other);
    const { checkpointPath } = await journal.publish();
    expect(await disk.list('checkpoints')).to.deep.equal([checkpointPath.split('/')[1]]);
    expect(await contents(other)).to.deep.equal(untouched);
    await journal.wal.close();
    await stranger.wal.close();
    // Nor does a checkpoint of one log pass for the other's when it is copied there.
    await put(other, checkpointPath, await readBytes(disk, checkpointPath));
    const error = await rejects(recoverJournal(other), RecoveryError);
    expect(error.message).to.include(checkpointPath).and.to.include('belongs to log');
  });

  it('B07 ids go on behind the checkpoint when every segment is gone', async () => {
    const disk = new MemoryDirectory();
    const journal = await Journal.open(disk);
    await journal.append(5);
    await journal.publish();
    await journal.wal.close();
    for (const name of await disk.list('wal')) await disk.remove(`wal/${name}`);

    const { state, lastEntryId } = await recoverJournal(disk);
    expect(state).to.deep.equal(journal.written.slice(0, 5));
    const wal = await open(disk, { durableId: lastEntryId, logId: journal.wal.logId });
    expect(await wal.appendDurable('after the loss')).to.equal(6);
    await wal.close();
    const recovery = await recoverJournal(disk);
    expect(recovery.state).to.deep.equal([...journal.written.slice(0, 5), 'after the loss']);
  });

  it('B07 ids go on when the last segment is nothing but a header and all others were truncated', async () => {
    const disk = new SimulatedDisk();
    const log = new CutEverywhere(
      disk,
      () => [loseNothing],
      () => undefined,
    );
    const wal = await open(log.directory, { segmentBytes: 100 });
    for (const entry of numbered(9)) await wal.appendDurable(entry);
    const rolled = log.points.filter(({ disk: after }) => {
      const last = after.files().findLast((path) => path.endsWith('.log')) ?? FIRST;
      return last !== FIRST && after.peek(last)!.length === 40;
    });
    expect(rolled.length).to.be.greaterThan(3);
    for (const { disk: after } of rolled) {
      // The crash came right behind a segment change; then: open, truncate, close, open, append.
      const resumed = await open(after);
      const { lastEntryId } = resumed.opened;
      await new WalMaintenance(resumed).truncatePrefix(lastEntryId);
      await resumed.close();
      await new WalMaintenance(after).truncatePrefix(lastEntryId);
      const again = await open(after);
      expect(await again.appendDurable('next')).to.equal(lastEntryId + 1);
      await again.close();
      expect((await replayed(after)).at(-1)).to.equal('next');
    }
  });

  it('B07 truncation beside a segment that is still being made leaves a log that a power cut cannot close', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk, { segmentBytes: 100 });
    for (const entry of numbered(4)) await wal.appendDurable(entry);
    const full = wal.currentSegmentId;
    // The process ends between the header of the next segment and its sync; maintenance comes before a writer does.
    const crashed = new FaultyDirectory(disk, (operation) =>
      operation.kind === 'datasync' && operation.path === `wal/wal_${full + 1}.log` ? { kind: 'stop' } : undefined,
    );
    await wal.close();
    const resumed = await open(crashed, { segmentBytes: 100 });
    resumed.append('entry 5');
    await rejects(resumed.flush(), PoisonedError);
    await resumed.close().catch(() => undefined);
    expect(crashed.stopped).to.equal(true);

    const found = disk.afterProcessEnd();
    await new WalMaintenance(found).truncatePrefix(4);
    for (const cut of [...extremes(found), ...everySubsetOfNames(found)]) {
      const after = found.afterPowerCut(cut);
      const again = await open(after);
      expect(await again.appendDurable('entry 5')).to.equal(5);
      await again.close();
    }
  });

  it('B07 an empty log beside checkpoints is not an empty state', async () => {
    const disk = new MemoryDirectory();
    const journal = await Journal.open(disk);
    await journal.append(5);
    await journal.publish();
    await journal.wal.close();
    for (const name of await disk.list('wal')) await disk.remove(`wal/${name}`);
    for (const mode of ['strict', 'bestEffort'] as const)
      expect((await recoverJournal(disk, { mode })).state).to.deep.equal(journal.written.slice(0, 5));
  });

  const steps = async (wal: WalWriter<string>): Promise<void> => {
    for (const entry of numbered(3)) wal.append(entry);
    await wal.flush();
    wal.appendBatch(numbered(4, 4));
    await wal.flushAndSync();
    await wal.appendDurable('entry 8');
  };

  it('B08 after the first failed operation every call is refused, nothing is written, and no id is used twice', async () => {
    const options = { segmentBytes: 130, flushPolicy: manual, preallocateBytes: 200 };
    const failed = new Set<string>();
    for (let failing = 1; ; failing++) {
      const disk = new SimulatedDisk();
      const directory = new FaultyDirectory(disk);
      const wal = await open(directory, options);
      let number = 0;
      let kind = '';
      const later: DiskOperation[] = [];
      directory.decide = (operation) => {
        if (directory.faults > 0) later.push(operation);
        if (++number !== failing) return undefined;
        kind = operation.kind;
        return { kind: 'error', errno: 'EIO' };
      };
      const failure = await steps(wal).then(
        () => undefined,
        (error: unknown) => error,
      );
      const acknowledged = wal.durableId;
      if (failure !== undefined) {
        expect(failure, kind).to.be.instanceOf(PoisonedError);
        throws(() => wal.append('late'), PoisonedError);
        throws(() => wal.appendBatch(['late']), PoisonedError);
        for (const call of [
          () => wal.appendDurable('late'),
          () => wal.flush(),
          () => wal.flushAndSync(),
          () => wal.drain(),
        ])
          await rejects(call(), PoisonedError);
        // Told already: there is nothing new that close could say.
        await wal.close();
      } else {
        const closing = await wal.close().then(
          () => undefined,
          (error: unknown) => error,
        );
        if (directory.faults === 0) break;
        expect(closing, kind).to.be.instanceOf(kind === 'close' ? StorageError : PoisonedError);
      }
      failed.add(kind);
      expect(later.filter(isMutation), kind).to.deep.equal([]);
      for (const after of [disk.afterProcessEnd(), disk.afterPowerCut(loseEverything)]) {
        const entries = await survivors(after);
        expect(entries, kind).to.deep.equal(numbered(entries.length));
        // Whole batches, and all that was acknowledged.
        expect([0, 1, 2, 3, 7, 8], kind).to.include(entries.length);
        expect(entries.length, kind).to.be.at.least(acknowledged);
      }
    }
    expect([...failed].sort()).to.deep.equal(['close', 'create', 'datasync', 'syncDirectory', 'truncate', 'write']);
  });

  it('B08 an entry that cannot be encoded takes no id, alone or inside a batch', async () => {
    const disk = new MemoryDirectory();
    const wal = await WalWriter.open<string>(disk, {
      codec: {
        encode: (value, writer) => {
          writer.write(Buffer.from(value.slice(0, 3)));
          if (value === 'bad') throw new TypeError('cannot be encoded');
          writer.write(Buffer.from(value.slice(3)));
        },
        decode: (reader) => textCodec.decode(reader),
      },
    });
    wal.append('one');
    expect(() => wal.append('bad')).to.throw(TypeError);
    expect(() => wal.appendBatch(['two', 'bad', 'three'])).to.throw(TypeError);
    expect(wal.lastEntryId).to.equal(1);
    expect(wal.append('two')).to.equal(2);
    await wal.close();
    expect(await replayed(disk)).to.deep.equal(['one', 'two']);
  });

  it('B08 a log of one file fails for good as well, so a caller who tries again does not double the record', async () => {
    for (const kind of ['write', 'datasync'] as const) {
      const disk = new SimulatedDisk();
      const directory = new FaultyDirectory(disk);
      const log = await RecordLog.open(directory, 'journal', { codec: textCodec });
      await log.appendDurable('one');
      directory.decide = (operation) =>
        directory.faults === 0 && operation.kind === kind ? { kind: 'error', errno: 'EIO' } : undefined;
      await rejects(log.appendDurable('two'), PoisonedError);
      await rejects(log.appendDurable('two'), PoisonedError);
      await rejects(log.flush(), PoisonedError);
      await log.close();
      const after = disk.afterProcessEnd();
      const again = await RecordLog.open(after, 'journal', { codec: textCodec });
      expect(again.opened.lastEntryId).to.be.within(1, 2);
      await again.appendDurable('three');
      await again.close();
      const entries = (await new RecordLogReader(after, 'journal', { codec: textCodec }).replay()).map(
        ({ entry }) => entry,
      );
      expect(entries.filter((entry) => entry !== 'two')).to.deep.equal(['one', 'three']);
      expect(entries.length).to.be.within(2, 3);
    }
  });

  it('B09 folders that were made are durable before the first entry or checkpoint in them is acknowledged', async () => {
    const disk = new SimulatedDisk();
    let acknowledged = 0;
    let published = false;
    const log = new CutEverywhere(
      disk,
      (now) => [...extremes(now), ...everySubsetOfNames(now)],
      () => ({ acknowledged, published }),
    );
    const journal = await Journal.open(log.directory);
    await journal.append(3);
    acknowledged = 3;
    await journal.publish();
    published = true;
    log.cut('the end');
    for (const { before, noted, disk: after } of log.points) {
      const { state, report } = await recoverJournal(after);
      expect(state, before).to.deep.equal(journal.written.slice(0, state.length));
      expect(state.length, before).to.be.at.least(noted.acknowledged);
      if (noted.published) expect(report.checkpoint?.lastAppliedId, before).to.equal(3);
    }
    // One file in a folder of its own, too.
    const record = await RecordLog.open(disk, 'some/where/journal', { codec: textCodec });
    await record.appendDurable('kept');
    const after = disk.afterPowerCut(loseEverything);
    expect(await new RecordLogReader(after, 'some/where/journal', { codec: textCodec }).entryCount()).to.equal(1);
  });

  it('B09 so is the root, whether it was made or found', async function () {
    if (process.platform === 'win32') {
      console.log('      skipped: Windows cannot sync a folder');
      return this.skip();
    }
    const top = fs.realpathSync(temporaryFolder());
    for (const round of ['made', 'found']) {
      const calls = await systemCallsOf(async () => {
        const wal = await open(await FsDirectory.open(path.join(top, 'a/root')));
        await wal.appendDurable(round);
        await wal.close();
      });
      const synced = calls.filter(({ name }) => name === 'fsync').map((call) => path.relative(top, call.path));
      expect(synced, round).to.include.members(round === 'made' ? ['', 'a', 'a/root', 'a/root/wal'] : ['a', 'a/root']);
      const firstWrite = calls.findIndex(({ name }) => name === 'write');
      expect(
        calls.slice(0, firstWrite).some((call) => call.name === 'fsync' && call.path === path.join(top, 'a')),
      ).to.equal(true);
    }
  });

  for (const archive of [undefined, 'archive'])
    it(`B10 no choice of ${archive === undefined ? 'removals' : 'moves to an archive'} undone by a power cut leaves a hole in the log`, async () => {
      const disk = new SimulatedDisk();
      const log = new CutEverywhere(
        disk,
        (now) => everySubsetOfNames(now),
        () => undefined,
      );
      const wal = await open(log.directory, { segmentBytes: 100 });
      const attempted = numbered(14);
      for (const entry of attempted) await wal.appendDurable(entry);
      log.points.length = 0;
      const { removed } = await new WalMaintenance(wal).truncatePrefix(12, archive === undefined ? {} : { archive });
      log.cut('the end');
      expect(removed.length).to.be.greaterThan(4);
      expect(log.points.length).to.be.greaterThan(2 * removed.length);
      const begins = new Set<number>();
      for (const { before, disk: after } of log.points) {
        const again = await open(after);
        const { firstEntryId, lastEntryId } = again.opened;
        await again.close();
        expect(lastEntryId, before).to.equal(14);
        expect(firstEntryId, before).to.be.at.most(13);
        expect(await replayed(after), before).to.deep.equal(attempted.slice(firstEntryId - 1));
        begins.add(firstEntryId);
      }
      expect(begins.size).to.equal(removed.length + 1);
    });

  it('B11 every file is opened once for writing, and synced through that descriptor after its last write', async () => {
    const directory = await temporaryDirectory();
    const calls = await systemCallsOf(async () => {
      const journal = await Journal.open(directory, { segmentBytes: 150 });
      for (let round = 0; round < 4; round++) {
        await journal.append(3);
        await journal.publish();
      }
      await journal.wal.close();
    });
    const written = new Map<string, number>();
    // A second descriptor, which syncs what it writes, may write where the first has left nothing to sync.
    const syncsItself = ({ flags }: SystemCall): boolean => (flags & (fs.constants.O_DSYNC ?? 0)) !== 0;
    for (const [at, call] of calls.entries()) {
      if (call.name !== 'write') continue;
      if (syncsItself(call)) {
        const before = calls.slice(0, at).filter(({ path, name }) => path === call.path && name !== 'open');
        const last = before.findLast((earlier) => !syncsItself(earlier));
        expect(last?.name, `${call.path} was not synced before a write that syncs only itself`).to.equal('fdatasync');
        continue;
      }
      expect(written.get(call.path) ?? call.opening, `a second descriptor wrote to ${call.path}`).to.equal(
        call.opening,
      );
      written.set(call.path, call.opening);
      const synced = calls.findIndex(
        (later, index) => index > at && later.name === 'fdatasync' && later.opening === call.opening,
      );
      expect(synced, `${call.path} was not synced after a write`).to.be.greaterThan(at);
    }
    expect(written.size).to.be.greaterThan(6);
    for (const call of calls)
      if (call.name === 'fdatasync')
        expect(written.get(call.path), `${call.path} was synced through another descriptor`).to.equal(call.opening);
  });

  it('B11 what a failed sync left in the page cache only is written again before it is built upon', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk);
    await wal.appendDurable('first');
    disk.failSync = (path) => path === FIRST;
    // Larger than what is written behind it later: a sector that is written to again would be saved by chance.
    const second = 'x'.repeat(5000);
    await rejects(wal.appendDurable(second), PoisonedError);
    await wal.close();
    // The next process reads it well, and must not believe that it is on the disk.
    const next = disk.afterProcessEnd();
    const again = await open(next);
    expect(again.opened.lastEntryId).to.equal(2);
    expect(again.opened.rewrittenBytes).to.be.greaterThan(0);
    expect(await again.appendDurable('third')).to.equal(3);
    expect(await survivors(next.afterPowerCut(loseEverything))).to.deep.equal(['first', second, 'third']);
  });

  it('B12 a directory sync that fails behind the rename leaves both checkpoints good and truncates nothing', async () => {
    const disk = new SimulatedDisk();
    const directory = new FaultyDirectory(disk);
    const journal = await Journal.open(directory, { segmentBytes: 100, publisher: { retain: 1 } });
    await journal.append(5);
    await journal.publish();
    await journal.append(5);
    const before = disk.files().filter((path) => path.startsWith('wal/'));
    let renamed = false;
    directory.decide = ({ kind, path }) => {
      renamed ||= kind === 'rename';
      return renamed && kind === 'syncDirectory' && path === 'checkpoints'
        ? { kind: 'error', errno: 'EIO' }
        : undefined;
    };
    await rejects(journal.publish(), StorageError);
    expect(directory.faults).to.equal(1);
    expect(disk.files().filter((path) => path.startsWith('wal/'))).to.deep.equal(before);
    for (const cut of [...extremes(disk), ...everySubsetOfNames(disk)])
      expect((await recoverJournal(disk.afterPowerCut(cut))).state).to.deep.equal(journal.written.slice(0, 11));
    // The log is as well as before, and the next attempt succeeds.
    directory.decide = () => undefined;
    await journal.append(1);
    await journal.publish();
    await journal.wal.close();
    expect((await recoverJournal(disk)).state).to.deep.equal(journal.written);
  });

  it('B12 two atomic writes of one file at the same time do not meet', async () => {
    const disk = await temporaryDirectory();
    const texts = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(20_000));
    await Promise.all(texts.map((text) => writeBytesAtomically(disk, 'file', Buffer.from(text))));
    expect(texts).to.include(Buffer.from(await readBytes(disk, 'file')).toString());
    expect(await disk.list('')).to.deep.equal(['file']);
  });

  it('B12 what a crash left of a checkpoint is never read, and gone after the next one', async () => {
    const disk = new SimulatedDisk();
    let published = 0;
    const log = new CutEverywhere(
      disk,
      () => [loseNothing],
      () => published,
    );
    const journal = await Journal.open(log.directory);
    await journal.append(4);
    await journal.publish();
    published = 1;
    await journal.append(4);
    await journal.publish();
    const leftOver = log.points.filter(({ disk: after }) => after.files().some((path) => path.endsWith('.tmp')));
    expect(leftOver.length).to.be.greaterThan(4);
    for (const { before, noted, disk: after } of leftOver) {
      const again = await Journal.open(after, { written: journal.written.slice(0, noted === 0 ? 4 : 9) });
      const recovery = await recoverJournal(after);
      expect(recovery.state, before).to.deep.equal(again.written);
      await again.append(1);
      await again.publish();
      expect(
        after.files().filter((path) => path.endsWith('.tmp')),
        before,
      ).to.deep.equal([]);
      await again.wal.close();
    }
  });

  it('B13 a torn tail is repaired in place: it takes no space, so a full disk does not keep the log shut', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk, { segmentBytes: 4096 });
    for (const entry of numbered(300)) await wal.appendDurable(entry);
    wal.append('x'.repeat(700));
    await wal.flush();
    const last = `wal/wal_${wal.currentSegmentId}.log`;
    expect(wal.currentSegmentId).to.be.greaterThan(2);
    for (const cut of [sizeBeforeData, loseEverything]) {
      const found = disk.afterPowerCut(sparingDurable(disk, cut));
      await patch(found, last, (bytes) => bytes.slice(0, bytes.length - 1));
      const full = new Counted(fullDisk(found));
      const again = await WalWriter.open(full.directory, { codec: textCodec });
      expect(again.opened.lastEntryId).to.be.at.least(299);
      expect(again.opened.tornTail?.path).to.equal(last);
      // And it takes little: what was proven durable is not written again.
      const rewritten = full.of('write').reduce((sum, { bytes = 0 }) => sum + bytes, 0);
      expect(rewritten).to.be.lessThan(1000);
      expect(new Set(full.of('write').map(({ path }) => path))).to.deep.equal(
        rewritten === 0 ? new Set() : new Set([last]),
      );
      await rejects(again.appendDurable('no room'), PoisonedError);
    }
  });
});

/** A disk without a free block: files can be written over and cut, not made and not grown. */
function fullDisk(inner: SimulatedDisk): Directory {
  return new FaultyDirectory(inner, ({ kind, path, offset = 0, bytes = 0 }) => {
    const size = inner.peek(path)?.length ?? 0;
    const grows = kind === 'create' || kind === 'makeDirectory' || (kind === 'write' && offset + bytes > size);
    return grows ? { kind: 'error', errno: 'ENOSPC' } : undefined;
  });
}
