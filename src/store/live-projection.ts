// A projection of an open store: its state now, as it changes, and how to fold it anew.

import type { Observable } from 'rxjs';
import type { ReadonlyState } from '../aggregate/index.js';
import { ClosedError } from '../errors/index.js';
import type { Commit } from './commit.js';
import type { Feed } from './feed.js';
import { currentAndChanges } from './observables.js';
import { ProjectionFold, type ProjectionDefinition, type ProjectionError } from './projection.js';
import { Tail, truncated, type TailSource } from './tail.js';
import { waitUntil, type WaitOptions } from './wait.js';

/** What a projection needs of its store. */
export interface ProjectionHost {
  readonly feed: Feed<Commit>;
  readonly tails: TailSource;
  /** Everything up to here is committed, and folded by every projection that has not failed. */
  committedPosition(): number;
  report(error: unknown): void;
}

/**
 * A projection of an open store, as `store.projection(definition)` returns it.
 *
 * @example
 * const totals = store.projection(totalsDefinition);
 * const { position } = await store.execute(Account, 'a-1', (account) => account.deposit(10));
 * await totals.waitFor(position);
 * console.log(totals.state.deposited);
 */
export class Projection<S extends object = object> {
  readonly #fold: ProjectionFold<S>;
  readonly #host: ProjectionHost;
  #rebuilding: Promise<void> | undefined;

  /** Made by the store. */
  constructor(fold: ProjectionFold<S>, host: ProjectionHost) {
    this.#fold = fold;
    this.#host = host;
    const { name } = fold.definition;
    // What it has not folded stays, so that it can go on once it is mended.
    host.tails.holds.add(() =>
      fold.failure === undefined ? undefined : { name: `projection '${name}', which failed`, position: fold.position },
    );
  }

  /** What `defineProjection` returned. */
  get definition(): ProjectionDefinition<S> {
    return this.#fold.definition;
  }

  /** Frozen; as of {@link position}. */
  get state(): ReadonlyState<S> {
    return this.#fold.state;
  }

  /** Everything up to here is folded into the state: the store's position, unless it has failed. */
  get position(): number {
    return this.failure === undefined ? this.#host.committedPosition() : this.#fold.position;
  }

  /** What a handler threw: since then nothing was folded. */
  get failure(): ProjectionError | undefined {
    return this.#fold.failure;
  }

  /**
   * The state at once, and whenever it changes: what one append changes comes as one. Completes when the store is
   * closed; fails with {@link failure}, or with the store.
   *
   * @example totals.state$.subscribe(({ deposited }) => render(deposited));
   */
  get state$(): Observable<ReadonlyState<S>> {
    const { feed } = this.#host;
    return currentAndChanges(
      {
        value: () => this.#fold.state,
        same: Object.is,
        over: () => (this.#fold.failure === undefined ? feed.ended : { error: this.#fold.failure }),
      },
      [feed],
      (error) => this.#host.report(error),
    );
  }

  /**
   * Resolves once everything up to `position` is folded: read your own writes. Rejects with {@link failure},
   * `ClosedError` when the store is closed before, or the reason of `signal`.
   *
   * @example await totals.waitFor(position, { signal: AbortSignal.timeout(1000) });
   */
  waitFor(position: number, options: WaitOptions = {}): Promise<void> {
    return waitUntil(
      position,
      () => {
        if (this.position >= position) return true;
        if (this.failure !== undefined) throw this.failure;
        return false;
      },
      this.#host.feed,
      options,
    );
  }

  /** Used by the store; use `store.rebuild(name)`. */
  rebuild(): Promise<void> {
    return (this.#rebuilding ??= this.#rebuild().finally(() => {
      this.#rebuilding = undefined;
    }));
  }

  async #rebuild(): Promise<void> {
    const { tails, feed } = this.#host;
    const { name } = this.definition;
    const first = tails.firstPosition();
    if (first > 1) throw truncated(1, first);
    const fresh = new ProjectionFold<S>(this.definition);
    const abort = new AbortController();
    const tail = new Tail(tails, { from: 1, signal: abort.signal, name: `rebuild of '${name}'` });
    let replaced = false;
    // In a tick in which nothing is left to fold, the fresh state takes the old one's place: the next commit finds it.
    tail.onIdle = () => {
      if (fresh.failure !== undefined) return;
      this.#fold.replace(fresh);
      replaced = true;
      abort.abort();
    };
    for await (const record of tail.records()) {
      fresh.fold(record);
      if (fresh.failure !== undefined) throw fresh.failure;
    }
    if (!replaced) throw new ClosedError(`The store was closed before the projection '${name}' was rebuilt`);
    // For those who watch the state.
    feed.publish({ position: this.#host.committedPosition(), records: [], changes: [] });
  }
}
