// What is appended where it is domain events: orders of six fields, in turn to 1,000 streams. They are made before
// anything is timed, 10,000 of them, which are appended over and over: what is measured is the stores.

export const STREAMS = 1000;

/**
 * @typedef {import('../../dist/aggregate/index.js').Event<'OrderPlaced', {
 *   orderId: string, customerId: string, product: string, quantity: number, cents: number, express: boolean,
 * }>} OrderPlaced
 */

/** Divisible by 1,000, as `quantity` is what is added up to check a replay. */
const DISTINCT = 10_000;

const streams = Array.from({ length: STREAMS }, (_, index) => `order-${index}`);

/** @type {readonly OrderPlaced[]} */
const events = Array.from({ length: DISTINCT }, (_, index) => ({
  type: 'OrderPlaced',
  data: {
    orderId: `o-${100_000 + index}`,
    customerId: `c-${index % 5000}`,
    product: `product-${index % 300}`,
    quantity: index % 1000,
    cents: 1999 + (index % 100),
    express: index % 3 === 0,
  },
}));

/**
 * @param {number} index
 * @returns {{ stream: string, event: OrderPlaced }}
 */
export function eventOf(index) {
  return { stream: streams[index % STREAMS], event: events[index % DISTINCT] };
}
