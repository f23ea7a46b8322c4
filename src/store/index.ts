// The aggregate store.

export { openStore, type OpenStoreOptions } from './open-store.js';
export type {
  AppendOptions,
  Appended,
  Changed,
  EventStore,
  Executed,
  ExecuteOptions,
  InstanceOf,
  Loaded,
  StateOf,
  StoreView,
  StreamAppend,
  SubscriptionSummary,
  Target,
  WatchOptions,
} from './event-store.js';
export { ANY, ConcurrencyError, NO_STREAM, STREAM_EXISTS, type ExpectedVersion } from './expected-version.js';
export { defineProjection, ProjectionError, type ProjectionDefinition, type ProjectionOptions } from './projection.js';
export type { Projection } from './live-projection.js';
export type { WaitOptions } from './wait.js';
export {
  SubscriptionError,
  type AfterRetries,
  type HandleContext,
  type OnErrorOptions,
  type ParkedRecord,
  type Subscription,
  type SubscriptionOptions,
  type SubscriptionStatus,
} from './subscription.js';
export type { CatchUp } from './observables.js';
export type { WatchStatus } from './tail.js';
export type { RecordFilter, RecordSelection } from './record-filter.js';
export type { StoreRecovery } from './boot.js';
export type { Durability } from './durability.js';
export type { ReadOptions, ReadStreamOptions } from './reading.js';
export type { Metadata, StoredRecord } from './record.js';
export type { Observable } from 'rxjs';
export { memoryEngine, type MemoryEngine, type MemoryEngineOptions } from './memory-engine.js';
export {
  ENTRY_OVERHEAD_BYTES,
  type AppendOutcome,
  type Block,
  type CheckpointDescription,
  type CheckpointStorage,
  type Engine,
  type EngineSource,
  type EventLog,
  type LogEntries,
  type LogLimits,
  type LogPart,
} from './event-log.js';
export type { After } from './timers.js';
export type { CheckpointPolicy, CheckpointResult, CheckpointStatus, TruncationReport } from './checkpointer.js';
