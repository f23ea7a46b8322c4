import {
  CheckpointPublisher,
  CorruptionError,
  MemoryDirectory,
  NotFoundError,
  RecoveryError,
  RecoveryManager,
  SegmentIndex,
  TornTailError,
  walEntryCodec,
  WalMaintenance,
  WalWriter,
  type Directory,
  type WalEntry,
} from 'cairnlog';
import { segmentIndexItemCodec, toCheckpointState, type SegmentIndexItem } from 'cairnlog/segment-index';
import { expect } from 'chai';
import fc from 'fast-check';
import { changed, directoryOf, imageOf } from '../support/image.js';
import { rejects } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { crowdedWalEntry } from '../support/wal-entries.js';

const items = (index: SegmentIndex): SegmentIndexItem[] => [...toCheckpointState(index)];

interface Kept {
  readonly directory: MemoryDirectory;
  /** The index after each entry; `[0]` is the empty one. */
  readonly history: SegmentIndexItem[][];
}

/** Writes the entries, publishing after every `pace`; remembers what the index was at each step. */
async function kept(entries: readonly WalEntry[], pace: number, segmentBytes = 100, retain = 2): Promise<Kept> {
  const directory = new MemoryDirectory();
  const index = new SegmentIndex();
  const history = [items(index)];
  const wal = await WalWriter.open(directory, {
    codec: walEntryCodec,
    segmentBytes,
    observer: { onAppend: () => void history.push(items(index)) },
  });
  const publisher = new CheckpointPublisher<WalEntry, SegmentIndexItem>({ wal, codec: segmentIndexItemCodec, retain });
  for (const [step, entry] of entries.entries()) {
    index.apply(entry);
    wal.append(entry);
    if ((step + 1) % pace === 0)
      await publisher.publish(new RecoveryManager(directory).toCheckpointState(index), wal.lastEntryId);
  }
  await wal.close();
  return { directory, history };
}

const manager = (directory: Directory): RecoveryManager => new RecoveryManager(directory);

describe('RecoveryManager', () => {
  it('recovers the index of every pace of checkpoints alike, and of each step', () =>
    check(
      fc.asyncProperty(
        fc.array(crowdedWalEntry, { maxLength: 30 }),
        fc.integer({ min: 1, max: 31 }),
        fc.integer({ min: 56, max: 300 }),
        async (entries, pace, segmentBytes) => {
          const { directory, history } = await kept(entries, pace, segmentBytes);
          const { state, lastEntryId } = await manager(directory).recoverLatest();
          expect(items(state)).to.deep.equal(history.at(-1));
          expect(lastEntryId).to.equal(history.length - 1);
          const scratch = await kept(entries, 1000);
          expect(items((await manager(scratch.directory).recoverLatest()).state)).to.deep.equal(history.at(-1));
          for (let upTo = 0; upTo < scratch.history.length; upTo++) {
            const at = await manager(scratch.directory).recoverLatest({ upTo });
            expect(items(at.state)).to.deep.equal(scratch.history[upTo]);
          }
        },
      ),
      50,
    ));

  const entries: WalEntry[] = [
    { type: 'AddSegment', segmentId: 1, docCount: 10 },
    { type: 'AddSegment', segmentId: 2, docCount: 20 },
    { type: 'DeleteDocuments', deletes: [[1, 4]] },
    { type: 'StartMerge', transactionId: 7, segmentIds: [1, 2] },
    { type: 'DeleteDocuments', deletes: [[2, 5]] },
    { type: 'EndMerge', transactionId: 7, newSegmentId: 3, oldSegmentIds: [1, 2], remappedDeletes: [[3, 14]] },
  ];

  it('knows after a crash which merges were under way, also from a checkpoint', async () => {
    for (const pace of [4, 1000]) {
      const { directory } = await kept(entries.slice(0, 5), pace);
      const { state } = await manager(directory).recoverLatest();
      expect([...state.merges]).to.deep.equal([[7, { segmentIds: [1, 2], liveDocs: 29 }]]);
    }
  });

  it('remembers over a checkpoint in the middle of a merge how many documents the merged segment has', async () => {
    const { directory, history } = await kept(entries, 4);
    const { state, report } = await manager(directory).recoverLatest();
    expect(report.checkpoint?.lastAppliedId).to.equal(4);
    expect(items(state)).to.deep.equal(history.at(-1));
    expect(state.segments.get(3)?.docCount).to.equal(29);
    expect(state.liveDocs(3)).to.equal(28);
  });

  it('starts from the checkpoint it is given, or refuses', async () => {
    const { directory, history } = await kept(entries, 2);
    const latest = await manager(directory).recoverLatest();
    const path = latest.report.checkpoint!.path;
    expect(items((await manager(directory).recover(path)).state)).to.deep.equal(history.at(-1));
    await rejects(manager(directory).recover('checkpoints/ckpt_77.ckpt'), NotFoundError);
    await rejects(manager(directory).recoverBestEffort('checkpoints/ckpt_77.ckpt'), NotFoundError);
  });

  it('ends before an interrupted write only with best effort', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec: walEntryCodec });
    for (const entry of entries) wal.append(entry);
    await wal.flush();
    const torn = await directoryOf(changed(await imageOf(directory), 'wal/wal_1.log', (bytes) => bytes.slice(0, -1)));
    await wal.close();
    await rejects(manager(torn).recoverLatest(), TornTailError);
    const { state, report } = await manager(torn).recoverLatestBestEffort();
    expect([...state.merges.keys()]).to.deep.equal([7]);
    expect(report.tornTail?.offset).to.be.greaterThan(40);
    const at = await manager(torn).recoverLatest({ upTo: 5 });
    expect([...at.state.merges.keys()]).to.deep.equal([7]);
  });

  it('refuses a log whose beginning was truncated when the checkpoints are gone', async () => {
    const { directory } = await kept(entries, 3, 56, 1);
    await new WalMaintenance(directory).truncatePrefix(6);
    for (const name of await directory.list('checkpoints')) await directory.remove(`checkpoints/${name}`);
    for (const recover of ['recoverLatest', 'recoverLatestBestEffort'] as const)
      expect((await rejects(manager(directory)[recover](), RecoveryError)).message).to.include('missing');
  });

  it('refuses damage in the log in both modes', async () => {
    const { directory } = await kept(entries, 1000, 56);
    const image = changed(await imageOf(directory), 'wal/wal_2.log', (bytes) => bytes.fill(0xff, 57, 58));
    for (const recover of ['recoverLatest', 'recoverLatestBestEffort'] as const)
      await rejects(manager(await directoryOf(image))[recover](), CorruptionError);
  });
});
