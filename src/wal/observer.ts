// What a log tells whoever looks on. Calls are synchronous and in the order in which things happened; an observer that
// throws is reported as a process warning and harms nobody else.

import { shown } from '../errors/shown.js';

/** Callbacks of a writer and of maintenance, all optional. */
export interface WalObserver {
  /** An entry was staged under this id; `bytes` is its frame. It is neither written nor durable yet. */
  onAppend?(entryId: number, bytes: number): void;
  /** Bytes were handed to the operating system; entries up to `entryId` are among them. */
  onFlush?(bytes: number, entryId: number): void;
  /** Entries up to `durableId` are on stable storage. */
  onSync?(durableId: number): void;
  /** The new segment exists, durably, and the old one is complete. */
  onSegmentRoll?(oldSegmentId: number, newSegmentId: number): void;
  /** The writer failed and takes no more entries. */
  onFailure?(error: Error): void;
  /** A covered segment is about to be removed; `false` keeps it and all later ones. */
  onBeforeTruncate?(segmentId: number, path: string): boolean | void;
}

/** Calls an observer; what it throws becomes a warning. */
export function notify<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    process.emitWarning(`A WalObserver threw: ${shown(error)}`, { code: 'CAIRN_OBSERVER' });
    return undefined;
  }
}
