import { CorruptionError, MemoryDirectory, WalReader, WalWriter, type Directory, type TornTail } from 'cairnlog';
import { manual } from 'cairnlog/wal';
import { expect } from 'chai';
import { directoryOf, imageOf } from '../support/image.js';
import { patch, put } from '../support/raw-files.js';
import { rejects } from '../support/rejects.js';
import { textCodec as codec } from '../support/text-codec.js';
import { frame, framesOf, header, watermark } from '../support/version-4-files.js';

const FIRST = 'wal/wal_1.log';

/** Entries `1` to the last, some longer than a window is wide, alone, in batches, and with watermarks between them. */
async function mixedLog(): Promise<{ directory: Directory; entries: string[] }> {
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, { codec, flushPolicy: manual, segmentBytes: 1 << 20 });
  const entries: string[] = [];
  const next = (size: number): string => {
    entries.push(String(entries.length + 1).padEnd(size, '.'));
    return entries.at(-1)!;
  };
  for (let round = 0; round < 12; round++) {
    for (let size = 0; size < 80; size += 3) wal.append(next(size));
    wal.appendBatch([next(1), next(40), next(2)]);
    if (round % 3 === 0) await wal.flushAndSync();
    if (round % 5 === 2) wal.append(next(300_000));
    wal.appendBatch([next(round * 30_000), next(5)]);
  }
  await wal.close();
  return { directory, entries };
}

async function bestEffort(directory: Directory): Promise<{ ids: number[]; tornTail: TornTail | undefined }> {
  const ids: number[] = [];
  const visit = ({ entryId }: { entryId: number }) => void ids.push(entryId);
  const { tornTail } = await new WalReader(directory, { codec }).replayEach(visit, { mode: 'bestEffort' });
  return { ids, tornTail };
}

describe('A scan of frames', () => {
  it('gives entries alone, in batches and between watermarks back in order, from and up to any of them', async () => {
    const { directory, entries } = await mixedLog();
    const reader = new WalReader(directory, { codec });
    const ids = entries.map((_, index) => index + 1);
    for (const from of ids.filter((id) => id % 23 === 1))
      for (const upTo of ids.filter((id) => id >= from && (id % 31 === 0 || id - from < 3))) {
        const records = await reader.replay({ from, upTo });
        expect(records.map(({ entryId }) => entryId)).to.deep.equal(ids.slice(from - 1, upTo));
        for (const { entryId, entry } of records)
          expect(entry === entries[entryId - 1], `entry ${entryId}`).to.equal(true);
      }
    expect(await reader.entryCount()).to.equal(entries.length);
  });

  it('takes no id above 2^53-1 for the next one, though a double cannot tell them apart', async () => {
    const largest = 2n ** 53n - 1n;
    for (const follower of [largest + 1n, largest + 2n]) {
      const directory = new MemoryDirectory();
      const batch = [
        frame({ entryId: largest, payload: 'last', more: true }),
        frame({ entryId: follower, payload: 'one too many' }),
      ];
      await put(directory, FIRST, Buffer.concat([header(1, largest), ...batch]));
      const { ids, tornTail } = await bestEffort(directory);
      expect(ids).to.deep.equal([]);
      expect(tornTail?.reason).to.contain('above 2^53-1');
    }
  });

  it('stops at the first frame that is not the next one, wherever in a row of good ones it stands', async () => {
    const good = (count: number, from = 1): Buffer[] =>
      Array.from({ length: count }, (_, index) => frame({ entryId: from + index, payload: `entry ${from + index}` }));
    const strangers: [string, Buffer][] = [
      ['its checksum does not fit', frame({ entryId: 4, payload: 'of another segment' }, 7)],
      ['it holds entry 3 where entry 4 belongs', frame({ entryId: 3, payload: 'again' })],
      ['it holds entry 5 where entry 4 belongs', frame({ entryId: 5, payload: 'too early' })],
      ['its length field says 15', Buffer.concat([Buffer.of(15, 0, 0, 0), Buffer.alloc(12)])],
      ['a frame of length zero', Buffer.alloc(16)],
      ['a control frame names another entry', watermark(2, 1)],
    ];
    for (const [reason, stranger] of strangers) {
      const directory = new MemoryDirectory();
      await put(directory, FIRST, Buffer.concat([header(1, 1), ...good(3), stranger, ...good(4, 4)]));
      const { ids, tornTail } = await bestEffort(directory);
      expect(ids, reason).to.deep.equal([1, 2, 3]);
      expect(tornTail?.reason).to.equal(reason);
      expect(tornTail?.offset).to.equal(40 + 3 * 23);
    }
  });

  it('knows that a seal with entries behind it is not the end: closing seals the log again', async () => {
    const directory = new MemoryDirectory();
    const sealed = await WalWriter.open(directory, { codec });
    sealed.append('before the seal');
    await sealed.close();
    const crashing = await WalWriter.open(directory, { codec });
    crashing.append('behind the seal');
    await crashing.flush();
    const crashed = await directoryOf(await imageOf(directory));
    await crashing.close();

    await (await WalWriter.open(crashed, { codec })).close();
    await patch(crashed, FIRST, (bytes) => {
      const { offset } = framesOf(Buffer.from(bytes)).find(({ entryId, control }) => entryId === 2 && !control)!;
      bytes[offset + 20]! ^= 1;
    });
    await rejects(bestEffort(crashed), CorruptionError);
  });
});
