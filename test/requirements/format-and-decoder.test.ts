// These are defects that the model of this library had and mended; each is a test here: what the decoder believes of
// the bytes it is given.

import { expect } from 'chai';
import {
  CairnError,
  CorruptionError,
  DecodeError,
  FormatError,
  MemoryDirectory,
  NotFoundError,
  RecoveryError,
  recoverWithWal,
  TornTailError,
  walEntryCodec,
  WalReader,
  WalWriter,
} from 'cairnlog';
import { CheckpointFile } from 'cairnlog/checkpoint';
import { crateCheckpointCodec, segmentIndexItemCodec } from 'cairnlog/segment-index';
import { FaultyDirectory } from 'cairnlog/testing';
import { bytesCodec, type Codec } from 'cairnlog/wal';
import { crc32 } from 'node:zlib';
import { crateCheckpoint, crateFrame, crateHeader, crateSegment, u32 } from '../support/crate-files.js';
import { bytesOf, contents, edit, put } from '../support/directory-contents.js';
import { rejects, throws } from '../support/rejects.js';
import { replayed, replayedBestEffort, text, textCodec } from '../support/text-log.js';
import { frame, frameOf, header, seal } from '../support/version-4-files.js';

const FIRST = 'wal/wal_1.log';

async function logOf(...files: (readonly Uint8Array[])[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  for (const [index, parts] of files.entries()) await put(directory, `wal/wal_${index + 1}.log`, Buffer.concat(parts));
  return directory;
}

/** A log that was closed in order: it says of itself that all of it is on stable storage. */
async function closedLog(...entries: readonly string[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, text);
  for (const entry of entries) wal.append(entry);
  await wal.close();
  return directory;
}

describe('Requirements: format and decoder', () => {
  describe('A01 a frame length below 16 is damage, before anything else of the frame is believed', () => {
    const one = frame({ entryId: 1, payload: 'one' });
    // What stands behind the length would do for an id and a checksum, were they looked at.
    const rest = frame({ entryId: 2, payload: 'two' }).subarray(4);

    for (let length = 1; length < 16; length++) {
      it(`${length}, behind what was synced: a torn tail, which is cut`, async () => {
        const directory = await logOf([header(1, 1), one, u32(length), rest]);
        expect(await replayedBestEffort(directory)).to.deep.equal(['1:one']);
        const torn = await rejects(replayed(directory), TornTailError);
        expect(torn.offset).to.equal(40 + one.length);
        expect(torn.message).to.include(`its length field says ${length}`);
        const wal = await WalWriter.open(directory, text);
        expect(wal.opened.tornTail).to.include({ offset: 40 + one.length, bytes: 4 + rest.length });
        expect(wal.append('again')).to.equal(2);
        await wal.close();
        expect(await replayed(directory)).to.deep.equal(['1:one', '2:again']);
      });

      it(`${length}, in what was synced or in a complete segment: damage`, async () => {
        const two = frame({ entryId: 2, payload: 'two' });
        const sealed = await logOf([header(1, 1), one, u32(length), rest, seal(2)]);
        const complete = await logOf([header(1, 1), one, u32(length), rest], [header(2, 3)]);
        const crate = await logOf([crateSegment(3, 1, 1, ['one']), u32(length), crateFrame(3, 2, 'two').subarray(4)]);
        expect(two.length).to.equal(rest.length + 4);
        for (const directory of [sealed, complete, crate]) {
          const error = await rejects(replayed(directory), CorruptionError);
          expect(error.message).to.include(`its length field says ${length}`);
          await rejects(replayedBestEffort(directory), CorruptionError);
        }
        for (const directory of [sealed, crate]) {
          const before = await contents(directory);
          await rejects(WalWriter.open(directory, text), CorruptionError);
          expect(await contents(directory)).to.deep.equal(before);
        }
      });
    }
  });

  describe('A02 a payload takes at most 16 MiB, on write and on read', () => {
    const CAP = 16 * 1024 * 1024;
    const bytes = { codec: bytesCodec };

    it('takes exactly 16 MiB, and gives them back', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, bytes);
      const payload = Buffer.alloc(CAP, 'cairn');
      wal.append(payload);
      await wal.close();
      const [record] = await new WalReader(directory, bytes).replay();
      expect(Buffer.compare(payload, record!.entry)).to.equal(0);
    });

    it('refuses one byte more, alone and in a batch, and nothing of it is left', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, bytes);
      throws(() => wal.append(Buffer.alloc(CAP + 1)), FormatError);
      throws(() => wal.appendBatch([Buffer.from('small'), Buffer.alloc(CAP + 1)]), FormatError);
      expect([wal.lastEntryId, wal.stagedBytes]).to.deep.equal([0, 0]);
      expect(wal.append(Buffer.from('next'))).to.equal(1);
      await wal.close();
      expect(await new WalReader(directory, bytes).entryCount()).to.equal(1);
    });

    it('reads exactly 16 MiB of the crate, and calls one byte more damage though its checksum is right', async () => {
      const whole = await logOf([crateHeader(3, 1, 1), crateFrame(3, 1, Buffer.alloc(CAP))]);
      expect(await new WalReader(whole, bytes).entryCount()).to.equal(1);
      const above = await logOf([crateHeader(3, 1, 1), crateFrame(3, 1, Buffer.alloc(CAP + 1))]);
      await rejects(new WalReader(above, bytes).entryCount(), CorruptionError);
      await rejects(new WalReader(above, bytes).entryCount({ mode: 'bestEffort' }), CorruptionError);
    });

    it('calls a frame above 16 MiB of our own format damage', async () => {
      const above = await logOf([header(1, 1), frame({ entryId: 1, payload: Buffer.alloc(CAP + 1) }), seal(1)]);
      await rejects(new WalReader(above, bytes).entryCount(), CorruptionError);
    });
  });

  describe('A03 checksums cover lengths, ids and headers, not only payloads', () => {
    it('no bit of a segment can flip unnoticed', async () => {
      const directory = await closedLog('one', 'two', 'three');
      const whole = await bytesOf(directory, FIRST);
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const flipped = await logOf([whole]);
        await edit(flipped, FIRST, (bytes) => void (bytes[bit >> 3]! ^= 1 << (bit & 7)));
        const error = await replayed(flipped).then(
          () => expect.fail(`bit ${bit} flipped unnoticed`),
          (thrown: unknown) => thrown,
        );
        expect(error, `bit ${bit}`).to.be.instanceOf(CairnError);
      }
    });

    it('no bit of a frame of the crate since its version 3 can flip unnoticed', async () => {
      const whole = crateSegment(3, 1, 1, ['one', 'two']);
      for (let bit = 24 * 8; bit < whole.length * 8; bit++) {
        const flipped = await logOf([whole], [crateHeader(3, 3, 2)]);
        await edit(flipped, FIRST, (bytes) => void (bytes[bit >> 3]! ^= 1 << (bit & 7)));
        await rejects(replayed(flipped), CorruptionError);
      }
    });

    it('no bit of a checkpoint can flip unnoticed, in our version and in the second of the crate', async () => {
      const directory = new MemoryDirectory();
      const options = { codec: textCodec, crateCodec: crateOf(textCodec) };
      await put(directory, 'ours', Buffer.alloc(0));
      await CheckpointFile.write(directory, 'ours', {
        lastAppliedId: 7,
        logId: 9,
        codec: textCodec,
        items: ['a', 'b'],
      });
      const files = [await bytesOf(directory, 'ours'), crateCheckpoint(2, 7, Buffer.from('state'))];
      for (const whole of files) {
        await put(directory, 'c', whole);
        expect((await CheckpointFile.read(directory, 'c', options)).lastAppliedId).to.equal(7);
        for (let bit = 0; bit < whole.length * 8; bit++) {
          const bytes = Buffer.from(whole);
          bytes[bit >> 3]! ^= 1 << (bit & 7);
          await put(directory, 'c', bytes);
          await rejects(CheckpointFile.read(directory, 'c', options), CairnError);
          await rejects(CheckpointFile.verify(directory, 'c'), CairnError);
        }
      }
    });
  });

  describe('A04 older versions of the format stay readable', () => {
    it('replays versions 2, 3 and 4 in one log', async () => {
      const directory = new MemoryDirectory();
      await put(directory, 'wal/wal_1.log', crateSegment(2, 1, 1, ['a', 'b']));
      await put(directory, 'wal/wal_2.log', crateSegment(3, 2, 3, ['c']));
      const wal = await WalWriter.open(directory, text);
      wal.append('d');
      await wal.close();
      expect(await replayed(directory)).to.deep.equal(['1:a', '2:b', '3:c', '4:d']);
    });

    it('reads versions 1, 2 and 3 of a checkpoint', async () => {
      const directory = new MemoryDirectory();
      const state = Buffer.of(1, 1, 5, 1, 4);
      await put(directory, 'v1', crateCheckpoint(1, 2, state));
      await put(directory, 'v2', crateCheckpoint(2, 2, state));
      const items = [{ kind: 'segment', segmentId: 1, docCount: 5, deletedDocs: [4] }] as const;
      await CheckpointFile.write(directory, 'v3', { lastAppliedId: 2, codec: segmentIndexItemCodec, items });
      const codecs = { codec: segmentIndexItemCodec, crateCodec: crateCheckpointCodec };
      for (const [path, version] of [
        ['v1', 1],
        ['v2', 2],
        ['v3', 3],
      ] as const) {
        const read = await CheckpointFile.read(directory, path, codecs);
        expect(read).to.deep.include({ version, lastAppliedId: 2, items: [...items] });
      }
    });

    it('says so of a version that it does not know, and changes nothing', async () => {
      for (const version of [1, 5, 9]) {
        const ours = header(1, 1);
        u32(version).copy(ours, 4);
        u32(crc32(ours.subarray(0, 36))).copy(ours, 36);
        const directory = await logOf([ours, frame({ entryId: 1, payload: 'one' })]);
        const before = await contents(directory);
        await rejects(replayed(directory), FormatError);
        await rejects(replayedBestEffort(directory), FormatError);
        await rejects(WalWriter.open(directory, text), FormatError);
        expect(await contents(directory)).to.deep.equal(before);
      }
      const directory = new MemoryDirectory();
      const checkpoint = crateCheckpoint(2, 1, Buffer.of(0));
      u32(4).copy(checkpoint, 4);
      await put(directory, 'c', checkpoint);
      await rejects(CheckpointFile.verify(directory, 'c'), FormatError);
    });
  });

  describe('A05 no claimed length is allocated or read before the bytes are there', () => {
    const MiB = 1024 * 1024;

    it('a frame that claims 16 MiB in a small file', async () => {
      const claim = u32(16 * MiB + 16);
      for (const start of [header(1, 1), crateHeader(3, 1, 1), crateHeader(2, 1, 1)]) {
        const directory = await logOf([start, claim, Buffer.alloc(100, 1)]);
        expect(await largest(directory, (disk) => replayedBestEffort(disk))).to.be.lessThan(MiB / 2);
      }
    });

    it('a checkpoint of the crate that claims 255 MiB in a small file', async () => {
      const directory = new MemoryDirectory();
      const bytes = crateCheckpoint(1, 1, Buffer.of(0));
      bytes.writeBigUInt64LE(255n * BigInt(MiB), 16);
      await put(directory, 'c', bytes);
      const read = (disk: FaultyDirectory): Promise<unknown> =>
        rejects(CheckpointFile.verify(disk, 'c'), CorruptionError);
      expect(await largest(directory, read)).to.be.lessThan(MiB / 2);
    });

    it('lists and strings in an entry that claim more than the entry has', async () => {
      const huge = [0xff, 0xff, 0xff, 0xff, 0x07];
      const payloads = [Buffer.of(4, ...huge, 1, 2), Buffer.of(1, 7, ...huge, 1), Buffer.of(5, ...huge, 0x61, 2)];
      for (const payload of payloads) {
        const directory = await logOf([header(1, 1), frame({ entryId: 1, payload })]);
        const read = (disk: FaultyDirectory): Promise<unknown> =>
          rejects(new WalReader(disk, { codec: walEntryCodec }).replay(), DecodeError);
        expect(await largest(directory, read)).to.be.lessThan(MiB / 2);
      }
    });

    /** Largest number of bytes that was allocated or read at once. */
    async function largest(
      directory: MemoryDirectory,
      use: (disk: FaultyDirectory) => Promise<unknown>,
    ): Promise<number> {
      let most = 0;
      const disk = new FaultyDirectory(directory, ({ kind, bytes = 0 }) => {
        if (kind === 'read') most = Math.max(most, bytes);
        return undefined;
      });
      const { alloc, allocUnsafe, allocUnsafeSlow } = Buffer;
      const watch =
        (allocate: (size: number, ...more: never[]) => Buffer<ArrayBuffer>) =>
        (size: number, ...more: never[]): Buffer<ArrayBuffer> => {
          most = Math.max(most, size);
          return allocate(size, ...more);
        };
      Object.assign(Buffer, {
        alloc: watch(alloc),
        allocUnsafe: watch(allocUnsafe),
        allocUnsafeSlow: watch(allocUnsafeSlow),
      });
      try {
        await use(disk);
      } finally {
        Object.assign(Buffer, { alloc, allocUnsafe, allocUnsafeSlow });
      }
      expect(most, 'something was watched').to.be.greaterThan(0);
      return most;
    }
  });

  describe('A06 nothing later than a point in time is decoded, checksummed or believed', () => {
    const codec: Codec<string> = {
      encode: textCodec.encode,
      decode: (reader) => {
        const entry = textCodec.decode(reader);
        if (entry === 'poison') throw new Error('decoded what was not asked for');
        return entry;
      },
    };

    it('replays up to an entry before one that cannot be decoded', async () => {
      const directory = await closedLog('one', 'two', 'poison', 'four');
      const reader = new WalReader(directory, { codec });
      expect(await reader.replay({ upTo: 2 })).to.have.lengthOf(2);
      await rejects(reader.replay({ upTo: 3 }), DecodeError);
    });

    for (const [where, offset] of Object.entries({ length: 0, 'entry id': 4, checksum: 12, payload: 16 })) {
      it(`replays up to an entry before one whose ${where} is damaged`, async () => {
        const directory = await closedLog('one', 'two', 'three', 'four');
        await edit(directory, FIRST, (bytes) => void (bytes[frameOf(bytes, 3).offset + offset]! ^= 0x10));
        expect(await replayed(directory, { upTo: 2 })).to.deep.equal(['1:one', '2:two']);
        await rejects(replayed(directory, { upTo: 3 }), CorruptionError);
        expect(await replayed(directory, { upTo: 0 })).to.deep.equal([]);
      });

      it(`recovers up to an entry before one whose ${where} is damaged`, async () => {
        const directory = await closedLog('one', 'two', 'three', 'four');
        await edit(directory, FIRST, (bytes) => void (bytes[frameOf(bytes, 3).offset + offset]! ^= 0x10));
        for (const mode of ['strict', 'bestEffort'] as const) {
          expect((await recovered(directory, { upTo: 2, mode })).state).to.deep.equal(['one', 'two']);
          await rejects(recovered(directory, { upTo: 3, mode }), CorruptionError);
        }
      });
    }

    it('recovers up to an entry before damage, from a checkpoint that is older', async () => {
      const directory = await closedLog('one', 'two', 'three', 'four');
      await put(directory, 'checkpoints/x', Buffer.alloc(0));
      for (const lastAppliedId of [1, 4])
        await CheckpointFile.write(directory, `checkpoints/ckpt_${lastAppliedId}.ckpt`, {
          lastAppliedId,
          codec: textCodec,
          items: [`state of ${lastAppliedId}`],
        });
      await edit(directory, FIRST, (bytes) => void (bytes[frameOf(bytes, 3).offset + 16]! ^= 1));
      for (const mode of ['strict', 'bestEffort'] as const) {
        const { state, lastEntryId, report } = await recovered(directory, { upTo: 2, mode });
        expect(state).to.deep.equal(['state of 1', 'two']);
        expect([lastEntryId, report.checkpoint?.lastAppliedId]).to.deep.equal([2, 1]);
      }
    });

    it('replays a part of a batch without the checksums of the rest', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, text);
      wal.appendBatch(['one', 'two', 'three']);
      await wal.close();
      await edit(directory, FIRST, (bytes) => void (bytes[frameOf(bytes, 3).offset + 16]! ^= 1));
      expect(await replayed(directory, { upTo: 2 })).to.deep.equal(['1:one', '2:two']);
    });
  });

  describe('A07 no error value steers the library: what a callback throws is the caller’s alone', () => {
    // Errors of the library's own, which mean something to it where it raises them itself.
    const imitations = [
      new NotFoundError('imitated: a segment that vanished'),
      new TornTailError('imitated: the end of the log'),
      new CorruptionError('imitated: a checkpoint to skip'),
      new FormatError('imitated: a checkpoint to skip'),
      new Error('stop'),
    ];

    for (const thrown of imitations) {
      const name = `${thrown.constructor.name}`;

      it(`${name} from a visitor of entries ends the replay as it is`, async () => {
        const directory = await closedLog('one', 'two');
        let calls = 0;
        const visit = (): void => {
          calls++;
          throw thrown;
        };
        const reader = new WalReader(directory, text);
        for (const mode of ['strict', 'bestEffort'] as const) {
          const error = await reader.replayEach(visit, { mode }).catch((caught: unknown) => caught);
          expect(error).to.equal(thrown);
        }
        expect(calls, 'and is not tried again').to.equal(2);
      });

      it(`${name} from a codec is a DecodeError`, async () => {
        const directory = await closedLog('one');
        const codec: Codec<string> = {
          encode: textCodec.encode,
          decode: () => {
            throw thrown;
          },
        };
        const error = await rejects(new WalReader(directory, { codec }).replayBestEffort(), DecodeError);
        expect(error.cause).to.equal(thrown);
      });

      it(`${name} from apply ends the recovery`, async () => {
        const directory = await closedLog('one');
        const error = await rejects(recovered(directory, { apply: raise(thrown) }), RecoveryError);
        expect(error.cause).to.equal(thrown);
      });

      it(`${name} from restore ends the recovery, and is no reason to pass over a checkpoint`, async () => {
        const directory = await closedLog('one', 'two');
        await put(directory, 'checkpoints/x', Buffer.alloc(0));
        const path = 'checkpoints/ckpt_1.ckpt';
        await CheckpointFile.write(directory, path, { lastAppliedId: 1, codec: textCodec, items: ['state'] });
        const error = await rejects(recovered(directory, { restore: raise(thrown) }), RecoveryError);
        expect(error.cause).to.equal(thrown);
        expect(error.path).to.equal(path);
      });
    }

    function raise(error: Error): () => never {
      return () => {
        throw error;
      };
    }
  });
});

/** A codec of the crate's whole state as one item. */
function crateOf<T>(codec: Codec<T>): Codec<readonly T[]> {
  return { encode: ([item], writer) => codec.encode(item!, writer), decode: (reader) => [codec.decode(reader)] };
}

function recovered(
  directory: MemoryDirectory,
  options: {
    readonly upTo?: number;
    readonly mode?: 'strict' | 'bestEffort';
    readonly apply?: () => never;
    readonly restore?: () => never;
  },
): ReturnType<typeof recoverWithWal<string, string, string[]>> {
  return recoverWithWal<string, string, string[]>(directory, {
    walCodec: textCodec,
    checkpointCodec: textCodec,
    init: () => [],
    restore: (state, item) => [...state, item],
    apply: (state, { entry }) => [...state, entry],
    ...options,
  });
}
