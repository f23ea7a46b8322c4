// The default codec: MessagePack through @msgpack/msgpack, for plain data. The library drops or alters some values
// without a word (a Map becomes {}, undefined becomes null, -0 becomes 0), so every value is checked first.

import { Decoder, Encoder } from '@msgpack/msgpack';
import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { CairnError, DecodeError, EncodeError } from '../errors/index.js';
import type { Codec } from './codec.js';
import { MessagePackDecoder } from './message-pack-decoder.js';
import { encodeMessagePack } from './message-pack-encoder.js';
import { checkPlainData, MAX_DEPTH } from './plain-data.js';

const INITIAL_BYTES = 2048;

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
  // Instances are reused: a new Encoder per value costs four times as much. Its result is a view that the next value
  // overwrites, so it is copied into the writer at once.
  // The encoder counts a leaf as a level of its own; too deep a value is the check's to refuse, which names the field.
  const encoder = new Encoder({ initialBufferSize: INITIAL_BYTES, maxDepth: MAX_DEPTH + 1 });
  const library = new Decoder();
  const decoder = new MessagePackDecoder((bytes) => library.decode(bytes), { frozen });
  const encodeOther = (value: unknown): Uint8Array => {
    try {
      return encoder.encodeSharedRef(value);
    } catch (cause) {
      throw new EncodeError(`MessagePack cannot hold this value: ${String(cause)}`, { cause });
    }
  };
  return {
    encode(value: T, writer: ByteWriter): void {
      // One level more than data may have: the store puts data into an array of its own.
      encodeMessagePack(value, writer, MAX_DEPTH + 1, encodeOther);
    },
    decode(reader: ByteReader): T {
      try {
        const { bytes, position, end } = reader;
        reader.position = end;
        return decoder.decode(bytes, position, end) as T;
      } catch (cause) {
        if (cause instanceof CairnError) throw cause;
        throw new DecodeError(`Not a MessagePack value: ${String(cause)}`, { cause });
      }
    },
  };
}
