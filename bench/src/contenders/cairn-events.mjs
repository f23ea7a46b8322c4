// Cairn's store with domain events in streams of bare records, so that nothing is reduced where the peers reduce
// nothing. 64 events are one append, all or nothing, as they are one transaction of the peers; beside it each event is a
// call and a promise of its own. At most WINDOW events are ahead of their acknowledgements.
//
// Replay is what opening the store does with a projection that it never saw: every record is read, checked, decoded,
// frozen, and folded into a sum. Beside it the loop over readAll(), which costs a promise per record.

import { defineProjection, openStore } from '../../../dist/store/index.js';
import { eventOf } from '../event-workload.mjs';
import { BLOCK, WINDOW } from '../workload.mjs';

/** @import { Contender } from '../contender.js' */
/** @import { OrderPlaced } from '../event-workload.mjs' */

/** Replay is measured from the first record on. */
const NEVER = { records: Infinity };

/** @type {Contender} */
export const cairnOfEvents = contender(BLOCK, replayByOpening);

/** @type {Contender} */
export const cairnOfEventsOneByOne = contender(1, replayByReading);

const tally = defineProjection('tally', {
  initial: { count: 0, sum: 0 },
  on: {
    OrderPlaced(state, /** @type {import('../../../dist/store/index.js').StoredRecord<OrderPlaced>} */ record) {
      state.count++;
      state.sum += record.data.quantity;
    },
  },
});

/**
 * @param {number} eventsPerAppend
 * @param {(folder: string) => Promise<import('../contender.js').Tally>} replay
 * @returns {Contender}
 */
function contender(eventsPerAppend, replay) {
  return {
    how: {
      append: `store.append() of ${eventsPerAppend === 1 ? 'each event by itself' : `${eventsPerAppend} events`} at flush`,
      replay:
        replay === replayByOpening ? 'openStore() with a new projection' : 'for await (const record of readAll())',
    },
    open: async (folder) => ({
      append: (count) => append(folder, count, eventsPerAppend),
      replay: () => replay(folder),
      close: async () => {},
    }),
  };
}

/**
 * @param {string} folder
 * @param {number} count
 * @param {number} eventsPerAppend
 */
async function append(folder, count, eventsPerAppend) {
  const store = await openStore({ dir: folder, durability: 'flush', checkpoint: NEVER });
  /** @type {Promise<unknown>[]} */
  const appends = [];
  for (let next = 0; next < count;) {
    /** @type {Promise<unknown> | undefined} */
    let last;
    for (const end = Math.min(count, next + BLOCK); next < end;) {
      const streams = [];
      for (const upTo = Math.min(end, next + eventsPerAppend); next < upTo; next++) {
        const { stream, event } = eventOf(next);
        streams.push({ stream, events: [event] });
      }
      last = store.append(streams);
    }
    // Acknowledged in the order of the calls.
    if (last !== undefined) appends.push(last);
    if (appends.length === WINDOW / BLOCK) await appends.shift();
  }
  await Promise.all(appends);
  await store.close();
  return { mostBehind: WINDOW };
}

/** @param {string} dir */
async function replayByOpening(dir) {
  const store = await openStore({ dir, projections: [tally], checkpoint: NEVER });
  const { state } = store.projection(tally);
  await store.close();
  return state;
}

/** @param {string} dir */
async function replayByReading(dir) {
  const store = await openStore({ dir, checkpoint: NEVER });
  let count = 0;
  let sum = 0;
  for await (const {
    data,
  } of /** @type {AsyncGenerator<import("../../../dist/store/index.js").StoredRecord<OrderPlaced>>} */ (
    store.readAll()
  )) {
    count++;
    sum += data.quantity;
  }
  await store.close();
  return { count, sum };
}
