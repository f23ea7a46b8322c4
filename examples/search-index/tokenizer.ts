// What counts as a word. Documents and queries go through the same function, or they would never meet.

const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** Words in lower case, in order: `tokenize("Don't re-index!")` is `['don', 't', 're', 'index']`. */
export function tokenize(text: string): string[] {
  return text.normalize('NFKC').toLowerCase().match(WORD) ?? [];
}

/** How often each word occurs. */
export function countTerms(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
