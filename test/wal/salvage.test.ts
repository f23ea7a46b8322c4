import { CorruptionError, MemoryDirectory, WalMaintenance, WalReader, WalWriter, type Directory } from 'cairnlog';
import type { SalvageReport } from 'cairnlog/wal';
import { expect } from 'chai';
import { changed, directoryOf, flipped, imageOf, sameImage, type Image } from '../support/image.js';
import { rejects } from '../support/rejects.js';
import { textCodec as codec } from '../support/text-codec.js';

/** Entries `entry 1` to `entry 9`, three to a segment; each frame takes 23 bytes. */
async function log(): Promise<Image> {
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, { codec, segmentBytes: 110 });
  for (let id = 1; id <= 9; id++) wal.append(`entry ${id}`);
  await wal.close();
  return imageOf(directory);
}

async function salvaged(directory: Directory): Promise<{ found: Record<number, string>; report: SalvageReport }> {
  const found: Record<number, string> = {};
  const report = await new WalMaintenance(directory).salvage(({ entryId, payload }) => {
    found[entryId] = Buffer.from(payload).toString();
  });
  for (const [id, text] of Object.entries(found)) expect(text).to.equal(`entry ${id}`);
  expect(report.entries).to.equal(Object.keys(found).length);
  return { found, report };
}

const keys = (found: Record<number, string>): number[] => Object.keys(found).map(Number);

describe('Salvage', () => {
  it('of a whole log finds everything and loses nothing', async () => {
    const { found, report } = await salvaged(await directoryOf(await log()));
    expect(keys(found)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(report).to.deep.equal({ entries: 9, lost: [], missing: [] });
    expect(await salvaged(new MemoryDirectory())).to.deep.equal({
      found: {},
      report: { entries: 0, lost: [], missing: [] },
    });
  });

  it('finds what lies behind damage that replay refuses, and lists exactly what is lost', async () => {
    const image = changed(await log(), 'wal/wal_2.log', (bytes) => flipped(bytes, 40 + 23 + 16, 1));
    const directory = await directoryOf(image);
    await rejects(new WalReader(directory, { codec }).replayBestEffort(), CorruptionError);
    const { found, report } = await salvaged(directory);
    expect(keys(found)).to.deep.equal([1, 2, 3, 4, 6, 7, 8, 9]);
    expect(report.lost).to.deep.equal([
      { path: 'wal/wal_2.log', offset: 40 + 23, bytes: 23, reason: 'no whole frame' },
    ]);
    expect(report.missing).to.deep.equal([{ from: 5, to: 5 }]);
    sameImage(await imageOf(directory), image);
  });

  it('accounts for every byte, whichever bit is wrong', async () => {
    const image = await log();
    const size = image.get('wal/wal_2.log')!.length;
    for (let offset = 0; offset < size; offset++) {
      const directory = await directoryOf(
        changed(image, 'wal/wal_2.log', (bytes) => flipped(bytes, offset, offset % 8)),
      );
      const { found, report } = await salvaged(directory);
      const broken = offset < 40 ? [4, 5, 6] : [4 + Math.floor((offset - 40) / 23)];
      expect(keys(found)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9].filter((id) => !broken.includes(id)));
      expect(report.missing).to.deep.equal([{ from: broken[0], to: broken.at(-1) }]);
      expect(report.lost.length).to.equal(1);
      expect(report.lost[0]).to.deep.include(
        offset < 40
          ? { path: 'wal/wal_2.log', offset: 0, bytes: size }
          : { path: 'wal/wal_2.log', offset: 40 + 23 * Math.floor((offset - 40) / 23), bytes: 23 },
      );
    }
  });

  it('reads on past a missing segment, a torn tail and a copied segment', async () => {
    const image = await log();
    image.set('wal/wal_3.log', image.get('wal/wal_3.log')!.slice(0, 40 + 30));
    image.set('wal/wal_4.log', image.get('wal/wal_1.log')!);
    image.delete('wal/wal_2.log');
    const { found, report } = await salvaged(await directoryOf(image));
    expect(keys(found)).to.deep.equal([1, 2, 3, 7]);
    expect(report.missing).to.deep.equal([{ from: 4, to: 6 }]);
    expect(report.lost.map(({ path, offset, reason }) => [path, offset, reason])).to.deep.equal([
      ['wal/wal_3.log', 63, 'no whole frame'],
      ['wal/wal_4.log', 40, 'entry 1 was found before'],
      ['wal/wal_4.log', 63, 'entry 2 was found before'],
      ['wal/wal_4.log', 86, 'entry 3 was found before'],
    ]);
  });

  it('of a log that begins later misses nothing that was truncated', async () => {
    const directory = await directoryOf(await log());
    await new WalMaintenance(directory).truncatePrefix(3);
    const { found, report } = await salvaged(directory);
    expect(keys(found)).to.deep.equal([4, 5, 6, 7, 8, 9]);
    expect([report.lost, report.missing]).to.deep.equal([[], []]);
  });

  it('can be carried on in a new log', async () => {
    const image = changed(await log(), 'wal/wal_1.log', (bytes) => flipped(bytes, 41, 2));
    const rescue = new MemoryDirectory();
    const wal = await WalWriter.create(rescue, { codec });
    await new WalMaintenance(await directoryOf(image)).salvage(({ payload }) => {
      wal.append(Buffer.from(payload).toString());
    });
    await wal.close();
    expect((await new WalReader(rescue, { codec }).replay()).map(({ entry }) => entry)).to.deep.equal(
      [2, 3, 4, 5, 6, 7, 8, 9].map((id) => `entry ${id}`),
    );
  });
});
