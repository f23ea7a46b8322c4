// cairnlog/wal: the write-ahead log, its reader and maintenance, the one-file record log, and the WalEntry vocabulary.

export { WalWriter, type WalWriterOptions } from './wal-writer.js';
export type { LogWriter, LogWriterOptions, SegmentedOptions } from './log-writer.js';
export type { OpenReport } from './open-log.js';
export { every, interval, manual, perAppend, type FlushPolicy } from './flush-policy.js';
export type { WalObserver } from './observer.js';

export { WalReader } from './wal-reader.js';
export type { LogReader, ReplayOptions, ReplayReport, WalRecord } from './log-reader.js';
export type { ReplayMode } from './log-scan.js';
export type { TornTail } from './tail.js';

export {
  WalMaintenance,
  type KeepReason,
  type LockHolderWriter,
  type SegmentRange,
  type TruncateOptions,
  type TruncateReport,
} from './wal-maintenance.js';
export type { Loss, SalvagedEntry, SalvageReport } from './salvage.js';

export { RecordLog, RecordLogReader } from './record-log.js';

export { walEntryCodec, type DocAddress, type WalEntry } from './wal-entry.js';

export { bytesCodec, messagePackCodec, type Codec } from '../codec/index.js';
export { ByteReader } from '../bytes/byte-reader.js';
export { ByteWriter } from '../bytes/byte-writer.js';
