// Entries as text: the payload of an entry is the UTF-8 of its string, nothing else.

import type { Codec } from 'cairnlog';

export const textCodec: Codec<string> = {
  encode: (value, writer) => writer.write(Buffer.from(value, 'utf8')),
  decode: (reader) => Buffer.from(reader.rest()).toString('utf8'),
};
