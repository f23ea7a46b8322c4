// A shopping cart, and how well products sell: an aggregate for what one customer does, a projection over all of them.

import {
  Aggregate,
  AggregateRoot,
  Command,
  defineProjection,
  Reduces,
  type Event,
  type Of,
  type StoredRecord,
} from 'cairnlog';

export type CartEvent =
  | Event<'ProductAdded', { product: string; quantity: number }>
  | Event<'ProductRemoved', { product: string }>
  | Event<'CartCheckedOut', { products: { product: string; quantity: number }[] }>;

export interface CartState {
  products: Record<string, number>;
  isCheckedOut: boolean;
}

@Aggregate({ name: 'cart', version: 1, events: ['ProductAdded', 'ProductRemoved', 'CartCheckedOut'] })
export class Cart extends AggregateRoot<CartState, CartEvent> {
  static readonly initial: CartState = { products: {}, isCheckedOut: false };

  @Command()
  add(product: string, quantity = 1): void {
    this.#mustBeOpen();
    this.emit('ProductAdded', { product, quantity });
  }

  @Command()
  remove(product: string): void {
    this.#mustBeOpen();
    // Nothing to decide on: nothing is appended.
    if (product in this.state.products) this.emit('ProductRemoved', { product });
  }

  @Command()
  checkOut(): void {
    this.#mustBeOpen();
    const products = Object.entries(this.state.products).map(([product, quantity]) => ({ product, quantity }));
    if (products.length === 0) throw new Error('The cart is empty');
    this.emit('CartCheckedOut', { products });
  }

  #mustBeOpen(): void {
    if (this.state.isCheckedOut) throw new Error('The cart is checked out already');
  }

  @Reduces('ProductAdded')
  static added(state: CartState, { data }: Of<CartEvent, 'ProductAdded'>): void {
    state.products[data.product] = (state.products[data.product] ?? 0) + data.quantity;
  }

  @Reduces('ProductRemoved')
  static removed(state: CartState, { data }: Of<CartEvent, 'ProductRemoved'>): void {
    delete state.products[data.product];
  }

  @Reduces('CartCheckedOut')
  static checkedOut(state: CartState): void {
    state.isCheckedOut = true;
  }
}

/** How many of each product were sold. */
export const sales = defineProjection('sales', {
  initial: { sold: {} as Record<string, number> },
  on: {
    CartCheckedOut: ({ sold }, { data }: StoredRecord<Of<CartEvent, 'CartCheckedOut'>>) => {
      for (const { product, quantity } of data.products) sold[product] = (sold[product] ?? 0) + quantity;
    },
  },
});
