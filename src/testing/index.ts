// cairnlog/testing: for testing programs that use this library, and Directories and engines that are written for it.

export { crashStates, type CrashState, type CrashStatesOptions } from './crash-states.js';
export { checkDeterminism, DeterminismError, type DeterminismOptions, type DeterminismReport } from './determinism.js';
export { directoryConformance, type ConformanceCase } from './directory-conformance.js';
export { engineConformance, type EngineUnderTest } from './engine-conformance.js';
export { exploreCrashes, type CrashReport, type ExploreCrashesOptions } from './explore-crashes.js';
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
export {
  loseEverything,
  loseNothing,
  type NameChange,
  type PageFate,
  type PowerCut,
  type SyncFailure,
} from './power-cut.js';
export { SimulatedDisk, type Unsynced } from './simulated-disk.js';
