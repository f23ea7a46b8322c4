// These are defects that the model of this library had and mended; each is a test here: what makes a log whole, and
// what is done where it is not.

import { expect } from 'chai';
import {
  CorruptionError,
  FormatError,
  MemoryDirectory,
  recoverWithWal,
  TornTailError,
  TruncatedError,
  WalMaintenance,
  WalReader,
  WalWriter,
  type CairnError,
} from 'cairnlog';
import { crateFrame, crateHeader, crateSegment, putCrateLog } from '../support/crate-files.js';
import { bytesOf, contents, copy, edit, put } from '../support/directory-contents.js';
import { rejects, throws } from '../support/rejects.js';
import { replayed, replayedBestEffort, text, textCodec } from '../support/text-log.js';
import { frame, frameOf, framesOf, header, seal, watermark } from '../support/version-4-files.js';

const MAX_ID = Number.MAX_SAFE_INTEGER;

/** A closed log of one entry a segment: `one`, `two`, ... */
async function segmented(...entries: readonly string[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, { ...text, segmentBytes: 56 });
  for (const entry of entries) wal.append(entry);
  await wal.close();
  expect(await directory.list('wal')).to.have.lengthOf(entries.length + 1);
  return directory;
}

/** A log of one segment, its frames made by hand. */
async function madeOf(...frames: readonly Uint8Array[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  await put(directory, 'wal/wal_1.log', Buffer.concat([header(1, 1), ...frames]));
  return directory;
}

const entry = (entryId: number | bigint, payload: string): Buffer => frame({ entryId, payload });

function recover(directory: MemoryDirectory, mode: 'strict' | 'bestEffort'): Promise<unknown> {
  const init = (): string[] => [];
  const restore = (state: string[]): string[] => state;
  return recoverWithWal(directory, {
    walCodec: textCodec,
    checkpointCodec: textCodec,
    init,
    restore,
    apply: restore,
    mode,
  });
}

type ErrorClass = abstract new (...args: never[]) => CairnError;

/** Every way to read the entries refuses, and nothing is changed. */
async function replayRefuses(directory: MemoryDirectory, Class: ErrorClass): Promise<CairnError> {
  const before = await contents(directory);
  await rejects(replayedBestEffort(directory), Class);
  await rejects(new WalReader(directory, text).entryCount(), Class);
  await rejects(recover(directory, 'strict'), Class);
  await rejects(recover(directory, 'bestEffort'), Class);
  const error = await rejects(replayed(directory), Class);
  expect(await contents(directory)).to.deep.equal(before);
  return error;
}

/** As {@link replayRefuses}, and so does whatever else looks at the log. */
async function everythingRefuses(directory: MemoryDirectory, Class: ErrorClass): Promise<CairnError> {
  const before = await contents(directory);
  await rejects(WalWriter.open(directory, text), Class);
  await rejects(WalWriter.resume(directory, text), Class);
  await rejects(new WalMaintenance(directory).segmentRanges(), Class);
  const error = await replayRefuses(directory, Class);
  expect(await contents(directory)).to.deep.equal(before);
  return error;
}

describe('Requirements: integrity of the log', () => {
  describe('A08 segment ids begin at 1, have no hole and no double', () => {
    it('reports a hole by the path of the file that is missing, and truncates nothing', async () => {
      const directory = await segmented('one', 'two', 'three');
      await directory.remove('wal/wal_2.log');
      const error = await everythingRefuses(directory, CorruptionError);
      expect(error.path).to.equal('wal/wal_2.log');
      const before = await contents(directory);
      await rejects(new WalMaintenance(directory).truncatePrefix(1), CorruptionError);
      expect(await contents(directory)).to.deep.equal(before);
    });

    for (const name of ['wal_0.log', 'wal_01.log', 'wal_001.log', 'wal_+1.log', 'wal_+2.log', 'wal_00.log'])
      it(`refuses ${name}: 0 is no id, and one id has one name`, async () => {
        const directory = await segmented('one', 'two');
        await put(directory, `wal/${name}`, await bytesOf(directory, 'wal/wal_1.log'));
        await everythingRefuses(directory, FormatError);
      });

    it('refuses a copy of a segment under the next name', async () => {
      const directory = await segmented('one', 'two');
      await put(directory, 'wal/wal_3.log', await bytesOf(directory, 'wal/wal_2.log'));
      await everythingRefuses(directory, CorruptionError);
    });

    it('takes a log whose first segments were truncated', async () => {
      const directory = await segmented('one', 'two', 'three');
      await new WalMaintenance(directory).truncatePrefix(1);
      expect(await replayed(directory)).to.deep.equal(['2:two', '3:three']);
    });
  });

  describe('A09 a header that names another segment than its file is refused', () => {
    it('in every place of the log, in our version and in those of the crate', async () => {
      const ours = await segmented('one', 'two', 'three');
      const v2 = new MemoryDirectory();
      const v3 = new MemoryDirectory();
      await putCrateLog(v2, 2, [['one'], ['two'], ['three']]);
      await putCrateLog(v3, 3, [['one'], ['two'], ['three']]);
      for (const log of [ours, v2, v3])
        for (const segmentId of [1, 2, 3]) {
          const directory = new MemoryDirectory();
          await copy(log, directory);
          const other = log === ours ? header(7, segmentId) : crateHeader(log === v2 ? 2 : 3, segmentId, 7);
          await edit(directory, `wal/wal_${segmentId}.log`, (bytes) => void other.copy(bytes));
          const error = await everythingRefuses(directory, CorruptionError);
          expect(error.path).to.equal(`wal/wal_${segmentId}.log`);
        }
    });

    it('also where two files changed their names', async () => {
      const directory = await segmented('one', 'two', 'three');
      const [first, second] = [await bytesOf(directory, 'wal/wal_1.log'), await bytesOf(directory, 'wal/wal_2.log')];
      await put(directory, 'wal/wal_1.log', second);
      await put(directory, 'wal/wal_2.log', first);
      await everythingRefuses(directory, CorruptionError);
    });
  });

  describe('A10 entry ids have no gap and no other order, within a segment and across segments', () => {
    const orders = {
      'a gap': [entry(1, 'one'), entry(3, 'three')],
      'an id twice': [entry(1, 'one'), entry(1, 'one')],
      'another order': [entry(2, 'two'), entry(1, 'one')],
      'a first id that is not the header’s': [entry(2, 'two'), entry(3, 'three')],
      'an id above 2^53-1': [entry(1, 'one'), entry(2n ** 53n, 'far')],
    };

    for (const [name, frames] of Object.entries(orders)) {
      it(`${name}, in what was synced: replay, open and maintenance refuse`, async () => {
        await everythingRefuses(await madeOf(...frames, seal(3)), CorruptionError);
      });

      it(`${name}, in a complete segment: replay refuses`, async () => {
        // Open and maintenance look at the names and headers of complete segments and leave the frames to replay.
        const directory = await madeOf(...frames);
        await put(directory, 'wal/wal_2.log', Buffer.concat([header(2, 4), entry(4, 'four')]));
        await replayRefuses(directory, CorruptionError);
      });

      it(`${name}, in the crate's versions: replay, open and maintenance refuse`, async () => {
        for (const version of [2, 3] as const) {
          const directory = new MemoryDirectory();
          const ids = { 'a gap': [1, 3], 'an id twice': [1, 1], 'another order': [2, 1] }[name] ?? [1, 2n ** 53n];
          const crate = ids.map((id) => crateFrame(version, id, 'x'));
          await put(directory, 'wal/wal_1.log', Buffer.concat([crateHeader(version, 1, 1), ...crate]));
          await everythingRefuses(directory, CorruptionError);
        }
      });
    }

    it('behind what was synced, frames out of order were never acknowledged: they are cut', async () => {
      const directory = await madeOf(entry(1, 'one'), entry(2, 'two'), watermark(2, 2), entry(4, 'four'));
      expect(await replayedBestEffort(directory)).to.deep.equal(['1:one', '2:two']);
      await rejects(replayed(directory), TornTailError);
      const wal = await WalWriter.open(directory, text);
      expect(wal.append('three')).to.equal(3);
      await wal.close();
      expect(await replayed(directory)).to.deep.equal(['1:one', '2:two', '3:three']);
    });

    it('a gap or an overlap between two segments', async () => {
      for (const [second, startsAt] of [
        [entry(4, 'four'), 4],
        [entry(2, 'two'), 2],
        [entry(1, 'one'), 1],
      ] as const) {
        const directory = await madeOf(entry(1, 'one'), entry(2, 'two'));
        await put(directory, 'wal/wal_2.log', Buffer.concat([header(2, startsAt), second]));
        await replayRefuses(directory, CorruptionError);
      }
    });

    it('a segment that begins before the one that precedes it', async () => {
      const directory = new MemoryDirectory();
      await put(directory, 'wal/wal_1.log', Buffer.concat([header(1, 5), entry(5, 'five')]));
      await put(directory, 'wal/wal_2.log', Buffer.concat([header(2, 4), entry(4, 'four')]));
      await everythingRefuses(directory, CorruptionError);
    });
  });

  describe('A11 ids end at 2^53-1, and running out of them changes nothing', () => {
    // The crate's ids end at 2^64-1. Above 2^53-1 a JavaScript number is not exact any more, so that is the end here.
    it('append and batch refuse before anything is staged', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.create(directory, { ...text, durableId: MAX_ID - 2 });
      expect(wal.append('last but one')).to.equal(MAX_ID - 1);
      const state = (): unknown => [wal.lastEntryId, wal.stagedBytes, wal.currentSegmentBytes];
      const before = state();
      throws(() => wal.appendBatch(['last', 'too far']), FormatError);
      expect(state()).to.deep.equal(before);
      expect(wal.append('last')).to.equal(MAX_ID);
      const full = state();
      throws(() => wal.append('too far'), FormatError);
      await rejects(wal.appendDurable('too far'), FormatError);
      throws(() => wal.appendBatch(['too far']), FormatError);
      expect(state()).to.deep.equal(full);
      await wal.close();
      const expected = [`${MAX_ID - 1}:last but one`, `${MAX_ID}:last`];
      expect(await replayed(directory)).to.deep.equal(expected);

      const files = await contents(directory);
      const again = await WalWriter.open(directory, text);
      throws(() => again.append('too far'), FormatError);
      await again.close();
      expect(await contents(directory)).to.deep.equal(files);
    });

    it('open refuses where the next id would have to stand in a new header', async () => {
      const directory = new MemoryDirectory();
      await rejects(WalWriter.open(directory, { ...text, durableId: MAX_ID }), CorruptionError);
      expect(await contents(directory)).to.deep.equal({});
      for (const tail of ['', 'a torn tail, which is then not cut either']) {
        const crate = Buffer.concat([crateSegment(3, 1, MAX_ID, ['last']), Buffer.from(tail).subarray(0, 9)]);
        await put(directory, 'wal/wal_1.log', crate);
        const before = await contents(directory);
        await rejects(WalWriter.open(directory, text), CorruptionError);
        expect(await contents(directory)).to.deep.equal(before);
        expect(await replayedBestEffort(directory)).to.deep.equal([`${MAX_ID}:last`]);
      }
    });

    it('headers and frames with ids above are refused', async () => {
      for (const bytes of [header(1, 2n ** 53n), crateHeader(3, 2n ** 53n, 1), crateHeader(3, 1, 2n ** 64n - 1n)]) {
        const directory = new MemoryDirectory();
        await put(directory, 'wal/wal_1.log', bytes);
        await everythingRefuses(directory, FormatError);
      }
      const directory = new MemoryDirectory();
      await put(directory, `wal/wal_${2n ** 53n}.log`, header(1, 1));
      await everythingRefuses(directory, FormatError);
    });
  });

  describe('A12 damage with whole frames behind it is not cut away', () => {
    // The crate refuses whenever a valid frame follows. Here it is known how far the log was synced: what was synced is
    // never cut, and what was not may lie in any order after a power cut and was promised to nobody.
    const damage = (id: number, offset: number) => (bytes: Buffer) =>
      void (bytes[frameOf(bytes, id).offset + offset]! ^= 1);

    for (const [where, offset] of Object.entries({ length: 0, 'entry id': 5, checksum: 13, payload: 16 })) {
      it(`${where} of entry 3 of 10, in a log that was closed`, async () => {
        const directory = new MemoryDirectory();
        const wal = await WalWriter.open(directory, text);
        for (let id = 1; id <= 10; id++) wal.append(`entry ${id}`);
        await wal.close();
        await edit(directory, 'wal/wal_1.log', damage(3, offset));
        const error = await everythingRefuses(directory, CorruptionError);
        expect(error.entryId).to.equal(3);
      });

      it(`${where} of entry 3 of 10, in a log that says further on that it was synced`, async () => {
        const directory = new MemoryDirectory();
        const wal = await WalWriter.open(directory, text);
        for (let id = 1; id <= 10; id++) await wal.appendDurable(`entry ${id}`);
        const crashed = new MemoryDirectory();
        await copy(directory, crashed);
        await wal.close();
        await edit(crashed, 'wal/wal_1.log', damage(3, offset));
        await everythingRefuses(crashed, CorruptionError);
      });

      it(`${where} of entry 3 of 10, in a segment of the crate`, async () => {
        for (const version of [2, 3] as const) {
          const directory = new MemoryDirectory();
          const entries = Array.from({ length: 10 }, (_, index) => `entry ${index + 1}`);
          await putCrateLog(directory, version, [entries]);
          // One more than the frame takes: as if it ran into the next one.
          const at = framesOf(await bytesOf(directory, 'wal/wal_1.log'), 24)[2]!.offset + offset;
          await edit(directory, 'wal/wal_1.log', (bytes) => void (bytes[at]! ^= 1));
          await everythingRefuses(directory, CorruptionError);
        }
      });
    }

    it('a length that runs past the end of the file, in a segment of the crate', async () => {
      for (const version of [2, 3] as const) {
        const directory = new MemoryDirectory();
        await putCrateLog(directory, version, [['one', 'two', 'three', 'four']]);
        const at = framesOf(await bytesOf(directory, 'wal/wal_1.log'), 24)[1]!.offset;
        await edit(directory, 'wal/wal_1.log', (bytes) => void bytes.writeUInt32LE(100_000, at));
        const error = await everythingRefuses(directory, CorruptionError);
        expect(error.message).to.include('entry 3 follows it whole');
      }
    });

    it('what was never synced is cut, whole frames behind the damage too, and the report says so', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, text);
      await wal.appendDurable('synced');
      for (let id = 2; id <= 10; id++) wal.append(`entry ${id}`);
      await wal.flush();
      const crashed = new MemoryDirectory();
      await copy(directory, crashed);
      await wal.close();
      await edit(crashed, 'wal/wal_1.log', damage(3, 16));
      expect(await replayedBestEffort(crashed)).to.deep.equal(['1:synced', '2:entry 2']);
      const whole = await bytesOf(crashed, 'wal/wal_1.log');
      const again = await WalWriter.open(crashed, text);
      const { offset } = frameOf(whole, 3);
      expect(again.opened.tornTail).to.include({ offset, bytes: whole.length - offset });
      await again.close();
    });
  });

  describe('A13 zeros behind the last entry do not stand in the way', () => {
    it('best effort and open take a preallocated segment as a crash leaves it', async () => {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { ...text, preallocateBytes: 4096 });
      await wal.appendDurable('one');
      wal.append('two');
      await wal.flush();
      const crashed = new MemoryDirectory();
      await copy(directory, crashed);
      await wal.close();
      expect(await bytesOf(crashed, 'wal/wal_1.log')).to.have.lengthOf(4096);
      expect(await replayedBestEffort(crashed)).to.deep.equal(['1:one', '2:two']);
      const again = await WalWriter.resume(crashed, text);
      expect(again.append('three')).to.equal(3);
      await again.close();
      expect(await replayed(crashed)).to.deep.equal(['1:one', '2:two', '3:three']);
    });

    it('any number of them, behind the last segment, in every version', async () => {
      for (let zeros = 1; zeros <= 40; zeros++)
        for (const whole of [
          Buffer.concat([header(1, 1), entry(1, 'one')]),
          crateSegment(2, 1, 1, ['one']),
          crateSegment(3, 1, 1, ['one']),
        ]) {
          const directory = new MemoryDirectory();
          await put(directory, 'wal/wal_1.log', Buffer.concat([whole, Buffer.alloc(zeros)]));
          expect(await replayedBestEffort(directory)).to.deep.equal(['1:one']);
          const wal = await WalWriter.open(directory, text);
          expect(wal.append('two')).to.equal(2);
          await wal.close();
          expect(await replayed(directory)).to.deep.equal(['1:one', '2:two']);
        }
    });

    it('any number of them, behind a complete segment, in every version: strict replay goes on', async () => {
      for (let zeros = 1; zeros <= 40; zeros++)
        for (const whole of [
          [Buffer.concat([header(1, 1), entry(1, 'one')]), Buffer.concat([header(2, 2), entry(2, 'two')])],
          [crateSegment(2, 1, 1, ['one']), crateSegment(2, 2, 2, ['two'])],
          [crateSegment(3, 1, 1, ['one']), crateSegment(3, 2, 2, ['two'])],
        ] as const) {
          const directory = new MemoryDirectory();
          await put(directory, 'wal/wal_1.log', Buffer.concat([whole[0], Buffer.alloc(zeros)]));
          await put(directory, 'wal/wal_2.log', whole[1]);
          expect(await replayed(directory), `${zeros} zeros`).to.deep.equal(['1:one', '2:two']);
        }
    });

    it('but not in the place of an entry that the next segment says was there', async () => {
      const directory = await madeOf(entry(1, 'one'), Buffer.alloc(entry(2, 'two').length));
      await put(directory, 'wal/wal_2.log', Buffer.concat([header(2, 3), entry(3, 'three')]));
      await replayRefuses(directory, CorruptionError);
    });
  });

  describe('A14 a last segment that is too short for its header holds nothing and loses nothing', () => {
    const made = {
      'our version': { bytes: 40, log: () => segmented('one', 'two'), last: header(3, 3) },
      'version 2': { bytes: 24, log: () => crate(2), last: crateHeader(2, 3, 3) },
      'version 3': { bytes: 24, log: () => crate(3), last: crateHeader(3, 3, 3) },
    };

    async function crate(version: 2 | 3): Promise<MemoryDirectory> {
      const directory = new MemoryDirectory();
      await putCrateLog(directory, version, [['one'], ['two']]);
      return directory;
    }

    for (const [name, { bytes, log, last }] of Object.entries(made))
      for (const [contents_, header_] of [
        ['its beginning', last],
        ['zeros', Buffer.alloc(bytes)],
      ] as const)
        it(`0 to ${bytes - 1} bytes, ${contents_}, ${name}`, async () => {
          for (let length = 0; length < bytes; length++) {
            const directory = new MemoryDirectory();
            await copy(await log(), directory);
            await put(directory, 'wal/wal_3.log', header_.subarray(0, length));
            expect(await replayedBestEffort(directory)).to.deep.equal(['1:one', '2:two']);
            await rejects(replayed(directory), TornTailError);
            const wal = await WalWriter.resume(directory, text);
            expect(wal.opened.tornTail).to.include({ path: 'wal/wal_3.log', offset: 0, bytes: length });
            expect(wal.append('three')).to.equal(3);
            await wal.close();
            expect(await replayed(directory)).to.deep.equal(['1:one', '2:two', '3:three']);
            expect(await new WalMaintenance(directory).segmentRanges()).to.have.lengthOf(3);
          }
        });

    it('and where it is the only segment, the log is empty and begins at 1', async () => {
      for (const whole of [header(1, 1), crateHeader(2, 1, 1), crateHeader(3, 1, 1)])
        for (let length = 0; length < whole.length; length++) {
          const directory = new MemoryDirectory();
          await put(directory, 'wal/wal_1.log', whole.subarray(0, length));
          expect(await replayedBestEffort(directory)).to.deep.equal([]);
          const wal = await WalWriter.open(directory, text);
          expect(wal.append('one')).to.equal(1);
          await wal.close();
          expect(await replayed(directory)).to.deep.equal(['1:one']);
        }
    });
  });

  describe('A15 ids go on from the segment before, when nothing in the last one is whole', () => {
    it('in our version, wherever its first frame was cut', async () => {
      const first = entry(3, 'three');
      for (let length = 0; length < first.length; length++) {
        const directory = await madeOf(entry(1, 'one'), entry(2, 'two'));
        await put(directory, 'wal/wal_2.log', Buffer.concat([header(2, 3), first.subarray(0, length)]));
        const wal = await WalWriter.open(directory, text);
        expect([wal.lastEntryId, wal.append('again')]).to.deep.equal([2, 3]);
        await wal.close();
        expect(await replayed(directory)).to.deep.equal(['1:one', '2:two', '3:again']);
      }
    });

    it('in the crate’s versions, wherever its first frame was cut', async () => {
      for (const version of [2, 3] as const) {
        const first = crateFrame(version, 3, 'three');
        for (let length = 0; length < first.length; length++) {
          const directory = new MemoryDirectory();
          await putCrateLog(directory, version, [['one', 'two'], []]);
          await edit(directory, 'wal/wal_2.log', (bytes) => Buffer.concat([bytes, first.subarray(0, length)]));
          const wal = await WalWriter.open(directory, text);
          expect([wal.lastEntryId, wal.append('again')]).to.deep.equal([2, 3]);
          await wal.close();
          expect(await replayed(directory)).to.deep.equal(['1:one', '2:two', '3:again']);
        }
      }
    });

    it('also when the segments before it were truncated', async () => {
      const directory = new MemoryDirectory();
      await put(directory, 'wal/wal_9.log', Buffer.concat([header(9, 41), entry(41, 'x').subarray(0, 16)]));
      await rejects(replayed(directory, { from: 1 }), TruncatedError);
      const wal = await WalWriter.open(directory, text);
      expect(wal.append('again')).to.equal(41);
      await wal.close();
    });
  });

  it('A16 names in the folder of the log that are not segments are ignored, and kept', async () => {
    const directory = await segmented('one', 'two');
    const strangers = [
      'wal_1.log.tmp',
      'wal_3.log.ab12cd34ef56.tmp',
      'wal_2.log~',
      'wal_.log',
      'wal_x.log',
      'wal_-3.log',
      'wal_3.5.log',
      'wal_0x3.log',
      'wal_3.LOG',
      'WAL_3.log',
      'xwal_3.log',
      'wal_3',
      'segment_3.log',
      '.DS_Store',
      '.nfs0000000000000001',
      'notes.txt',
    ];
    for (const name of strangers) await put(directory, `wal/${name}`, Buffer.from('not a segment'));
    await directory.makeDirectory('wal/old');
    expect(await replayed(directory)).to.deep.equal(['1:one', '2:two']);
    const wal = await WalWriter.open(directory, text);
    expect(wal.append('three')).to.equal(3);
    await wal.close();
    await new WalMaintenance(directory).truncatePrefix(1);
    expect(await replayed(directory)).to.deep.equal(['2:two', '3:three']);
    expect(await directory.list('wal')).to.include.members([...strangers, 'old']);
  });
});
