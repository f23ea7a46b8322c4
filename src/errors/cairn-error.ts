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

/** Characters of a message. */
const MOST = 10_000;
const MOST_AT_END = 1000;

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
    super(bounded(message) + place(facts), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.path = facts.path;
    this.offset = facts.offset;
    this.entryId = facts.entryId;
  }
}

/** A name from the data may be as long as a record: the message still has to fit into a line of a log. */
function bounded(message: string): string {
  if (message.length <= MOST) return message;
  // What to do about it is said at the end.
  const left = message.length - MOST;
  return `${message.slice(0, MOST - MOST_AT_END)}… (${left} characters left out) …${message.slice(-MOST_AT_END)}`;
}

function place(facts: ErrorFacts): string {
  const parts: string[] = [];
  if (facts.path !== undefined) parts.push(facts.path);
  if (facts.offset !== undefined) parts.push(`byte ${facts.offset}`);
  if (facts.entryId !== undefined) parts.push(`entry ${facts.entryId}`);
  return parts.length === 0 ? '' : ` [${parts.join(', ')}]`;
}
