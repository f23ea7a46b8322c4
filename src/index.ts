// cairnlog: everything that most programs need. The layers below have subpaths of their own with all they offer.

export {
  AlreadyExistsError,
  BackpressureError,
  CairnError,
  ClosedError,
  CorruptionError,
  DecodeError,
  EncodeError,
  FormatError,
  InvalidArgumentError,
  LockError,
  NotFoundError,
  PathError,
  PoisonedError,
  RecoveryError,
  StorageError,
  TornTailError,
  TruncatedError,
  type ErrorFacts,
} from './errors/index.js';

export { FsDirectory, MemoryDirectory, type Directory } from './storage/index.js';

export {
  every,
  interval,
  manual,
  messagePackCodec,
  perAppend,
  RecordLog,
  RecordLogReader,
  walEntryCodec,
  WalMaintenance,
  WalReader,
  WalWriter,
  type Codec,
  type FlushPolicy,
  type ReplayReport,
  type TornTail,
  type WalEntry,
  type WalObserver,
  type WalRecord,
  type WalWriterOptions,
} from './wal/index.js';

export { CheckpointFile, CheckpointPublisher, type CheckpointInfo, type PublishResult } from './checkpoint/index.js';
export {
  openWithRecovery,
  recoverWithWal,
  type OpenedWithRecovery,
  type OpenWithRecoveryOptions,
  type RecoverOptions,
  type Recovery,
  type RecoveryReport,
  type SkippedCheckpoint,
} from './recovery/index.js';
export { RecoveryManager, SegmentIndex } from './segment-index/index.js';

export {
  Aggregate,
  AggregateRoot,
  Command,
  defineAggregate,
  MigratesState,
  ReducerError,
  Reduces,
  Upcasts,
  type AggregateDecorator,
  type AggregateOptions,
  type CommandContext,
  type DataOf,
  type DefineAggregateOptions,
  type DefinedAggregate,
  type DefinedInstance,
  type Event,
  type InstanceMethodDecorator,
  type Of,
  type Reducers,
  type StaticMethodDecorator,
} from './aggregate/index.js';

export {
  ANY,
  ConcurrencyError,
  defineProjection,
  NO_STREAM,
  openStore,
  STREAM_EXISTS,
  SubscriptionError,
  type AppendOptions,
  type Appended,
  type Durability,
  type EventStore,
  type Executed,
  type ExecuteOptions,
  type Loaded,
  type OpenStoreOptions,
  type StoredRecord,
  type StoreRecovery,
  type SubscriptionOptions,
} from './store/index.js';
