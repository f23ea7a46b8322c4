// Files as bytes, past everything that guards them: for putting damage in place and for seeing that nothing was touched.

import type { Directory } from 'cairnlog';
import { makeDirectoryDurable, readBytes, writeFully } from 'cairnlog/storage';

/** Makes the file, and its folders, with exactly these bytes; durably, where the directory knows the word. */
export async function put(directory: Directory, path: string, bytes: Uint8Array): Promise<void> {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  await makeDirectoryDurable(directory, folder);
  const exists = (await directory.stat(path)) !== undefined;
  const file = await directory.open(path, exists ? 'update' : 'create');
  try {
    await file.truncate(bytes.length);
    await writeFully(file, bytes, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await directory.syncDirectory(folder);
}

/** Changes a file's bytes in place; `change` may also return others, shorter or longer. */
export async function patch(
  directory: Directory,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array | void,
): Promise<void> {
  const bytes = new Uint8Array(await readBytes(directory, path));
  await put(directory, path, change(bytes) ?? bytes);
}

/** Every file but lock files, by its path, as hexadecimal digits. */
export async function contents(directory: Directory, folder = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await directory.list(folder)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    const kind = (await directory.stat(path))?.kind;
    if (kind === 'directory') Object.assign(found, await contents(directory, path));
    else if (!name.endsWith('.lock')) found[path] = Buffer.from(await readBytes(directory, path)).toString('hex');
  }
  return found;
}

/** The same files in another directory. */
export async function copyFiles(from: Directory, to: Directory): Promise<void> {
  for (const [path, hex] of Object.entries(await contents(from))) await put(to, path, Buffer.from(hex, 'hex'));
}
