// Recovery: checkpoint and log suffix → state, and a report of how.

export { openWithRecovery, type OpenedWithRecovery, type OpenWithRecoveryOptions } from './open-with-recovery.js';
export { recoverWithWal, type RecoverOptions, type Recovery } from './recover.js';
export type { RecoveryReport, SkippedCheckpoint } from './report.js';
