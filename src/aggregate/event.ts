// Events: facts in the past tense, plain data with a name.

import { copyPlainData } from '../codec/index.js';
import { EncodeError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

/**
 * A fact about an aggregate.
 *
 * @example
 * type AccountEvent =
 *   | Event<'AccountOpened', { owner: string }>
 *   | Event<'MoneyDeposited', { amount: number }>;
 */
export interface Event<Type extends string = string, Data = unknown> {
  readonly type: Type;
  readonly data: Data;
}

/** The member of an event union with this type: `Of<AccountEvent, 'MoneyDeposited'>`. */
export type Of<E extends Event, T extends E['type']> = Extract<E, { readonly type: T }>;

/** Data of the member of an event union with this type. */
export type DataOf<E extends Event, T extends E['type']> = Of<E, T>['data'];

/**
 * A copy that shares nothing with what the caller has, frozen. Throws {@link InvalidArgumentError} for a type that is no
 * name, and {@link EncodeError} with the path of the first field of the data (`data.items[2].price`) that would not come
 * back as it is.
 */
export function copyEvent(type: unknown, data: unknown): Event {
  if (typeof type !== 'string' || type === '' || !type.isWellFormed())
    throw new InvalidArgumentError(
      `An event is { type, data }, with a text that is not empty as its type; got ${shown(type)}`,
    );
  try {
    return Object.freeze({ type, data: copyPlainData(data, 'data') });
  } catch (cause) {
    if (!(cause instanceof EncodeError)) throw cause;
    throw new EncodeError(`Event '${type}': ${cause.message}`, { field: cause.field, cause });
  }
}
