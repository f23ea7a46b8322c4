// cairnlog/testing: for testing programs that use this library, and Directories that are written for it.

export { crashStates, type CrashState, type CrashStatesOptions } from './crash-states.js';
export { directoryConformance, type ConformanceCase } from './directory-conformance.js';
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
