// Engines that break one rule each, for showing that the conformance suite sees it.

import { memoryEngine, type Block, type CheckpointStorage, type EventLog, type LogEntries } from 'cairnlog';
import type { EngineUnderTest } from 'cairnlog/testing';
import { wrapped } from './engines.js';

type LogChange = (log: EventLog) => Partial<EventLog>;
type StorageChange = (checkpoints: CheckpointStorage) => Partial<CheckpointStorage>;

/** What breaks the rule, and the case that must fail. */
export interface BrokenEngine {
  readonly rule: string;
  readonly fails: string;
  readonly make: () => EngineUnderTest;
}

const memory = (): EngineUnderTest => memoryEngine({ partEntries: 20 });

/** The log with some members replaced; all others are the log's own, getters too. */
function over<T extends object>(inner: T, change: Partial<T>): T {
  return new Proxy(inner, {
    get(target, key) {
      if (key in change) return change[key as keyof T];
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const withLog = (change: LogChange) => () =>
  wrapped(memory(), (opened) => ({ ...opened, log: over(opened.log, change(opened.log)) }));

const withCheckpoints = (change: StorageChange) => () =>
  wrapped(memory(), (opened) => ({ ...opened, checkpoints: over(opened.checkpoints, change(opened.checkpoints)) }));

/** Writers all append through the newest one. */
function withoutFencing(): EngineUnderTest {
  let newest: EventLog | undefined;
  return wrapped(memory(), ({ log, ...rest }) => {
    newest = log;
    return { log: over(log, { append: (block) => newest!.append({ ...block, epoch: newest!.epoch }) }), ...rest };
  });
}

/** Wrapped as the others are, and breaks nothing. */
export const WRAPPED_ENGINE = (): EngineUnderTest =>
  wrapped(memory(), ({ log, checkpoints, opened }) => ({
    log: over(log, {}),
    checkpoints: over(checkpoints, {}),
    opened,
  }));

export const BROKEN_ENGINES: readonly BrokenEngine[] = [
  {
    rule: 'a new writer fences the one before',
    fails: 'log: fences the writer before, or lets no second one in',
    make: withoutFencing,
  },
  {
    rule: 'empty blocks of another epoch are refused',
    fails: 'log: refuses blocks of another epoch, empty ones too',
    make: withLog((log) => ({
      append: async (block) => (block.count === 0 ? { kind: 'done' } : log.append(block)),
    })),
  },
  {
    rule: 'blocks continue the log',
    fails: 'log: refuses a block that does not continue it',
    make: withLog((log) => {
      let next = log.openedAt + 1;
      return {
        append(block) {
          const appended = log.append({ ...block, firstPosition: next });
          next += block.count;
          return appended;
        },
      };
    }),
  },
  {
    rule: 'a group that is empty uses no position',
    fails: 'log: takes blocks without entries, which use no position',
    make: withLog((log) => ({
      append: (block) =>
        log.append(block.count > 0 ? block : { ...block, count: 1, bytes: new Uint8Array(1), starts: [0], ends: [1] }),
    })),
  },
  {
    rule: 'buffers are copied before append returns',
    fails: 'log: keeps nothing of the buffers that it was given',
    make: withLog((log) => ({
      append: async (block) => {
        await Promise.resolve();
        return log.append(block);
      },
    })),
  },
  {
    rule: 'what is acknowledged is there when it is opened again',
    fails: 'log: goes on where it was when it is opened again',
    make: withLog((log) => {
      // The last block is written with the next one.
      let held: Block | undefined;
      return {
        append: async (block) => {
          const before = held;
          held = block;
          return before === undefined ? { kind: 'done' } : log.append(before);
        },
      };
    }),
  },
  {
    rule: 'nothing is done after an unknown outcome',
    fails: 'log: shows when it is opened again what became of an append with an unknown outcome, not stored',
    make: withLog((log) => {
      let failed = false;
      return {
        append: async (block) => {
          if (failed) return { kind: 'done' };
          const outcome = await log.append(block);
          failed = outcome.kind === 'unknown';
          return outcome;
        },
      };
    }),
  },
  {
    rule: 'a block with an unknown outcome is there or is not',
    fails: 'log: shows when it is opened again what became of an append with an unknown outcome, stored',
    make: withLog((log) => ({
      append: (block) => log.append(block.count < 3 ? block : { ...block, count: 2, groups: [2] }),
    })),
  },
  {
    rule: 'both ends of a range are read',
    fails: 'log: reads from one position to another, both included',
    make: withLog((log) => ({ read: (from, upTo) => log.read(from, from === upTo ? upTo : upTo - 1) })),
  },
  {
    rule: 'what one reader was given is not changed by another',
    fails: 'log: gives each of two readers its own entries',
    make: withLog((log) => {
      const shared = new Uint8Array(17 * 1024 * 1024);
      return {
        async *read(from: number, upTo: number): AsyncGenerator<LogEntries> {
          for await (const entries of log.read(from, upTo)) {
            shared.set(entries.bytes);
            yield { ...entries, bytes: shared };
          }
        },
      };
    }),
  },
  {
    rule: 'truncation is known in the tick in which it begins',
    fails: 'log: begins behind what goes in the tick in which it is told to truncate',
    make: withLog((log) => ({
      truncate: async (position) => {
        await Promise.resolve();
        return log.truncate(position);
      },
    })),
  },
  {
    rule: 'truncation leaves what lies above the position',
    fails: 'log: truncates parts that lie wholly at or below a position, and nothing above it',
    make: withLog((log) => ({ truncate: (position) => log.truncate(position + 20) })),
  },
  {
    rule: 'truncation may be repeated',
    fails: 'log: truncates for good, and as often as it is told to',
    make: withLog((log) => ({
      truncate: async (position) => {
        if (position < log.firstPosition) throw new Error(`position ${position} was truncated already`);
        return log.truncate(position);
      },
    })),
  },
  {
    rule: 'a log that is closed takes nothing',
    fails: 'log: takes nothing once it is closed, and closes twice',
    make: withLog(() => ({ close: async () => undefined })),
  },
  {
    rule: 'checkpoints are listed newest first',
    fails: 'checkpoints: are listed newest first, with what they are',
    make: withCheckpoints((inner) => ({ list: async () => [...(await inner.list())].reverse() })),
  },
  {
    rule: 'a checkpoint is whole or not there',
    fails: 'checkpoints: are written whole or not at all',
    make: withCheckpoints((inner) => ({
      async write(position, logId, items) {
        let failure: unknown;
        const written = await inner.write(
          position,
          logId,
          (async function* () {
            try {
              yield* items;
            } catch (error) {
              failure = error;
            }
          })(),
        );
        if (failure !== undefined) throw failure as Error;
        return written;
      },
    })),
  },
  {
    rule: 'items are copied before the next one is asked for',
    fails: 'checkpoints: keep nothing of the buffer that all items are given in',
    make: withCheckpoints((inner) => ({
      async write(position, logId, items) {
        const kept: Uint8Array[] = [];
        for await (const item of items) kept.push(item);
        return inner.write(
          position,
          logId,
          (async function* () {
            yield* kept;
          })(),
        );
      },
    })),
  },
  {
    rule: 'damage to a checkpoint is seen',
    fails: 'checkpoints: are never given back damaged',
    make: () => ({ ...WRAPPED_ENGINE(), damageCheckpoint: () => undefined }),
  },
];
