// Opening and recovering in one call: in the right order, with what the checkpoints know of the log.

import { expect } from 'chai';
import {
  CheckpointPublisher,
  LockError,
  MemoryDirectory,
  messagePackCodec,
  openWithRecovery,
  RecoveryError,
  recoverWithWal,
  WalWriter,
  type Directory,
} from 'cairnlog';
import { rejects } from '../support/rejects.js';

type Entry = { add: number } | { checkpoint: string };
const codecs = { walCodec: messagePackCodec<Entry>(), checkpointCodec: messagePackCodec<number>() };
const sum = {
  ...codecs,
  init: () => 0,
  restore: (_: number, total: number) => total,
  apply: (total: number, { entry }: { entry: Entry }) => ('add' in entry ? total + entry.add : total),
};

const open = (directory: Directory) => openWithRecovery(directory, sum);

/** A log of three additions, with a checkpoint after the second. */
async function withCheckpoint(): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  const { wal } = await open(directory);
  await wal.appendBatchDurable([{ add: 1 }, { add: 2 }]);
  const makeEntry = (checkpoint: string): Entry => ({ checkpoint });
  await new CheckpointPublisher({ wal, codec: codecs.checkpointCodec, makeEntry }).publish([3], 2);
  await wal.appendDurable({ add: 4 });
  await wal.close();
  return directory;
}

async function removeAll(directory: Directory, folder: string): Promise<void> {
  for (const name of await directory.list(folder)) await directory.remove(`${folder}/${name}`);
}

describe('openWithRecovery', () => {
  it('begins a log where there is nothing', async () => {
    const { wal, state, lastEntryId, report } = await open(new MemoryDirectory());
    expect([state, lastEntryId, report.entriesReplayed, wal.nextEntryId]).to.deep.equal([0, 0, 0, 1]);
    await wal.close();
  });

  it('recovers from the checkpoint and the entries after it, and goes on', async () => {
    const directory = await withCheckpoint();
    const { wal, state, report } = await open(directory);
    expect(state).to.equal(7);
    expect([report.checkpoint?.lastAppliedId, report.entriesReplayed]).to.deep.equal([2, 2]);
    expect(await wal.appendDurable({ add: 5 })).to.equal(5);
    await wal.close();
  });

  it('says what opening cut off', async () => {
    const directory = await withCheckpoint();
    const file = await directory.open('wal/wal_1.log', 'update');
    await file.write(new Uint8Array(5).fill(7), await file.size());
    await file.close();
    const { wal, report } = await open(directory);
    expect(report.tornTail).to.include({ path: 'wal/wal_1.log', bytes: 5 });
    await wal.close();
  });

  it('goes on behind the newest checkpoint when the log is gone, so that no id comes twice', async () => {
    const directory = await withCheckpoint();
    await removeAll(directory, 'wal');
    const { wal, state } = await open(directory);
    expect([state, wal.nextEntryId]).to.deep.equal([3, 3]);
    await wal.appendDurable({ add: 10 });
    await wal.close();
    const again = await open(directory);
    expect(again.state).to.equal(13);
    await again.wal.close();
  });

  it('gives the lock up when recovery fails', async () => {
    const directory = await withCheckpoint();
    const broken = {
      ...sum,
      apply: (): number => {
        throw new Error('no such entry');
      },
    };
    await rejects(openWithRecovery(directory, broken), RecoveryError);
    const { wal } = await open(directory);
    await rejects(open(directory), LockError);
    await wal.close();
  });
});

describe('A log that was begun anew beside the checkpoints of a lost one', () => {
  async function begunAnew(): Promise<Directory> {
    const directory = await withCheckpoint();
    await removeAll(directory, 'wal');
    const wal = await WalWriter.open(directory, { codec: codecs.walCodec });
    await wal.appendDurable({ add: 100 });
    await wal.close();
    return directory;
  }

  it('is not recovered as if the checkpoints were not there', async () => {
    const error = await rejects(recoverWithWal(await begunAnew(), sum), RecoveryError);
    expect(error.message).to.contain('belong to another log').and.to.contain('ckpt_2.ckpt');
  });

  it('is not recovered from a checkpoint of the lost one that is asked for by name', async () => {
    const checkpointPath = 'checkpoints/ckpt_2.ckpt';
    await rejects(recoverWithWal(await begunAnew(), { ...sum, checkpointPath }), RecoveryError);
  });
});
