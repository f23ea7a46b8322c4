// A bank: transfers that happen or do not, conflicts that are noticed, and a teller who is killed at work.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ConcurrencyError, openStore, type EventStore } from 'cairnlog';
import { Account, InsufficientFunds } from './account.js';
import { transfer, transferSurely } from './transfer.js';

const TELLER = fileURLToPath(new URL('./teller.js', import.meta.url));
const dir = await mkdtemp(join(tmpdir(), 'bank-'));
try {
  await day1();
  const acknowledged = await killTellerAfter(25);
  await day2(acknowledged);
} finally {
  await rm(dir, { recursive: true });
}

async function day1(): Promise<void> {
  const store = await openStore({ dir, aggregates: [Account] });

  await store.execute(Account, 'ada', (account) => account.open('Ada'));
  await store.execute(Account, 'bob', (account) => account.open('Bob'));
  const { result, version } = await store.execute(Account, 'ada', (account) => account.deposit(1000));
  assert.deepEqual({ result, version }, { result: 1000, version: 2 });
  console.log(`Ada deposits 1000 and has ${result}`);

  await transfer(store, 'ada', 'bob', 300);
  assert.deepEqual(await balances(store), [700, 300]);
  console.log('300 go from Ada to Bob: 700 and 300');

  // A command that throws: the caller gets what it threw, and nothing has happened.
  await assert.rejects(transfer(store, 'bob', 'ada', 301), InsufficientFunds);
  await assert.rejects(
    store.execute(Account, 'bob', (account) => account.withdraw(301)),
    InsufficientFunds,
  );
  assert.deepEqual(await balances(store), [700, 300]);
  console.log('301 from Bob to Ada: refused, insufficient funds');

  // Two who decide on the same versions: the second is told, and neither half of its transfer is there.
  const [first, second] = await Promise.allSettled([
    transfer(store, 'ada', 'bob', 100),
    transfer(store, 'ada', 'bob', 100),
  ]);
  assert.equal(first.status, 'fulfilled');
  assert.equal(second.status, 'rejected');
  assert(second.reason instanceof ConcurrencyError);
  assert.deepEqual(await balances(store), [600, 400]);
  console.log(`Two at once: one goes through, the other is refused. ${second.reason.message}`);

  await Promise.all([transferSurely(store, 'ada', 'bob', 100), transferSurely(store, 'ada', 'bob', 100)]);
  assert.deepEqual(await balances(store), [400, 600]);
  console.log('Two at once who decide anew when they are refused: both go through');

  // The same check for a single aggregate.
  await assert.rejects(
    store.execute(Account, 'ada', (account) => account.deposit(1), { expectedVersion: 2 }),
    ({ expected, actual }: ConcurrencyError) => expected === 2 && actual === 6,
  );
  await store.close();
}

/** Resolves to the last position that the teller had acknowledged. */
async function killTellerAfter(transfers: number): Promise<number> {
  const teller = spawn(process.execPath, [TELLER, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(teller, 'exit');
  let position = 0;
  let count = 0;
  for await (const line of createInterface({ input: teller.stdout })) {
    position = Number(line);
    if (++count === transfers) teller.kill('SIGKILL');
  }
  const [, signal] = (await exited) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', 'the teller was to be killed, and has ended by itself');
  console.log(`A teller is killed after ${transfers} transfers, in the middle of the next`);
  return position;
}

async function day2(acknowledged: number): Promise<void> {
  const store = await openStore({ dir, aggregates: [Account] });
  const { recovery } = store;
  console.log(
    `Recovered from ${recovery.checkpoint?.name ?? 'the log alone'} and ${recovery.entriesReplayed} entries after it, ` +
      (recovery.tornTail === undefined ? 'no torn tail' : `a torn tail of ${recovery.tornTail.bytes} bytes cut`),
  );
  assert(store.position >= acknowledged, 'an acknowledged transfer is missing');
  const [ada, bob] = await balances(store);
  assert.equal(ada! + bob!, 1000, 'half a transfer was recovered');
  console.log('Every acknowledged transfer is there, and Ada and Bob have 1000 together');
  await store.close();
}

async function balances(store: EventStore): Promise<number[]> {
  const accounts = [await store.load(Account, 'ada'), await store.load(Account, 'bob')];
  return accounts.map(({ state }) => state.balance);
}
