// Domain events with what a store has to know of them, as MessagePack of msgpackr, whose records leave out the field
// names: the structures are given here once, so that nothing has to be stored beside the events. Measured against JSON
// with each of the peers: appending takes two thirds of the time, replaying half of it.

import { Packr } from 'msgpackr';
import { eventOf, STREAMS } from '../event-workload.mjs';

/** @import { OrderPlaced } from '../event-workload.mjs' */
/** @typedef {{ stream: string, version: number, type: string, recordedAt: number, data: OrderPlaced['data'] }} Stored */

const packr = new Packr({
  structures: [
    ['stream', 'version', 'type', 'recordedAt', 'data'],
    ['orderId', 'customerId', 'product', 'quantity', 'cents', 'express'],
  ],
});

/** @type {import('../payload.js').Payload<Stored>} */
export const EVENTS = {
  storedAs: 'MessagePack of msgpackr with shared structures, faster than JSON',
  entryOf(index) {
    const { stream, event } = eventOf(index);
    const version = Math.floor(index / STREAMS) + 1;
    return { stream, version, type: event.type, recordedAt: Date.now(), data: event.data };
  },
  encode: (entry) => packr.pack(entry),
  reusesBytes: false,
  decode: (bytes) => packr.unpack(bytes),
  amountOf({ type, data }) {
    if (type !== 'OrderPlaced') throw new Error(`Not an event of ours: ${type}`);
    return data.quantity;
  },
};

/**
 * An event from its place in a buffer.
 *
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} end
 * @returns {Stored}
 */
export function unpackEvent(bytes, start, end) {
  return packr.unpack(bytes, { start, end });
}

/** As most programs do it. @type {import('../payload.js').Payload<Stored>} */
export const EVENTS_AS_JSON = {
  ...EVENTS,
  storedAs: 'JSON',
  encode: (entry) => Buffer.from(JSON.stringify(entry)),
  decode: (bytes) => JSON.parse(/** @type {Buffer} */ (bytes).toString()),
};
