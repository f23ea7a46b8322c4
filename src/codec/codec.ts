// What turns a value into bytes and back. The log frames and checksums what a codec writes and knows nothing else of it.

import type { ByteReader } from '../bytes/byte-reader.js';
import type { ByteWriter } from '../bytes/byte-writer.js';
import { DecodeError } from '../errors/index.js';

/**
 * Value ⇄ bytes.
 *
 * `encode` runs inside `append`, in the same tick, and keeps nothing of the value. It throws `EncodeError` for a value
 * that `decode` would not give back as it was; then nothing was appended. `decode` gets a reader over exactly the bytes
 * that `encode` wrote and must read them all; those bytes are reused afterwards, so what is kept of them is copied.
 *
 * @example
 * const counter: Codec<number> = {
 *   encode: (value, writer) => writer.varint(value),
 *   decode: (reader) => reader.varint(),
 * };
 */
export interface Codec<T> {
  encode(value: T, writer: ByteWriter): void;
  decode(reader: ByteReader): T;
}

/** Decodes all of a reader's range. Throws {@link DecodeError} for bytes that are left over. */
export function decodeWhole<T>(codec: Codec<T>, reader: ByteReader): T {
  const value = codec.decode(reader);
  if (reader.position !== reader.end)
    throw new DecodeError(
      `${reader.end - reader.position} bytes are left over after the value; is it the right codec?`,
    );
  return value;
}

/** Bytes as they are. What `decode` gives is a copy. */
export const bytesCodec: Codec<Uint8Array> = {
  encode: (value, writer) => writer.write(value),
  decode: (reader) => new Uint8Array(reader.rest()),
};
