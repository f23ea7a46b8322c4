// Postings on disk: `postings/segment_<id>.postings`, a line with the CRC-32 of the rest in hexadecimal, then JSON.
// A file is there whole or not at all, and is never changed, so readers and crashes cannot meet a half-written one.

import { crc32 } from 'node:zlib';
import { CorruptionError, type Directory } from 'cairnlog';
import { readBytes, removeDurable, writeBytesAtomically } from 'cairnlog/storage';
import type { IndexedDocument, Postings } from './postings.js';

export const POSTINGS_FOLDER = 'postings';

export function postingsPath(segmentId: number): string {
  return `${POSTINGS_FOLDER}/segment_${segmentId}.postings`;
}

interface PostingsJson {
  readonly documents: readonly IndexedDocument[];
  /** A list, because a term such as `__proto__` makes a bad key of an object. */
  readonly terms: readonly (readonly [term: string, list: readonly number[]])[];
}

export function encodePostings({ documents, terms }: Postings): Uint8Array {
  const json = JSON.stringify({ documents, terms: [...terms] } satisfies PostingsJson);
  return Buffer.from(`${checksum(json)}\n${json}`);
}

/** Resolves once the file would survive a power cut. */
export function writePostings(directory: Directory, segmentId: number, postings: Postings): Promise<void> {
  return writeBytesAtomically(directory, postingsPath(segmentId), encodePostings(postings));
}

export async function readPostings(directory: Directory, segmentId: number): Promise<Postings> {
  const path = postingsPath(segmentId);
  const contents = Buffer.from(await readBytes(directory, path)).toString();
  const json = contents.slice(contents.indexOf('\n') + 1);
  if (contents !== `${checksum(json)}\n${json}`)
    throw new CorruptionError('The postings are damaged: their checksum does not fit. Restore them from a backup', {
      path,
    });
  const { documents, terms } = JSON.parse(json) as PostingsJson;
  return { documents, terms: new Map(terms) };
}

export function removePostings(directory: Directory, segmentId: number): Promise<void> {
  return removeDurable(directory, postingsPath(segmentId));
}

/**
 * Removes the files of all segments but these, and what is left of interrupted writes. Resolves to their paths.
 * Not while postings are written: what is not in place yet would be taken for a leftover.
 */
export async function removePostingsExcept(
  directory: Directory,
  segments: ReadonlyMap<number, unknown>,
): Promise<string[]> {
  const orphans = (await list(directory)).filter(({ segmentId, whole }) => !whole || !segments.has(segmentId));
  for (const { path } of orphans) await removeDurable(directory, path);
  return orphans.map(({ path }) => path);
}

/** The highest id that any file is named after, 0 without one. Leftovers count: their ids are not given out again. */
export async function highestSegmentId(directory: Directory): Promise<number> {
  return Math.max(0, ...(await list(directory)).map(({ segmentId }) => segmentId));
}

/** Names that are not ours are passed over. */
async function list(directory: Directory): Promise<{ path: string; segmentId: number; whole: boolean }[]> {
  return (await directory.list(POSTINGS_FOLDER)).flatMap((name) => {
    const match = /^segment_(\d+)\.postings(\.\w+\.tmp)?$/.exec(name);
    if (match === null) return [];
    return [{ path: `${POSTINGS_FOLDER}/${name}`, segmentId: Number(match[1]), whole: match[2] === undefined }];
  });
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}
