// Files that were written once and are kept: whatever changes in the library, it must go on reading them, and writing
// the same bytes for the same contents.

import { expect } from 'chai';
import {
  CheckpointFile,
  FsDirectory,
  MemoryDirectory,
  RecordLog,
  RecordLogReader,
  RecoveryManager,
  walEntryCodec,
  WalMaintenance,
  WalReader,
  WalWriter,
} from 'cairnlog';
import { crateCheckpointCodec, segmentIndexItemCodec, toCheckpointState } from 'cairnlog/segment-index';
import * as path from 'node:path';
import { crc32 } from 'node:zlib';
import { projectRoot } from '../support/module-process.js';
import { u32 } from '../support/crate-files.js';
import { contents, copy } from '../support/directory-contents.js';
import { GOLDEN_ENTRIES, GOLDEN_FOLDERS, GOLDEN_SUBFOLDERS, goldenIndex } from '../support/golden-files.js';
import { text } from '../support/text-log.js';

const RECORDS = 'records/notes.log';
const CHECKPOINT = 'checkpoints/ckpt_4.ckpt';

/** A copy of the golden files in memory: opening a log writes to it. */
async function golden(folder: string): Promise<MemoryDirectory> {
  const files = await FsDirectory.open(path.join(projectRoot, 'test', 'fixtures', folder));
  const directory = new MemoryDirectory();
  await copy(files, directory, GOLDEN_SUBFOLDERS);
  return directory;
}

async function allContents(directory: MemoryDirectory): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const folder of GOLDEN_SUBFOLDERS) Object.assign(found, await contents(directory, folder));
  return found;
}

describe('Golden files', () => {
  const records = GOLDEN_ENTRIES.map((entry, index) => ({ entryId: index + 1, entry }));

  for (const [folder, write] of Object.entries(GOLDEN_FOLDERS)) {
    it(`${folder}: the log is replayed and recovered`, async () => {
      const directory = await golden(folder);
      expect(await new WalReader(directory, { codec: walEntryCodec }).replay()).to.deep.equal(records);
      const { state, lastEntryId } = await new RecoveryManager(directory).recoverLatest();
      expect([...toCheckpointState(state)]).to.deep.equal([...toCheckpointState(goldenIndex())]);
      expect(lastEntryId).to.equal(4);
    });

    it(`${folder}: the log is carried on`, async () => {
      const directory = await golden(folder);
      const wal = await WalWriter.resume(directory, { codec: walEntryCodec });
      expect(wal.opened).to.include({ firstEntryId: 1, lastEntryId: 4, tornTail: undefined });
      const entry = { type: 'CancelMerge', transactionId: 7, segmentIds: [1, 300] } as const;
      expect(await wal.appendDurable(entry)).to.equal(5);
      await wal.close();
      expect(await new WalReader(directory, { codec: walEntryCodec }).replay()).to.deep.equal([
        ...records,
        { entryId: 5, entry },
      ]);
    });

    it(`${folder}: the same contents are written as the same bytes`, async () => {
      const again = new MemoryDirectory();
      await write(again);
      const kept = await allContents(await golden(folder));
      expect(Object.keys(kept)).to.have.lengthOf(3);
      expect(await allContents(again)).to.deep.equal(kept);
    });
  }

  for (const version of [2, 3] as const)
    it(`crate-version-${version}: the checkpoint is read, and recovered from`, async () => {
      const directory = await golden(`crate-version-${version}`);
      const codecs = { codec: segmentIndexItemCodec, crateCodec: crateCheckpointCodec };
      expect(await CheckpointFile.read(directory, 'checkpoints/c1.chk', codecs)).to.deep.include({
        version: version - 1,
        lastAppliedId: 2,
        items: [{ kind: 'segment', segmentId: 1, docCount: 100, deletedDocs: [42] }],
      });
      const { state, report } = await new RecoveryManager(directory).recover('checkpoints/c1.chk');
      expect([...toCheckpointState(state)]).to.deep.equal([...toCheckpointState(goldenIndex())]);
      expect(report.entriesReplayed).to.equal(2);
      const ranges = await new WalMaintenance(directory).segmentRanges();
      expect(ranges.map((range) => [range.version, range.startEntryId, range.endEntryId])).to.deep.equal([
        [version, 1, 3],
        [version, 4, 4],
      ]);
    });

  it('version-4: the checkpoint is read, checked and recovered from', async () => {
    const directory = await golden('version-4');
    const items = [...toCheckpointState(goldenIndex())];
    const expected = { version: 3, lastAppliedId: 4, logId: 0x3_0201_0807_0605, count: 3 };
    const read = await CheckpointFile.read(directory, CHECKPOINT, { codec: segmentIndexItemCodec });
    expect(read).to.deep.include({ ...expected, items });
    expect(await CheckpointFile.verify(directory, CHECKPOINT)).to.deep.include(expected);
    expect(await CheckpointFile.inspect(directory, CHECKPOINT)).to.deep.include(expected);
    const { report } = await new RecoveryManager(directory).recoverLatest();
    expect([report.checkpoint?.path, report.entriesReplayed]).to.deep.equal([CHECKPOINT, 0]);
  });

  it('version-4: the record log is read and carried on', async () => {
    const directory = await golden('version-4');
    const log = await RecordLog.resume(directory, RECORDS, text);
    expect(log.opened.tornTail).to.equal(undefined);
    log.append('three');
    await log.close();
    const found = await new RecordLogReader(directory, RECORDS, text).replay();
    expect(found.map(({ entry }) => entry)).to.deep.equal(['one', 'two', 'three']);
  });
});

