// The contract of an EventLog, case by case.

import * as assert from 'node:assert/strict';
import { LockError, TruncatedError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Durability, EventLog, LogPart } from '../store/index.js';
import {
  blockOf,
  conflict,
  describe,
  done,
  entryAt,
  fill,
  fillParts,
  holds,
  opening,
  payloadOf,
  readAll,
  sameBytes,
  text,
  using,
  type EngineCase,
} from './engine-cases.js';

const DURABILITIES: readonly Durability[] = ['memory', 'flush', 'fsync', 'replicated'];

/** Fails unless what comes next is missing because it was truncated. */
async function truncated(read: Promise<unknown>): Promise<void> {
  await assert.rejects(read, (error: unknown) => {
    assert.ok(error instanceof TruncatedError, `expected TruncatedError, got ${shown(error)}`);
    return true;
  });
}

/** Fails unless the parts follow one another from the first position to the last. */
async function checkParts(log: EventLog, last: number): Promise<readonly LogPart[]> {
  const parts = await log.parts();
  assert.equal(parts[0]?.firstPosition, log.firstPosition, 'the log begins with its first part');
  for (const [index, { firstPosition, lastPosition }] of parts.entries()) {
    const next = parts[index + 1];
    if (next === undefined) assert.ok((lastPosition ?? last) <= last, 'the last part ends with the log');
    // The last ones may say that they never go.
    else if (lastPosition === undefined) assert.equal(next.lastPosition, undefined, 'what never goes is at the end');
    else assert.equal(lastPosition, next.firstPosition - 1, `part ${index} ends where the next begins`);
    assert.ok(firstPosition <= (lastPosition ?? last) + 1, 'a part does not end before it begins');
  }
  assert.equal(new Set(parts.map(({ name }) => name)).size, parts.length, 'parts have names of their own');
  return parts;
}

