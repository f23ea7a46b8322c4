// What is in the golden files below test/fixtures, and how they are made: by the library for its own format, by hand
// for the crate's. Chance is fixed, time leaves no trace, so the same contents are the same bytes at any time.

import {
  CheckpointFile,
  RecordLog,
  SegmentIndex,
  walEntryCodec,
  WalWriter,
  type Directory,
  type WalEntry,
} from 'cairnlog';
import { segmentIndexItemCodec, toCheckpointState } from 'cairnlog/segment-index';
import { ByteWriter } from 'cairnlog/wal';
import { crateCheckpoint, putCrateLog } from './crate-files.js';
import { put } from './directory-contents.js';
import { text } from './text-log.js';

export const GOLDEN_ENTRIES: readonly WalEntry[] = [
  { type: 'AddSegment', segmentId: 1, docCount: 100 },
  { type: 'DeleteDocuments', deletes: [[1, 42]] },
  { type: 'AddSegment', segmentId: 300, docCount: 1000 },
  { type: 'StartMerge', transactionId: 7, segmentIds: [1, 300] },
];

/** Entries 1 to 4. */
export function goldenIndex(): SegmentIndex {
  const index = new SegmentIndex();
  for (const entry of GOLDEN_ENTRIES) index.apply(entry);
  return index;
}

/** 1, 2, 3, ... however many are asked for. */
function goldenRandom(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => index + 1);
}

/** A WAL of one segment with an entry, a watermark, another entry, a batch of two and a seal; its checkpoint; a record log. */
async function writeVersion4(directory: Directory): Promise<void> {
  const [first, second, ...batch] = GOLDEN_ENTRIES;
  const wal = await WalWriter.create(directory, { codec: walEntryCodec, random: goldenRandom });
  await wal.appendDurable(first!);
  wal.append(second!);
  wal.appendBatch(batch);
  await wal.close();

  await directory.makeDirectory('checkpoints');
  const items = toCheckpointState(goldenIndex());
  const options = { lastAppliedId: 4, logId: wal.logId, codec: segmentIndexItemCodec, items };
  await CheckpointFile.write(directory, 'checkpoints/ckpt_4.ckpt', options);

  const log = await RecordLog.create(directory, 'records/notes.log', { ...text, random: goldenRandom });
  await log.appendDurable('one');
  log.append('two');
  await log.close();
}

/** The same entries in two segments, and a checkpoint of the first two. */
async function writeCrate(directory: Directory, version: 2 | 3): Promise<void> {
  const payloads = GOLDEN_ENTRIES.map((entry) => {
    const writer = new ByteWriter();
    walEntryCodec.encode(entry, writer);
    return writer.bytes.slice(0, writer.length);
  });
  await putCrateLog(directory, version, [payloads.slice(0, 3), payloads.slice(3)]);
  // One segment, 1, of 100 documents; one of them, 42, deleted.
  const state = Uint8Array.of(1, 1, 100, 1, 42);
  await put(directory, 'checkpoints/c1.chk', crateCheckpoint(version === 2 ? 1 : 2, 2, state));
}

/** Folders of test/fixtures, and what writes their files. */
export const GOLDEN_FOLDERS: Readonly<Record<string, (directory: Directory) => Promise<void>>> = {
  'version-4': writeVersion4,
  'crate-version-2': (directory) => writeCrate(directory, 2),
  'crate-version-3': (directory) => writeCrate(directory, 3),
};

/** Folders inside each of them. */
export const GOLDEN_SUBFOLDERS = ['wal', 'checkpoints', 'records'] as const;
