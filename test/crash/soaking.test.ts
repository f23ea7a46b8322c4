// The short form of `npm run soak`, and that its gates can break.

import { expect } from 'chai';
import { SEED } from '../support/seed.js';
import { soak } from './soaking.js';

async function failure(gates: Parameters<typeof soak>[0]['gates']): Promise<string> {
  const error = await soak({ lives: 60, real: false, seed: SEED, gates: gates! }).then(
    () => undefined,
    (reason: Error) => reason,
  );
  return error?.message ?? 'it did not fail';
}

describe('A store that lives long', () => {
  it('keeps what it promised, whatever ends its lives, and stays small', async function () {
    this.timeout(60_000);
    // How long opening takes is a matter of the machine.
    const { counts } = await soak({ lives: 30, real: false, seed: SEED, gates: { openMs: Infinity } });
    expect(counts.get('recoveries')).to.equal(30);
  });

  it('is noticed when it takes more disk, memory, files or entries to replay than it may', async function () {
    this.timeout(60_000);
    expect(await failure({ diskBytes: 1000 })).to.match(/The gate 'diskBytes' is 1000, and it is \d+/);
    expect(await failure({ replayed: 1 })).to.match(/The gate 'replayed' is 1/);
    expect(await failure({ files: -1 })).to.match(/The gate 'files' is -1/);
    expect(await failure({ openMs: 0 })).to.match(/The gate 'openMs' is 0/);
  });
});
