// A reader takes no lock: it may look at a log while a writer is at work. What it sees then is a log, never damage.

import { every, FsDirectory, messagePackCodec, WalMaintenance, WalReader, WalWriter } from 'cairnlog';
import { MemoryDirectory, type FileHandle, type OpenMode } from 'cairnlog/storage';
import { expect } from 'chai';
import { temporaryFolder } from '../support/temporary-folder.js';

const codec = messagePackCodec<number>();

/** Lets `meanwhile` run between the first read of a segment's entries and the second, as a busy writer would. */
class InterleavedDirectory extends MemoryDirectory {
  meanwhile: (() => Promise<void>) | undefined;

  override async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const file = await super.open(path, mode);
    if (mode !== 'read' || !path.endsWith('.log')) return file;
    const read = file.read.bind(file);
    file.read = async (target, offset) => {
      const count = await read(target, offset);
      const { meanwhile } = this;
      if (offset >= 40 && meanwhile !== undefined) {
        this.meanwhile = undefined;
        await meanwhile();
      }
      return count;
    };
    return file;
  }
}

describe('a reader beside a writer', () => {
  it('takes what is written into preallocated zeros behind its back for entries, not for damage', async () => {
    const directory = new InterleavedDirectory();
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 8192, segmentBytes: 8192 });
    await wal.appendDurable(1);
    directory.meanwhile = async () => {
      for (let entry = 2; entry <= 5; entry++) await wal.appendDurable(entry);
    };
    const records = await new WalReader(directory, { codec }).replayBestEffort();
    expect(records.map(({ entry }) => entry)).to.deep.equal([1, 2, 3, 4, 5]);
    await wal.close();
  });

  it('counts what is written into preallocated zeros behind its back', async () => {
    const directory = new InterleavedDirectory();
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 8192, segmentBytes: 8192 });
    await wal.appendDurable(1);
    directory.meanwhile = async () => {
      for (let entry = 2; entry <= 5; entry++) await wal.appendDurable(entry);
    };
    const [range] = await new WalMaintenance(wal).segmentRanges();
    expect(range).to.include({ startEntryId: 1, endEntryId: 5 });
    await wal.close();
  });

  it('still finds damage in front of what was written meanwhile', async () => {
    const directory = new InterleavedDirectory();
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 8192, segmentBytes: 8192 });
    await wal.appendDurable(1);
    await wal.appendDurable(2);
    const file = await directory.open('wal/wal_1.log', 'update');
    await file.write(Uint8Array.of(0xff), 40 + 16);
    await file.close();
    directory.meanwhile = async () => {
      await wal.appendDurable(3);
    };
    const read = new WalReader(directory, { codec }).replayBestEffort();
    await read.then(
      () => expect.fail('damage was passed over'),
      (error: unknown) => expect(error).to.include({ code: 'CAIRN_CORRUPTION', entryId: 1 }),
    );
    await wal.close();
  });

  it('that meets a segment which is being made takes it for no damage', async () => {
    for (const look of [
      (directory: MemoryDirectory) => new WalReader(directory, { codec }).replayBestEffort(),
      (directory: MemoryDirectory) => new WalMaintenance(directory).segmentRanges(),
      (_: MemoryDirectory, wal: WalWriter<number>) => new WalMaintenance(wal).truncatePrefix(1),
    ]) {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { codec, segmentBytes: 56 });
      await wal.appendDurable(1);
      const open = directory.open.bind(directory);
      const gate = (): { opened: Promise<void>; open: () => void } => {
        let go = (): void => undefined;
        return { opened: new Promise((resolve) => (go = resolve)), open: () => go() };
      };
      const [made, wasRead, written] = [gate(), gate(), gate()];
      directory.open = async (path, mode) => {
        const file = await open(path, mode);
        if (!path.endsWith('wal_2.log')) return file;
        if (mode === 'create') {
          // Its header is written once somebody has found the file without one.
          made.open();
          await wasRead.opened;
          return file;
        }
        const read = file.read.bind(file);
        file.read = async (target, offset) => {
          const count = await read(target, offset);
          wasRead.open();
          await written.opened;
          return count;
        };
        return file;
      };
      const appended = wal.appendDurable(2).then(() => written.open());
      await made.opened;
      await look(directory, wal);
      await appended;
      await wal.close();
    }
  });

  it('sees a prefix of what is appended on a real disk, and never damage', async () => {
    const folder = temporaryFolder();
    const directory = await FsDirectory.open(folder);
    const wal = await WalWriter.open(directory, {
      codec,
      flushPolicy: every(1),
      preallocateBytes: 256 * 1024,
      segmentBytes: 256 * 1024,
    });
    let done = false;
    let passes = 0;
    const writing = (async () => {
      // However fast the disk is, the writer is at work for as long as the reader looks.
      for (let entry = 1; entry <= 400 || passes < 5; entry++) await wal.appendDurable(entry);
    })().finally(() => {
      done = true;
    });
    const reader = new WalReader(await FsDirectory.open(folder), { codec });
    while (!done) {
      const known = wal.flushedId;
      const records = await reader.replayBestEffort();
      expect(records.map(({ entry }) => entry)).to.deep.equal(records.map((_, index) => index + 1));
      expect(records.length).to.be.at.least(known);
      passes++;
    }
    await writing;
    expect(passes).to.be.at.least(5);
    await wal.close();
  });
});
