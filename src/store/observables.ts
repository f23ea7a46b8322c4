// The store as RxJS Observables: the one place, with guarded-observable.ts, that knows RxJS.

import {
  asapScheduler,
  auditTime,
  BehaviorSubject,
  config,
  distinctUntilChanged,
  map,
  tap,
  type Observable,
} from 'rxjs';
import type { Commit } from './commit.js';
import { Feed } from './feed.js';
import { GuardedObservable } from './guarded-observable.js';
import type { StoredRecord } from './record.js';
import { Tail, type TailOptions, type TailSource, type WatchStatus } from './tail.js';
import { shown } from '../errors/shown.js';

/** What every commit comes to, from now on. Completes when the store is closed, fails when the store does. */
export function liveItems<T>(
  feed: Feed<Commit>,
  itemsOf: (commit: Commit) => Iterable<T>,
  report: (error: unknown) => void,
): Observable<T> {
  return new GuardedObservable<T>(
    (subscriber) =>
      feed.watch({
        next: (commit) => {
          for (const item of itemsOf(commit)) subscriber.next(item);
        },
        end: (error) => (error === undefined ? subscriber.complete() : subscriber.error(error)),
      }),
    report,
  );
}

/** A value now, and from now on whenever it differs from the one before. */
export interface Current<T> {
  readonly value: () => T;
  readonly same: (a: T, b: T) => boolean;
  /** Whether no more values will come, and why. */
  readonly over: () => { readonly error: Error | undefined } | undefined;
}

/** The value now and as it changes; `feeds` say when it may have. */
export function currentAndChanges<T>(
  { value, same, over }: Current<T>,
  feeds: readonly Feed<unknown>[],
  report: (error: unknown) => void,
): Observable<T> {
  return new GuardedObservable<T>((subscriber) => {
    let last = value();
    const look = (): void => {
      const now = value();
      if (!same(last, now)) {
        last = now;
        subscriber.next(now);
      }
      const end = over();
      if (end?.error !== undefined) subscriber.error(end.error);
      else if (end !== undefined) subscriber.complete();
    };
    subscriber.next(last);
    const stops = feeds.map((feed) => feed.watch({ next: look, end: look }));
    // It may have changed while the first value was handed out.
    look();
    return () => {
      for (const stop of stops) stop();
    };
  }, report);
}

/** The newest of something that changes, for clients of a store that show a part of it. */
export interface Latest<T> {
  readonly value: T;
  /** What `pick` gives of the present value, and of every later one for which it gives another. */
  select<R>(pick: (value: T) => R): Observable<R>;
}

/**
 * Follows changes, beginning with `first`. What one append has changed is taken over at once, in a microtask after the
 * tick in which it was committed and before its caller goes on: an append of several events is never seen half.
 */
export function latestOf<T>(changes: Observable<T>, first: T): Latest<T> {
  // Kept apart: what was committed last can be looked at after the store has failed, too.
  let latest = first;
  const values$ = new BehaviorSubject(first);
  changes
    .pipe(
      auditTime(0, asapScheduler),
      tap((value) => (latest = value)),
    )
    .subscribe(values$);
  return {
    get value() {
      return latest;
    },
    select: (pick) => {
      const picked$ = values$.pipe(map(pick), distinctUntilChanged());
      return changes instanceof GuardedObservable ? changes.guard(picked$) : picked$;
    },
  };
}

/** Records from a position on, and where their reader is. */
export interface CatchUp {
  /** Begins to read when it is subscribed to; each subscriber reads for itself. */
  readonly records$: Observable<StoredRecord>;
  /** Where the reader that began last is: at once, and whenever it changes. Completes when the store ends. */
  readonly status$: Observable<WatchStatus>;
}

export function catchUp(
  source: TailSource,
  options: Omit<TailOptions, 'signal'>,
  report: (error: unknown) => void,
): CatchUp {
  const changed = new Feed<undefined>(report);
  let newest = new Tail(source, options);
  const records$ = new GuardedObservable<StoredRecord>((subscriber) => {
    const abort = new AbortController();
    const tail = new Tail(source, { ...options, signal: abort.signal });
    tail.onStatus = () => {
      if (newest === tail) changed.publish(undefined);
    };
    newest = tail;
    changed.publish(undefined);
    void pump(tail, subscriber);
    return () => abort.abort();
  }, report);
  const status$ = currentAndChanges(
    {
      value: () => newest.status,
      same: sameFields,
      over: () => (source.feed.ended !== undefined && !newest.reading ? { error: undefined } : undefined),
    },
    [changed, source.feed],
    report,
  );
  return { records$, status$ };
}

async function pump(
  tail: Tail,
  subscriber: { next(record: StoredRecord): void; complete(): void; error(error: unknown): void },
): Promise<void> {
  try {
    for await (const record of tail.records()) subscriber.next(record);
  } catch (error) {
    subscriber.error(error);
    return;
  }
  subscriber.complete();
}

/** Whether two flat objects of the same shape say the same. */
export function sameFields<T extends object>(a: T, b: T): boolean {
  return (Object.keys(a) as (keyof T)[]).every((key) => Object.is(a[key], b[key]));
}

/** Reports what a subscriber threw as RxJS was told to, or as a process warning; never throws. */
export function reportSubscriberError(error: unknown): void {
  if (config.onUnhandledError === null) {
    process.emitWarning(`A subscriber of a store threw: ${error instanceof Error ? error.stack : shown(error)}`, {
      code: 'CAIRN_SUBSCRIBER',
    });
  } else {
    config.onUnhandledError(error);
  }
}
