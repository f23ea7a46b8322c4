// Logs and checkpoints that the Rust crate `durability` wrote: read byte for byte, judged by its own rules, and carried
// on in our format without changing what is there.

import { expect } from 'chai';
import {
  CheckpointFile,
  CheckpointPublisher,
  CorruptionError,
  DecodeError,
  FormatError,
  MemoryDirectory,
  RecordLog,
  RecordLogReader,
  RecoveryError,
  RecoveryManager,
  SegmentIndex,
  StorageError,
  TornTailError,
  walEntryCodec,
  WalMaintenance,
  WalReader,
  WalWriter,
  type CairnError,
  type WalEntry,
} from 'cairnlog';
import { crateCheckpointCodec, segmentIndexItemCodec, toCheckpointState } from 'cairnlog/segment-index';
import { FaultyDirectory, isMutation } from 'cairnlog/testing';
import { ByteReader, ByteWriter } from 'cairnlog/wal';
import {
  crateCheckpoint,
  crateFrame,
  crateHeader,
  crateSegment,
  putCrateLog,
  u32,
  u64,
  type CrateVersion,
} from '../support/crate-files.js';
import { bytesOf, contents, copy, edit, put } from '../support/directory-contents.js';
import { rejects, throws } from '../support/rejects.js';
import { replayed, replayedBestEffort, text } from '../support/text-log.js';

const VERSIONS = [2, 3] as const;
const MAX_ID = Number.MAX_SAFE_INTEGER;

/** Bytes from hex digits; blanks are for the eye. */
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(/\s/g, ''), 'hex');

function encoded(entry: WalEntry): string {
  const writer = new ByteWriter();
  walEntryCodec.encode(entry, writer);
  return Buffer.from(writer.bytes.subarray(0, writer.length)).toString('hex');
}

function decoded(bytes: Uint8Array): WalEntry {
  return walEntryCodec.decode(new ByteReader(bytes));
}

