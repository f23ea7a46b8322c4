// Numbered units in a bare log: a text for each record.

import { FsDirectory } from 'cairnlog/storage';
import { WalReader, WalWriter } from 'cairnlog/wal';
import { textCodec } from '../../support/text-codec.js';
import { countUnits, textsOf, type Numbered, type NumberedOptions } from './numbered-notes.js';

export async function openNumberedLog(folder: string, options: NumberedOptions): Promise<Numbered> {
  const { durability, segmentBytes = 700, preallocateBytes = 0, recycleSegments = 0, textBytes } = options;
  const directory = await FsDirectory.open(folder);
  const wal = await WalWriter.open(directory, { codec: textCodec, segmentBytes, preallocateBytes, recycleSegments });
  try {
    return {
      found: countUnits(await textsInLog(directory), textBytes),
      position: wal.lastEntryId,
      write: async (unit) => {
        const position = wal.appendBatch(textsOf(unit, textBytes)).at(-1)!;
        await (durability === 'fsync' ? wal.flushAndSync() : wal.flush());
        return position;
      },
      // A bare log has none.
      checkpoint: () => Promise.resolve(),
      close: () => wal.close(),
    };
  } catch (error) {
    await wal.close().catch(() => undefined);
    throw error;
  }
}

/** All entries, up to a torn tail. */
export async function textsInLog(directory: FsDirectory): Promise<string[]> {
  const records = await new WalReader(directory, { codec: textCodec }).replayBestEffort();
  return records.map(({ entry }) => entry);
}
