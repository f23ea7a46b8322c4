// Arbitrary well-formed text, of every length of UTF-8 sequence, cheap to draw.

import fc from 'fast-check';

const char = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 0x7f }) },
  { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xd7ff }) },
  { weight: 1, arbitrary: fc.integer({ min: 0xe000, max: 0x10ffff }) },
);

export function texts(maxLength = 40): fc.Arbitrary<string> {
  return fc.array(char, { maxLength }).map((points) => String.fromCodePoint(...points));
}
