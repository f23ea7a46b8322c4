// cairnlog/testing: for testing programs that use this library, and Directories and engines that are written for it.

export { checkDeterminism, DeterminismError, type DeterminismOptions, type DeterminismReport } from './determinism.js';
export { directoryConformance, type ConformanceCase } from './directory-conformance.js';
export { engineConformance, type EngineUnderTest } from './engine-conformance.js';
export {
  given,
  type ErrorLike,
  type EventOf,
  type Given,
  type GivenOptions,
  type OldEvent,
  type Outcome,
} from './given.js';
export { countedIds, manualClock, seededRandom, type ManualClock } from './manual-clock.js';
export { FaultyDirectory, isMutation, type DiskOperation, type Fault } from './faulty-directory.js';
export { loseEverything, loseNothing, SimulatedDisk, type NameChange, type PowerCut } from './simulated-disk.js';
