// cairnlog/storage: directories, file handles, durable changes of names, and the writer lock.

export type { Directory, FileHandle, FileInfo, Lock, OpenMode } from './directory.js';
export { FsDirectory, type FsDirectoryOptions } from './fs-directory.js';
export { MemoryDirectory } from './memory-directory.js';
export { readFully, writeFully, writeFullyDurably } from './full-io.js';
export {
  makeDirectoryDurable,
  readBytes,
  removeDurable,
  renameDurable,
  writeBytesAtomically,
  writeFileAtomically,
  type RandomBytes,
} from './durable.js';
export { abstractSocketProvider, defaultLockProvider, flockProvider, type LockProvider } from './lock-provider.js';
