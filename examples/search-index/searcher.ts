// Ranked search over the index segments. Only live documents count, also in the statistics: so an answer depends on
// which documents there are, and never on how they happen to lie in segments or on what was merged when.

import type { LiveSegment } from 'cairnlog';
import type { Postings, SegmentView } from './postings.js';
import { bm25, ranked, type Hit } from './ranking.js';
import { tokenize } from './tokenizer.js';

interface Match {
  readonly path: string;
  readonly length: number;
  readonly count: number;
}

/**
 * Answers from the segments as they were when it was last reopened, however they change meanwhile. Reopening is cheap:
 * what did not change is kept.
 */
export class Searcher {
  /** How often it was reopened, and how many segments it opened and kept in doing so. */
  readonly counts = { reopened: 0, opened: 0, kept: 0 };
  readonly #postingsOf: (segmentId: number) => Postings;
  #open: ReadonlyMap<LiveSegment, SegmentView> = new Map();

  constructor(postingsOf: (segmentId: number) => Postings) {
    this.#postingsOf = postingsOf;
  }

  reopen(segments: ReadonlyMap<number, LiveSegment>): void {
    const open = new Map<LiveSegment, SegmentView>();
    this.counts.reopened++;
    for (const segment of segments.values()) {
      // A segment is the same object as before unless something about it changed.
      const kept = this.#open.get(segment);
      this.counts[kept === undefined ? 'opened' : 'kept']++;
      open.set(segment, kept ?? { postings: this.#postingsOf(segment.segmentId), deletedDocs: segment.deletedDocs });
    }
    this.#open = open;
  }

  search(query: string): Hit[] {
    return search([...this.#open.values()], query);
  }
}

/** The documents that have any of the query's words, best first. */
function search(segments: readonly SegmentView[], query: string): Hit[] {
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