// Taken from the byte tables alone: everything below is spelled out but the checksums, and those are zlib's.
describe('Golden files, field by field', () => {
  const hex = (digits: string): Buffer => Buffer.from(digits, 'hex');
  const withChecksum = (before: Buffer): Buffer => Buffer.concat([before, u32(crc32(before))]);

  /** Length and id · checksum over them and the payload, going on from the seed · payload. */
  function sealed(lengthAndId: string, payload: string, seed: number): Buffer {
    const checksum = crc32(hex(lengthAndId + payload), seed);
    return Buffer.concat([hex(lengthAndId), u32(checksum), hex(payload)]);
  }

  async function fileHex(name: string): Promise<string | undefined> {
    return (await allContents(await golden('version-4')))[name];
  }

  // The bytes 1 to 8 were drawn for the log's id, and 1 to 4 for the salt.
  const LOG_ID = '0506070801020300'; // logId: 21 bits of the first four bytes drawn above the second four
  const SALT = '01020304'; // salt
  const salt = 0x0403_0201;

  it('the segment', async () => {
    const expected = Buffer.concat([
      withChecksum(
        hex(
          '5657414c' + // magic "VWAL"
            '04000000' + // version 4
            '0100000000000000' + // startEntryId 1
            '0100000000000000' + // segmentId 1
            LOG_ID +
            SALT,
        ),
      ),
      sealed(
        '13000000' + // length 16 + 3, no flags
          '0100000000000000', // entry id 1
        '00' + // AddSegment
          '01' + // segmentId 1
          '64', // docCount 100
        salt,
      ),
      sealed(
        '19000040' + // length 16 + 9, flag control
          '0100000000000000', // entry id 1, the last one before it
        '01' + // watermark
          '0100000000000000', // durableId 1
        salt,
      ),
      sealed(
        '14000000' + // length 16 + 4, no flags
          '0200000000000000', // entry id 2
        '04' + // DeleteDocuments
          '01' + // one of them
          '012a', // segment 1, document 42
        salt,
      ),
      sealed(
        '15000080' + // length 16 + 5, flag more: the batch goes on
          '0300000000000000', // entry id 3
        '00' + // AddSegment
          'ac02' + // segmentId 300
          'e807', // docCount 1000
        salt,
      ),
      sealed(
        '16000000' + // length 16 + 6, no flags: the batch ends
          '0400000000000000', // entry id 4
        '01' + // StartMerge
          '07' + // transactionId 7
          '02' + // two segments
          '01' + // segment 1
          'ac02', // segment 300
        salt,
      ),
      sealed(
        '19000040' + // length 16 + 9, flag control
          '0400000000000000', // entry id 4, the last one before it
        '02' + // seal
          '0400000000000000', // durableId 4
        salt,
      ),
    ]);
    expect(await fileHex('wal/wal_1.log')).to.equal(expected.toString('hex'));
  });

  it('the checkpoint', async () => {
    const header = withChecksum(
      hex(
        '56434b50' + // magic "VCKP"
          '03000000' + // version 3
          '0400000000000000' + // lastAppliedId 4
          LOG_ID,
      ),
    );
    // Frames are seeded with the header's checksum.
    const seed = header.readUInt32LE(24);
    const expected = Buffer.concat([
      header,
      sealed(
        '15000000' + // length 16 + 5
          '0100000000000000', // frame 1
        '00' + // a segment
          '01' + // segmentId 1
          '64' + // docCount 100
          '01' + // one deleted document
          '2a', // document 42
        seed,
      ),
      sealed(
        '16000000' + // length 16 + 6
          '0200000000000000', // frame 2
        '00' + // a segment
          'ac02' + // segmentId 300
          'e807' + // docCount 1000
          '00', // no deleted documents
        seed,
      ),
      sealed(
        '18000000' + // length 16 + 8
          '0300000000000000', // frame 3
        '01' + // a merge in flight
          '07' + // transactionId 7
          'cb08' + // 1099 documents alive: 100 and 1000, but for the deleted one
          '02' + // two segments
          '01' + // segment 1
          'ac02', // segment 300
        seed,
      ),
      sealed(
        '21000040' + // length 16 + 17, flag control
          '0300000000000000', // frame 3, the last one before it
        '03' + // footer
          '0300000000000000' + // three items
          '8000000000000000', // 128 bytes in all: 28 + 21 + 22 + 24 + 33
        seed,
      ),
    ]);
    expect(await fileHex(CHECKPOINT)).to.equal(expected.toString('hex'));
  });

  it('the record log', async () => {
    const expected = Buffer.concat([
      withChecksum(
        hex(
          '56524c47' + // magic "VRLG"
            '04000000' + // version 4
            '0100000000000000' + // startEntryId 1
            '0100000000000000' + // segmentId 1
            LOG_ID +
            SALT,
        ),
      ),
      sealed('13000000' + '0100000000000000', '6f6e65', salt), // length 16 + 3 · entry id 1 · "one"
      sealed('19000040' + '0100000000000000', '01' + '0100000000000000', salt), // control · id 1 · watermark · durableId 1
      sealed('13000000' + '0200000000000000', '74776f', salt), // length 16 + 3 · entry id 2 · "two"
      sealed('19000040' + '0200000000000000', '02' + '0200000000000000', salt), // control · id 2 · seal · durableId 2
    ]);
    expect(await fileHex(RECORDS)).to.equal(expected.toString('hex'));
  });
});
