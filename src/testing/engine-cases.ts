// What the cases of an engine are written with: entries, blocks, and how to look at what a log holds.

import * as assert from 'node:assert/strict';
import type { AppendOutcome, Block, Engine, EngineSource, EventLog, LogEntries } from '../store/index.js';
import { shown } from '../errors/shown.js';

/** An engine, and the means to make it fail. `open` may be called many times, also before the last one was closed. */
export interface EngineUnderTest extends EngineSource {
  /**
   * Makes the next append of the newest writer answer `unknown`: after the block was stored, or instead of storing it.
   * For a server: drop the answer, or the question.
   */
  failNextAppend(stored: boolean): void | Promise<void>;
  /** Changes a byte of a checkpoint behind the engine's back. */
  damageCheckpoint(position: number): void | Promise<void>;
}

/** A name, and a check that rejects if the engine does not do what it is named after. */
export type EngineCase = readonly [name: string, check: (engine: EngineUnderTest) => Promise<void>];

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** The entry that these cases put at a position: 100 bytes. */
export function entryAt(position: number): Uint8Array {
  return text(`entry ${position} `.padEnd(100, '.'));
}

/** What to change of the block that would continue a log. */
type BlockParts = Partial<Pick<Block, 'epoch' | 'groups' | 'durability'>> & {
  readonly entries?: readonly Uint8Array[];
};

export function blockOf(log: EventLog, firstPosition: number, parts: BlockParts = {}): Block {
  const { entries = [entryAt(firstPosition)], ...others } = parts;
  const { epoch, strongest } = log;
  return { firstPosition, epoch, ...blockBytesOf(entries), groups: [entries.length], durability: strongest, ...others };
}

/** Entries as a block has them. */
export function blockBytesOf(entries: readonly Uint8Array[]): Pick<Block, 'count' | 'bytes' | 'starts' | 'ends'> {
  const starts: number[] = [];
  const ends: number[] = [];
  let end = 0;
  for (const { length } of entries) {
    starts.push(end);
    ends.push((end += length));
  }
  return { count: entries.length, bytes: new Uint8Array(Buffer.concat(entries)), starts, ends };
}

export async function done(outcome: Promise<AppendOutcome>): Promise<void> {
  const answer = await outcome;
  if (answer.kind !== 'done') assert.fail(`expected 'done', got ${describe(answer)}`);
}

export async function conflict(outcome: Promise<AppendOutcome>, why: string): Promise<void> {
  const answer = await outcome;
  if (answer.kind !== 'conflict') assert.fail(`${why}: expected 'conflict', got ${describe(answer)}`);
  assert.equal(typeof answer.reason, 'string', 'a conflict has a reason');
}

export function describe(answer: AppendOutcome): string {
  if (answer.kind === 'unknown') return `'unknown': ${shown(answer.cause)}`;
  return answer.kind === 'conflict' ? `'conflict': ${answer.reason}` : `'done'`;
}

/** Appends {@link entryAt} from a position to another, in blocks of so many. */
export async function fill(log: EventLog, from: number, upTo: number, perBlock = 1): Promise<void> {
  for (let first = from; first <= upTo; first += perBlock) {
    const entries: Uint8Array[] = [];
    for (let position = first; position < first + perBlock && position <= upTo; position++)
      entries.push(entryAt(position));
    await done(log.append(blockOf(log, first, { entries })));
  }
}

/** Appends until the log has so many parts; returns the last position. */
export async function fillParts(log: EventLog, parts: number): Promise<number> {
  let last = 0;
  while ((await log.parts()).length < parts) {
    assert.ok(
      last < 2000,
      `2000 entries of 100 bytes make fewer than ${parts} parts: set the engine up with smaller ones`,
    );
    await fill(log, last + 1, last + 10, 5);
    last += 10;
  }
  return last;
}

/** Entries of a range, copied; fails unless positions are dense from `from` on. */
export async function readAll(log: EventLog, from: number, upTo: number): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for await (const entries of log.read(from, upTo)) {
    assert.equal(entries.firstPosition, from + found.length, 'positions follow one another');
    assert.ok(entries.count > 0, 'there are entries in what is handed out');
    for (let index = 0; index < entries.count; index++) found.push(payloadOf(entries, index).slice());
  }
  return found;
}

export function payloadOf({ bytes, starts, ends }: LogEntries, index: number): Uint8Array {
  return bytes.subarray(starts[index], ends[index]);
}

/** Fails unless the log holds {@link entryAt} at every position of a range. */
export async function holds(log: EventLog, from: number, upTo: number): Promise<void> {
  const found = await readAll(log, from, upTo);
  assert.equal(found.length, Math.max(0, upTo - from + 1), `entries from ${from} to ${upTo}`);
  for (const [index, payload] of found.entries()) sameBytes(payload, entryAt(from + index), `position ${from + index}`);
}

export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  // Not deepEqual: its message would hold every byte.
  assert.equal(actual.length, expected.length, `${what}: length`);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.equal(at, -1, `${what}: byte ${at} is another one`);
}

/** Opens as a store does when all is well. */
export async function opening(engine: EngineUnderTest): Promise<Engine> {
  const opened = await engine.open();
  await opened.start?.();
  return opened;
}

/** Opens, uses and closes. */
export async function using<R>(engine: EngineUnderTest, use: (opened: Engine) => Promise<R>): Promise<R> {
  const opened = await opening(engine);
  try {
    return await use(opened);
  } finally {
    await opened.log.close();
  }
}
