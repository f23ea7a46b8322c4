// What is appended where it is domain events: orders of six fields, in turn to 1,000 streams.

export const STREAMS = 1000;

/**
 * @typedef {import('../../dist/aggregate/index.js').Event<'OrderPlaced', {
 *   orderId: string, customerId: string, product: string, quantity: number, cents: number, express: boolean,
 * }>} OrderPlaced
 */

const streams = Array.from({ length: STREAMS }, (_, index) => `order-${index}`);
const products = Array.from({ length: 300 }, (_, index) => `product-${index}`);

/**
 * @param {number} index
 * @returns {{ stream: string, event: OrderPlaced }}
 */
export function eventOf(index) {
  const data = {
    orderId: `o-${index}`,
    customerId: `c-${index % 5000}`,
    product: products[index % 300],
    quantity: index % 1000,
    cents: 1999 + (index % 100),
    express: index % 3 === 0,
  };
  return { stream: streams[index % STREAMS], event: { type: 'OrderPlaced', data } };
}
