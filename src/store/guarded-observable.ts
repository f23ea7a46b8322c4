// Observables whose subscribers cannot take the process down. RxJS rethrows what a subscriber's handler throws, later
// and outside of any stack that could catch it, as an uncaught exception. Here it is handed to the store instead, also
// where operators lie in between.

import { Observable, type Observer, type Subscriber, type Subscription, type TeardownLogic } from 'rxjs';

export class GuardedObservable<T> extends Observable<T> {
  readonly #onError: (error: unknown) => void;

  constructor(
    subscribe: ((subscriber: Subscriber<T>) => TeardownLogic) | undefined,
    onError: (error: unknown) => void,
  ) {
    super(subscribe as never);
    this.#onError = onError;
  }

  /** Another Observable with the same guard. */
  guard<R>(source: Observable<R>): Observable<R> {
    return new GuardedObservable<R>((subscriber) => source.subscribe(subscriber), this.#onError);
  }

  // Operators build their results with lift: these have to be guarded as well.
  override lift<R>(operator?: unknown): Observable<R> {
    return Object.assign(new GuardedObservable<R>(undefined, this.#onError), { source: this, operator });
  }

  override subscribe(
    observerOrNext?: Partial<Observer<T>> | ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // What RxJS itself subscribes with handles its own errors.
    if (isSubscriber(observerOrNext)) return super.subscribe(observerOrNext as Observer<T>);
    const observer: Partial<Observer<T>> =
      typeof observerOrNext === 'function' || observerOrNext === null || observerOrNext === undefined
        ? {
            ...(observerOrNext ? { next: observerOrNext } : {}),
            ...(error ? { error } : {}),
            ...(complete ? { complete } : {}),
          }
        : observerOrNext;
    return super.subscribe({
      next: (value) => this.#guard(() => observer.next?.(value)),
      error: (failure: unknown) =>
        this.#guard(() => (observer.error === undefined ? this.#onError(failure) : observer.error(failure))),
      complete: () => this.#guard(() => observer.complete?.()),
    });
  }

  #guard(call: () => unknown): void {
    try {
      const result = call();
      // An async handler is not waited for; its failure would be an unhandled rejection.
      if (result instanceof Promise) result.catch(this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }
}

function isSubscriber(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'closed' in value && 'add' in value;
}
