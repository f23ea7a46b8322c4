// The aggregate store.

export { openStore, type OpenStoreOptions } from './open-store.js';
export type { AppendOptions, Appended, EventStore, Executed, ExecuteOptions, Loaded } from './event-store.js';
export { ANY, ConcurrencyError, NO_STREAM, STREAM_EXISTS } from './expected-version.js';
export { defineProjection } from './projection.js';
export { SubscriptionError, type SubscriptionOptions } from './subscription.js';
export type { StoreRecovery } from './boot.js';
export type { Durability } from './durability.js';
export type { StoredRecord } from './record.js';
export type { CheckpointPolicy, CheckpointResult, CheckpointStatus, TruncationReport } from './checkpointer.js';
export type { StoreClock } from './clock.js';
