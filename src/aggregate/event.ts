// Events: facts in the past tense, plain data with a name.

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