async function fileOf(...parts: readonly Uint8Array[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  await put(directory, 'wal/wal_1.log', Buffer.concat(parts));
  return directory;
}

/** A crate's log with these entries, one segment for each list. */
async function logOf(version: CrateVersion, segments: readonly (readonly string[])[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  await putCrateLog(directory, version, segments);
  return directory;
}

describe('The crate’s formats, byte for byte', () => {
  const vectors: readonly (readonly [WalEntry, string])[] = [
    [{ type: 'AddSegment', segmentId: 1, docCount: 100 }, '00 01 64'],
    [{ type: 'AddSegment', segmentId: 300, docCount: 1000 }, '00 ac02 e807'],
    [{ type: 'AddSegment', segmentId: MAX_ID, docCount: 0xffff_ffff }, '00 ffffffffffffff0f ffffffff0f'],
    [{ type: 'StartMerge', transactionId: 7, segmentIds: [1, 2] }, '01 07 02 01 02'],
    [{ type: 'CancelMerge', transactionId: 7, segmentIds: [1, 2] }, '02 07 02 01 02'],
    [
      { type: 'EndMerge', transactionId: 7, newSegmentId: 3, oldSegmentIds: [1, 2], remappedDeletes: [[3, 4]] },
      '03 07 03 02 01 02 01 03 04',
    ],
    [{ type: 'DeleteDocuments', deletes: [[1, 42]] }, '04 01 01 2a'],
    [
      { type: 'Checkpoint', checkpointPath: 'checkpoints/c1.chk', lastEntryId: 2 },
      `05 12 ${Buffer.from('checkpoints/c1.chk').toString('hex')} 02`,
    ],
  ];

  for (const [entry, digits] of vectors)
    it(`${JSON.stringify(entry)} is ${digits}`, () => {
      expect(encoded(entry)).to.equal(hex(digits).toString('hex'));
      expect(decoded(hex(digits))).to.deep.equal(entry);
    });

  it('ids of the crate above 2^53-1 are refused, not rounded', () => {
    throws(() => decoded(hex('00 ffffffffffffffffff01 ffffffff0f')), FormatError);
    throws(() => decoded(hex('00 8080808080808010 01')), FormatError);
    expect(decoded(hex('00 ffffffffffffff0f 01'))).to.include({ segmentId: MAX_ID });
  });

  it('integers may take more bytes than they need, as for the crate, but not more than a u64 can', () => {
    expect(decoded(hex('00 8100 e48000'))).to.deep.equal({ type: 'AddSegment', segmentId: 1, docCount: 100 });
    throws(() => decoded(hex('00 8180808080808080808000 64')), DecodeError);
  });

  it('a document number above 2^32-1 is refused', () => {
    throws(() => decoded(hex('00 01 8080808010')), DecodeError);
    throws(() => decoded(hex('04 01 01 ffffffff1f')), DecodeError);
  });

  it('a variant that the crate does not have is refused', () => {
    throws(() => decoded(hex('06 01 02')), DecodeError);
  });

  // The crate drops what is left over behind a value. That hides a wrong codec, so it is an error here.
  it('bytes left over behind an entry are refused', async () => {
    const directory = await fileOf(crateHeader(3, 1, 1), crateFrame(3, 1, hex('00 01 64 00')));
    await rejects(new WalReader(directory, { codec: walEntryCodec }).replay(), DecodeError);
  });

  const HEADER = '01 00000000000000 01 00000000000000';
  const FRAMES = {
    2: [
      '13000000 0100000000000000 124d85ac 000164', // AddSegment{1,100} as entry 1
      '14000000 0200000000000000 ebda446d 0401012a', // DeleteDocuments[(1,42)] as entry 2
    ],
    3: ['13000000 0100000000000000 11bd8610 000164', '14000000 0200000000000000 24a2967e 0401012a'],
  };

  for (const version of VERSIONS)
    it(`a segment of version ${version} with two entries`, async () => {
      const bytes = hex(`5657414c 0${version}000000 ${HEADER} ${FRAMES[version].join(' ')}`);
      const payloads = [hex('000164'), hex('0401012a')];
      expect(crateSegment(version, 1, 1, payloads).toString('hex'), 'what these tests write').to.equal(
        bytes.toString('hex'),
      );
      const directory = await fileOf(bytes);
      expect(await new WalReader(directory, { codec: walEntryCodec }).replay()).to.deep.equal([
        { entryId: 1, entry: { type: 'AddSegment', segmentId: 1, docCount: 100 } },
        { entryId: 2, entry: { type: 'DeleteDocuments', deletes: [[1, 42]] } },
      ]);
      const { state, lastEntryId } = await new RecoveryManager(directory).recoverLatest();
      expect(lastEntryId).to.equal(2);
      expect([...state.segments]).to.deep.equal([[1, { docCount: 100, deletedDocs: new Set([42]) }]]);
    });

  for (const [version, crc] of [
    [1, '7b8e435b'],
    [2, '58673c4c'],
  ] as const)
    it(`a checkpoint of version ${version} with one segment`, async () => {
      const bytes = hex(`56434b50 0${version}000000 0200000000000000 0500000000000000 ${crc} 0101050104`);
      expect(crateCheckpoint(version, 2, hex('0101050104')).toString('hex'), 'what these tests write').to.equal(
        bytes.toString('hex'),
      );
      const directory = new MemoryDirectory();
      await put(directory, 'checkpoints/c1.chk', bytes);
      const codecs = { codec: segmentIndexItemCodec, crateCodec: crateCheckpointCodec };
      expect(await CheckpointFile.read(directory, 'checkpoints/c1.chk', codecs)).to.deep.equal({
        version,
        lastAppliedId: 2,
        logId: undefined,
        count: undefined,
        bytes: bytes.length,
        items: [{ kind: 'segment', segmentId: 1, docCount: 5, deletedDocs: [4] }],
      });
      await CheckpointFile.verify(directory, 'checkpoints/c1.chk');
      await rejects(
        CheckpointFile.read(directory, 'checkpoints/c1.chk', { codec: segmentIndexItemCodec }),
        FormatError,
      );
    });

  it('a record log of the crate is told apart and left alone', async () => {
    const directory = new MemoryDirectory();
    await put(directory, 'r.log', hex('56524c47 01000000 03000000 f1866c7a 6f6e65'));
    const before = await contents(directory, '');
    const error = await rejects(new RecordLogReader(directory, 'r.log', text).replay(), FormatError);
    expect(error.message).to.include('reads (4)');
    await rejects(RecordLog.open(directory, 'r.log', text), FormatError);
    expect(await contents(directory, '')).to.deep.equal(before);
  });

  it('versions of the crate that are older or newer than it ever was are told apart and left alone', async () => {
    for (const version of [1, 5]) {
      const directory = await fileOf(crateHeader(version, 1, 1), crateFrame(3, 1, 'x'));
      const before = await contents(directory);
      await rejects(replayedBestEffort(directory), FormatError);
      await rejects(WalWriter.open(directory, text), FormatError);
      expect(await contents(directory)).to.deep.equal(before);
    }
  });
});

describe('A directory of the crate', () => {
  const entries: WalEntry[] = [
    { type: 'AddSegment', segmentId: 1, docCount: 100 },
    {
      type: 'DeleteDocuments',
      deletes: [
        [1, 42],
        [1, 7],
      ],
    },
    { type: 'AddSegment', segmentId: 2, docCount: 50 },
    { type: 'StartMerge', transactionId: 7, segmentIds: [1, 2] },
    { type: 'EndMerge', transactionId: 7, newSegmentId: 3, oldSegmentIds: [1, 2], remappedDeletes: [[3, 4]] },
    { type: 'AddSegment', segmentId: 4, docCount: 10 },
  ];

  async function searchIndex(version: CrateVersion): Promise<{ directory: MemoryDirectory; index: SegmentIndex }> {
    const directory = new MemoryDirectory();
    const index = new SegmentIndex();
    for (const entry of entries) index.apply(entry);
    const payloads = entries.map((entry) => hex(encoded(entry)));
    await putCrateLog(directory, version, [payloads.slice(0, 2), payloads.slice(2, 5), payloads.slice(5)]);
    return { directory, index };
  }

  /** What the crate would have written as the state after the first two entries. */
  const afterTwo = hex('01 01 64 02 07 2a');

  for (const version of VERSIONS) {
    const checkpointVersion = version === 2 ? 1 : 2;

    it(`version ${version}: is replayed over its segments, from any entry to any other`, async () => {
      const { directory } = await searchIndex(version);
      const reader = new WalReader(directory, { codec: walEntryCodec });
      const all = entries.map((entry, index) => ({ entryId: index + 1, entry }));
      expect(await reader.replay()).to.deep.equal(all);
      expect(await reader.replayBestEffort()).to.deep.equal(all);
      for (let from = 1; from <= all.length; from++)
        for (let upTo = from - 1; upTo <= all.length; upTo++)
          expect(await reader.replay({ from, upTo })).to.deep.equal(all.slice(from - 1, upTo));
      const ranges = await new WalMaintenance(directory).segmentRanges();
      expect(ranges.map((range) => [range.version, range.startEntryId, range.endEntryId])).to.deep.equal([
        [version, 1, 2],
        [version, 3, 5],
        [version, 6, 6],
      ]);
    });

    it(`version ${version}: is recovered from the log alone, and from a checkpoint of the crate by its path`, async () => {
      const { directory, index } = await searchIndex(version);
      await put(directory, 'checkpoints/c1.chk', crateCheckpoint(checkpointVersion, 2, afterTwo));
      const manager = new RecoveryManager(directory);
      for (const recovery of [
        await manager.recoverLatest(),
        await manager.recoverLatestBestEffort(),
        await manager.recover('checkpoints/c1.chk'),
        await manager.recoverBestEffort('checkpoints/c1.chk'),
      ]) {
        expect(recovery.state.segments).to.deep.equal(index.segments);
        expect(recovery.lastEntryId).to.equal(6);
      }
      const { report } = await manager.recover('checkpoints/c1.chk');
      expect([report.checkpoint?.lastAppliedId, report.entriesReplayed]).to.deep.equal([2, 4]);
    });

    it(`version ${version}: whose first segment was truncated needs the checkpoint, and says so`, async () => {
      const { directory, index } = await searchIndex(version);
      await directory.remove('wal/wal_1.log');
      await put(directory, 'checkpoints/c1.chk', crateCheckpoint(checkpointVersion, 2, afterTwo));
      const manager = new RecoveryManager(directory);
      expect((await manager.recover('checkpoints/c1.chk')).state.segments).to.deep.equal(index.segments);
      // The crate finds it by the mark in its log. Here a checkpoint has its position in its name, so it is renamed.
      await rejects(manager.recoverLatest(), RecoveryError);
      await directory.rename('checkpoints/c1.chk', 'checkpoints/ckpt_2.ckpt');
      const { state, report } = await manager.recoverLatest();
      expect(state.segments).to.deep.equal(index.segments);
      expect(report.checkpoint?.path).to.equal('checkpoints/ckpt_2.ckpt');
    });

    it(`version ${version}: a checkpoint that is damaged is refused`, async () => {
      const { directory } = await searchIndex(version);
      const whole = crateCheckpoint(checkpointVersion, 2, afterTwo);
      const damaged: Record<string, Buffer> = {
        'a flipped bit': Buffer.from(whole).fill(whole.at(-1)! ^ 1, whole.length - 1),
        'cut by a byte': whole.subarray(0, -1),
        'a byte too long': Buffer.concat([whole, Buffer.of(0)]),
        'cut to its header': whole.subarray(0, 28),
        'cut inside its header': whole.subarray(0, 20),
        empty: Buffer.alloc(0),
      };
      for (const [name, bytes] of Object.entries(damaged)) {
        await put(directory, 'checkpoints/c1.chk', bytes);
        const recovery = new RecoveryManager(directory).recover('checkpoints/c1.chk');
        expect((await rejects(recovery, CorruptionError)).path, name).to.equal('checkpoints/c1.chk');
      }
    });
  }

  it('a payload of a checkpoint above 256 MiB is refused by its header', async () => {
    const directory = new MemoryDirectory();
    const header = (length: number): Buffer =>
      Buffer.concat([Buffer.from('VCKP'), u32(1), u64(1), u64(length), u32(0)]);
    await put(directory, 'c', header(256 * 1024 * 1024 + 1));
    await rejects(CheckpointFile.verify(directory, 'c'), FormatError);
    await put(directory, 'c', header(256 * 1024 * 1024));
    await rejects(CheckpointFile.verify(directory, 'c'), CorruptionError);
  });
});

describe('The end of a log of the crate', () => {
  const BEFORE = ['one', 'two'];
  const KEPT = ['1:one', '2:two'];

  /** Replay in both modes and opening refuse, and nothing is changed. */
  async function refused(directory: MemoryDirectory): Promise<CairnError> {
    const before = await contents(directory);
    await rejects(replayed(directory), CorruptionError);
    await rejects(WalWriter.open(directory, text), CorruptionError);
    await rejects(WalWriter.resume(directory, text), CorruptionError);
    const error = await rejects(replayedBestEffort(directory), CorruptionError);
    expect(await contents(directory)).to.deep.equal(before);
    return error;
  }

  async function withTail(version: CrateVersion, tail: Uint8Array, entries = BEFORE): Promise<MemoryDirectory> {
    return fileOf(crateSegment(version, 1, 1, entries), tail);
  }

  for (const version of VERSIONS) {
    const third = crateFrame(version, 3, 'three');

    it(`version ${version}: a frame that ends too early is tolerated by best effort, cut anywhere`, async () => {
      for (let length = 1; length < third.length; length++) {
        const directory = await withTail(version, third.subarray(0, length));
        expect(await replayedBestEffort(directory)).to.deep.equal(KEPT);
        await rejects(replayed(directory), TornTailError);
      }
    });

    it(`version ${version}: but in a segment that has a successor it is damage`, async () => {
      for (let length = 1; length < third.length; length++) {
        const directory = await withTail(version, third.subarray(0, length));
        await put(directory, 'wal/wal_2.log', crateSegment(version, 2, 3, ['three']));
        await rejects(replayed(directory), CorruptionError);
        await rejects(replayedBestEffort(directory), CorruptionError);
      }
    });

    it(`version ${version}: zeros to the end are tolerated by best effort`, async () => {
      for (const zeros of [1, 3, 4, 15, 16, 17, 24, 1000, 300_000]) {
        const directory = await withTail(version, Buffer.alloc(zeros));
        expect(await replayedBestEffort(directory)).to.deep.equal(KEPT);
        await rejects(replayed(directory), TornTailError);
      }
    });

    it(`version ${version}: zeros with something behind them are damage, in both modes`, async () => {
      for (const zeros of [4, 16, 1000, 300_000]) {
        await refused(await withTail(version, Buffer.concat([Buffer.alloc(zeros), Buffer.of(1)])));
        await refused(await withTail(version, Buffer.concat([Buffer.alloc(zeros), third])));
      }
    });

    it(`version ${version}: a last frame whose checksum does not fit is damage, in both modes`, async () => {
      for (let at = version === 2 ? 12 : 4; at < third.length; at++) {
        const flipped = Buffer.from(third);
        flipped[at]! ^= 1;
        await refused(await withTail(version, flipped));
      }
    });

    it(`version ${version}: lengths below 16 and above the cap are damage, in both modes`, async () => {
      const above = 16 * 1024 * 1024 + 17;
      for (const length of [1, 2, 8, 14, 15, above, 0x4000_0013, 0x8000_0013, 0xffff_ffff])
        for (const bytes of [4, 5, 15, third.length])
          await refused(await withTail(version, Buffer.concat([u32(length), third.subarray(4)]).subarray(0, bytes)));
    });

    it(`version ${version}: at the cap, a frame may still be a write that was cut`, async () => {
      const claim = u32(16 * 1024 * 1024 + 16);
      const directory = await withTail(version, Buffer.concat([claim, third.subarray(4)]));
      expect(await replayedBestEffort(directory)).to.deep.equal(KEPT);
    });

    it(`version ${version}: a whole frame behind damage is never cut away`, async () => {
      const fourth = crateFrame(version, 4, 'four');
      const long = Buffer.concat([u32(5000), third.subarray(4)]);
      const damages = {
        'a length past the end': long,
        'a length past the end, far before': Buffer.concat([u32(200_000), third.subarray(4), Buffer.alloc(70_000, 7)]),
        'a few bytes too many': Buffer.concat([third.subarray(0, 11), Buffer.alloc(30, 9)]),
        zeros: Buffer.alloc(32),
      };
      for (const [name, damage] of Object.entries(damages)) {
        const directory = await withTail(version, Buffer.concat([damage, fourth]));
        expect((await refused(directory)).entryId, name).to.equal(3);
      }
    });

    it(`version ${version}: a frame that belongs to no entry of this log does not stop the repair`, async () => {
      // Torn inside a payload that holds an older log: its frame is whole, but its id was given out long ago.
      const older = crateFrame(version, 1, 'one');
      const torn = crateFrame(version, 3, Buffer.concat([older, Buffer.alloc(100, 1)])).subarray(0, 80);
      const directory = await withTail(version, torn);
      expect(await replayedBestEffort(directory)).to.deep.equal(KEPT);
      const wal = await WalWriter.open(directory, text);
      expect(wal.append('again')).to.equal(3);
      await wal.close();
    });
  }
});

describe('Carrying a log of the crate on', () => {
  for (const version of VERSIONS) {
    it(`version ${version}: begins a segment of version 4, goes on with the ids, changes no file of the crate`, async () => {
      const directory = await logOf(version, [['one', 'two'], ['three']]);
      const before = await contents(directory);
      const wal = await WalWriter.open(directory, text);
      expect(wal.opened).to.deep.include({ firstEntryId: 1, lastEntryId: 3, segments: 3, tornTail: undefined });
      expect([wal.currentSegmentId, wal.append('four')]).to.deep.equal([3, 4]);
      await wal.close();
      expect(await contents(directory)).to.include(before);
      const all = ['1:one', '2:two', '3:three', '4:four'];
      expect(await replayed(directory)).to.deep.equal(all);
      expect(await replayed(directory, { from: 3 })).to.deep.equal(all.slice(2));

      const again = await WalWriter.resume(directory, text);
      expect([again.logId, again.currentSegmentId, again.append('five')]).to.deep.equal([wal.logId, 3, 5]);
      await again.close();
      expect(await replayed(directory)).to.deep.equal([...all, '5:five']);
      const ranges = await new WalMaintenance(directory).segmentRanges();
      expect(ranges.map((range) => [range.version, range.startEntryId, range.endEntryId])).to.deep.equal([
        [version, 1, 2],
        [version, 3, 3],
        [4, 4, 5],
      ]);
    });

    it(`version ${version}: cuts a torn tail, wherever it was cut, and nothing else`, async () => {
      const whole = crateSegment(version, 1, 1, ['one', 'two']);
      const torn = crateFrame(version, 3, 'three');
      for (let length = 0; length <= torn.length + 20; length++) {
        const tail = length < torn.length ? torn.subarray(0, length) : Buffer.alloc(length);
        const directory = await fileOf(whole, tail);
        const wal = await WalWriter.open(directory, text);
        if (length === 0) expect(wal.opened.tornTail).to.equal(undefined);
        else expect(wal.opened.tornTail).to.include({ segmentId: 1, offset: whole.length, bytes: length });
        expect(wal.append('again')).to.equal(3);
        await wal.close();
        expect(Buffer.compare(await bytesOf(directory, 'wal/wal_1.log'), whole)).to.equal(0);
        expect(await replayed(directory)).to.deep.equal(['1:one', '2:two', '3:again']);
      }
    });

    it(`version ${version}: a last segment without entries is kept, one without a header is replaced`, async () => {
      const empty = await logOf(version, [['one'], []]);
      const wal = await WalWriter.open(empty, text);
      expect([wal.currentSegmentId, wal.append('two')]).to.deep.equal([3, 2]);
      await wal.close();
      expect(await replayed(empty)).to.deep.equal(['1:one', '2:two']);
      expect(await replayed(empty, { from: 2 })).to.deep.equal(['2:two']);

      const headerless = await logOf(version, [['one'], []]);
      await edit(headerless, 'wal/wal_2.log', (bytes) => bytes.subarray(0, 23));
      const other = await WalWriter.open(headerless, text);
      expect([other.currentSegmentId, other.append('two')]).to.deep.equal([2, 2]);
      await other.close();
      expect(await replayed(headerless)).to.deep.equal(['1:one', '2:two']);
    });

    it(`version ${version}: a lock file that the crate left behind does not matter`, async () => {
      const directory = await logOf(version, [['one']]);
      await put(directory, 'wal/.lock', Buffer.alloc(0));
      await put(directory, 'wal/wal_1.log.tmp', Buffer.from('a repair that was interrupted'));
      const wal = await WalWriter.open(directory, text);
      expect(wal.append('two')).to.equal(2);
      await wal.close();
    });

    it(`version ${version}: a checkpoint that covers more than the log holds is damage, not a reason to begin anew`, async () => {
      const directory = await logOf(version, [['one', 'two']]);
      const before = await contents(directory);
      await rejects(WalWriter.open(directory, { ...text, durableId: 3 }), CorruptionError);
      expect(await contents(directory)).to.deep.equal(before);
    });

    it(`version ${version}: interrupted anywhere, the next try finds the same entries`, async () => {
      const torn = crateFrame(version, 4, 'four').subarray(0, 19);
      const log = await logOf(version, [['one', 'two'], ['three']]);
      await edit(log, 'wal/wal_2.log', (bytes) => Buffer.concat([bytes, torn]));
      let stops = 0;
      for (let number = 1; ; number++) {
        const directory = new MemoryDirectory();
        await copy(log, directory);
        let mutations = 0;
        const disk = new FaultyDirectory(directory, (operation) =>
          isMutation(operation) && ++mutations === number ? { kind: 'stop', bytes: 11 } : undefined,
        );
        try {
          await (await WalWriter.open(disk, text)).close();
        } catch (error) {
          expect(error).to.be.instanceOf(StorageError);
        }
        if (!disk.stopped) break;
        stops++;
        // The lock of the process that ended would be gone with it; a new directory over the same files has none.
        const found = new MemoryDirectory();
        await copy(directory, found);
        expect(await replayedBestEffort(found)).to.deep.equal(['1:one', '2:two', '3:three']);
        const wal = await WalWriter.open(found, text);
        expect(wal.append('again')).to.equal(4);
        await wal.close();
        expect(await replayed(found)).to.deep.equal(['1:one', '2:two', '3:three', '4:again']);
      }
      expect(stops).to.be.greaterThan(6);
    });

    it(`version ${version}: checkpoints are published on it, and truncate it`, async () => {
      const directory = new MemoryDirectory();
      const index = new SegmentIndex();
      const payloads: Buffer[] = [];
      for (let segmentId = 1; segmentId <= 4; segmentId++) {
        const entry: WalEntry = { type: 'AddSegment', segmentId, docCount: segmentId };
        index.apply(entry);
        payloads.push(hex(encoded(entry)));
      }
      await putCrateLog(directory, version, [payloads.slice(0, 2), payloads.slice(2)]);
      const wal = await WalWriter.open(directory, { codec: walEntryCodec });
      const publisher = new CheckpointPublisher({ wal, codec: segmentIndexItemCodec, retain: 1 });
      const { truncation } = await publisher.publish(toCheckpointState(index), 4);
      expect(truncation.removed.map((range) => [range.segmentId, range.version])).to.deep.equal([
        [1, version],
        [2, version],
      ]);
      await wal.close();
      const { state, lastEntryId } = await new RecoveryManager(directory).recoverLatest();
      expect(state.segments).to.deep.equal(index.segments);
      expect(lastEntryId).to.equal(5);
    });
  }
});
