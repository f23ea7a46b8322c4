// What must not compile in classes with decorators: an expected error that is none breaks the build. Legacy decorators;
// test/standard-decorators has the same for standard ones.

import {
  Aggregate,
  AggregateRoot,
  Command,
  MigratesState,
  Reduces,
  Upcasts,
  type DataOf,
  type Event,
  type Of,
  type StoredRecord,
} from 'cairnlog';

interface CartState {
  readonly id: string | null;
  items: { sku: string; count: number }[];
  total: number;
}

type CartEvent =
  | Event<'ItemAdded', { sku: string; count: number }>
  | Event<'ItemRemoved', { sku: string }>
  | Event<'CartEmptied', null>;

@Aggregate({ name: 'cart' })
export class Cart extends AggregateRoot<CartState, CartEvent> {
  static readonly initial: CartState = { id: null, items: [], total: 0 };

  @Command()
  add(sku: string, count: number): number {
    this.emit('ItemAdded', { sku, count });
    // @ts-expect-error a field is missing
    this.emit('ItemAdded', { sku });
    // @ts-expect-error a field is of another type
    this.emit('ItemAdded', { sku, count: '1' });
    // @ts-expect-error a field that the event has not
    this.emit('ItemAdded', { sku, count, price: 1 });
    // @ts-expect-error data of another event
    this.emit('ItemRemoved', { count });
    // @ts-expect-error an unknown event
    this.emit('ItemStolen', { sku });
    // @ts-expect-error an event without its data
    this.emit('ItemAdded');
    this.emit('CartEmptied', null);
    return this.state.total;
  }

  @Command()
  write(): void {
    // @ts-expect-error the state is not for writing
    this.state.total = 1;
    // @ts-expect-error nor is what is in it
    this.state.items[0]!.count++;
    // @ts-expect-error nor are its lists
    this.state.items.push({ sku: 'a', count: 1 });
    // @ts-expect-error the state cannot be replaced
    this.state = { id: null, items: [], total: 0 };
    // @ts-expect-error the version is counted by the store
    this.version++;
    // @ts-expect-error the id is given
    this.id = 'other';
  }

  // @ts-expect-error a command is no static method
  @Command()
  static notACommand(): void {}

  @Reduces('ItemAdded')
  static added(state: CartState, event: Of<CartEvent, 'ItemAdded'>): void {
    state.items.push(event.data);
    // @ts-expect-error the event does not have that field
    state.total += event.data.price;
  }

  // @ts-expect-error the event's type is not that of the string
  @Reduces('ItemRemoved')
  static mistaken(state: CartState, event: Of<CartEvent, 'ItemAdded'>): void {
    state.total -= event.data.count;
  }

  // @ts-expect-error a misspelled type
  @Reduces('ItemRemovd')
  static misspelled(state: CartState, event: Of<CartEvent, 'ItemRemoved'>): void {
    state.items = state.items.filter(({ sku }) => sku !== event.data.sku);
  }

  // @ts-expect-error a reducer is static
  @Reduces('CartEmptied')
  emptied(state: CartState): void {
    state.items = [];
  }

  // The event may be left out, a reducer may return whatever an arrow function would, and say what `this` is.
  @Reduces('CartEmptied')
  static reallyEmptied(this: typeof Cart, state: CartState): number {
    return (state.total = this.initial.total);
  }

  // @ts-expect-error an upcaster is static
  @Upcasts('ItemAdded', 1)
  upcastedByInstance(data: { sku: string }): unknown {
    return { ...data, count: 1 };
  }

  // @ts-expect-error a migration is static
  @MigratesState(1)
  migratedByInstance(state: CartState): CartState {
    return state;
  }
}

// @ts-expect-error an aggregate has a name
@Aggregate({ version: 1 })
export class Nameless extends AggregateRoot<CartState, CartEvent> {}

// @ts-expect-error the version is a number
@Aggregate({ name: 'cart', version: '1' })
export class WrongVersion extends AggregateRoot<CartState, CartEvent> {}

// @ts-expect-error events are facts with a type
export class NoEvents extends AggregateRoot<CartState, { sku: string }> {}

// @ts-expect-error a state is an object
export class NoState extends AggregateRoot<number, CartEvent> {}

/** Outside the class nobody emits. */
export function outside(cart: Cart): void {
  // @ts-expect-error only commands emit
  cart.emit('CartEmptied', null);
}

export const removed: Of<CartEvent, 'ItemRemoved'> = { type: 'ItemRemoved', data: { sku: 'a' } };
export const data: DataOf<CartEvent, 'ItemAdded'> = { sku: 'a', count: 1 };
// @ts-expect-error not an event of the union
export type Unknown = Of<CartEvent, 'ItemStolen'>;
// @ts-expect-error data of another event
export const wrongData: DataOf<CartEvent, 'ItemAdded'> = { sku: 'a' };
// @ts-expect-error an event is not changed
removed.type = 'ItemRemoved';

/** The type of a record tells the type of its data. */
export function amount(record: StoredRecord<CartEvent>): number {
  // @ts-expect-error which event it is has to be asked first
  if (record.data.count === 2) return 2;
  if (record.type === 'ItemAdded') return record.data.count;
  // @ts-expect-error that is not an event of the union
  if (record.type === 'ItemStolen') return 1;
  // @ts-expect-error a record is not changed
  record.position = 1;
  return 0;
}
