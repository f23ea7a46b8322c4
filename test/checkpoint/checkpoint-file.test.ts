import {
  CairnError,
  CheckpointFile,
  CorruptionError,
  DecodeError,
  EncodeError,
  FormatError,
  InvalidArgumentError,
  MemoryDirectory,
  messagePackCodec,
  NotFoundError,
  StorageError,
  type Directory,
} from 'cairnlog';
import { bytesCodec } from 'cairnlog/wal';
import { FaultyDirectory, loseEverything, loseNothing, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import * as zlib from 'node:zlib';
import { Counted } from '../support/counted.js';
import { changed, directoryOf, flipped, imageOf, put, type Image } from '../support/image.js';
import { drawnCut } from '../support/drawn-cut.js';
import { rejects } from '../support/rejects.js';
import { check, randomOf, seeded } from '../support/seed.js';
import { textCodec as codec } from '../support/text-codec.js';
import { texts } from '../support/texts.js';

const PATH = 'checkpoints/ckpt_7.ckpt';

async function written(
  items: readonly string[],
  more: { lastAppliedId?: number; logId?: number } = {},
): Promise<Image> {
  const directory = new MemoryDirectory();
  await directory.makeDirectory('checkpoints');
  await CheckpointFile.write(directory, PATH, { lastAppliedId: 7, logId: 99, codec, items, ...more });
  return imageOf(directory);
}

const read = async (directory: Directory): Promise<string[]> =>
  (await CheckpointFile.read(directory, PATH, { codec })).items;

describe('CheckpointFile', () => {
  it('gives back the items in order, and what the file is', async () => {
    for (const items of [[], [''], ['one'], ['one', '', 'three', 'x'.repeat(5000)]]) {
      const directory = await directoryOf(await written(items));
      const bytes = (await directory.stat(PATH))!.size;
      const info = { version: 3 as const, lastAppliedId: 7, logId: 99, count: items.length, bytes };
      expect(await CheckpointFile.read(directory, PATH, { codec })).to.deep.equal({ ...info, items });
      expect(await CheckpointFile.inspect(directory, PATH)).to.deep.equal(info);
      expect(await CheckpointFile.verify(directory, PATH)).to.deep.equal(info);
      const visited: string[] = [];
      expect(await CheckpointFile.stream(directory, PATH, { codec }, (item) => visited.push(item))).to.deep.equal(info);
      expect(visited).to.deep.equal(items);
    }
  });

  it('is synced and checked in small pieces, so that neither disk nor event loop is taken from the log for long', async () => {
    const counted = new Counted(new MemoryDirectory());
    await counted.directory.makeDirectory('checkpoints');
    const items = Array.from({ length: 5000 }, () => 'x'.repeat(1000));
    const { bytes } = await CheckpointFile.write(counted.directory, PATH, { lastAppliedId: 7, codec, items });
    expect(bytes).to.be.greaterThan(5_000_000);
    let unsynced = 0;
    for (const { kind, bytes: size = 0 } of counted.operations) {
      if (kind === 'datasync') unsynced = 0;
      if (kind === 'write') unsynced += size;
      expect(unsynced).to.be.at.most(1.5 * 1024 * 1024);
    }
    counted.clear();
    let readsBefore = 0;
    let pauses = 0;
    await CheckpointFile.verify(counted.directory, PATH, async () => {
      pauses++;
      readsBefore = counted.of('read').length;
      await new Promise(setImmediate);
      expect(counted.of('read').length).to.equal(readsBefore);
    });
    expect(pauses).to.be.at.least(bytes / (64 * 1024) - 1);
    expect(counted.bytesRead()).to.be.at.least(bytes);
    for (const { bytes: size = 0 } of counted.of('read')) expect(size).to.be.at.most(64 * 1024);
  });

  it('takes an item of any size, in parts where it is long', async () => {
    const sizes = [0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20, 5, 2 ** 22 + 7];
    const items = sizes.map((size, index) => String.fromCharCode(97 + index).repeat(size));
    const directory = await directoryOf(await written(items));
    expect((await read(directory)).map((item) => item.length)).to.deep.equal(sizes);
    expect(await read(directory)).to.deep.equal(items);
    expect((await CheckpointFile.verify(directory, PATH)).count).to.equal(sizes.length);
  });

  it('writes the same bytes for the same state, whatever the clock and chance', async () => {
    const first = await written(['a', 'b', 'c']);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const second = await written(['a', 'b', 'c']);
    expect(Buffer.compare(first.get(PATH)!, second.get(PATH)!)).to.equal(0);
    expect([...first.keys()]).to.deep.equal([PATH]);
  });

  it('has the bytes that the format says', async () => {
    const bytes = Buffer.from((await written(['hi'], { lastAppliedId: 2 ** 40 + 1, logId: 3 })).get(PATH)!);
    expect(bytes.toString('latin1', 0, 4)).to.equal('VCKP');
    expect(bytes.readUInt32LE(4)).to.equal(3);
    expect(bytes.readBigUInt64LE(8)).to.equal(2n ** 40n + 1n);
    expect(bytes.readBigUInt64LE(16)).to.equal(3n);
    expect([bytes.readUInt32LE(28), bytes.readBigUInt64LE(32)]).to.deep.equal([18, 1n]);
    expect(bytes.toString('latin1', 44, 46)).to.equal('hi');
    const footer = 46;
    expect(bytes.readUInt32LE(footer)).to.equal(0x4000_0000 + 16 + 17);
    expect(bytes[footer + 16]).to.equal(3);
    expect(bytes.readBigUInt64LE(footer + 17)).to.equal(1n);
    expect(bytes.readBigUInt64LE(footer + 25)).to.equal(BigInt(bytes.length));
    expect(bytes.length).to.equal(footer + 33);
  });

  it('has no log id where none is given', async () => {
    const directory = new MemoryDirectory();
    await CheckpointFile.write(directory, 'a.ckpt', { lastAppliedId: 0, codec, items: [] });
    expect(await CheckpointFile.inspect(directory, 'a.ckpt')).to.deep.include({ lastAppliedId: 0, logId: undefined });
  });

  it('takes items from anything that can be iterated, also slowly', async () => {
    const directory = new MemoryDirectory();
    async function* slowly(): AsyncGenerator<string> {
      for (const item of ['a', 'b']) {
        await new Promise((resolve) => setImmediate(resolve));
        yield item;
      }
    }
    await CheckpointFile.write(directory, 'a.ckpt', { lastAppliedId: 1, codec, items: slowly() });
    await CheckpointFile.write(directory, 'b.ckpt', { lastAppliedId: 1, codec, items: new Set(['a', 'b']) });
    expect((await CheckpointFile.read(directory, 'a.ckpt', { codec })).items).to.deep.equal(['a', 'b']);
    const image = await imageOf(directory);
    expect(Buffer.compare(image.get('a.ckpt')!, image.get('b.ckpt')!)).to.equal(0);
  });

  it('carries items larger than a frame, beside small ones, at every edge of the part size', async () => {
    const part = 1024 * 1024;
    const sizes = [0, 1, part - 1, part, part + 1, 3, 2 * part, 2 * part + 1, 0, 5 * part, 17];
    const items = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
    const directory = new MemoryDirectory();
    await CheckpointFile.write(directory, 'a.ckpt', { lastAppliedId: 1, codec: bytesCodec, items });
    const short = new FaultyDirectory(directory, ({ kind, bytes = 0 }) =>
      kind === 'read' && bytes > 100 ? { kind: 'short', bytes: bytes - 99 } : undefined,
    );
    const found = await CheckpointFile.read(short, 'a.ckpt', { codec: bytesCodec });
    expect(found.items.map((item) => item.length)).to.deep.equal(sizes);
    expect(found.items.every((item, index) => item.every((byte) => byte === index + 1))).to.equal(true);
    expect(found.count).to.equal(sizes.length);
  });

  it('gives back any items', () =>
    check(
      fc.asyncProperty(fc.array(texts(100), { maxLength: 20 }), async (items) => {
        expect(await read(await directoryOf(await written(items)))).to.deep.equal(items);
      }),
      60,
    ));

  it('replaces what was there only once it is whole', async () => {
    const directory = await directoryOf(await written(['old']));
    const before = await imageOf(directory);
    class Gone extends Error {}
    const items = function* (): Generator<string> {
      yield 'new'.repeat(200_000);
      throw new Gone();
    };
    const failed: unknown = await CheckpointFile.write(directory, PATH, {
      lastAppliedId: 7,
      codec,
      items: items(),
    }).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(Gone);
    const objects = messagePackCodec<unknown>();
    await rejects(
      CheckpointFile.write(directory, PATH, { lastAppliedId: 7, codec: objects, items: [1n] }),
      EncodeError,
    );
    expect(await imageOf(directory)).to.deep.equal(before);
  });

  it('leaves the old file or the new one at every fault, and no rubbish unless removing it fails too', async () => {
    const old = await written(['old']);
    for (let at = 1; ; at++) {
      const inner = await directoryOf(old);
      const directory = new FaultyDirectory(inner, ({ number, kind }) =>
        number === at && kind !== 'close' ? { kind: 'error', errno: 'ENOSPC' } : undefined,
      );
      const outcome: unknown = await CheckpointFile.write(directory, PATH, {
        lastAppliedId: 7,
        logId: 99,
        codec,
        items: ['new'],
      }).catch((error: unknown) => error);
      const items = await read(inner);
      if (outcome instanceof StorageError) expect(['old', 'new']).to.include(items[0]);
      else expect(items).to.deep.equal(['new']);
      expect(await inner.list('checkpoints')).to.deep.equal(['ckpt_7.ckpt']);
      if (directory.operations < at) {
        expect(at).to.be.greaterThan(5);
        break;
      }
    }
  });

  it('is the old file or the new one after a power cut at any operation, and the new one once written', async () => {
    await seeded(async () => {
      const random = randomOf('checkpoint power cuts');
      const disk = new SimulatedDisk();
      await disk.makeDirectory('checkpoints');
      await disk.syncDirectory('');
      const write = (directory: Directory, items: string[]): Promise<unknown> =>
        CheckpointFile.write(directory, PATH, { lastAppliedId: 7, codec, items });
      await write(disk, ['old'.repeat(1000)]);
      const found: SimulatedDisk[] = [];
      const snapshot = (): void => {
        found.push(disk.afterPowerCut(loseEverything), disk.afterPowerCut(loseNothing));
        for (let draw = 0; draw < 20; draw++) found.push(disk.afterPowerCut(drawnCut(disk, random)));
      };
      const directory = new FaultyDirectory(disk, () => {
        snapshot();
        return undefined;
      });
      await write(directory, ['new'.repeat(1000)]);
      const seen = new Set<string>();
      for (const left of found) {
        const [item] = await read(left);
        seen.add(item!.slice(0, 3));
        expect(item).to.be.oneOf(['old'.repeat(1000), 'new'.repeat(1000)]);
      }
      expect([...seen].sort()).to.deep.equal(['new', 'old']);
      expect(await read(disk.afterPowerCut(loseEverything))).to.deep.equal(['new'.repeat(1000)]);
    });
  });

  it('takes no numbers that cannot be meant', async () => {
    const directory = new MemoryDirectory();
    for (const options of [
      { lastAppliedId: -1 },
      { lastAppliedId: 1.5 },
      { lastAppliedId: 2 ** 53 },
      { lastAppliedId: 1, logId: -1 },
    ])
      await rejects(CheckpointFile.write(directory, 'a', { codec, items: [], ...options }), InvalidArgumentError);
    expect(await directory.list('')).to.deep.equal([]);
    await rejects(CheckpointFile.read(directory, 'a', { codec }), NotFoundError);
    await rejects(CheckpointFile.verify(directory, 'a'), NotFoundError);
  });
});

describe('A checkpoint file that is damaged', () => {
  const operations: [name: string, run: (directory: Directory) => Promise<unknown>][] = [
    ['read', read],
    ['verify', (directory) => CheckpointFile.verify(directory, PATH)],
  ];

  it('is refused at every length but its own', async () => {
    const image = await written(['one', 'two', 'x'.repeat(100)]);
    const size = image.get(PATH)!.length;
    for (let length = 0; length < size; length++) {
      const directory = await directoryOf(changed(image, PATH, (bytes) => bytes.slice(0, length)));
      for (const [, run] of operations) await rejects(run(directory), CorruptionError);
      await rejects(CheckpointFile.inspect(directory, PATH), CorruptionError);
    }
    for (const extra of [
      new Uint8Array(1),
      Uint8Array.of(7),
      new Uint8Array(33),
      image.get(PATH)!.slice(28),
      image.get(PATH)!.slice(-33),
    ]) {
      const directory = await directoryOf(changed(image, PATH, (bytes) => Buffer.concat([bytes, extra])));
      for (const [, run] of operations) await rejects(run(directory), CorruptionError);
      await rejects(CheckpointFile.inspect(directory, PATH), CorruptionError);
    }
  });

  it('is refused whichever bit is wrong', async () => {
    const image = await written(['one', 'two', 'x'.repeat(100)]);
    const size = image.get(PATH)!.length;
    for (let offset = 0; offset < size; offset++)
      for (let bit = 0; bit < 8; bit++) {
        const directory = await directoryOf(changed(image, PATH, (bytes) => flipped(bytes, offset, bit)));
        for (const [name, run] of operations) {
          const error = await run(directory).then(
            () => expect.fail(`${name} took bit ${bit} of byte ${offset}`),
            (caught: unknown) => caught,
          );
          expect(error).to.satisfy(
            (caught: unknown) => caught instanceof CorruptionError || caught instanceof FormatError,
          );
        }
      }
  });

  it('is refused with zeros in any place, and with a part of it moved or taken out', async () => {
    const image = await written(['one', 'two', 'three', 'four']);
    const size = image.get(PATH)!.length;
    for (const run of [4, 16, 64])
      for (let offset = 0; offset + run <= size; offset++) {
        const bytes = image.get(PATH)!;
        if (bytes.subarray(offset, offset + run).every((byte) => byte === 0)) continue;
        for (const damaged of [
          bytes.slice().fill(0, offset, offset + run),
          Buffer.concat([bytes.subarray(0, offset), bytes.subarray(offset + run)]),
          Buffer.concat([bytes.subarray(0, offset + run), bytes.subarray(offset)]),
        ]) {
          const directory = await directoryOf(new Map([[PATH, Uint8Array.from(damaged)]]));
          const error: unknown = await read(directory).catch((caught: unknown) => caught);
          expect(error, `${run} bytes at ${offset}`).to.be.instanceOf(CairnError);
        }
      }
  });

  it('is refused when its frames are those of another checkpoint', async () => {
    const one = (await written(['a', 'b'], { lastAppliedId: 1 })).get(PATH)!;
    const two = (await written(['c', 'd'], { lastAppliedId: 2 })).get(PATH)!;
    expect(one.length).to.equal(two.length);
    for (let cut = 28; cut < one.length; cut++) {
      const spliced = Buffer.concat([one.subarray(0, cut), two.subarray(cut)]);
      if (spliced.equals(one)) continue;
      await rejects(read(await directoryOf(new Map([[PATH, Uint8Array.from(spliced)]]))), CorruptionError);
    }
  });

  it('is refused when all its checksums fit but its count or its last item does not', async function () {
    const crc32 = (zlib as { crc32?: (data: Uint8Array, seed?: number) => number }).crc32;
    if (crc32 === undefined) this.skip();
    const image = await written(['one', 'two']);
    const bytes = Buffer.from(image.get(PATH)!);
    const salt = bytes.readUInt32LE(24);
    /** Changes a frame and makes its checksum fit again. */
    const forged = (at: number, change: (frame: Buffer) => void): Uint8Array => {
      const copy = Buffer.from(bytes);
      const frame = copy.subarray(at, at + (copy.readUInt32LE(at) & 0x0fff_ffff));
      change(frame);
      frame.writeUInt32LE(crc32(frame.subarray(16), crc32(frame.subarray(0, 12), salt)), 12);
      return Uint8Array.from(copy);
    };
    const footer = bytes.length - 33;
    const second = footer - 19;
    const same = forged(footer, () => undefined);
    expect(Buffer.compare(same, bytes)).to.equal(0);
    for (const damaged of [
      forged(footer, (frame) => frame.writeBigUInt64LE(3n, 17)),
      forged(footer, (frame) => frame.writeBigUInt64LE(1n, 17)),
      forged(footer, (frame) => frame.writeBigUInt64LE(2n ** 60n, 17)),
      forged(footer, (frame) => frame.writeBigUInt64LE(1n, 25)),
      forged(footer, (frame) => frame.writeBigUInt64LE(3n, 4)),
      forged(footer, (frame) => frame.writeUInt8(1, 16)),
      forged(second, (frame) => frame.writeUInt32LE(0x8000_0000 + 19, 0)),
      forged(second, (frame) => frame.writeBigUInt64LE(3n, 4)),
    ]) {
      const directory = await directoryOf(new Map([[PATH, damaged]]));
      await rejects(read(directory), CorruptionError);
      await rejects(CheckpointFile.verify(directory, PATH), CorruptionError);
    }
  });

  it('is told apart from a file of another format or of a newer version', async () => {
    const image = await written(['one']);
    const newer = await directoryOf(changed(image, PATH, (bytes) => bytes.fill(4, 4, 5)));
    expect((await rejects(read(newer), FormatError)).message).to.include('newer version');
    const other = await directoryOf(changed(image, PATH, (bytes) => bytes.fill(65, 0, 1)));
    await rejects(read(other), FormatError);
  });

  it('is told apart from one that the codec cannot read', async () => {
    const directory = await directoryOf(await written(['one', 'two']));
    const error = await rejects(CheckpointFile.read(directory, PATH, { codec: messagePackCodec() }), DecodeError);
    expect(error.message).to.include('Item 1');
    expect(error.path).to.equal(PATH);
    const failing = {
      ...codec,
      decode: (): never => {
        throw new RangeError('codec bug');
      },
    };
    expect(
      (await rejects(CheckpointFile.read(directory, PATH, { codec: failing }), DecodeError)).cause,
    ).to.be.instanceOf(RangeError);
  });

  it('is refused before memory is taken for a length that is not there', async () => {
    const image = await written(['one']);
    for (const length of [0x0fff_ffff, 0x8fff_ffff, 16 + 16 * 1024 * 1024]) {
      const directory = await directoryOf(
        changed(image, PATH, (bytes) => {
          Buffer.from(bytes.buffer).writeUInt32LE(length, 28);
          return bytes;
        }),
      );
      const before = process.memoryUsage().arrayBuffers;
      await rejects(read(directory), CorruptionError);
      expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(4 * 1024 * 1024);
    }
  });

  it('is never anything but a typed error, whatever the bytes', () =>
    check(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0, 4, 8, 28), async (bytes, keep) => {
        const header = (await written([])).get(PATH)!.subarray(0, keep);
        const directory = new MemoryDirectory();
        await put(directory, PATH, Uint8Array.from([...header, ...bytes]));
        for (const run of [
          read,
          (from: Directory) => CheckpointFile.verify(from, PATH),
          (from: Directory) => CheckpointFile.inspect(from, PATH),
        ])
          await run(directory).then(
            () => expect.fail('random bytes passed for a checkpoint'),
            (error: unknown) => expect(error).to.be.instanceOf(CairnError),
          );
      }),
      300,
    ));
});
