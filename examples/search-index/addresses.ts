// Where each live document is, by its path: what turns "delete this file" into the segment and number that the store
// speaks of.

import type { LiveSegment } from 'cairnlog';
import type { DocAddress } from 'cairnlog/wal';
import type { Postings } from './postings.js';

export class Addresses {
  readonly #byPath = new Map<string, DocAddress>();

  /** Notes the live documents of a segment; where a path was noted before, the new place counts. */
  note({ segmentId, deletedDocs }: LiveSegment, postings: ReadonlyMap<number, Postings>): void {
    for (const [number, { path }] of postings.get(segmentId)!.documents.entries())
      if (!deletedDocs.has(number)) this.#byPath.set(path, [segmentId, number]);
  }

  forget(paths: readonly string[]): void {
    for (const path of paths) this.#byPath.delete(path);
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** Addresses of the documents that are there. */
  of(paths: readonly string[]): DocAddress[] {
    return paths.map((path) => this.#byPath.get(path)).filter((address) => address !== undefined);
  }
}
