// Balances of accounts that survive everything: every run finds those of the last one in ./data and adds to them.

import { CheckpointPublisher, FsDirectory, messagePackCodec, recoverWithWal, WalWriter } from 'cairnlog';

type Entry = { account: string; amount: number } | { checkpoint: string };
const walCodec = messagePackCodec<Entry>();
const checkpointCodec = messagePackCodec<[account: string, balance: number]>();

const directory = await FsDirectory.open('./data');
const wal = await WalWriter.open(directory, { codec: walCodec }); // takes the lock, cuts off a torn tail
wal.append({ account: 'ada', amount: 100 }); // staged: written together with what comes next
await wal.appendDurable({ account: 'bob', amount: 50 }); // on stable storage, and all that came before it

const { state, lastEntryId, report } = await recoverWithWal(directory, {
  walCodec,
  checkpointCodec,
  init: () => new Map<string, number>(),
  restore: (balances, [account, balance]) => balances.set(account, balance),
  apply: (balances, { entry }) =>
    'account' in entry ? balances.set(entry.account, (balances.get(entry.account) ?? 0) + entry.amount) : balances,
});
console.log(state, `${report.entriesReplayed} entries after ${report.checkpoint?.path ?? 'no checkpoint'}`);

const makeEntry = (checkpoint: string): Entry => ({ checkpoint }); // marks the checkpoint in the log
await new CheckpointPublisher({ wal, codec: checkpointCodec, makeEntry }).publish(state, lastEntryId);
await wal.close();
