// Ranked search over the index segments. Only live documents count, also in the statistics: so an answer depends on
// which documents there are, and never on how they happen to lie in segments or on what was merged when.

import type { SegmentView } from './postings.js';
import { bm25, ranked, type Hit } from './ranking.js';
import { tokenize } from './tokenizer.js';

interface Match {
  readonly path: string;
  readonly length: number;
  readonly count: number;
}

/** The documents that have any of the query's words, best first. */
export function search(segments: readonly SegmentView[], query: string): Hit[] {
  const collection = { documents: 0, words: 0 };
  for (const { postings, deletedDocs } of segments)
    for (const [number, { length }] of postings.documents.entries())
      if (!deletedDocs.has(number)) {
        collection.documents++;
        collection.words += length;
      }

  const scores = new Map<string, number>();
  for (const term of new Set(tokenize(query))) {
    const matches = segments.flatMap((segment) => liveMatches(segment, term));
    for (const { path, length, count } of matches)
      scores.set(path, (scores.get(path) ?? 0) + bm25(count, length, matches.length, collection));
  }
  return ranked(scores);
}

function liveMatches({ postings, deletedDocs }: SegmentView, term: string): Match[] {
  const list = postings.terms.get(term) ?? [];
  const matches: Match[] = [];
  for (let at = 0; at < list.length; at += 2) {
    const number = list[at]!;
    if (!deletedDocs.has(number)) matches.push({ ...postings.documents[number]!, count: list[at + 1]! });
  }
  return matches;
}
