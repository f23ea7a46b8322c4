// Entries that are strings, one UTF-8 payload each: what a test wrote is then easy to see in a log's bytes, and what a
// replay gave in a failed comparison.

import type { Directory } from 'cairnlog';
import { WalReader, type Codec, type ReplayOptions } from 'cairnlog/wal';

export const textCodec: Codec<string> = {
  encode: (value, writer) => writer.write(Buffer.from(value)),
  decode: (reader) => Buffer.from(reader.rest()).toString(),
};

/** Options of a writer whose entries are strings. */
export const text = { codec: textCodec };

/** What a replay gives, as `id:entry`. */
export async function replayed(directory: Directory, options?: ReplayOptions): Promise<string[]> {
  const records = await new WalReader(directory, text).replay(options);
  return records.map(({ entryId, entry }) => `${entryId}:${entry}`);
}

/** {@link replayed} up to a torn tail. */
export function replayedBestEffort(directory: Directory): Promise<string[]> {
  return replayed(directory, { mode: 'bestEffort' });
}
