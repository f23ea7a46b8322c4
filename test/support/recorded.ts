// A directory that writes down every operation, to count syncs and to see that nothing was touched.

import type { Directory } from 'cairnlog';
import { FaultyDirectory, isMutation, type DiskOperation } from 'cairnlog/testing';

export interface Recorded {
  readonly directory: FaultyDirectory;
  readonly operations: DiskOperation[];
  count(kind: DiskOperation['kind'], path?: string): number;
  mutations(): DiskOperation[];
}

export function recorded(inner: Directory): Recorded {
  const operations: DiskOperation[] = [];
  const directory = new FaultyDirectory(inner, (operation) => {
    operations.push(operation);
    return undefined;
  });
  return {
    directory,
    operations,
    count: (kind, path) => operations.filter((op) => op.kind === kind && (path ?? op.path) === op.path).length,
    mutations: () => operations.filter(isMutation),
  };
}
