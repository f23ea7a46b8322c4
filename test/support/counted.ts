// What a piece of work asks of the disk: cost as a number of operations and bytes, which no slow machine can change.

import type { Directory } from 'cairnlog';
import { FaultyDirectory, isMutation, type DiskOperation } from 'cairnlog/testing';

export class Counted {
  /** Work on this one. */
  readonly directory: FaultyDirectory;
  /** Operations since the last {@link clear}. */
  operations: DiskOperation[] = [];

  constructor(inner: Directory) {
    this.directory = new FaultyDirectory(inner, (operation) => {
      this.operations.push(operation);
      return undefined;
    });
  }

  clear(): void {
    this.operations = [];
  }

  /** Operations of a kind, on one path or on all. */
  of(kind: DiskOperation['kind'], path?: string): DiskOperation[] {
    return this.operations.filter(
      (operation) => operation.kind === kind && (path ?? operation.path) === operation.path,
    );
  }

  mutations(): DiskOperation[] {
    return this.operations.filter(isMutation);
  }

  /** Bytes that reads asked for, on one path or on all. */
  bytesRead(path?: string): number {
    return this.of('read', path).reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  }
}
