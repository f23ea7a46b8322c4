// Entries that are plain text: the payload is the text's bytes, so its size is in the test's hands.

import type { Codec } from 'cairnlog/wal';

/** UTF-8 and nothing else; `''` is a payload of no bytes. */
export const textCodec: Codec<string> = {
  encode: (value, writer) => writer.write(Buffer.from(value, 'utf8')),
  decode: (reader) => Buffer.from(reader.rest()).toString('utf8'),
};

/** `entry 1`, `entry 2`, ...: entries that say their own id. */
export function numbered(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, index) => `entry ${from + index}`);
}
