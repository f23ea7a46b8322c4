// Every error class, one per cause that a caller can act on differently. docs/errors.md says what to do about each.

import { CairnError, type ErrorFacts } from './cairn-error.js';

export { CairnError, type ErrorFacts } from './cairn-error.js';

/** An argument or option is not usable. Nothing was done. */
export class InvalidArgumentError extends CairnError {
  readonly code = 'CAIRN_INVALID_ARGUMENT';
}

/** A path leaves its directory, or is not a path that every file system can hold. Nothing was touched. */
export class PathError extends CairnError {
  readonly code = 'CAIRN_PATH';
}

/** The file or directory is not there. */
export class NotFoundError extends CairnError {
  readonly code = 'CAIRN_NOT_FOUND';
}

/** Something is already there that must not be overwritten. */
export class AlreadyExistsError extends CairnError {
  readonly code = 'CAIRN_ALREADY_EXISTS';
}

/** The operating system refused an operation; `errno` has its name (`ENOSPC`, `EIO`, ...). */
export class StorageError extends CairnError {
  readonly code = 'CAIRN_STORAGE';
  /** Name of the operating system's error, where it gave one. */
  readonly errno: string | undefined;

  constructor(message: string, facts: ErrorFacts & { readonly errno?: string | undefined } = {}) {
    super(message, facts);
    this.errno = facts.errno;
  }
}

/** Another writer holds the lock. */
export class LockError extends CairnError {
  readonly code = 'CAIRN_LOCKED';
  /** Process id of the holder, where it could be found out. */
  readonly pid: number | undefined;

  constructor(message: string, facts: ErrorFacts & { readonly pid?: number | undefined } = {}) {
    super(message, facts);
    this.pid = facts.pid;
  }
}

/** Bytes are of another format or a newer version, or a value does not fit the format. Nothing was changed. */
export class FormatError extends CairnError {
  readonly code = 'CAIRN_FORMAT';
  /** Path of the field that does not fit, where it is about a field of a value. */
  readonly field: string | undefined;

  constructor(message: string, facts: ErrorFacts & { readonly field?: string } = {}) {
    super(message, facts);
    this.field = facts.field;
  }
}

/** A value that the codec would not give back as it was. Nothing was appended. */
export class EncodeError extends CairnError {
  readonly code = 'CAIRN_ENCODE';
  /** Path of the bad field inside the value, e.g. `data.items[3].price`; empty for the value itself. */
  readonly field: string;

  constructor(message: string, facts: ErrorFacts & { readonly field?: string } = {}) {
    super(message, facts);
    this.field = facts.field ?? '';
  }
}

/** Bytes whose checksum is right but which the codec cannot read: most often a codec of another type. */
export class DecodeError extends CairnError {
  readonly code = 'CAIRN_DECODE';
}

/** Bytes that were known to be on stable storage are damaged or missing. Nothing was changed or skipped. */
export class CorruptionError extends CairnError {
  readonly code = 'CAIRN_CORRUPTION';
}

/** Strict replay met the remains of an interrupted write at the end of the log. */
export class TornTailError extends CairnError {
  readonly code = 'CAIRN_TORN_TAIL';
}

/** The log no longer holds the entries that were asked for: they were truncated. */
export class TruncatedError extends CairnError {
  readonly code = 'CAIRN_TRUNCATED';
}

/** State cannot be recovered without a gap. The message names what is missing. */
export class RecoveryError extends CairnError {
  readonly code = 'CAIRN_RECOVERY';
}

/** Staged bytes are past the high-water mark. Nothing was appended: await `drain()` and try again. */
export class BackpressureError extends CairnError {
  readonly code = 'CAIRN_BACKPRESSURE';
}

/**
 * A write, sync, create or truncate failed earlier, so nothing more can be promised by this writer.
 * Entries that were not acknowledged may or may not be on disk. Close the writer and open it again.
 */
export class PoisonedError extends CairnError {
  readonly code = 'CAIRN_POISONED';
}

/**
 * Another writer has taken over the log. Nothing that was not acknowledged was stored, and nothing more will be by this
 * store: close it. Reads may be behind what the other one has appended.
 */
export class FencedError extends CairnError {
  readonly code = 'CAIRN_FENCED';
}

/** The object was closed before the call. */
export class ClosedError extends CairnError {
  readonly code = 'CAIRN_CLOSED';
}
