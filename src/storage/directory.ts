// The seam to the disk: the few operations that everything above is built from, each one system call or little more,
// so that a simulated disk can number them, fail any one of them, and cut the power between two.
//
// What an implementation must promise is checked by `directoryConformance` in `cairnlog/testing`. Durability is always
// asked for and never implied: `datasync` makes a file's bytes and size durable, `writeDurably` only those it writes,
// and `syncDirectory` the names in a directory.

/** What {@link Directory.stat} knows of a path. */
export interface FileInfo {
  readonly kind: 'file' | 'directory' | 'other';
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Milliseconds since 1970; 0 where the file system does not record it. Never decides recovery. */
  readonly createdAt: number;
}

/**
 * An open file. Offsets and sizes are bytes. One operation is in flight at a time; the caller sees to that.
 * `read`, `write` and `writeDurably` may do less than asked, as the system calls may: use `readFully`, `writeFully` and
 * `writeFullyDurably`.
 */
export interface FileHandle {
  /** Path inside the directory. */
  readonly path: string;
  /** Reads into `target` from `offset`; resolves to the bytes read, 0 only at the end of the file. */
  read(target: Uint8Array, offset: number): Promise<number>;
  /** Writes `source` at `offset`; resolves to the bytes written, which may be fewer. A gap reads as zeros. */
  write(source: Uint8Array, offset: number): Promise<number>;
  /**
   * Optional: {@link write} and a sync of these bytes in one step, for less than the two cost. Resolves once the bytes
   * written, and as much of the file's size as it takes to read them, are durable. It need not do anything for what
   * was written before: that is what {@link datasync} is for. After a failure their fate is unknown, as after any.
   */
  writeDurably?(source: Uint8Array, offset: number): Promise<number>;
  /** Makes all bytes written through this handle, and the file's size, durable. */
  datasync(): Promise<void>;
  /** Cuts or extends (with zeros) the file. Durable after the next {@link datasync}. */
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  /** Closes the handle. A second call does nothing. */
  close(): Promise<void>;
}

/** `read`: an existing file, read only. `update`: an existing file. `create`: a file that must not exist yet. */
export type OpenMode = 'read' | 'update' | 'create';

/** A held lock. */
export interface Lock {
  /** Gives the lock up. A second call does nothing. */
  release(): Promise<void>;
}

/**
 * A tree of files below one root. Paths are relative, with `/` between names; `..`, absolute paths, NUL, `\`, drive
 * letters and symlinks that lead outside are refused with `PathError` by every operation, before anything is touched.
 *
 * Errors: `NotFoundError`, `AlreadyExistsError`, `PathError`, `LockError`, else `StorageError` with the system's name
 * for it. An operation that fails is never retried.
 */
export interface Directory {
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** `undefined` when nothing is there; any other failure throws. */
  stat(path: string): Promise<FileInfo | undefined>;
  /** Names in a directory, in code unit order. A directory that is missing has none. */
  list(path: string): Promise<string[]>;
  /** Makes one directory whose parent exists. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `to` if it exists. Durable after both parents are synced. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. Durable after its parent is synced. */
  remove(path: string): Promise<void>;
  /** Makes the names in a directory durable. `''` is the root. */
  syncDirectory(path: string): Promise<void>;
  /**
   * Takes the exclusive lock on a lock file, making the file if needed; it is left in place afterwards. The lock ends
   * with the process that holds it. Throws `LockError` with the holder's pid while somebody holds it.
   */
  lock(path: string): Promise<Lock>;
}
