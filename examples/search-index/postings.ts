// The contents of one index segment: its documents, numbered from 0, and for each term the documents that have it.
// Never changed once made: a deleted document stays in here and is only passed over, until a merge leaves it out.

import type { Document } from './documents.js';
import { countTerms, tokenize } from './tokenizer.js';

export interface IndexedDocument {
  readonly path: string;
  /** Number of words. */
  readonly length: number;
}

export interface Postings {
  readonly documents: readonly IndexedDocument[];
  /** For each term: document number, occurrences, document number, occurrences, and so on, in ascending order. */
  readonly terms: ReadonlyMap<string, readonly number[]>;
}

/** Contents of a segment, and which of its documents are deleted. */
export interface SegmentView {
  readonly postings: Postings;
  readonly deletedDocs: { has(number: number): boolean };
}

export function buildPostings(documents: readonly Document[]): Postings {
  const terms = new Map<string, number[]>();
  const indexed = documents.map(({ path, text }, number) => {
    const words = tokenize(text);
    for (const [term, count] of countTerms(words)) listOf(terms, term).push(number, count);
    return { path, length: words.length };
  });
  return { documents: indexed, terms };
}

/**
 * Several segments as one, without what is deleted. Documents are numbered anew in the order in which they come, which
 * is what a SegmentManager assumes unless it is told otherwise.
 */
export function mergePostings(segments: readonly SegmentView[]): Postings {
  const documents: IndexedDocument[] = [];
  const terms = new Map<string, number[]>();
  for (const { postings, deletedDocs } of segments) {
    const numbers = postings.documents.map((document, number) =>
      deletedDocs.has(number) ? undefined : documents.push(document) - 1,
    );
    for (const [term, list] of postings.terms)
      for (let at = 0; at < list.length; at += 2) {
        const number = numbers[list[at]!];
        if (number !== undefined) listOf(terms, term).push(number, list[at + 1]!);
      }
  }
  return { documents, terms };
}

function listOf(terms: Map<string, number[]>, term: string): number[] {
  let list = terms.get(term);
  if (list === undefined) terms.set(term, (list = []));
  return list;
}
