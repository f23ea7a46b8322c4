// The files of a directory as plain bytes: to damage them, to compare them, and to make another directory of them.

import { MemoryDirectory, type Directory } from 'cairnlog';
import { makeDirectoryDurable, readBytes, writeFully } from 'cairnlog/storage';

/** Contents by path; lock files are left out. */
export type Image = Map<string, Uint8Array>;

export async function imageOf(directory: Directory, folder = ''): Promise<Image> {
  const image: Image = new Map();
  for (const name of await directory.list(folder)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    if ((await directory.stat(path))?.kind === 'directory')
      for (const [inner, bytes] of await imageOf(directory, path)) image.set(inner, bytes);
    else if (!path.endsWith('.lock')) image.set(path, await readBytes(directory, path));
  }
  return image;
}

export async function directoryOf(image: ReadonlyMap<string, Uint8Array>): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  for (const [path, bytes] of image) await put(directory, path, bytes);
  return directory;
}

/** Writes a file, replacing what is there, and making its folder. */
export async function put(directory: Directory, path: string, bytes: Uint8Array): Promise<void> {
  if (path.includes('/')) await makeDirectoryDurable(directory, path.slice(0, path.lastIndexOf('/')));
  if ((await directory.stat(path)) !== undefined) await directory.remove(path);
  const file = await directory.open(path, 'create');
  await writeFully(file, bytes, 0);
  await file.close();
}

/** A copy of the image in which one file is another; `undefined` removes it. */
export function changed(image: Image, path: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Image {
  const copy: Image = new Map(image);
  const bytes = change(image.get(path)!.slice());
  if (bytes === undefined) copy.delete(path);
  else copy.set(path, bytes);
  return copy;
}

/** Flips one bit. */
export function flipped(bytes: Uint8Array, offset: number, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[offset]! ^= 1 << bit;
  return copy;
}

/** Fails unless both hold the same files with the same bytes. */
export function sameImage(actual: Image, expected: Image): void {
  const names = [...actual.keys()].sort().join();
  if (names !== [...expected.keys()].sort().join())
    throw new Error(`files differ: ${names} instead of ${[...expected.keys()].sort().join()}`);
  for (const [path, bytes] of expected)
    if (Buffer.compare(bytes, actual.get(path)!) !== 0) throw new Error(`'${path}' was changed`);
}
