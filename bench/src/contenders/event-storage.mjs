// event-storage with its own JSON: commits of 64 events, all into one stream and one file, which is its fastest way; a
// stream each is slower by orders of magnitude (see bank/event-storage.mjs). It calls back when a commit was handed to
// the operating system. Its index follows within 100 ms.

import EventStore from 'event-storage';
import { BLOCK, WINDOW } from '../workload.mjs';
import { EVENTS } from './events-payload.mjs';

/** @import { Contender } from '../contender.js' */
/** @import { Stored } from './events-payload.mjs' */

const WRITE_BUFFER_BYTES = 1024 * 1024;

/** @type {Contender} */
export const eventStorageOfEvents = {
  how: {
    append: `commit() of ${BLOCK} events, a write buffer of 1 MiB, at most ${WINDOW / BLOCK} under way; its own JSON`,
    replay: 'getAllEvents(); its own JSON',
  },
  async open(folder) {
    const store = /** @type {EventStore<Stored>} */ (
      new EventStore('events', {
        storageDirectory: folder,
        storageConfig: { partitioner: () => '', writeBufferSize: WRITE_BUFFER_BYTES, syncOnFlush: false },
      })
    );
    await new Promise((resolve) => store.once('ready', () => resolve(undefined)));
    return {
      async append(count) {
        /** @type {Promise<unknown>[]} */
        const commits = [];
        for (let next = 0; next < count;) {
          /** @type {Stored[]} */
          const events = [];
          for (const end = Math.min(count, next + BLOCK); next < end; next++) events.push(EVENTS.entryOf(next));
          commits.push(new Promise((resolve) => store.commit('orders', events, resolve)));
          if (commits.length === WINDOW / BLOCK) await commits.shift();
        }
        await Promise.all(commits);
        return { mostBehind: WINDOW };
      },
      async replay() {
        let count = 0;
        let sum = 0;
        for (const event of store.getAllEvents() || []) {
          count++;
          sum += EVENTS.amountOf(event);
        }
        return { count, sum };
      },
      close: async () => store.close(),
    };
  },
};
