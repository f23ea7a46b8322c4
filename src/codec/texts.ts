// Strings out of bytes. Many short ones (names of streams, types, products) are ones that were met before: those are found
// by their bytes, which takes less time than making them again, and less memory. What is found is compared with all of
// the bytes. How much is remembered is bounded.

import { compile } from './compile.js';

/** Strings up to this length are compared by four words; up to the other one they are remembered. */
const FOUR_WORDS = 16;
const SHORT_STRING = 32;
/** A power of two. More would not be in the processor's cache when they are looked for. */
const REMEMBERED = 4096;
/** How often a column may miss more than it hits before it is not searched any more, and how it comes back. */
const PATIENCE = 2048;
const HOPELESS = -64;
/** Of a column that is not searched, one string in so many is; a power of two. */
const SAMPLE = 16;

// Shared by all decoders: what one met another finds.
const texts: string[] = Array.from({ length: REMEMBERED }, () => '');
const words = new Int32Array(4 * REMEMBERED);

// On any bytes, without a Buffer being made for them.
const LATIN1 = Buffer.prototype.latin1Slice;
const UTF8 = Buffer.prototype.utf8Slice;

/** Whether strings of one kind are worth a search: while it is above 0 they are. */
export class Habit {
  score: number = PATIENCE;

  hit(): void {
    if (this.score < PATIENCE) this.score = this.score === -1 ? PATIENCE : this.score + 1;
  }

  miss(): void {
    if (this.score > HOPELESS) this.score = this.score === 0 ? HOPELESS : this.score - 1;
  }
}

/** The string of the UTF-8 in `bytes[start, start + length)`, which `view` has too. */
export function textOf(bytes: Uint8Array, view: DataView, start: number, length: number, habit: Habit): string {
  if (length > FOUR_WORDS) return longerText(bytes, view, start, length, habit);
  // All the bytes, some of them twice: strings of one length are the same if these are.
  let first = 0;
  let second = 0;
  let third = 0;
  let last = 0;
  if (length >= 4) {
    const end = start + length;
    first = view.getInt32(start);
    last = view.getInt32(end - 4);
    if (length > 8) {
      second = view.getInt32(start + 4);
      third = view.getInt32(end - 8);
    }
  } else if (length > 0)
    first = (bytes[start]! << 16) | (bytes[start + (length >> 1)]! << 8) | bytes[start + length - 1]!;
  else return '';
  if (((first | second | third | last) & 0x8080_8080) !== 0) return UTF8.call(bytes, start, start + length);
  let hash = Math.imul(first ^ Math.imul(second, 0x85eb_ca6b), 0xc2b2_ae35) ^ Math.imul(third, 0x27d4_eb2f) ^ last;
  hash = Math.imul(hash ^ (hash >>> 15) ^ length, 0x9e37_79b1);
  hash ^= hash >>> 15;
  if (habit.score < 0 && (hash & (SAMPLE - 1)) !== 0) return asciiText(bytes, start, length);
  const slot = (hash >>> 4) & (REMEMBERED - 1);
  const at = 4 * slot;
  const met = texts[slot]!;
  if (
    words[at + 3] === last &&
    words[at] === first &&
    words[at + 1] === second &&
    words[at + 2] === third &&
    met.length === length
  ) {
    habit.hit();
    return met;
  }
  habit.miss();
  words[at] = first;
  words[at + 1] = second;
  words[at + 2] = third;
  words[at + 3] = last;
  return (texts[slot] = asciiText(bytes, start, length));
}

/** As above, of more than four bytes. Comparing takes about as long as making: this saves memory. */
function longerText(bytes: Uint8Array, view: DataView, start: number, length: number, habit: Habit): string {
  const end = start + length;
  if (length > SHORT_STRING) return UTF8.call(bytes, start, end);
  let all = view.getInt32(end - 4);
  let hash = all ^ length;
  for (let at = start; at < end - 4; at += 4) {
    const word = view.getInt32(at);
    all |= word;
    hash = Math.imul(hash ^ word, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  if ((all & 0x8080_8080) !== 0) return UTF8.call(bytes, start, end);
  if (habit.score < 0 && (hash & (SAMPLE - 1)) !== 0) return asciiText(bytes, start, length);
  const slot = (hash >>> 4) & (REMEMBERED - 1);
  const met = texts[slot]!;
  if (met.length === length && isText(met, bytes, start)) {
    habit.hit();
    return met;
  }
  habit.miss();
  return (texts[slot] = asciiText(bytes, start, length));
}

function isText(text: string, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) !== bytes[start + index]) return false;
  return true;
}

/** As arguments bytes become a string in half the time, up to about this many. */
const MOST_ARGUMENTS = 24;
type Maker = (bytes: Uint8Array, at: number) => string;

const makers: readonly (Maker | undefined)[] = Array.from({ length: MOST_ARGUMENTS + 1 }, (_, length) =>
  compile<Maker>('b,at', `return of(${Array.from({ length }, (_, index) => `b[at+${index}]`).join()})`, {
    of: String.fromCharCode,
  }),
);

/** A string of bytes below 0x80. */
function asciiText(bytes: Uint8Array, at: number, length: number): string {
  const maker = makers[length];
  return maker === undefined ? LATIN1.call(bytes, at, at + length) : maker(bytes, at);
}
