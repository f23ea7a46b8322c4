// How well a document answers a query: BM25, the usual formula. A document scores for every term that it has, more for
// rare terms and for many occurrences, less if it is long.

/** A document that answers a query. */
export interface Hit {
  readonly path: string;
  readonly score: number;
}

/** What the formula needs to know of all live documents together. */
export interface Collection {
  readonly documents: number;
  /** Words of all documents. */
  readonly words: number;
}

/** Saturation: how soon more occurrences stop to count. */
const K1 = 1.2;
/** How much long documents are held back, from 0 to 1. */
const B = 0.75;

/** The score of one term in a document of `length` words that has it `count` times; `matching` documents have it. */
export function bm25(count: number, length: number, matching: number, collection: Collection): number {
  const rarity = Math.log(1 + (collection.documents - matching + 0.5) / (matching + 0.5));
  const relativeLength = length / (collection.words / collection.documents);
  return (rarity * count * (K1 + 1)) / (count + K1 * (1 - B + B * relativeLength));
}

/** Best hits first; equal scores in the order of their paths, so that an answer is always the same. */
export function ranked(scores: ReadonlyMap<string, number>): Hit[] {
  return [...scores]
    .map(([path, score]) => ({ path, score }))
    .sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
}
