// Everything below a directory, for comparing before and after.

import { createHash } from 'node:crypto';
import type { Directory } from 'cairnlog';
import { bytesOf } from './directory-contents.js';

/** Every path and a hash of what is in it, but for lock files: their text changes with every try to open a log. */
export async function tree(directory: Directory, folder = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await directory.list(folder)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    const kind = (await directory.stat(path))?.kind;
    if (kind === 'directory') Object.assign(found, { [`${path}/`]: 'folder' }, await tree(directory, path));
    else if (!name.endsWith('.lock')) {
      const bytes = await bytesOf(directory, path);
      found[path] = `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;
    }
  }
  return found;
}
