// Replay reads the next window while the entries of this one are handed out. That changes when reading happens, and
// nothing else.

import { WalReader, WalWriter } from 'cairnlog';
import { MemoryDirectory, type FileHandle, type OpenMode } from 'cairnlog/storage';
import { expect } from 'chai';
import { textCodec as codec } from '../support/text-codec.js';

const WINDOW = 512 * 1024;

/** Knows which reads are under way, and lets each take a while. */
class WatchedDirectory extends MemoryDirectory {
  readonly underWay = new Set<number>();
  mostReadsAtClose = -1;
  /** Reads from this offset on fail. */
  failFrom = Infinity;

  override async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const file = await super.open(path, mode);
    if (mode !== 'read' || !path.endsWith('.log')) return file;
    const read = file.read.bind(file);
    const close = file.close.bind(file);
    file.read = async (target, offset) => {
      this.underWay.add(offset);
      try {
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        if (offset >= this.failFrom) throw new Error('the disk');
        return await read(target, offset);
      } finally {
        this.underWay.delete(offset);
      }
    };
    file.close = () => {
      this.mostReadsAtClose = Math.max(this.mostReadsAtClose, this.underWay.size);
      return close();
    };
    return file;
  }
}

const COUNT = 3000;

/** A log of one segment that takes several windows. */
async function filled(): Promise<WatchedDirectory> {
  const directory = new WatchedDirectory();
  const wal = await WalWriter.open(directory, { codec, segmentBytes: 64 * WINDOW });
  for (let id = 1; id <= COUNT; id++) wal.append(textOf(id));
  await wal.close();
  directory.mostReadsAtClose = -1;
  return directory;
}

const textOf = (id: number): string => `entry ${id} `.padEnd(1000, 'x');

describe('Replay, reading ahead,', () => {
  it('reads the next window while entries are handed out, and hands out the same ones', async () => {
    const directory = await filled();
    const seen: string[] = [];
    let whileHandingOut = 0;
    await new WalReader(directory, { codec }).replayEach(({ entry }) => {
      seen.push(entry);
      whileHandingOut = Math.max(whileHandingOut, directory.underWay.size);
    });
    expect(seen).to.deep.equal(Array.from({ length: COUNT }, (_, index) => textOf(index + 1)));
    expect(whileHandingOut).to.equal(1);
    expect(directory.mostReadsAtClose).to.equal(0);
  });

  it('closes no file that is still being read, whoever leaves early', async () => {
    const directory = await filled();
    for await (const { entryId } of new WalReader(directory, { codec }).entries()) if (entryId === 5) break;
    await new WalReader(directory, { codec })
      .replayEach(() => {
        throw new Error('enough');
      })
      .catch(() => undefined);
    expect(directory.mostReadsAtClose).to.equal(0);
    expect(directory.underWay.size).to.equal(0);
  });

  it('hands out what came before a read that failed, and then says so', async () => {
    const directory = await filled();
    directory.failFrom = WINDOW;
    let last = 0;
    const replay = new WalReader(directory, { codec }).replayEach(({ entryId }) => {
      last = entryId;
    });
    await replay.then(
      () => expect.fail('the failure was passed over'),
      (error: Error) => expect(error.message).to.include('the disk'),
    );
    expect(last).to.be.within(450, 530);
    expect(directory.mostReadsAtClose).to.equal(0);
  });

  it('says nothing of a read that failed where nobody wants what it would have read', async () => {
    const directory = await filled();
    directory.failFrom = WINDOW;
    for await (const { entryId } of new WalReader(directory, { codec }).entries()) if (entryId === 5) break;
    expect(directory.mostReadsAtClose).to.equal(0);
  });

  it('reads entries that are larger than two windows', async () => {
    const directory = new WatchedDirectory();
    const wal = await WalWriter.open(directory, { codec });
    const sizes = [10, WINDOW * 3, 20, WINDOW - 100, WINDOW, WINDOW + 5, 7, WINDOW * 2, 1, 2, 3];
    for (const size of sizes) await wal.appendDurable('y'.repeat(size));
    await wal.close();
    const found: number[] = [];
    await new WalReader(directory, { codec }).replayEach(({ entry }) => void found.push(entry.length));
    expect(found).to.deep.equal(sizes);
  });
});
