// A projection of an open store: its state now, as it changes, and how to fold it anew.

import type { Observable } from 'rxjs';
import type { ReadonlyState } from '../aggregate/index.js';
import { TruncatedError } from '../errors/index.js';
import type { Feed } from './feed.js';
import { currentAndChanges } from './observables.js';
import { ProjectionFold, type ProjectionDefinition } from './projection.js';
import { Tail, type TailSource } from './tail.js';

export class Projection<S extends object = object> {
  readonly #fold: ProjectionFold<S>;
  readonly #commits: Feed<number>;
  readonly #onError: (error: unknown) => void;

  constructor(fold: ProjectionFold<S>, commits: Feed<number>, onError: (error: unknown) => void) {
    this.#fold = fold;
    this.#commits = commits;
    this.#onError = onError;
  }

  get definition(): ProjectionDefinition<S> {
    return this.#fold.definition;
  }

  /** Frozen; as of the last committed record. */
  get state(): ReadonlyState<S> {
    return this.#fold.state;
  }

  /** What a handler threw: since then nothing was folded. `rebuild` begins anew. */
  get failure(): Error | undefined {
    return this.#fold.failure;
  }

  /** The state now, and whenever it changes. */
  get state$(): Observable<ReadonlyState<S>> {
    return currentAndChanges(
      () => this.#fold.state,
      (changed, ended) => {
        let last: unknown = this.#fold.state;
        return this.#commits.watch({
          next: () => {
            if (this.#fold.state === last) return;
            last = this.#fold.state;
            changed();
          },
          end: ended,
        });
      },
      this.#onError,
    );
  }

  /** Used by the store. */
  async rebuild(source: TailSource, firstPosition: number): Promise<void> {
    const { name } = this.definition;
    if (firstPosition > 1)
      throw new TruncatedError(
        `The projection '${name}' cannot be folded anew: the log begins with position ${firstPosition}`,
      );
    const fresh = new ProjectionFold<S>(this.definition);
    const abort = new AbortController();
    const tail = new Tail(source, { from: 1, signal: abort.signal, name: `rebuild of '${name}'` });
    // In the tick in which nothing is left to fold, the fresh state takes the old one's place.
    tail.onStatus = ({ state, lag }) => {
      if (state !== 'live' || lag > 0 || fresh.failure !== undefined) return;
      this.#fold.replace(fresh);
      abort.abort();
    };
    for await (const record of tail.records()) {
      fresh.fold(record);
      if (fresh.failure !== undefined) throw fresh.failure;
    }
  }
}
