// The default codec: MessagePack through @msgpack/msgpack, for plain data. The library drops or alters some values
// without a word (a Map becomes {}, undefined becomes null, -0 becomes 0), so every value is checked first.

import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { CairnError, DecodeError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Codec } from './codec.js';
import { MessagePackDecoder } from './message-pack-decoder.js';
import { MessagePackEncoder } from './message-pack-encoder.js';
import { checkPlainData, MAX_DEPTH } from './plain-data.js';

/**
 * MessagePack for plain data: `null`, booleans, finite and other numbers, strings, arrays, plain objects, `Date` and
 * `Uint8Array` (a `Buffer` comes back as `Uint8Array`). Anything else is an `EncodeError` that names the field.
 *
 * @example
 * const codec = messagePackCodec<{ type: 'Opened'; owner: string }>();
 * const wal = await WalWriter.open(directory, { codec });
 */
export function messagePackCodec<T>(): Codec<T> {
  const unchecked = uncheckedMessagePackCodec<T>();
  return {
    encode(value, writer) {
      checkPlainData(value);
      unchecked.encode(value, writer);
    },
    decode: (reader) => unchecked.decode(reader),
  };
}

/** As {@link messagePackCodec}, for values that are known to be plain data. `frozen`: what they hold is. */
export function uncheckedMessagePackCodec<T>({ frozen = false }: { readonly frozen?: boolean } = {}): Codec<T> {
  const encoder = new MessagePackEncoder();
  const decoder = new MessagePackDecoder({ frozen });
  return {
    encode(value: T, writer: ByteWriter): void {
      // One level more than data may have: the store puts data into an array of its own.
      encoder.encode(value, writer, MAX_DEPTH + 1);
    },
    decode(reader: ByteReader): T {
      try {
        const { bytes, position, end } = reader;
        reader.position = end;
        return decoder.decode(bytes, position, end) as T;
      } catch (cause) {
        if (cause instanceof CairnError) throw cause;
        throw new DecodeError(`Not a MessagePack value: ${shown(cause)}`, { cause });
      }
    },
  };
}
