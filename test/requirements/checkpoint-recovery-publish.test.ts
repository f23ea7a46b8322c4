// These are defects that the model of this library had and mended; each is a test here: when a checkpoint and a log
// together are the state, and when they are not.

import { expect } from 'chai';
import {
  CheckpointFile,
  CheckpointPublisher,
  CorruptionError,
  MemoryDirectory,
  NotFoundError,
  RecoveryError,
  RecoveryManager,
  recoverWithWal,
  SegmentIndex,
  WalMaintenance,
  walEntryCodec,
  WalWriter,
  type Recovery,
  type WalEntry,
} from 'cairnlog';
import { checkpointPath } from 'cairnlog/checkpoint';
import { segmentIndexItemCodec, toCheckpointState } from 'cairnlog/segment-index';
import { bytesOf, contents, edit, put } from '../support/directory-contents.js';
import { rejects } from '../support/rejects.js';
import { text, textCodec } from '../support/text-log.js';

/** State is the list of all entries; a checkpoint's items are the entries it holds, marks left out. */
function recovered(
  directory: MemoryDirectory,
  options: { readonly mode?: 'strict' | 'bestEffort'; readonly checkpointPath?: string } = {},
): Promise<Recovery<string[]>> {
  return recoverWithWal<string, string, string[]>(directory, {
    walCodec: textCodec,
    checkpointCodec: textCodec,
    init: () => [],
    restore: (state, item) => [...state, item],
    apply: (state, { entry }) => (entry.startsWith('mark') ? state : [...state, entry]),
    ...options,
  });
}

const entry = (id: number): string => `entry ${id}`;

/** A log of one entry a segment. After every `each` entries a checkpoint; `retain` of them are kept. */
async function published(
  count: number,
  each: number,
  retain: number,
): Promise<{
  readonly directory: MemoryDirectory;
  readonly state: string[];
  /** Contents of every checkpoint there ever was, by path. */
  readonly checkpoints: ReadonlyMap<string, Buffer>;
}> {
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, { ...text, segmentBytes: 56 });
  const makeEntry = (path: string): string => `mark ${path}`;
  const publisher = new CheckpointPublisher({ wal, codec: textCodec, retain, makeEntry });
  const state: string[] = [];
  const checkpoints = new Map<string, Buffer>();
  for (let id = 1; id <= count; id++) {
    wal.append(entry(id));
    state.push(entry(id));
    if (id % each !== 0) continue;
    const { checkpointPath: path } = await publisher.publish(state, wal.lastEntryId);
    checkpoints.set(path, await bytesOf(directory, path));
  }
  await wal.close();
  return { directory, state, checkpoints };
}

