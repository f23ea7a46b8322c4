import { expect } from 'chai';
import { MemoryDirectory, PoisonedError, WalReader, WalWriter } from 'cairnlog';
import type { Directory } from 'cairnlog';
import { FaultyDirectory, loseEverything, SimulatedDisk, type DiskOperation, type Fault } from 'cairnlog/testing';
import { rejects } from '../support/rejects.js';
import { numbered, textCodec } from '../support/text-codec.js';

const LOG = 'wal/wal_1.log';

/** What the log did to its first segment since the last call; a durable write ends with the bytes that it synced. */
class Watched {
  readonly directory: FaultyDirectory;
  #seen: DiskOperation[] = [];

  constructor(inner: Directory, fault: (operation: DiskOperation) => Fault | undefined = () => undefined) {
    this.directory = new FaultyDirectory(inner, (operation) => {
      if (operation.path === LOG) this.#seen.push(operation);
      return fault(operation);
    });
  }

  steps(): string[] {
    return this.#seen.splice(0).map(({ kind, bytes }) => (kind === 'datasync' && bytes ? `sync of ${bytes}` : kind));
  }
}

async function survivors(disk: SimulatedDisk): Promise<string[]> {
  const reader = new WalReader(disk.afterPowerCut(loseEverything), { codec: textCodec });
  return (await reader.replayBestEffort()).map(({ entry }) => entry);
}

describe('A durable append', () => {
  it('writes and syncs in one step where everything before it is durable', async () => {
    const disk = new SimulatedDisk();
    const watched = new Watched(disk);
    const wal = await WalWriter.open(watched.directory, { codec: textCodec });
    watched.steps();
    for (const [index, entry] of numbered(3).entries()) {
      await wal.appendDurable(entry);
      // The frame is 16 bytes and the text; from the second on there is a watermark of 25 bytes before it.
      expect(watched.steps()).to.deep.equal(['write', `sync of ${16 + entry.length + (index > 0 ? 25 : 0)}`]);
      expect(await survivors(disk)).to.deep.equal(numbered(index + 1));
    }
    await wal.close();
  });

  it('syncs the whole file where something was only flushed before it', async () => {
    const disk = new SimulatedDisk();
    const watched = new Watched(disk);
    const wal = await WalWriter.open(watched.directory, { codec: textCodec });
    // Longer than a sector, so that syncing the last one does not save the rest by chance.
    const long = 'x'.repeat(2000);
    await wal.appendDurable('first');
    wal.append(long);
    await wal.flush();
    watched.steps();
    await wal.appendDurable('last');
    expect(watched.steps()).to.deep.equal(['write', 'datasync']);
    expect(await survivors(disk)).to.deep.equal(['first', long, 'last']);
    await wal.appendDurable('again');
    expect(watched.steps()).to.have.length(2).and.to.not.include('datasync');
    expect(await survivors(disk)).to.deep.equal(['first', long, 'last', 'again']);
    await wal.close();
  });

  it('is not made in one step while the zeros of a preallocated segment are on their way', async () => {
    const disk = new SimulatedDisk();
    const watched = new Watched(disk);
    const wal = await WalWriter.open(watched.directory, { codec: textCodec, preallocateBytes: 8192 });
    watched.steps();
    await wal.appendDurable('first');
    expect(watched.steps()).to.deep.equal(['write', 'datasync']);
    expect(disk.unsynced()).to.deep.include({ sectors: 0, sizes: 0 });
    await wal.appendDurable('second');
    expect(watched.steps()[1]).to.match(/^sync of/);
    expect(await survivors(disk)).to.deep.equal(['first', 'second']);
    await wal.close();
  });

  it('goes on after a short write, and answers when all of it is durable', async () => {
    const disk = new SimulatedDisk();
    const watched = new Watched(disk, ({ kind, bytes = 0, path }) =>
      kind === 'write' && path === LOG && bytes > 10 ? { kind: 'short', bytes: 10 } : undefined,
    );
    const wal = await WalWriter.open(watched.directory, { codec: textCodec });
    watched.steps();
    const entry = 'y'.repeat(3000);
    await wal.appendDurable(entry);
    expect(watched.steps()).to.have.length(2 * Math.ceil(3016 / 10));
    expect(await survivors(disk)).to.deep.equal([entry]);
    await wal.close();
  });

  for (const kind of ['write', 'datasync'] as const)
    it(`that fails in its ${kind} poisons the writer, and what was durable stays`, async () => {
      const disk = new SimulatedDisk();
      let armed = false;
      const watched = new Watched(disk, (operation) =>
        armed && operation.kind === kind && operation.path === LOG ? { kind: 'error', errno: 'EIO' } : undefined,
      );
      const wal = await WalWriter.open(watched.directory, { codec: textCodec });
      await wal.appendDurable('first');
      armed = true;
      const error = await rejects(wal.appendDurable('second'), PoisonedError);
      expect(error.entryId).to.equal(2);
      expect([wal.durableId, watched.directory.faults]).to.deep.equal([1, 1]);
      armed = false;
      await rejects(wal.appendDurable('third'), PoisonedError);
      await wal.close();
      expect(await survivors(disk)).to.deep.equal(['first']);
    });

  it('takes two steps on a directory that cannot do it in one', async () => {
    const memory = new MemoryDirectory();
    const plain = new Proxy(memory, {
      get(target, name) {
        if (name !== 'open') return (Reflect.get(target, name) as (...args: unknown[]) => unknown).bind(target);
        return async (...args: Parameters<Directory['open']>) => {
          const file = await target.open(...args);
          return new Proxy(file, {
            get: (handle, key) => {
              const value: unknown = key === 'writeDurably' ? undefined : Reflect.get(handle, key);
              return typeof value === 'function' ? value.bind(handle) : value;
            },
          });
        };
      },
    });
    const steps: string[] = [];
    const wal = await WalWriter.open(plain, {
      codec: textCodec,
      observer: { onFlush: () => void steps.push('flushed'), onSync: (id) => void steps.push(`durable ${id}`) },
    });
    await wal.appendDurable('first');
    await wal.appendDurable('second');
    expect(steps).to.deep.equal(['flushed', 'durable 1', 'flushed', 'durable 2']);
    await wal.close();
    expect(await new WalReader(memory, { codec: textCodec }).replay()).to.have.length(2);
  });
});
