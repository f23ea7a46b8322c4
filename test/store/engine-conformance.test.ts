import { expect } from 'chai';
import { engineConformance } from 'cairnlog/testing';
import { BROKEN_ENGINES, WRAPPED_ENGINE } from '../support/broken-engines.js';
import { ENGINES } from '../support/engines.js';

for (const [name, make] of Object.entries(ENGINES))
  describe(`${name}: does what an engine must`, () => {
    for (const { name: case_, run } of engineConformance(make)) it(case_, run);
  });

describe('the conformance suite finds an engine that breaks the rule', () => {
  it('none', async () => {
    for (const { run } of engineConformance(async () => WRAPPED_ENGINE())) await run();
  });

  for (const { rule, fails, make } of BROKEN_ENGINES)
    it(rule, async () => {
      const case_ = engineConformance(async () => make()).find(({ name }) => name === fails);
      const failure = await case_!.run().then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failure, `'${fails}' did not fail`).to.be.instanceOf(Error);
    });
});
