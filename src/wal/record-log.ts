// A log that is one file, at a path of the caller's choosing: the WAL's frames, tail rules, watermark and lock, without
// segments. For journals that are small or thrown away whole.

import { InvalidArgumentError } from '../errors/index.js';
import type { Codec } from '../codec/index.js';
import type { Directory } from '../storage/index.js';
import { normalizePath, parentOf } from '../storage/path.js';
import { singleFileLayout, type LogLayout } from './layout.js';
import { LogReader } from './log-reader.js';
import { LogWriter, openForWriting, type LogWriterOptions } from './log-writer.js';

/**
 * Writer of a one-file log. Everything that `WalWriter` promises holds, except that the file is never split or
 * truncated.
 *
 * @example
 * await using log = await RecordLog.open(directory, 'audit.log', { codec: messagePackCodec<AuditEntry>() });
 * await log.appendDurable({ who: 'ada', what: 'login' });
 */
export class RecordLog<E> extends LogWriter<E> {
  /** Opens the file, or begins it; its folder is made if missing. Errors as in `WalWriter.open`. */
  static open<E>(directory: Directory, path: string, options: LogWriterOptions<E>): Promise<RecordLog<E>> {
    return RecordLog.#start(directory, path, options, 'open');
  }

  /** Begins the file; rejects with `AlreadyExistsError` if it is there. */
  static create<E>(directory: Directory, path: string, options: LogWriterOptions<E>): Promise<RecordLog<E>> {
    return RecordLog.#start(directory, path, options, 'create');
  }

  /** Opens the file; rejects with `NotFoundError` if it is missing. */
  static resume<E>(directory: Directory, path: string, options: LogWriterOptions<E>): Promise<RecordLog<E>> {
    return RecordLog.#start(directory, path, options, 'resume');
  }

  static async #start<E>(
    directory: Directory,
    path: string,
    options: LogWriterOptions<E>,
    intent: 'open' | 'create' | 'resume',
  ): Promise<RecordLog<E>> {
    const layout = layoutOf(path);
    const opened = await openForWriting(directory, layout, options, intent);
    return new RecordLog(directory, layout, options, opened);
  }
}

/**
 * Reader of a one-file log; a missing file is an empty log.
 *
 * @example const entries = await new RecordLogReader(directory, 'audit.log', { codec }).replayBestEffort();
 */
export class RecordLogReader<E> extends LogReader<E> {
  constructor(directory: Directory, path: string, options: { readonly codec: Codec<E> }) {
    super(directory, layoutOf(path), options.codec);
  }
}

function layoutOf(path: string): LogLayout {
  const normal = normalizePath(path);
  if (normal === '') throw new InvalidArgumentError('A record log needs the path of a file');
  return singleFileLayout(normal, parentOf(normal));
}
