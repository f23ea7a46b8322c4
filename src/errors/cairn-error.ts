// The one base of every error that Cairn raises on purpose, and where in the data it happened.
// `code` is stable across minor versions; the message is for people and may change.

/** Where an error happened, as far as it is known. */
export interface ErrorFacts {
  /** Path inside the directory, or on disk where no directory is involved. */
  readonly path?: string | undefined;
  /** Byte offset in that file. */
  readonly offset?: number | undefined;
  /** Entry id (the store says position) that the error is about. */
  readonly entryId?: number | undefined;
  /** The error that caused this one. */
  readonly cause?: unknown;
}

/**
 * Base class of all errors raised by Cairn.
 *
 * @example
 * try {
 *   await WalWriter.open(directory, { codec });
 * } catch (error) {
 *   if (error instanceof CairnError) console.error(error.code, error.path, error.offset, error.message);
 * }
 */
export abstract class CairnError extends Error {
  /** Stable name of the cause, e.g. `CAIRN_CORRUPTION`. */
  abstract readonly code: string;
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly entryId: number | undefined;

  constructor(message: string, facts: ErrorFacts = {}) {
    super(message + place(facts), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.path = facts.path;
    this.offset = facts.offset;
    this.entryId = facts.entryId;
  }
}

function place(facts: ErrorFacts): string {
  const parts: string[] = [];
  if (facts.path !== undefined) parts.push(facts.path);
  if (facts.offset !== undefined) parts.push(`byte ${facts.offset}`);
  if (facts.entryId !== undefined) parts.push(`entry ${facts.entryId}`);
  return parts.length === 0 ? '' : ` [${parts.join(', ')}]`;
}
