// Waiting for a position to be reached.

import { ClosedError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { checkSignal } from './arguments.js';
import type { Commit } from './commit.js';
import type { Feed } from './feed.js';

export interface WaitOptions {
  /** Gives up: the promise rejects with its reason. `AbortSignal.timeout(ms)` is a limit of time. */
  readonly signal?: AbortSignal | undefined;
}

/** Resolves once `reached` says so: now, or after a commit. Rejects with what it throws. */
export async function waitUntil(
  position: number,
  reached: () => boolean,
  feed: Feed<Commit>,
  { signal }: WaitOptions,
): Promise<void> {
  if (!Number.isSafeInteger(position) || position < 0)
    throw new InvalidArgumentError(`position must be a whole number from 0, got ${shown(position)}`);
  checkSignal(signal);
  if (reached()) return;
  signal?.throwIfAborted();
  let stop: (() => void) | undefined;
  let abort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      abort = () => reject(signal!.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      stop = feed.watch({
        next: () => {
          try {
            if (reached()) resolve();
          } catch (error) {
            reject(error as Error);
          }
        },
        end: (error) =>
          reject(error ?? new ClosedError(`The store was closed before position ${position} was reached`)),
      });
    });
  } finally {
    stop?.();
    if (abort !== undefined) signal?.removeEventListener('abort', abort);
  }
}
