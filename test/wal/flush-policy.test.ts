import {
  every,
  interval,
  InvalidArgumentError,
  manual,
  MemoryDirectory,
  perAppend,
  PoisonedError,
  WalWriter,
} from 'cairnlog';
import type { WalWriterOptions } from 'cairnlog/wal';
import { expect } from 'chai';
import { recorded, type Recorded } from '../support/recorded.js';
import { rejects, throws } from '../support/rejects.js';
import { textCodec } from '../support/text-codec.js';

interface Timer {
  readonly milliseconds: number;
  readonly fire: () => void;
  cleared: boolean;
}

/** Runs `use` with timers that run only when told to; returns those that were made. */
async function withTimers(use: (timers: Timer[]) => Promise<void>): Promise<void> {
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  const timers: Timer[] = [];
  globalThis.setTimeout = ((fire: () => void, milliseconds: number) => {
    const timer: Timer = { fire, milliseconds, cleared: false };
    timers.push(timer);
    return timer;
  }) as never;
  globalThis.clearTimeout = ((timer: Timer | undefined) => {
    if (timer !== undefined) timer.cleared = true;
  }) as never;
  try {
    await use(timers);
  } finally {
    Object.assign(globalThis, real);
  }
}

const idle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

async function open(
  options: Partial<WalWriterOptions<string>>,
): Promise<{ wal: WalWriter<string>; disk: Recorded; flushedIds: number[] }> {
  const disk = recorded(new MemoryDirectory());
  const flushedIds: number[] = [];
  const observer = { onFlush: (_: number, id: number) => void flushedIds.push(id) };
  const wal = await WalWriter.open(disk.directory, { codec: textCodec, observer, ...options });
  disk.operations.length = 0;
  return { wal, disk, flushedIds };
}

describe('Flush policy', () => {
  it('every(n) writes after n appends, however they are made, and syncs nothing', async () => {
    const { wal, disk, flushedIds } = await open({ flushPolicy: every(3) });
    wal.append('1');
    wal.append('2');
    await idle();
    expect(flushedIds).to.deep.equal([]);
    wal.append('3');
    await idle();
    expect(flushedIds).to.deep.equal([3]);
    wal.appendBatch(['4', '5', '6', '7']);
    await idle();
    expect(flushedIds).to.deep.equal([3, 7]);
    expect(disk.count('datasync')).to.equal(0);
    await wal.close();
  });

  it('is refused if it is none, as every is that was not called, and nothing is made', async () => {
    const directory = new MemoryDirectory();
    for (const bad of [every, 'manual', 5, null, {}, { kind: 'each' }, { kind: 'every' }, { kind: 'interval' }]) {
      const flushPolicy = bad as never;
      await rejects(WalWriter.open(directory, { codec: textCodec, flushPolicy }), InvalidArgumentError);
    }
    expect(await directory.list('')).to.deep.equal([]);
  });

  it('every(n) counts anew after a flush that was asked for', async () => {
    const { wal, flushedIds } = await open({ flushPolicy: every(3) });
    wal.append('1');
    wal.append('2');
    await wal.flush();
    wal.append('3');
    await idle();
    expect(flushedIds).to.deep.equal([2]);
    wal.append('4');
    wal.append('5');
    await idle();
    expect(flushedIds).to.deep.equal([2, 5]);
    await wal.close();
  });

  it('is every(64) by default', async () => {
    const { wal, flushedIds } = await open({});
    for (let id = 1; id < 64; id++) wal.append('x');
    await idle();
    expect(flushedIds).to.deep.equal([]);
    wal.append('x');
    await idle();
    expect(flushedIds).to.deep.equal([64]);
    await wal.close();
  });

  it('perAppend writes after every append, those of one tick together', async () => {
    const { wal, flushedIds } = await open({ flushPolicy: perAppend });
    wal.append('1');
    await idle();
    wal.append('2');
    wal.append('3');
    await idle();
    expect(flushedIds).to.deep.equal([1, 3]);
    await wal.close();
  });

  it('manual writes when asked to, or when the buffer is full', async () => {
    const { wal, flushedIds } = await open({ flushPolicy: manual, bufferBytes: 100 });
    for (let id = 1; id <= 5; id++) wal.append('1234');
    await idle();
    expect([flushedIds, wal.stagedBytes]).to.deep.equal([[5], 0]);
    wal.append('6');
    await idle();
    expect(flushedIds).to.deep.equal([5]);
    await wal.flush();
    expect(flushedIds).to.deep.equal([5, 6]);
    await wal.close();
  });

  it('writes every append where there is no buffer', async () => {
    const { wal, flushedIds } = await open({ flushPolicy: manual, bufferBytes: 0 });
    wal.append('1');
    await idle();
    expect(flushedIds).to.deep.equal([1]);
    await wal.close();
  });

  it('interval writes what came in the meantime, with one timer for all of it', () =>
    withTimers(async (timers) => {
      const { wal, flushedIds } = await open({ flushPolicy: interval(250) });
      expect(timers.length).to.equal(0);
      wal.append('1');
      wal.append('2');
      await idle();
      expect([timers.length, timers[0]!.milliseconds, flushedIds]).to.deep.equal([1, 250, []]);
      timers[0]!.fire();
      await idle();
      expect(flushedIds).to.deep.equal([2]);
      wal.append('3');
      expect(timers.length).to.equal(2);
      timers[1]!.fire();
      await idle();
      expect(flushedIds).to.deep.equal([2, 3]);
      await wal.close();
    }));

  it('interval leaves no timer behind a writer that is closed', () =>
    withTimers(async (timers) => {
      const { wal } = await open({ flushPolicy: interval(250) });
      wal.append('1');
      await wal.close();
      expect(timers.map(({ cleared }) => cleared)).to.deep.equal([true]);
      expect(wal.durableId).to.equal(1);
    }));

  it('interval does nothing more once the writer has failed', () =>
    withTimers(async (timers) => {
      const { wal, disk } = await open({ flushPolicy: interval(250) });
      wal.append('1');
      disk.directory.decide = ({ kind }) => (kind === 'write' ? { kind: 'error', errno: 'EIO' } : undefined);
      await rejects(wal.flush(), PoisonedError);
      const before = disk.directory.operations;
      timers[0]!.fire();
      await idle();
      expect(disk.directory.operations).to.equal(before);
      await wal.close();
    }));

  it('takes no numbers that cannot be meant', () => {
    for (const appends of [0, -1, 1.5, Number.NaN, Infinity]) throws(() => every(appends), InvalidArgumentError);
    for (const milliseconds of [0, -1, Number.NaN, Infinity])
      throws(() => interval(milliseconds), InvalidArgumentError);
  });
});
