// A shop: a projection that knows what sells, a durable subscription that ships what was ordered, and a restart after
// which both go on where they were.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type EventStore, type StoredRecord } from 'cairnlog';
import { Cart, sales } from './cart.js';

const dir = await mkdtemp(join(tmpdir(), 'shop-'));
/** Where parcels go: what a subscriber does outside of the store, the store does not know. */
const parcels: string[] = [];
const warehouse = new EventEmitter();
try {
  await monday();
  await tuesday();
} finally {
  await rm(dir, { recursive: true });
}

async function monday(): Promise<void> {
  const store = await openStore({ dir, aggregates: [Cart], projections: [sales] });
  await store.execute(Cart, '1', (cart) => cart.add('tent'));
  await store.execute(Cart, '1', (cart) => cart.add('lamp', 3));
  await store.execute(Cart, '1', (cart) => cart.remove('tent'));
  // An answer that got lost on its way: the customer asks again with the same id, and gets the first answer again.
  const first = await store.execute(Cart, '1', (cart) => cart.checkOut(), { commandId: 'order-1' });
  const again = await store.execute(Cart, '1', (cart) => cart.checkOut(), { commandId: 'order-1' });
  assert.deepEqual(again, first);
  console.log('Monday: cart 1 is checked out; asked a second time, it is the same answer');

  // Read your own writes: the projection has what this position did.
  await store.waitFor(first.position);
  assert.deepEqual(store.projection(sales).state.sold, { lamp: 3 });
  console.log(`Sold up to position ${first.position}: 3 lamps`);

  // Shipping begins with the first record, whenever it is started.
  await ship(store);
  if (parcels.length === 0) await once(warehouse, 'shipped');
  assert.deepEqual(parcels, ['cart-1: 3 lamp']);
  await assert.rejects(
    store.execute(Cart, '1', (cart) => cart.add('rope')),
    /checked out already/,
  );
  await store.checkpoint();
  await store.close();
}

async function tuesday(): Promise<void> {
  const store = await openStore({ dir, aggregates: [Cart], projections: [sales] });
  const { checkpoint, entriesReplayed } = store.recovery;
  console.log(`Tuesday: recovered from ${checkpoint?.name} and ${entriesReplayed} entries after it`);
  assert.deepEqual(store.projection(sales).state.sold, { lamp: 3 });

  // Ordered while nobody ships.
  await store.execute(Cart, '2', (cart) => {
    cart.add('rope', 2);
    cart.add('lamp');
    cart.checkOut();
  });
  // The subscription goes on behind Monday's order: that one is not shipped again.
  const shipped = once(warehouse, 'shipped');
  await ship(store);
  await shipped;
  assert.deepEqual(parcels, ['cart-1: 3 lamp', 'cart-2: 2 rope, 1 lamp']);
  assert.deepEqual(store.projection(sales).state.sold, { lamp: 4, rope: 2 });
  console.log('Each order was shipped once, and 4 lamps and 2 ropes are sold');
  await store.close();
}

/** Ships every order, across restarts. A parcel is sent again if the process dies after it, and before that is noted. */
async function ship(store: EventStore): Promise<void> {
  await store.subscription('shipping', {
    from: 'start',
    filter: ({ type }) => type === 'CartCheckedOut',
    handle: (record) => {
      const { products } = (record as StoredRecord<{ type: 'CartCheckedOut'; data: Ordered }>).data;
      const parcel = `${record.stream}: ${products.map(({ product, quantity }) => `${quantity} ${product}`).join(', ')}`;
      console.log(`  shipped ${parcel}`);
      parcels.push(parcel);
      warehouse.emit('shipped');
    },
    onError: { retry: 3, then: 'park' },
  });
}

interface Ordered {
  readonly products: readonly { readonly product: string; readonly quantity: number }[];
}
