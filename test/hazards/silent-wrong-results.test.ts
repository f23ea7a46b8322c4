// These are defects that the model of this library still has; each test shows that this library does not.
// Silent wrong results: state that is not what was acknowledged, with nothing said about it.

import { expect } from 'chai';
import {
  CheckpointFile,
  CorruptionError,
  DecodeError,
  MemoryDirectory,
  messagePackCodec,
  NotFoundError,
  RecordLog,
  RecordLogReader,
  RecoveryError,
  StorageError,
  TornTailError,
  TruncatedError,
  walEntryCodec,
  WalReader,
  WalWriter,
} from 'cairnlog';
import type { Directory } from 'cairnlog';
import { crateCheckpointCodec } from 'cairnlog/segment-index';
import { readBytes } from 'cairnlog/storage';
import { FaultyDirectory } from 'cairnlog/testing';
import type { DiskOperation } from 'cairnlog/testing';
import { bytesCodec, WalMaintenance } from 'cairnlog/wal';
import { elderFrame, elderSegment } from '../support/hand-written-segment.js';
import { Journal, recoverJournal } from '../support/journal.js';
import { contents, copyFiles, patch, put } from '../support/raw-files.js';
import { rejects } from '../support/rejects.js';
import { numbered, textCodec } from '../support/text-codec.js';

const MODES = ['strict', 'bestEffort'] as const;
const FIRST = 'wal/wal_1.log';

/** A copy to damage. */
async function copyOf(directory: Directory): Promise<MemoryDirectory> {
  const copy = new MemoryDirectory();
  await copyFiles(directory, copy);
  return copy;
}

/** Offsets of the frames behind a header of 40 bytes, and whether each is an entry. */
function framesOf(bytes: Uint8Array): { offset: number; isEntry: boolean }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: { offset: number; isEntry: boolean }[] = [];
  for (let offset = 40; offset < bytes.length; offset += view.getUint32(offset, true) & 0x0fff_ffff)
    frames.push({ offset, isEntry: (view.getUint32(offset, true) & 0x4000_0000) === 0 });
  return frames;
}

/** Neither replay nor a writer takes the log, and no byte of it is changed. */
async function isRefused(directory: Directory, what: string): Promise<void> {
  const before = await contents(directory);
  const reader = new WalReader(directory, { codec: textCodec });
  for (const mode of MODES) {
    const error = await rejects(reader.replay({ mode }), CorruptionError);
    expect(error.path, what).to.equal(FIRST);
    expect(error.offset, what).to.be.a('number');
  }
  await rejects(WalWriter.open(directory, { codec: textCodec }), CorruptionError);
  expect(await contents(directory), what).to.deep.equal(before);
}

/**
 * A log of 24 entries or so whose beginning was truncated, with its two newest checkpoints; and copies of all the
 * checkpoints that ever were, by the entry that they end with.
 */
async function truncatedJournal(): Promise<{
  disk: MemoryDirectory;
  written: string[];
  positions: number[];
  checkpoints: Map<number, Uint8Array>;
  firstEntryId: number;
}> {
  const disk = new MemoryDirectory();
  const journal = await Journal.open(disk, { segmentBytes: 100 });
  const checkpoints = new Map<number, Uint8Array>();
  for (let round = 0; round < 4; round++) {
    await journal.append(5);
    const { checkpointPath, lastAppliedId } = await journal.publish();
    checkpoints.set(lastAppliedId, await readBytes(disk, checkpointPath));
  }
  await journal.append(3);
  await journal.wal.close();
  const [first] = await new WalMaintenance(disk).segmentRanges();
  const positions = [...checkpoints.keys()];
  // The third checkpoint is the older of the two that are kept: the log reaches back to it, and no further.
  expect(first!.startEntryId).to.be.within(positions[1]! + 2, positions[2]! + 1);
  return { disk, written: journal.written, positions, checkpoints, firstEntryId: first!.startEntryId };
}

async function removeCheckpoints(directory: Directory): Promise<void> {
  for (const name of await directory.list('checkpoints')) await directory.remove(`checkpoints/${name}`);
}

