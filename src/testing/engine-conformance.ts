// What every engine must do, as cases that any test runner can run: for those who bring their own log and checkpoints.

import { CHECKPOINT_CASES } from './checkpoint-conformance.js';
import type { ConformanceCase } from './directory-conformance.js';
import type { EngineUnderTest } from './engine-cases.js';
import { LOG_CASES } from './log-conformance.js';

export type { EngineUnderTest } from './engine-cases.js';

/**
 * The contract of an engine (`EventLog` and `CheckpointStorage`) as cases. `make` gives an empty engine each time; set
 * it up so that a part of the log holds at most some 50 entries of 100 bytes, or truncation has nothing to remove.
 *
 * @example
 * describe('my engine', () => {
 *   for (const { name, run } of engineConformance(async () => new MyEngineUnderTest())) it(name, run);
 * });
 */
export function engineConformance(make: () => Promise<EngineUnderTest>): ConformanceCase[] {
  return [...LOG_CASES, ...CHECKPOINT_CASES].map(([name, check]) => ({ name, run: async () => check(await make()) }));
}
