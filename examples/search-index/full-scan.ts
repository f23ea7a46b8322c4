// The same answers without an index: every word of every live document is counted. Slow and hard to get wrong, which is
// what makes it the judge of the index.

import { bm25, ranked, type Hit } from './ranking.js';
import { countTerms, tokenize } from './tokenizer.js';

export class FullScan {
  readonly #documents: { readonly path: string; readonly length: number; readonly counts: Map<string, number> }[] = [];
  #words = 0;

  /** `library`: the text of each live document by its path. */
  constructor(library: ReadonlyMap<string, string>) {
    for (const [path, text] of library) {
      const words = tokenize(text);
      this.#documents.push({ path, length: words.length, counts: countTerms(words) });
      this.#words += words.length;
    }
  }

  search(query: string): Hit[] {
    const collection = { documents: this.#documents.length, words: this.#words };
    const scores = new Map<string, number>();
    for (const term of new Set(tokenize(query))) {
      const matches = this.#documents.filter(({ counts }) => counts.has(term));
      for (const { path, length, counts } of matches)
        scores.set(path, (scores.get(path) ?? 0) + bm25(counts.get(term)!, length, matches.length, collection));
    }
    return ranked(scores);
  }
}