describe('Silent wrong results', () => {
  it('B14 a damaged length never hides the acknowledged entries behind it', async () => {
    const disk = new MemoryDirectory();
    const wal = await WalWriter.open(disk, { codec: textCodec });
    for (const entry of numbered(6)) await wal.appendDurable(entry);
    const crashed = await copyOf(disk);
    await wal.close();
    for (const [found, sealed] of [
      [crashed, false],
      [disk, true],
    ] as const) {
      const whole = await readBytes(found, FIRST);
      const entries = framesOf(whole).filter(({ isEntry }) => isEntry);
      expect(entries).to.have.length(6);
      for (const [index, { offset }] of entries.entries()) {
        const view = new DataView(whole.buffer, whole.byteOffset + offset, 4);
        const length = view.getUint32(0, true);
        const lengths = [0, 5, 15, 16, length + 1, whole.length, 16 * 1024 * 1024 + 16, 0x0fff_ffff, 0xffff_ffff];
        for (let bit = 0; bit < 32 && !sealed; bit++) lengths.push((length ^ (1 << bit)) >>> 0);
        for (const wrong of lengths) {
          const damaged = await copyOf(found);
          await patch(damaged, FIRST, (bytes) =>
            new DataView(bytes.buffer, bytes.byteOffset).setUint32(offset, wrong, true),
          );
          const what = `entry ${index + 1}, length ${wrong}`;
          if (sealed || index < 5) {
            await isRefused(damaged, what);
            continue;
          }
          // Without anything behind it, the last entry of a crashed log may as well be one that was cut: that is said.
          const reader = new WalReader(damaged, { codec: textCodec });
          await rejects(reader.replay(), TornTailError);
          const report = await reader.replayEach(() => undefined, { mode: 'bestEffort' });
          expect([report.count, report.tornTail?.offset], what).to.deep.equal([5, offset]);
        }
      }
    }
  });

  for (const version of [2, 3] as const)
    it(`B14 in a segment of version ${version}, which says nothing of what was durable, a whole frame behind the damage is enough`, async () => {
      const frame = elderFrame(version, 1, 'entry 1').length;
      for (let index = 0; index < 5; index++)
        for (const wrong of [0, 5, 5000, 0xffff_ffff]) {
          const disk = new MemoryDirectory();
          await put(disk, FIRST, elderSegment(version, 1, 1, numbered(6)));
          await patch(disk, FIRST, (bytes) =>
            new DataView(bytes.buffer, bytes.byteOffset).setUint32(24 + index * frame, wrong, true),
          );
          await isRefused(disk, `entry ${index + 1}, length ${wrong}`);
        }
    });

  it('B15 recovery never leaps over entries that are neither in the checkpoint nor in the log', async () => {
    const { disk, written, positions, checkpoints, firstEntryId } = await truncatedJournal();
    expect((await recoverJournal(disk)).state).to.deep.equal(written);
    // Checkpoints that end before the log begins, asked for by name.
    for (const position of [positions[0]!, positions[1]!]) {
      const path = `elsewhere/ckpt_${position}.ckpt`;
      await put(disk, path, checkpoints.get(position)!);
      for (const mode of MODES) {
        const error = await rejects(recoverJournal(disk, { mode, checkpointPath: path }), RecoveryError);
        expect(error.message).to.include(`entries ${position + 1} to ${firstEntryId - 1} are missing`);
      }
    }
    // The same, found in their folder.
    await removeCheckpoints(disk);
    await put(disk, `checkpoints/ckpt_${positions[1]}.ckpt`, checkpoints.get(positions[1]!)!);
    for (const mode of MODES) {
      const error = await rejects(recoverJournal(disk, { mode }), RecoveryError);
      expect(error.message).to.include(`entries ${positions[1]! + 1} to ${firstEntryId - 1} are missing`);
    }
    // No checkpoint at all.
    await removeCheckpoints(disk);
    for (const mode of MODES) {
      const error = await rejects(recoverJournal(disk, { mode }), RecoveryError);
      expect(error.message).to.include(`entries 1 to ${firstEntryId - 1} are missing`);
    }
    // And plain replay of what is not there any more.
    const reader = new WalReader(disk, { codec: textCodec });
    for (const mode of MODES) await rejects(reader.replay({ mode, from: firstEntryId - 1 }), TruncatedError);
    expect((await reader.replay({ from: firstEntryId })).map(({ entry }) => entry)).to.deep.equal(
      written.slice(firstEntryId - 1),
    );
  });

  it('B16 a checkpoint that was asked for and is missing is an error, not an empty start', async () => {
    const disk = new MemoryDirectory();
    const journal = await Journal.open(disk);
    await journal.append(5);
    await journal.publish();
    await journal.wal.close();
    for (const checkpointPath of ['checkpoints/ckpt_4.ckpt', 'nowhere/at/all'])
      for (const mode of MODES) {
        const error = await rejects(recoverJournal(disk, { mode, checkpointPath }), NotFoundError);
        expect(error.path).to.equal(checkpointPath);
      }
  });

  it('B17 wherever the newest checkpoint is damaged, the one before it takes its place and nothing is lost', async () => {
    const { disk, written, positions, checkpoints } = await truncatedJournal();
    const path = `checkpoints/ckpt_${positions[3]}.ckpt`;
    const whole = checkpoints.get(positions[3]!)!;
    const damages: [string, Uint8Array][] = [['empty', new Uint8Array(0)]];
    for (let at = 0; at < whole.length; at++) {
      const flipped = whole.slice();
      flipped[at]! ^= 0x10;
      damages.push([`byte ${at} changed`, flipped]);
      if (at % 5 === 0) damages.push([`cut at ${at}`, whole.slice(0, at)]);
    }
    for (const [index, [what, bytes]] of damages.entries()) {
      await put(disk, path, bytes);
      const { state, report } = await recoverJournal(disk, { mode: MODES[index % 2]! });
      expect(state, what).to.deep.equal(written);
      expect(report.checkpoint?.lastAppliedId, what).to.equal(positions[2]);
      expect(
        report.skippedCheckpoints.map((skipped) => skipped.path),
        what,
      ).to.deep.equal([path]);
    }
  });

  it('B17 with both checkpoints damaged and the beginning of the log gone, recovery refuses in every mode', async () => {
    const { disk, positions } = await truncatedJournal();
    for (const position of positions.slice(2))
      await patch(disk, `checkpoints/ckpt_${position}.ckpt`, (bytes) => {
        bytes[40]! ^= 1;
      });
    for (const mode of MODES) {
      const error = await rejects(recoverJournal(disk, { mode }), RecoveryError);
      for (const position of positions.slice(2)) expect(error.message).to.include(`ckpt_${position}.ckpt`);
    }
  });

  it('B18 a checkpoint file that was rolled back to an older one does not pass for the newer', async () => {
    const { disk, written, positions, checkpoints } = await truncatedJournal();
    const newest = `checkpoints/ckpt_${positions[3]}.ckpt`;
    for (const older of positions.slice(0, 3)) {
      await put(disk, newest, checkpoints.get(older)!);
      const { state, report } = await recoverJournal(disk);
      expect(state).to.deep.equal(written);
      expect(report.checkpoint?.lastAppliedId).to.equal(positions[2]);
      expect(report.skippedCheckpoints[0]?.reason).to.include(`holds ${older}`);
    }
    // The whole folder rolled back by one checkpoint: the log reaches back that far. By two: it does not.
    await removeCheckpoints(disk);
    await put(disk, `checkpoints/ckpt_${positions[2]}.ckpt`, checkpoints.get(positions[2]!)!);
    expect((await recoverJournal(disk)).state).to.deep.equal(written);
    await removeCheckpoints(disk);
    await put(disk, `checkpoints/ckpt_${positions[1]}.ckpt`, checkpoints.get(positions[1]!)!);
    await rejects(recoverJournal(disk), RecoveryError);
  });

  it('B19 state as of an entry holds nothing later, whatever checkpoints there are', async () => {
    const { disk, written, positions } = await truncatedJournal();
    const oldest = positions[2]!;
    for (const mode of MODES)
      for (let upTo = 0; upTo <= written.length; upTo++) {
        if (upTo < oldest) {
          const error = await rejects(recoverJournal(disk, { mode, upTo }), RecoveryError);
          expect(error.message).to.include(`holds entries after ${upTo}`);
          continue;
        }
        const { state, lastEntryId } = await recoverJournal(disk, { mode, upTo });
        expect(state).to.deep.equal(written.slice(0, upTo));
        expect(lastEntryId).to.equal(upTo);
      }
    const checkpointPath = `checkpoints/ckpt_${positions[3]}.ckpt`;
    for (const mode of MODES) {
      await rejects(recoverJournal(disk, { mode, checkpointPath, upTo: positions[3]! - 1 }), RecoveryError);
      const { state } = await recoverJournal(disk, { mode, checkpointPath, upTo: positions[3]! });
      expect(state).to.deep.equal(written.slice(0, positions[3]));
    }
  });

  it('B19 a log that still has its first entry goes back to any of them', async () => {
    const disk = new MemoryDirectory();
    const journal = await Journal.open(disk);
    for (let round = 0; round < 3; round++) {
      await journal.append(4);
      await journal.publish();
    }
    await journal.wal.close();
    for (let upTo = 0; upTo <= journal.written.length; upTo++) {
      const { state } = await recoverJournal(disk, { upTo });
      expect(state).to.deep.equal(journal.written.slice(0, upTo));
    }
    const checkpointPath = (await disk.list('checkpoints')).map((name) => `checkpoints/${name}`)[0]!;
    await rejects(recoverJournal(disk, { checkpointPath, upTo: 1 }), RecoveryError);
  });

  it('B20 zeros behind the last record are never records, and are gone after the next open', async () => {
    const disk = new MemoryDirectory();
    const log = await RecordLog.open(disk, 'journal', { codec: textCodec });
    // Empty records are records.
    const records = ['one', '', 'three', ''];
    for (const record of records) await log.appendDurable(record);
    await log.close();
    const size = (await disk.stat('journal'))!.size;
    for (let zeros = 1; zeros <= 100; zeros++) {
      await patch(disk, 'journal', (bytes) => Buffer.concat([bytes.subarray(0, size), new Uint8Array(zeros)]));
      const reader = new RecordLogReader(disk, 'journal', { codec: textCodec });
      expect((await reader.replayBestEffort()).map(({ entry }) => entry)).to.deep.equal(records);
      expect(await reader.entryCount({ mode: 'bestEffort' })).to.equal(4);
    }
    const again = await RecordLog.open(disk, 'journal', { codec: textCodec });
    expect([again.opened.lastEntryId, again.opened.tornTail?.bytes]).to.deep.equal([4, 100]);
    expect(await again.appendDurable('five')).to.equal(5);
    await again.close();
    const reader = new RecordLogReader(disk, 'journal', { codec: textCodec });
    expect((await reader.replay()).map(({ entry }) => entry)).to.deep.equal([...records, 'five']);
  });

  it('B21 bytes behind a checkpoint are damage', async () => {
    const { disk, written, positions } = await truncatedJournal();
    const path = `checkpoints/ckpt_${positions[3]}.ckpt`;
    for (const more of [[0], [1], Array.from(await readBytes(disk, path))]) {
      const damaged = await copyOf(disk);
      await patch(damaged, path, (bytes) => Buffer.concat([bytes, Buffer.from(more)]));
      await rejects(CheckpointFile.read(damaged, path, { codec: textCodec }), CorruptionError);
      await rejects(CheckpointFile.verify(damaged, path), CorruptionError);
      await rejects(CheckpointFile.inspect(damaged, path), CorruptionError);
      const { state, report } = await recoverJournal(damaged);
      expect(state).to.deep.equal(written);
      expect(report.checkpoint?.lastAppliedId).to.equal(positions[2]);
    }
    // Also behind one of the elder formats: one segment of 5 documents, document 4 deleted, up to entry 2.
    for (const [version, checksum] of [
      [1, '7b8e435b'],
      [2, '58673c4c'],
    ] as const) {
      const whole = Buffer.from(
        `56434b50 0${version}000000 0200000000000000 0500000000000000 ${checksum} 0101050104`.replaceAll(' ', ''),
        'hex',
      );
      const codecs = { codec: bytesCodec as never, crateCodec: crateCheckpointCodec };
      await put(disk, 'elder', whole);
      const { items } = await CheckpointFile.read(disk, 'elder', codecs);
      expect(items).to.deep.equal([{ kind: 'segment', segmentId: 1, docCount: 5, deletedDocs: [4] }]);
      await put(disk, 'elder', Buffer.concat([whole, Buffer.alloc(1)]));
      await rejects(CheckpointFile.read(disk, 'elder', codecs), CorruptionError);
    }
  });

  it('B21 bytes behind a decoded value are an error that names the entry', async () => {
    const disk = new MemoryDirectory();
    const wal = await WalWriter.open(disk, { codec: bytesCodec });
    wal.append(Uint8Array.of(0, 1, 100));
    wal.append(Uint8Array.of(0, 1, 100, 0));
    await wal.close();
    const seen: number[] = [];
    for (const codec of [walEntryCodec, messagePackCodec<number>()]) {
      const reader = new WalReader<unknown>(disk, { codec });
      const error = await rejects(
        reader.replayEach(({ entryId }) => void seen.push(entryId), { mode: 'bestEffort' }),
        DecodeError,
      );
      expect(error.entryId).to.equal(codec === walEntryCodec ? 2 : 1);
    }
    expect(seen).to.deep.equal([1]);
  });

  it('B22 a disk that refuses to be read is never taken for one that holds less', async () => {
    const { disk, written } = await truncatedJournal();
    const torn = await copyOf(disk);
    const files = (await torn.list('wal')).filter((name) => name.endsWith('.log'));
    const last = files.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)!;
    await patch(torn, `wal/${last}`, (bytes) => Buffer.concat([bytes, Buffer.alloc(30)]));
    const before = await contents(torn);
    const refused = new Set<string>();
    for (const errno of ['EIO', 'EACCES', 'EMFILE'])
      for (let failing = 1; ; failing++) {
        let met: DiskOperation | undefined;
        const faulty = new FaultyDirectory(torn, (operation) => {
          if (operation.number !== failing) return undefined;
          met = operation;
          return { kind: 'error', errno };
        });
        const recovery = recoverJournal(faulty);
        if (
          await recovery.then(
            () => met === undefined,
            () => false,
          )
        ) {
          expect((await recovery).state).to.deep.equal(written);
          break;
        }
        const error = await rejects(recovery, StorageError);
        expect([error.errno, error.path]).to.deep.equal([errno, met!.path]);
        refused.add(`${met!.kind} ${met!.path.split('/')[0]}`);
      }
    expect([...refused]).to.include.members(['list wal', 'list checkpoints', 'read wal', 'read checkpoints']);

    // The same for a writer that opens: it begins no new log, and cuts at most what was torn.
    const cut = { ...before, [`wal/${last}`]: before[`wal/${last}`]!.slice(0, -60) };
    for (let failing = 1; ; failing++) {
      const found = await copyOf(torn);
      const faulty = new FaultyDirectory(found, ({ number }) =>
        number === failing ? { kind: 'error', errno: 'EACCES' } : undefined,
      );
      const opening = WalWriter.open(faulty, { codec: textCodec });
      const opened = await opening.catch(() => undefined);
      if (opened !== undefined) {
        expect(faulty.faults).to.equal(0);
        faulty.decide = () => undefined;
        await opened.close();
        break;
      }
      await rejects(opening, StorageError);
      const after = await contents(found);
      expect(after).to.deep.equal(after[`wal/${last}`] === before[`wal/${last}`] ? before : cut);
    }
    const wal = await WalWriter.open(torn, { codec: textCodec });
    expect(wal.opened.lastEntryId).to.equal(written.length);
    await wal.close();
  });
});
