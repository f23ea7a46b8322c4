// The command line of the lanes on real file systems: a lane that is left out by a mistake in it proves nothing.

import { expect } from 'chai';
import { readArguments } from './arguments.js';

describe('The arguments of npm run crash:real', () => {
  it('are names of lanes and a seed, in any order', () => {
    expect(readArguments([])).to.deep.equal({ names: [], seed: undefined });
    expect(readArguments(['xfs', '--seed', '7', 'races'])).to.deep.equal({ names: ['xfs', 'races'], seed: 7 });
    expect(readArguments(['--seed=-12'])).to.deep.equal({ names: [], seed: -12 });
  });

  it('are refused where they are not understood', () => {
    for (const args of [['--seed'], ['--seed', 'x'], ['--seed='], ['--seed', '1.5'], ['--quick']])
      expect(() => readArguments(args), args.join(' ')).to.throw(Error, /--/);
  });
});
