// Questions to the index, and whether two ways of answering them agree to the last bit of every score.

import type { Document } from './documents.js';
import type { Hit } from './ranking.js';
import { tokenize } from './tokenizer.js';

export interface Answer {
  readonly query: string;
  readonly hits: readonly Hit[];
}

const QUERIES = ['progress bar in the terminal', 'regular expression flags', 'code coverage of tests'];

/** Two ways to the same answer led to different ones. */
export class DifferentAnswerError extends Error {}

/** All hits are compared later, not only the best ones: so no document can be missing unnoticed. */
export function answerAll(queries: readonly string[], search: (query: string) => Hit[]): Answer[] {
  return queries.map((query) => ({ query, hits: search(query) }));
}

/** Queries that people might ask, and those that have something to find: two words of every third document. */
export function queriesFrom(documents: readonly Document[]): string[] {
  const queries = documents
    .filter((_, index) => index % 3 === 0)
    .map(({ text }) => {
      const words = tokenize(text);
      return [words[words.length >> 1], words[words.length >> 2]].join(' ').trim();
    });
  return [...new Set([...QUERIES, ...queries])].filter((query) => query !== '');
}

/** Throws {@link DifferentAnswerError} at the first query that is not answered alike. */
export function mustAgree(when: string, expected: readonly Answer[], now: string, actual: readonly Answer[]): void {
  if (expected.length !== actual.length)
    throw new DifferentAnswerError(`${expected.length} queries were answered ${when}, ${actual.length} ${now}`);
  for (const [index, { query, hits }] of expected.entries()) {
    const found = actual[index]?.hits ?? [];
    for (let place = 0; place < Math.max(hits.length, found.length); place++)
      if (hits[place]?.path !== found[place]?.path || hits[place]?.score !== found[place]?.score)
        throw new DifferentAnswerError(
          `Hit ${place + 1} for "${query}" differs: ` +
            `${when} it was ${describe(hits[place])}, ${now} it is ${describe(found[place])}`,
        );
  }
}

function describe(hit: Hit | undefined): string {
  return hit === undefined ? 'nothing' : `${hit.path} (${hit.score})`;
}
