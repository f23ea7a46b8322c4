// What may be left out may be undefined as well, also with exactOptionalPropertyTypes: callers pass on what they were
// given themselves, or not.

import type {
  AggregateOptions,
  AppendOptions,
  CheckpointPolicy,
  DefineAggregateOptions,
  EventStore,
  ExecuteOptions,
  FileEngineOptions,
  MemoryEngineOptions,
  OnErrorOptions,
  OpenStoreOptions,
  OpenWithRecoveryOptions,
  ProjectionOptions,
  ReadOptions,
  ReadStreamOptions,
  RecordSelection,
  RecoverOptions,
  StreamAppend,
  SubscriptionOptions,
  WaitOptions,
  WalReader,
  WalWriterOptions,
  WatchOptions,
} from 'cairnlog';
import type { CheckpointPublisherOptions } from 'cairnlog/checkpoint';
import type { CrashStatesOptions, DeterminismOptions, ExploreCrashesOptions } from 'cairnlog/testing';
import type { ReplayOptions, TruncateOptions, WalEntry } from 'cairnlog/wal';
import { Account } from '../store/bank.js';

/** Names of the options that may be left out, but may not be undefined. */
type Exact<T> = {
  [K in keyof T]-?: object extends Pick<T, K> ? ({ [P in K]: undefined } extends Pick<T, K> ? never : K) : never;
}[keyof T];

/** Compiles if there is no such option. */
const takesUndefined = <T>(_exact: [Exact<T>] extends [never] ? 'all' : Exact<T>): void => undefined;

export function options(): void {
  takesUndefined<OpenStoreOptions>('all');
  takesUndefined<FileEngineOptions>('all');
  takesUndefined<MemoryEngineOptions>('all');
  takesUndefined<CheckpointPolicy>('all');
  takesUndefined<ExecuteOptions>('all');
  takesUndefined<StreamAppend>('all');
  takesUndefined<AppendOptions>('all');
  takesUndefined<ReadOptions>('all');
  takesUndefined<ReadStreamOptions>('all');
  takesUndefined<WatchOptions>('all');
  takesUndefined<RecordSelection>('all');
  takesUndefined<WaitOptions>('all');
  takesUndefined<SubscriptionOptions>('all');
  takesUndefined<OnErrorOptions>('all');
  takesUndefined<ProjectionOptions<object>>('all');
  takesUndefined<DefineAggregateOptions<object, object, object>>('all');
  takesUndefined<AggregateOptions>('all');
  takesUndefined<WalWriterOptions<string>>('all');
  takesUndefined<ReplayOptions>('all');
  takesUndefined<TruncateOptions>('all');
  takesUndefined<CheckpointPublisherOptions<WalEntry, string>>('all');
  takesUndefined<RecoverOptions<string, string, string>>('all');
  takesUndefined<OpenWithRecoveryOptions<string, string, string>>('all');
  takesUndefined<CrashStatesOptions>('all');
  takesUndefined<DeterminismOptions>('all');
  takesUndefined<ExploreCrashesOptions>('all');
  // And this is how it would tell.
  takesUndefined<{ readonly limit?: number; readonly from?: number | undefined; readonly to: number }>('limit');
}

export async function passedOn(
  store: EventStore,
  reader: WalReader<string>,
  maybe: { version?: number; id?: string; signal?: AbortSignal; full?: boolean },
): Promise<void> {
  const { version, id: commandId, signal, full } = maybe;
  await store.execute(Account, 'a', (account) => account.deposit(1), { expectedVersion: version, commandId });
  await store.append([{ stream: 'a', expectedVersion: version, events: [] }], { commandId, checks: undefined });
  await store.load(Account, 'a', { version });
  await store.waitFor(1, { signal });
  await store.checkpoint({ full });
  await store.truncate({ dryRun: full });
  store.tail({ from: version, signal });
  store.readAll({ limit: version, from: version });
  store.readStream('a', { fromVersion: version });
  await reader.replay({ upTo: version, mode: undefined });
  // @ts-expect-error what a check expects cannot be left out
  await store.append([], { checks: [{ stream: 'a', expectedVersion: version }] });
}
