// Numbers of documents as bits, in chunks that are never changed once made: sets share the chunks in which they agree, so
// that a delete copies a kibibyte and not the set. As plain data, the chunks go into checkpoints as they are.

/** Eight documents a byte. A chunk ends with its last byte that is not zero, so equal sets have equal chunks. */
export type DocChunks = readonly Uint8Array[];

const CHUNK_DOCS = 8192;
const NONE = new Uint8Array(0);

/**
 * A set of document numbers. Never changes.
 *
 * @example if (!segment.deletedDocs.has(docId)) hits.push(docId);
 */
export class DocSet implements Iterable<number> {
  /** How many documents are in the set. */
  readonly size: number;
  readonly #chunks: DocChunks;

  /** Made by the library. */
  constructor(chunks: DocChunks, size: number) {
    this.#chunks = chunks;
    this.size = size;
  }

  has(docId: number): boolean {
    return hasDoc(this.#chunks, docId);
  }

  /** In ascending order. */
  *[Symbol.iterator](): Generator<number, void, undefined> {
    for (const [index, chunk] of this.#chunks.entries())
      for (const [at, bits] of chunk.entries())
        for (let rest = bits, bit = 0; rest !== 0; rest >>= 1, bit++)
          if ((rest & 1) === 1) yield index * CHUNK_DOCS + at * 8 + bit;
  }
}

export function hasDoc(chunks: DocChunks, docId: number): boolean {
  const byte = chunks[Math.floor(docId / CHUNK_DOCS)]?.[(docId % CHUNK_DOCS) >> 3] ?? 0;
  return ((byte >> (docId & 7)) & 1) === 1;
}

/**
 * Puts documents into a set that is being made, or an immer draft of one: the list changes, its chunks are replaced.
 * Returns how many were not in there.
 */
export function addDocs(chunks: Uint8Array[], docIds: readonly number[]): number {
  const lengths = new Map<number, number>();
  for (const docId of docIds) {
    const index = Math.floor(docId / CHUNK_DOCS);
    lengths.set(index, Math.max(lengths.get(index) ?? 0, ((docId % CHUNK_DOCS) >> 3) + 1));
  }
  const mine = new Map<number, Uint8Array>();
  for (const [index, length] of lengths) {
    while (chunks.length < index) chunks.push(NONE);
    const before = chunks[index] ?? NONE;
    const chunk = new Uint8Array(Math.max(before.length, length));
    chunk.set(before);
    chunks[index] = chunk;
    mine.set(index, chunk);
  }
  let added = 0;
  for (const docId of docIds) {
    const chunk = mine.get(Math.floor(docId / CHUNK_DOCS))!;
    const at = (docId % CHUNK_DOCS) >> 3;
    const bits = chunk[at]! | (1 << (docId & 7));
    if (bits !== chunk[at]) added++;
    chunk[at] = bits;
  }
  return added;
}
