// Files of a Directory as a whole: put there by a test, changed behind the library's back, and compared before and after.

import type { Directory } from 'cairnlog';
import { makeDirectoryDurable, readBytes, writeBytesAtomically } from 'cairnlog/storage';

/** Writes a file in the place of whatever is there, and its folder if that is missing. */
export async function put(directory: Directory, path: string, bytes: Uint8Array): Promise<void> {
  await makeDirectoryDurable(directory, path.split('/').slice(0, -1).join('/'));
  await writeBytesAtomically(directory, path, bytes);
}

/** A file's bytes, as a Buffer of their own. */
export async function bytesOf(directory: Directory, path: string): Promise<Buffer> {
  return Buffer.from(await readBytes(directory, path));
}

/** Changes a file: `change` edits the bytes or returns others. */
export async function edit(
  directory: Directory,
  path: string,
  change: (bytes: Buffer) => Uint8Array | void,
): Promise<void> {
  const bytes = await bytesOf(directory, path);
  await put(directory, path, change(bytes) ?? bytes);
}

/** Every file of a folder and what is in it, but for lock files: those come and go with every try to open a log. */
export async function contents(directory: Directory, folder = 'wal'): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await directory.list(folder)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    if (name.endsWith('.lock') || (await directory.stat(path))?.kind !== 'file') continue;
    found[path] = (await bytesOf(directory, path)).toString('hex');
  }
  return found;
}

/** Copies folders of one directory into another: what a crash at this moment would leave, if it lost nothing. */
export async function copy(from: Directory, to: Directory, folders: readonly string[] = ['wal']): Promise<void> {
  for (const folder of folders)
    for (const [path, hex] of Object.entries(await contents(from, folder)))
      await put(to, path, Buffer.from(hex, 'hex'));
}
