// The reader of a WAL: segments `wal/wal_<id>.log` below a directory, of this library or of the crate.

import type { Codec } from '../codec/index.js';
import type { Directory } from '../storage/index.js';
import { walLayout } from './layout.js';
import { LogReader } from './log-reader.js';

/**
 * Replays a write-ahead log. Reads version 4 and the crate's versions 2 and 3. Needs no lock, and may run beside a
 * writer: it sees the entries that were written when it began. What it shows of them is durable only up to what a
 * writer has synced, or once `WalWriter.open` has taken the log over.
 *
 * @example
 * const reader = new WalReader(directory, { codec: walEntryCodec });
 * for (const { entryId, entry } of await reader.replay()) console.log(entryId, entry.type);
 */
export class WalReader<E> extends LogReader<E> {
  constructor(directory: Directory, options: { readonly codec: Codec<E> }) {
    super(directory, walLayout, options.codec);
  }
}
