// A single caller that waits for each event: no group to share a sync with. The bare loops show what the disk allows.

import { durableRound } from './durable-round.mjs';

/** @type {import('../scenario.js').Race} */
export default {
  id: 'durable-1',
  title: 'durable append, 1 caller',
  uses: 'durable',
  durability: 'fdatasync per acknowledgement: survives a power cut',
  cairn: 'cairn',
  peers: ['better-sqlite3'],
  alsoShown: ['bare loop, O_DSYNC', 'bare loop, async', 'bare loop, sync'],
  // The disk changes its speed within seconds.
  size: { full: { milliseconds: 200, rounds: 41 }, quick: { milliseconds: 120, rounds: 11 } },
  round: (contender, folder, { milliseconds }) => durableRound(contender, folder, 1, milliseconds),
};
