// What `npm run crash` counts as a failure besides a promise that was broken.

import { expect } from 'chai';
import { lanes, neverMet, problemsOf } from './lanes/all.js';
import { Tally } from './lanes/lane.js';

describe('The whole proof', () => {
  for (const lane of lanes)
    it(`fails if nothing was done: ${lane.name}`, () => {
      expect(lane.needs).not.to.deep.equal([]);
      expect(problemsOf(lane, new Tally())).to.deep.equal(lane.needs.map((need) => `${lane.name}: no ${need}`));
      const tally = new Tally();
      for (const need of lane.needs) tally.add(need);
      expect(problemsOf(lane, tally)).to.deep.equal([]);
      tally.violations.push('an entry is missing');
      expect(problemsOf(lane, tally)).to.deep.equal([`${lane.name}: an entry is missing`]);
    });

  it('fails if a situation was never met, and if it has seen too few disks', () => {
    const situations = neverMet(new Map(), 100_000).map((problem) => problem.replace('never met: ', ''));
    for (const wanted of ['torn header', 'hole', 'stale frame', 'resurrected unlink', 'poisoned with waiters'])
      expect(situations).to.include(wanted);
    const marks = new Map(situations.map((mark) => [mark, 1]));
    expect(neverMet(marks, 100_000)).to.deep.equal([]);
    marks.delete('hole');
    expect(neverMet(marks, 99_999)).to.deep.equal(['never met: hole', '99999 different disks, 100000 are needed']);
  });
});
