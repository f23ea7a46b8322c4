// The documents that are indexed: Markdown and text files, by their path.

import type { Dirent } from 'node:fs';
import * as fs from 'node:fs/promises';

export interface Document {
  readonly path: string;
  readonly text: string;
}

/** All documents below the folders, in the order of their paths. A folder that is not there has none. */
export async function findDocuments(folders: readonly string[]): Promise<Document[]> {
  const paths: string[] = [];
  for (const folder of folders) for await (const path of walk(folder.replace(/(?<=.)[/\\]+$/, ''))) paths.push(path);
  return Promise.all([...new Set(paths)].sort().map(readDocument));
}

export async function readDocument(path: string): Promise<Document> {
  return { path, text: await fs.readFile(path, 'utf8') };
}

async function* walk(folder: string): AsyncGenerator<string, void, undefined> {
  for (const entry of await entriesOf(folder)) {
    const path = `${folder}/${entry.name}`;
    // Names with a dot are caches and tools' own; symlinks are neither folder nor file here, so no way leads in circles.
    if (entry.isDirectory() && !entry.name.startsWith('.')) yield* walk(path);
    else if (entry.isFile() && /\.(md|markdown|txt)$/i.test(entry.name)) yield path;
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await fs.readdir(folder, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
