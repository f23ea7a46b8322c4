// Short strings and numbers in MessagePack, written into bytes that have room for them: whoever calls has seen to that.

/** Length up to which a string is short: above, the encoder of the platform is faster than a loop. */
export const SHORT_TEXT = 64;
/** Most that a short string takes, and a number. */
export const SHORT_TEXT_BYTES: number = 2 + SHORT_TEXT;
export const NUMBER_BYTES = 9;
const TWO_32 = 2 ** 32;

/** Writes a short string of ASCII at `at` and returns where it ends; returns 0 for any other, whatever was written. */
export function putText(value: string, bytes: Uint8Array, at: number): number {
  const { length } = value;
  let start = at + 1;
  if (length < 32) bytes[at] = 0xa0 + length;
  else {
    if (length > SHORT_TEXT) return 0;
    bytes[at] = 0xd9;
    bytes[start++] = length;
  }
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if (code > 0x7f) return 0;
    bytes[start + index] = code;
  }
  return start + length;
}

/** Writes a number at `at` and returns where it ends. */
export function putNumber(value: number, bytes: Uint8Array, view: DataView, at: number): number {
  if (!Number.isSafeInteger(value)) {
    bytes[at] = 0xcb;
    view.setFloat64(at + 1, value);
    return at + 9;
  }
  if (value >= 0) {
    if (value < 0x80) {
      bytes[at] = value;
      return at + 1;
    }
    if (value < 0x100) {
      bytes[at] = 0xcc;
      bytes[at + 1] = value;
      return at + 2;
    }
    if (value < 0x1_0000) {
      bytes[at] = 0xcd;
      view.setUint16(at + 1, value);
      return at + 3;
    }
    if (value < TWO_32) {
      bytes[at] = 0xce;
      view.setUint32(at + 1, value);
      return at + 5;
    }
    return putWide(0xcf, value, bytes, view, at);
  }
  if (value >= -0x20) {
    bytes[at] = 0x100 + value;
    return at + 1;
  }
  if (value >= -0x80) {
    bytes[at] = 0xd0;
    view.setInt8(at + 1, value);
    return at + 2;
  }
  if (value >= -0x8000) {
    bytes[at] = 0xd1;
    view.setInt16(at + 1, value);
    return at + 3;
  }
  if (value >= -0x8000_0000) {
    bytes[at] = 0xd2;
    view.setInt32(at + 1, value);
    return at + 5;
  }
  return putWide(0xd3, value, bytes, view, at);
}

function putWide(type: number, value: number, bytes: Uint8Array, view: DataView, at: number): number {
  const high = Math.floor(value / TWO_32);
  bytes[at] = type;
  view.setInt32(at + 1, high);
  view.setUint32(at + 5, value - high * TWO_32);
  return at + 9;
}

/** Writes strings that mostly are the one before, whose bytes it remembers. */
export class RepeatedText {
  #last: string | undefined;
  #bytes = 0;
  readonly #words = new Int32Array(Math.ceil(SHORT_TEXT_BYTES / 4));

  /** As {@link putText}. It may write, and read, up to three bytes behind the text. */
  put(value: string, bytes: Uint8Array, view: DataView, at: number): number {
    if (value !== this.#last) return this.#putOther(value, bytes, view, at);
    const words = this.#words;
    const end = at + this.#bytes;
    for (let index = 0, to = at; to < end; index++, to += 4) view.setInt32(to, words[index]!);
    return end;
  }

  #putOther(value: string, bytes: Uint8Array, view: DataView, at: number): number {
    const end = putText(value, bytes, at);
    if (end === 0) return 0;
    this.#last = value;
    this.#bytes = end - at;
    for (let index = 0, from = at; from < end; index++, from += 4) this.#words[index] = view.getInt32(from);
    return end;
  }
}
