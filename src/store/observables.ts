// The store as RxJS Observables: the one place, with guarded-observable.ts, that knows RxJS.

import { asapScheduler, auditTime, BehaviorSubject, distinctUntilChanged, map, tap, type Observable } from 'rxjs';
import type { Feed } from './feed.js';
import { GuardedObservable } from './guarded-observable.js';
import type { StoredRecord } from './record.js';
import { Tail, type TailOptions, type TailSource, type TailStatus } from './tail.js';

/** Records as they are committed, from now on. */
export function liveRecords(feed: Feed<StoredRecord>, onError: (error: unknown) => void): Observable<StoredRecord> {
  return new GuardedObservable<StoredRecord>(
    (subscriber) =>
      feed.watch({
        next: (records) => {
          for (const record of records) subscriber.next(record);
        },
        end: (error) => (error === undefined ? subscriber.complete() : subscriber.error(error)),
      }),
    onError,
  );
}

/** Values as they change, the present one first. */
export function currentAndChanges<T>(
  current: () => T,
  watch: (changed: () => void, ended: (error: Error | undefined) => void) => () => void,
  onError: (error: unknown) => void,
): Observable<T> {
  return new GuardedObservable<T>((subscriber) => {
    subscriber.next(current());
    return watch(
      () => subscriber.next(current()),
      (error) => (error === undefined ? subscriber.complete() : subscriber.error(error)),
    );
  }, onError);
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

/** History, then live. */
export interface CatchUp {
  /** Begins to read when it is subscribed; each subscriber reads for itself. */
  readonly records$: Observable<StoredRecord>;
  /** Where the newest of its readers is. */
  readonly status$: Observable<TailStatus>;
}

export function catchUp(
  source: TailSource,
  options: Omit<TailOptions, 'signal'>,
  onError: (error: unknown) => void,
): CatchUp {
  const status$ = new BehaviorSubject<TailStatus>(new Tail(source, options).status);
  const records$ = new GuardedObservable<StoredRecord>((subscriber) => {
    const abort = new AbortController();
    const tail = new Tail(source, { ...options, signal: abort.signal });
    tail.onStatus = (status) => status$.next(status);
    void pump(tail, subscriber);
    return () => abort.abort();
  }, onError);
  return { records$, status$: guarded(status$, onError) };
}

async function pump(
  tail: Tail,
  subscriber: { next(record: StoredRecord): void; complete(): void; error(error: unknown): void },
): Promise<void> {
  try {
    for await (const record of tail.records()) subscriber.next(record);
    subscriber.complete();
  } catch (error) {
    subscriber.error(error);
  }
}

function guarded<T>(source: Observable<T>, onError: (error: unknown) => void): Observable<T> {
  return new GuardedObservable<T>((subscriber) => source.subscribe(subscriber), onError);
}
