// Balances of accounts that survive everything: every run finds those of the last one in ./data and adds to them.

import { CheckpointPublisher, FsDirectory, messagePackCodec, openWithRecovery } from 'cairnlog';

type Entry = { account: string; amount: number } | { checkpoint: string };
const checkpointCodec = messagePackCodec<[account: string, balance: number]>();
const add = (balances: Map<string, number>, entry: Entry) =>
  'account' in entry ? balances.set(entry.account, (balances.get(entry.account) ?? 0) + entry.amount) : balances;

const { wal, state, report } = await openWithRecovery(await FsDirectory.open('./data'), {
  walCodec: messagePackCodec<Entry>(),
  checkpointCodec,
  init: () => new Map<string, number>(),
  restore: (balances, [account, balance]) => balances.set(account, balance),
  apply: (balances, { entry }) => add(balances, entry),
});
console.log(state, `${report.entriesReplayed} entries after ${report.checkpoint?.path ?? 'no checkpoint'}`);

const deposits = [{ account: 'ada', amount: 100 }, { account: 'bob', amount: 50 }]; // prettier-ignore
await wal.appendBatchDurable(deposits); // on stable storage, both or neither
for (const deposit of deposits) add(state, deposit);

const makeEntry = (checkpoint: string): Entry => ({ checkpoint }); // marks the checkpoint in the log
await new CheckpointPublisher({ wal, codec: checkpointCodec, makeEntry }).publish(state, wal.lastEntryId);
await wal.close();
