// The short form of what `npm run crash` does: every script of up to two steps, cut at every moment of its last one.

import { expect } from 'chai';
import { logScripts } from './lanes/log-scripts.js';
import { chainScripts, storeScripts } from './lanes/store-scripts.js';
import type { Lane } from './lanes/lane.js';

/** Lanes and the situations that even their short form must meet. */
const lanes: readonly (readonly [Lane, readonly string[]])[] = [
  [
    logScripts,
    [
      'crash in checkpoint',
      'crash in open or close',
      'crash in roll',
      'crash in a recovery',
      'crash in truncate',
      'entries kept that nobody was promised',
      'entries lost that nobody was promised',
      'hole',
      'resurrected unlink',
      'stale frame',
      'torn header',
      'torn payload',
    ],
  ],
  [
    storeScripts,
    [
      'crash in checkpoint',
      'crash in open or close',
      'crash in roll',
      'crash in a recovery',
      'crash in truncate',
      'entries kept that nobody was promised',
      'entries lost that nobody was promised',
      'torn payload',
    ],
  ],
  [
    chainScripts,
    [
      'crash in checkpoint',
      'crash in removing checkpoints',
      'fell back to an older checkpoint',
      'recovered from a chain',
    ],
  ],
];

describe('Every short script, cut at every moment:', () => {
  for (const [lane, marks] of lanes)
    it(lane.name, async function () {
      this.timeout(300_000);
      const tally = await lane.run({ part: { index: 0, parts: 1 }, effort: 'short' });
      console.log(`      ${tally.of('checks')} crash states, ${tally.images.size} of them unlike all others`);
      expect(tally.violations).to.deep.equal([]);
      for (const need of lane.needs) expect(tally.of(need), need).to.be.greaterThan(0);
      for (const mark of marks) expect(tally.marks.get(mark) ?? 0, mark).to.be.greaterThan(0);
    });
});
