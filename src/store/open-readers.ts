// Everybody who reads from the engine of an open store. Closing the store ends their reads, also of those who paused
// half way and may never come back, so that no file stays open behind a closed store.

import { ClosedError } from '../errors/index.js';
import type {
  AppendOutcome,
  Block,
  CheckpointStorage,
  Engine,
  EventLog,
  LogEntries,
  LogLimits,
  LogPart,
} from './event-log.js';

export class OpenReaders {
  readonly #reads = new Set<{ end: () => Promise<unknown> }>();
  #closed = false;

  /** The engine, with every read noted. */
  of({ log, checkpoints, opened }: Engine): Engine {
    return { log: new NotedLog(log, this), checkpoints: this.#noted(checkpoints), opened };
  }

  /** Ends all reads; whoever goes on with one gets `ClosedError`. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#reads].map((read) => read.end()));
  }

  async *read(log: EventLog, from: number, upTo: number): AsyncGenerator<LogEntries, void, undefined> {
    this.#check();
    const entries = log.read(from, upTo)[Symbol.asyncIterator]();
    const read = { end: async () => entries.return?.() };
    this.#reads.add(read);
    try {
      for (let next = await entries.next(); next.done !== true; next = await entries.next()) {
        this.#check();
        yield next.value;
      }
      this.#check();
    } finally {
      await read.end();
      this.#reads.delete(read);
    }
  }

  #noted(checkpoints: CheckpointStorage): CheckpointStorage {
    const whole = async <T>(call: () => Promise<T>): Promise<T> => {
      this.#check();
      const result = call();
      const read = { end: () => result };
      this.#reads.add(read);
      try {
        return await result;
      } finally {
        this.#reads.delete(read);
      }
    };
    return {
      list: () => whole(() => checkpoints.list()),
      read: (position, visit) => whole(() => checkpoints.read(position, visit)),
      write: (position, logId, items) => whole(() => checkpoints.write(position, logId, items)),
      remove: (position) => whole(() => checkpoints.remove(position)),
    };
  }

  #check(): void {
    if (this.#closed) throw new ClosedError('The store is closed; open it again');
  }
}

class NotedLog implements EventLog {
  readonly #log: EventLog;
  readonly #readers: OpenReaders;

  constructor(log: EventLog, readers: OpenReaders) {
    this.#log = log;
    this.#readers = readers;
  }

  get logId(): number {
    return this.#log.logId;
  }
  get epoch(): number {
    return this.#log.epoch;
  }
  get firstPosition(): number {
    return this.#log.firstPosition;
  }
  get openedAt(): number {
    return this.#log.openedAt;
  }
  get limits(): LogLimits {
    return this.#log.limits;
  }
  get strongest(): EventLog['strongest'] {
    return this.#log.strongest;
  }
  append(block: Block): Promise<AppendOutcome> {
    return this.#log.append(block);
  }
  read(from: number, upTo: number): AsyncIterable<LogEntries> {
    return this.#readers.read(this.#log, from, upTo);
  }
  parts(): Promise<readonly LogPart[]> {
    return this.#log.parts();
  }
  truncate(position: number): Promise<readonly LogPart[]> {
    return this.#log.truncate(position);
  }
  close(): Promise<void> {
    return this.#log.close();
  }
}
