// The contract of a CheckpointStorage, case by case.

import * as assert from 'node:assert/strict';
import { CorruptionError, NotFoundError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { CheckpointStorage } from '../store/index.js';
import { fill, holds, sameBytes, text, using, type EngineCase } from './engine-cases.js';

const LOG_ID = 7;

async function* items(...list: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const item of list) yield typeof item === 'string' ? text(item) : item;
}

async function put(storage: CheckpointStorage, position: number, ...list: readonly (Uint8Array | string)[]) {
  return storage.write(position, LOG_ID, items(...list));
}

async function contents(storage: CheckpointStorage, position: number): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  await storage.read(position, (item) => found.push(item.slice()));
  return found;
}

async function holdsTexts(storage: CheckpointStorage, position: number, ...expected: string[]): Promise<void> {
  const found = (await contents(storage, position)).map((item) => new TextDecoder().decode(item));
  assert.deepEqual(found, expected);
}

async function positions(storage: CheckpointStorage): Promise<number[]> {
  return (await storage.list()).map(({ position }) => position);
}

export const CHECKPOINT_CASES: readonly EngineCase[] = [
  [
    'checkpoints: give their items back in order, byte for byte, small ones and large ones',
    async (engine) => {
      const given = [
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        new Uint8Array(0),
        Uint8Array.from({ length: 3_000_001 }, (_, index) => (index * 13) & 255),
        ...Array.from({ length: 2000 }, (_, index) => text(`item ${index}`)),
      ];
      const check = async ({ checkpoints }: { checkpoints: CheckpointStorage }): Promise<void> => {
        const found = await contents(checkpoints, 10);
        assert.equal(found.length, given.length);
        for (const [index, item] of found.entries()) sameBytes(item, given[index]!, `item ${index}`);
      };
      await using(engine, async (opened) => {
        await put(opened.checkpoints, 10, ...given);
        await check(opened);
      });
      await using(engine, check);
    },
  ],
  [
    'checkpoints: may have no items, and be at position 0',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        await put(checkpoints, 0);
        await holdsTexts(checkpoints, 0);
        assert.deepEqual(await positions(checkpoints), [0]);
      });
    },
  ],
  [
    'checkpoints: keep nothing of the buffer that all items are given in',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        const buffer = new Uint8Array(1);
        await checkpoints.write(
          1,
          LOG_ID,
          (async function* () {
            for (const char of 'abc') {
              buffer[0] = char.charCodeAt(0);
              yield buffer;
            }
          })(),
        );
        buffer[0] = 0;
        await holdsTexts(checkpoints, 1, 'a', 'b', 'c');
      });
    },
  ],
  [
    'checkpoints: are listed newest first, with what they are',
    async (engine) => {
      const expected = [300, 20, 9];
      await using(engine, async ({ checkpoints }) => {
        for (const position of [20, 300, 9]) {
          const written = await put(checkpoints, position, `at ${position}`);
          assert.deepEqual([written.position, written.logId], [position, LOG_ID]);
          assert.ok(written.bytes > 0 && written.name !== '', 'a size and a name');
        }
        assert.deepEqual(await positions(checkpoints), expected);
      });
      await using(engine, async ({ checkpoints }) => {
        const listed = await checkpoints.list();
        assert.deepEqual(
          listed.map(({ position, logId, problem }) => [position, logId, problem]),
          expected.map((position) => [position, LOG_ID, undefined]),
        );
        assert.equal(new Set(listed.map(({ name }) => name)).size, 3, 'each has its own name');
        for (const position of expected) await holdsTexts(checkpoints, position, `at ${position}`);
      });
    },
  ],
  [
    'checkpoints: take the place of one at the same position',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        await put(checkpoints, 5, 'one', 'two', 'three');
        await put(checkpoints, 5, 'four');
        assert.deepEqual(await positions(checkpoints), [5]);
        await holdsTexts(checkpoints, 5, 'four');
      });
    },
  ],
  [
    'checkpoints: are written whole or not at all',
    async (engine) => {
      const failing = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
        yield text('new');
        throw new RangeError('no more items');
      };
      await using(engine, async ({ checkpoints }) => {
        await put(checkpoints, 5, 'old');
        for (const position of [5, 6])
          await assert.rejects(
            checkpoints.write(position, LOG_ID, failing()),
            (error: unknown) => error instanceof RangeError,
            'write rejects with what the items throw',
          );
      });
      await using(engine, async ({ checkpoints }) => {
        assert.deepEqual(await positions(checkpoints), [5]);
        await holdsTexts(checkpoints, 5, 'old');
      });
    },
  ],
  [
    'checkpoints: are removed one by one, and missing ones do not matter',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        for (const position of [1, 2, 3]) await put(checkpoints, position, `at ${position}`);
        await checkpoints.remove(2);
        await checkpoints.remove(2);
        await checkpoints.remove(99);
        assert.deepEqual(await positions(checkpoints), [3, 1]);
      });
      await using(engine, async ({ checkpoints }) => {
        assert.deepEqual(await positions(checkpoints), [3, 1]);
        await holdsTexts(checkpoints, 1, 'at 1');
      });
    },
  ],
  [
    'checkpoints: are never given back damaged',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        for (const position of [1, 2]) await put(checkpoints, position, 'some', 'items', `of ${position}`);
        await engine.damageCheckpoint(2);
        assert.deepEqual(await positions(checkpoints), [2, 1], 'a damaged one is still listed');
        await assert.rejects(contents(checkpoints, 2), (error: unknown) => {
          assert.ok(error instanceof CorruptionError, `expected CorruptionError, got ${shown(error)}`);
          return true;
        });
        await holdsTexts(checkpoints, 1, 'some', 'items', 'of 1');
        await put(checkpoints, 2, 'mended');
        await holdsTexts(checkpoints, 2, 'mended');
      });
    },
  ],
  [
    'checkpoints: that are missing are NotFoundError',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        await put(checkpoints, 1, 'one');
        await assert.rejects(contents(checkpoints, 2), (error: unknown) => {
          assert.ok(error instanceof NotFoundError, `expected NotFoundError, got ${shown(error)}`);
          return true;
        });
      });
    },
  ],
  [
    'checkpoints: pass on what their reader throws',
    async (engine) => {
      await using(engine, async ({ checkpoints }) => {
        await put(checkpoints, 1, 'one', 'two');
        const failure = new RangeError('not this item');
        await assert.rejects(
          checkpoints.read(1, () => {
            throw failure;
          }),
          (error: unknown) => error === failure,
        );
        await holdsTexts(checkpoints, 1, 'one', 'two');
      });
    },
  ],
  [
    'checkpoints: are written while appends go on, and outlive truncation',
    async (engine) => {
      await using(engine, async ({ log, checkpoints }) => {
        const slow = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
          for (let position = 1; position <= 20; position++) {
            await fill(log, position, position);
            yield text(`item ${position}`);
          }
        };
        await checkpoints.write(20, log.logId, slow());
        await holds(log, 1, 20);
        await log.truncate(20);
        assert.equal((await contents(checkpoints, 20)).length, 20);
      });
    },
  ],
];