export const LOG_CASES: readonly EngineCase[] = [
  [
    'log: begins with nothing',
    async (engine) => {
      await using(engine, async ({ log, checkpoints, opened }) => {
        assert.deepEqual([log.firstPosition, log.openedAt], [1, 0]);
        assert.ok(Number.isSafeInteger(log.logId) && log.logId > 0, 'logId is a whole number from 1');
        assert.ok(Number.isSafeInteger(log.epoch) && log.epoch > 0, 'epoch is a whole number from 1');
        assert.ok(DURABILITIES.includes(log.strongest), 'strongest is a durability');
        assert.deepEqual(await readAll(log, 1, 0), []);
        assert.deepEqual(await checkpoints.list(), []);
        assert.equal(opened.tornTail, undefined);
      });
    },
  ],
  [
    'log: gives back every byte as it was',
    async (engine) => {
      const entries = [
        text('x'),
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        new Uint8Array(1000),
        new Uint8Array(1000).fill(255),
        Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) & 255),
      ];
      await using(engine, async ({ log }) => {
        await done(log.append(blockOf(log, 1, { entries, groups: entries.map(() => 1) })));
        for (const [index, payload] of (await readAll(log, 1, 5)).entries())
          sameBytes(payload, entries[index]!, `entry ${index}`);
      });
      await using(engine, async ({ log }) => {
        for (const [index, payload] of (await readAll(log, 1, 5)).entries())
          sameBytes(payload, entries[index]!, `entry ${index} after opening again`);
      });
    },
  ],
  [
    'log: numbers entries densely, over groups of any size',
    async (engine) => {
      await using(engine, async ({ log }) => {
        const entries = [1, 2, 3, 4, 5, 6].map(entryAt);
        await done(log.append(blockOf(log, 1, { entries, groups: [2, 0, 1, 3, 0] })));
        await fill(log, 7, 20, 3);
        await holds(log, 1, 20);
      });
    },
  ],
  [
    'log: takes blocks without entries, which use no position',
    async (engine) => {
      await using(engine, async ({ log }) => {
        await done(log.append(blockOf(log, 1, { entries: [], groups: [0] })));
        await fill(log, 1, 3);
        await done(log.append(blockOf(log, 4, { entries: [], groups: [0, 0] })));
        await fill(log, 4, 5);
        await holds(log, 1, 5);
      });
    },
  ],
  [
    'log: acknowledges every durability up to its strongest',
    async (engine) => {
      await using(engine, async ({ log }) => {
        let position = 0;
        for (const durability of DURABILITIES.slice(0, DURABILITIES.indexOf(log.strongest) + 1))
          await done(log.append(blockOf(log, ++position, { durability })));
        await holds(log, 1, position);
      });
    },
  ],
  [
    'log: takes the largest entry that it says it takes',
    async (engine) => {
      await using(engine, async ({ log }) => {
        const large = new Uint8Array(log.limits.entryBytes);
        for (let at = 0; at < large.length; at += 997) large[at] = at & 255;
        await done(log.append(blockOf(log, 1, { entries: [large] })));
        await fill(log, 2, 2);
        sameBytes((await readAll(log, 1, 1))[0]!, large, 'the largest entry');
        await holds(log, 2, 2);
      });
    },
  ],
  [
    'log: keeps nothing of the buffers that it was given',
    async (engine) => {
      await using(engine, async ({ log }) => {
        const buffer = new Uint8Array(300);
        buffer.set(entryAt(1), 50);
        buffer.set(entryAt(2), 150);
        const starts = [50, 150];
        const ends = [150, 250];
        const block = { ...blockOf(log, 1, { groups: [2] }), count: 2, bytes: buffer, starts, ends };
        const appended = log.append(block);
        // The store uses its buffer for the next block as soon as this one is answered; an engine copies at once.
        buffer.fill(0);
        starts.fill(0);
        ends.fill(0);
        await done(appended);
        buffer.fill(1);
        await holds(log, 1, 2);
      });
    },
  ],
  [
    'log: goes on where it was when it is opened again',
    async (engine) => {
      let logId: number | undefined;
      for (let round = 0; round < 3; round++)
        await using(engine, async ({ log }) => {
          assert.equal(log.openedAt, round * 4, 'what was acknowledged is there');
          assert.equal(log.firstPosition, 1);
          assert.equal(log.logId, logId ?? log.logId, 'it is the same log');
          ({ logId } = log);
          await holds(log, 1, log.openedAt);
          await fill(log, log.openedAt + 1, log.openedAt + 4, 2);
          assert.equal(log.openedAt, round * 4, 'openedAt is of the opening');
        });
    },
  ],
  [
    'log: can be read before it is started, and closed without that',
    async (engine) => {
      await using(engine, ({ log }) => fill(log, 1, 5));
      const { log } = await engine.open();
      assert.deepEqual([log.firstPosition, log.openedAt], [1, 5]);
      await holds(log, 1, 5);
      await log.close();
      await using(engine, async (again) => {
        await fill(again.log, 6, 6);
        await holds(again.log, 1, 6);
      });
    },
  ],
  [
    'log: refuses a block that does not continue it',
    async (engine) => {
      for (const [first, why] of [
        [5, 'a gap before the block'],
        [3, 'a block in the place of another'],
      ] as const)
        await using(engine, async ({ log }) => {
          const last = log.openedAt;
          if (last === 0) await fill(log, 1, 3);
          await conflict(log.append(blockOf(log, first, { entries: [text('wrong')] })), why);
        });
      await using(engine, async ({ log }) => {
        assert.equal(log.openedAt, 3, 'what was refused is not there');
        await holds(log, 1, 3);
        await fill(log, 4, 4);
      });
    },
  ],
  [
    'log: refuses blocks of another epoch, empty ones too',
    async (engine) => {
      for (const entries of [[text('wrong')], []])
        for (const away of [-1, 1])
          await using(engine, async ({ log }) => {
            const block = blockOf(log, 1, { entries, epoch: log.epoch + away });
            await conflict(log.append(block), `${entries.length} entries of epoch ${away}`);
          });
      await using(engine, async ({ log }) => assert.equal(log.openedAt, 0, 'what was refused is not there'));
    },
  ],
  [
    'log: fences the writer before, or lets no second one in',
    async (engine) => {
      const first = await opening(engine);
      await fill(first.log, 1, 3);
      const second = await opening(engine).catch((error: unknown) => {
        assert.ok(error instanceof LockError, `opening a second time: expected LockError, got ${shown(error)}`);
        return undefined;
      });
      if (second === undefined) {
        await fill(first.log, 4, 5);
        await first.log.close();
        await using(engine, ({ log }) => holds(log, 1, 5));
        return;
      }
      assert.ok(second.log.epoch > first.log.epoch, 'the new writer has a higher epoch');
      assert.equal(second.log.openedAt, 3);
      await conflict(first.log.append(blockOf(first.log, 4, { entries: [text('late')] })), 'the writer before');
      await conflict(first.log.append(blockOf(first.log, 4, { entries: [], groups: [0] })), 'an empty block');
      await fill(second.log, 4, 5);
      await conflict(first.log.append(blockOf(first.log, 6, { entries: [text('late')] })), 'at the right position');
      await first.log.close();
      await fill(second.log, 6, 6);
      await holds(second.log, 1, 6);
      await second.log.close();
    },
  ],
  ...[true, false].map((stored): EngineCase => [
    `log: shows when it is opened again what became of an append with an unknown outcome, ${stored ? 'stored' : 'not stored'}`,
    async (engine) => {
      const { log } = await opening(engine);
      await fill(log, 1, 3);
      await engine.failNextAppend(stored);
      const block = blockOf(log, 4, { entries: [4, 5, 6].map(entryAt), groups: [1, 2] });
      const answer = await log.append(block);
      assert.equal(answer.kind, 'unknown', `after failNextAppend: got ${describe(answer)}`);
      const repeated = await log.append(block);
      if (stored) assert.notEqual(repeated.kind, 'conflict', 'the same block once more: what is there is not refused');
      assert.notEqual(repeated.kind, 'done', 'the same block once more');
      for (const next of [blockOf(log, 7), blockOf(log, 4, { entries: [], groups: [0] })])
        assert.notEqual((await log.append(next)).kind, 'done', 'no append is done after one with an unknown outcome');
      await log.close().catch(() => undefined);
      await using(engine, async (again) => {
        assert.equal(again.log.openedAt, stored ? 6 : 3, 'the block is there, or it is not');
        await holds(again.log, 1, again.log.openedAt);
        await fill(again.log, again.log.openedAt + 1, 10);
      });
      await using(engine, (again) => holds(again.log, 1, 10));
    },
  ]),
  [
    'log: reads from one position to another, both included',
    async (engine) => {
      await using(engine, async ({ log }) => {
        const last = await fillParts(log, 3);
        const inner = (await log.parts()).flatMap(({ firstPosition }) => [firstPosition - 1, firstPosition]);
        const places = [...new Set([1, 2, ...inner, last - 1, last])].filter((place) => place > 0 && place <= last);
        for (const from of places) for (const upTo of places) if (from <= upTo) await holds(log, from, upTo);
        assert.deepEqual(await readAll(log, 4, 3), []);
        assert.deepEqual(await readAll(log, last + 1, last), []);
      });
    },
  ],
  [
    'log: reads what is acknowledged while appends go on, and no more than was asked for',
    async (engine) => {
      await using(engine, async ({ log }) => {
        let acknowledged = 0;
        const writing = (async () => {
          for (; acknowledged < 120; acknowledged += 3) await fill(log, acknowledged + 1, acknowledged + 3, 3);
        })();
        let read = 0;
        while (read < 120) {
          const upTo = acknowledged;
          await holds(log, read + 1, upTo);
          read = upTo;
          await new Promise((resolve) => setImmediate(resolve));
        }
        await writing;
      });
    },
  ],
  [
    'log: gives each of two readers its own entries',
    async (engine) => {
      await using(engine, async ({ log }) => {
        await fill(log, 1, 30, 4);
        const readers = [
          { entries: log.read(1, 30)[Symbol.asyncIterator](), next: 1 },
          { entries: log.read(11, 30)[Symbol.asyncIterator](), next: 11 },
        ];
        while (readers.some(({ next }) => next <= 30)) {
          // Both are given something, and then what they were given is looked at.
          const given = [];
          for (const reader of readers) given.push({ reader, result: await reader.entries.next() });
          for (const { reader, result } of given) {
            if (result.done === true) {
              assert.equal(reader.next, 31, 'a reader ends with the last entry');
              continue;
            }
            for (let index = 0; index < result.value.count; index++)
              sameBytes(payloadOf(result.value, index), entryAt(reader.next++), 'what a reader was given');
          }
        }
        for (const { entries } of readers) await entries.return?.();
      });
    },
  ],
  [
    'log: goes on after a reader that left early',
    async (engine) => {
      await using(engine, async ({ log }) => {
        await fill(log, 1, 10);
        for await (const { firstPosition } of log.read(1, 10)) if (firstPosition >= 1) break;
        await fill(log, 11, 12);
        await holds(log, 1, 12);
      });
    },
  ],
  [
    'log: describes its parts, which follow one another',
    async (engine) => {
      await using(engine, async ({ log }) => {
        await checkParts(log, 0);
        await checkParts(log, await fillParts(log, 4));
      });
    },
  ],
  [
    'log: begins behind what goes in the tick in which it is told to truncate',
    async (engine) => {
      await using(engine, async ({ log }) => {
        await fillParts(log, 4);
        const parts = await log.parts();
        const truncating = log.truncate(parts[1]!.lastPosition!);
        const { firstPosition } = log;
        const removed = await truncating;
        assert.ok(removed.length > 0, 'parts went');
        assert.equal(firstPosition, log.firstPosition, 'where the log begins, before the parts are gone and after');
      });
    },
  ],
  [
    'log: truncates parts that lie wholly at or below a position, and nothing above it',
    async (engine) => {
      await using(engine, async ({ log }) => {
        const last = await fillParts(log, 5);
        const parts = await checkParts(log, last);
        assert.deepEqual(await log.truncate(parts[0]!.lastPosition! - 1), [], 'no part lies wholly below');
        assert.equal(log.firstPosition, 1);
        // In the middle of the third part: that one stays.
        const position = parts[2]!.lastPosition! - 1;
        const gone = await log.truncate(position);
        for (const { lastPosition } of gone)
          assert.ok(lastPosition !== undefined && lastPosition <= position, 'what went lies below the position');
        assert.ok(log.firstPosition <= position + 1, `position ${position + 1} stays readable`);
        await holds(log, log.firstPosition, last);
        const left = await checkParts(log, last);
        assert.deepEqual(
          [...gone, ...left].map(({ firstPosition }) => firstPosition),
          parts.map(({ firstPosition }) => firstPosition),
          'truncate says what went',
        );
        if (log.firstPosition > 1) await truncated(readAll(log, log.firstPosition - 1, last));
      });
    },
  ],
  [
    'log: truncates for good, and as often as it is told to',
    async (engine) => {
      let last = 0;
      let first = 1;
      await using(engine, async ({ log }) => {
        last = await fillParts(log, 4);
        const position = (await log.parts())[1]!.lastPosition!;
        await log.truncate(position);
        first = log.firstPosition;
        for (const again of [position, 0, 1, position]) assert.deepEqual(await log.truncate(again), []);
        assert.equal(log.firstPosition, first);
        await holds(log, first, last);
      });
      await using(engine, async ({ log }) => {
        assert.deepEqual([log.firstPosition, log.openedAt], [first, last]);
        await holds(log, first, last);
        await fill(log, last + 1, last + 2);
        await holds(log, first, last + 2);
      });
    },
  ],
  [
    'log: keeps counting when everything could be truncated',
    async (engine) => {
      let last = 0;
      await using(engine, async ({ log }) => {
        last = await fillParts(log, 3);
        await log.truncate(last + 1_000_000);
        await checkParts(log, last);
        await holds(log, log.firstPosition, last);
        await fill(log, last + 1, last + 1);
      });
      await using(engine, async ({ log }) => {
        await log.truncate(last + 1);
        assert.equal(log.openedAt, last + 1);
      });
      await using(engine, async ({ log }) => {
        assert.equal(log.openedAt, last + 1);
        await fill(log, last + 2, last + 2);
        await holds(log, Math.max(log.firstPosition, last + 2), last + 2);
      });
    },
  ],
  [
    'log: gives a reader no gap when what it reads is truncated',
    async (engine) => {
      await using(engine, async ({ log }) => {
        const last = await fillParts(log, 6);
        let position = 0;
        try {
          let truncated = false;
          for await (const entries of log.read(1, last)) {
            assert.equal(entries.firstPosition, position + 1, 'no gap');
            for (let index = 0; index < entries.count; index++)
              sameBytes(payloadOf(entries, index), entryAt(++position), `position ${position}`);
            if (!truncated) await log.truncate((await log.parts())[3]!.lastPosition!);
            truncated = true;
          }
          assert.equal(position, last, 'it went on to the end');
        } catch (error) {
          if (!(error instanceof TruncatedError)) throw error;
        }
        await holds(log, log.firstPosition, last);
      });
    },
  ],
  [
    'log: takes nothing once it is closed, and closes twice',
    async (engine) => {
      const { log } = await opening(engine);
      await fill(log, 1, 2);
      await log.close();
      await log.close();
      assert.notEqual((await log.append(blockOf(log, 3))).kind, 'done', 'an append after close');
      await using(engine, async (again) => {
        assert.equal(again.log.openedAt, 2);
        await fill(again.log, 3, 3);
        await log.close();
        await fill(again.log, 4, 4);
        await holds(again.log, 1, 4);
      });
    },
  ],
];