describe('Requirements: checkpoint, recovery and publishing', () => {
  describe('A27 a missing checkpoint is an error once the entries that it covers were truncated', () => {
    it('the only one', async () => {
      const { directory, state, checkpoints } = await published(5, 4, 1);
      expect((await recovered(directory)).state).to.deep.equal(state);
      const [path] = checkpoints.keys();
      await directory.remove(path!);
      for (const mode of ['strict', 'bestEffort'] as const) {
        const error = await rejects(recovered(directory, { mode }), RecoveryError);
        expect(error.message).to.include('entries 1 to');
      }
    });

    it('all that are kept', async () => {
      const { directory, checkpoints } = await published(9, 3, 2);
      for (const path of checkpoints.keys()) await directory.remove(path).catch(() => undefined);
      await rejects(recovered(directory), RecoveryError);
      await rejects(recovered(directory, { mode: 'strict' }), RecoveryError);
    });

    it('and the log is gone, too, but for a damaged checkpoint', async () => {
      const { directory, checkpoints } = await published(4, 4, 1);
      for (const name of await directory.list('wal')) await directory.remove(`wal/${name}`);
      await edit(directory, [...checkpoints.keys()][0]!, (bytes) => bytes.subarray(0, -1));
      await rejects(recovered(directory), RecoveryError);
    });

    it('one that is asked for by its path, in any case', async () => {
      const { directory } = await published(3, 4, 1);
      for (const mode of ['strict', 'bestEffort'] as const) {
        await rejects(recovered(directory, { mode, checkpointPath: 'checkpoints/ckpt_2.ckpt' }), NotFoundError);
        await rejects(recovered(directory, { mode, checkpointPath: 'no/such/folder' }), NotFoundError);
      }
    });

    it('but not while the log has all its entries: then they are the state', async () => {
      const { directory, state } = await published(3, 4, 1);
      const { report, ...result } = await recovered(directory, { mode: 'strict' });
      expect(result.state).to.deep.equal(state);
      expect(report.checkpoint).to.equal(undefined);
    });

    it('a segment index refuses as well', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { codec: walEntryCodec, segmentBytes: 56 });
      const index = new SegmentIndex();
      for (let segmentId = 1; segmentId <= 5; segmentId++) {
        const added: WalEntry = { type: 'AddSegment', segmentId, docCount: 1 };
        wal.append(added);
        index.apply(added);
      }
      const publisher = new CheckpointPublisher({ wal, codec: segmentIndexItemCodec, retain: 1 });
      const { checkpointPath: path } = await publisher.publish(toCheckpointState(index), wal.lastEntryId);
      await wal.close();
      const manager = new RecoveryManager(directory);
      expect((await manager.recoverLatest()).state.segments).to.deep.equal(index.segments);
      await directory.remove(path);
      await rejects(manager.recoverLatest(), RecoveryError);
      await rejects(manager.recoverLatestBestEffort(), RecoveryError);
      await rejects(manager.recover(path), NotFoundError);
      await rejects(manager.recoverBestEffort(path), NotFoundError);
    });
  });

  describe('A28 an older checkpoint is fallen back to only where the log reaches back to it', () => {
    // Ways for the newest checkpoint not to be usable.
    const damages: Record<string, (directory: MemoryDirectory, path: string) => Promise<void>> = {
      missing: (directory, path) => directory.remove(path),
      cut: (directory, path) => edit(directory, path, (bytes) => bytes.subarray(0, -3)),
      'cut to its header': (directory, path) => edit(directory, path, (bytes) => bytes.subarray(0, 28)),
      empty: (directory, path) => edit(directory, path, () => Buffer.alloc(0)),
      'damaged in its header': (directory, path) => edit(directory, path, (bytes) => void (bytes[9]! ^= 1)),
      'damaged in its items': (directory, path) => edit(directory, path, (bytes) => void (bytes[46]! ^= 1)),
      zeros: (directory, path) => edit(directory, path, (bytes) => void bytes.fill(0)),
      'of another position than its name says': async (directory, path) => {
        const options = { lastAppliedId: 1, codec: textCodec, items: [entry(1)] };
        await CheckpointFile.write(directory, path, options);
      },
      'of another log': async (directory, path) => {
        const { lastAppliedId } = await CheckpointFile.inspect(directory, path);
        await CheckpointFile.write(directory, path, { lastAppliedId, logId: 1, codec: textCodec, items: ['foreign'] });
      },
    };

    for (const [name, damage] of Object.entries(damages)) {
      it(`newest ${name}, and the log reaches back: the older one, and the report says why`, async () => {
        const { directory, state, checkpoints } = await published(7, 3, 2);
        const [older, newest] = [...checkpoints.keys()];
        await damage(directory, newest!);
        for (const mode of ['strict', 'bestEffort'] as const) {
          const { report, ...result } = await recovered(directory, { mode });
          expect(result.state).to.deep.equal(state);
          expect(report.checkpoint?.path).to.equal(older);
          const expected = name === 'missing' ? [] : [newest];
          expect(report.skippedCheckpoints.map(({ path }) => path)).to.deep.equal(expected);
        }
      });

      it(`newest ${name}, and the log begins behind the older one: refused, with both gaps`, async () => {
        const { directory, checkpoints } = await published(7, 3, 1);
        const [older, newest] = [...checkpoints.keys()];
        // One kept checkpoint, so the older one is gone, and what only it covered too. Somebody puts it back.
        expect(await directory.stat(older!)).to.equal(undefined);
        await put(directory, older!, checkpoints.get(older!)!);
        await damage(directory, newest!);
        const [{ startEntryId } = expect.fail()] = await new WalMaintenance(directory).segmentRanges();
        for (const mode of ['strict', 'bestEffort'] as const) {
          const error = await rejects(recovered(directory, { mode }), RecoveryError);
          expect(error.message).to.include(`begins with entry ${startEntryId}`);
          expect(error.message).to.include(`entries 4 to ${startEntryId - 1} are missing`);
          if (name !== 'missing') expect(error.message).to.include(newest);
        }
      });
    }

    it('one that is asked for by its path is used or refused, never replaced by another', async () => {
      const { directory, checkpoints } = await published(7, 3, 2);
      const newest = [...checkpoints.keys()][1]!;
      await edit(directory, newest, (bytes) => void (bytes[46]! ^= 1));
      await rejects(recovered(directory, { checkpointPath: newest }), CorruptionError);
    });
  });

  describe('A29 replay begins with the entry behind the checkpoint, neither before nor after it', () => {
    it('for every position of the checkpoint', async () => {
      for (let segmentBytes = 56; segmentBytes <= 10_000; segmentBytes *= 12) {
        const directory = new MemoryDirectory();
        const wal = await WalWriter.open(directory, { ...text, segmentBytes });
        for (let id = 1; id <= 10; id++) wal.append(entry(id));
        await wal.close();
        await put(directory, 'checkpoints/none', Buffer.alloc(0));
        for (let at = 0; at <= 10; at++) {
          const path = checkpointPath(at);
          const options = { lastAppliedId: at, logId: wal.logId, codec: textCodec, items: ['checkpoint'] };
          await CheckpointFile.write(directory, path, options);
          const expected = Array.from({ length: 10 - at }, (_, index) => entry(at + 1 + index));
          for (const explicit of [{}, { checkpointPath: path }]) {
            const { state, lastEntryId, report } = await recovered(directory, { mode: 'strict', ...explicit });
            expect(state).to.deep.equal(['checkpoint', ...expected]);
            expect(lastEntryId).to.equal(10);
            expect(report.entriesReplayed).to.equal(expected.length);
          }
        }
      }
    });

    it('nothing is replayed where the log ends with the checkpoint, or has no segment left', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, text);
      await wal.appendDurable(entry(1));
      await wal.close();
      await put(directory, 'checkpoints/none', Buffer.alloc(0));
      const options = { lastAppliedId: 1, logId: wal.logId, codec: textCodec, items: ['checkpoint'] };
      await CheckpointFile.write(directory, checkpointPath(1), options);
      expect((await recovered(directory)).state).to.deep.equal(['checkpoint']);
      await directory.remove('wal/wal_1.log');
      const { state, lastEntryId } = await recovered(directory);
      expect([state, lastEntryId]).to.deep.equal([['checkpoint'], 1]);
    });

    it('a checkpoint one entry further on does not bridge a gap of two', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { ...text, segmentBytes: 56 });
      for (let id = 1; id <= 5; id++) wal.append(entry(id));
      await wal.close();
      await new WalMaintenance(directory).truncatePrefix(3);
      await put(directory, 'checkpoints/none', Buffer.alloc(0));
      const write = (at: number): Promise<unknown> =>
        CheckpointFile.write(directory, checkpointPath(at), {
          lastAppliedId: at,
          codec: textCodec,
          items: [`at ${at}`],
        });
      await write(2);
      await rejects(recovered(directory), RecoveryError);
      await write(3);
      expect((await recovered(directory)).state).to.deep.equal(['at 3', entry(4), entry(5)]);
    });

    it('truncation ends with the segment whose last entry the checkpoint holds', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { ...text, segmentBytes: 56 });
      for (let id = 1; id <= 5; id++) wal.append(entry(id));
      await wal.close();
      const { removed } = await new WalMaintenance(directory).truncatePrefix(3, { dryRun: true });
      expect(removed.map(({ endEntryId }) => endEntryId)).to.deep.equal([1, 2, 3]);
    });
  });

  describe('A30 the same state is the same bytes', () => {
    const entries: WalEntry[] = [
      { type: 'AddSegment', segmentId: 300, docCount: 1000 },
      { type: 'AddSegment', segmentId: 2, docCount: 50 },
      { type: 'AddSegment', segmentId: 10, docCount: 7 },
      {
        type: 'DeleteDocuments',
        deletes: [
          [300, 500],
          [300, 9],
          [2, 1],
          [300, 100],
        ],
      },
      { type: 'StartMerge', transactionId: 9, segmentIds: [2] },
      { type: 'StartMerge', transactionId: 4, segmentIds: [10] },
    ];

    async function written(index: SegmentIndex): Promise<Record<string, string>> {
      const directory = new MemoryDirectory();
      await put(directory, 'checkpoints/none', Buffer.alloc(0));
      const items = toCheckpointState(index);
      const options = { lastAppliedId: 6, logId: 77, codec: segmentIndexItemCodec, items };
      await CheckpointFile.write(directory, checkpointPath(6), options);
      return contents(directory, 'checkpoints');
    }

    it('whatever order it came about in', async () => {
      const [index, other] = [new SegmentIndex(), new SegmentIndex()];
      for (const value of entries) index.apply(value);
      const order = [1, 2, 0, 5, 4, 3];
      for (const at of order) other.apply(entries[at]!);
      // The merges count what was alive when they began: bring the other one to the same.
      other.restoreMerge(9, [2], 50 - 1);
      expect([...other.segments.keys()]).to.not.deep.equal([...index.segments.keys()]);
      expect(await written(other)).to.deep.equal(await written(index));
    });

    it('also for a state that was recovered', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { codec: walEntryCodec });
      for (const value of entries) wal.append(value);
      await wal.close();
      const { state } = await new RecoveryManager(directory).recoverLatest();
      const direct = new SegmentIndex();
      for (const value of entries) direct.apply(value);
      expect(await written(state)).to.deep.equal(await written(direct));
    });

    it('whenever it is written, and another state is other bytes', async () => {
      const index = new SegmentIndex();
      for (const value of entries) index.apply(value);
      const first = await written(index);
      expect(await written(index)).to.deep.equal(first);
      index.apply({ type: 'DeleteDocuments', deletes: [[10, 6]] });
      expect(await written(index)).to.not.deep.equal(first);
    });
  });
});
