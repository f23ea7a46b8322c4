// A Directory in front of another one that numbers every operation and can make any of them fail, fall short, or be the
// last thing that the process does, or let it wait. For finding out what a program does when the disk is not well.

import { StorageError } from '../errors/index.js';
import type { Directory, FileHandle, FileInfo, Lock, OpenMode } from '../storage/index.js';
import { writeFullyDurably } from '../storage/index.js';

/** One call to the disk. */
export interface DiskOperation {
  /** From 1, over all operations of the directory. */
  readonly number: number;
  readonly kind:
    | 'open'
    | 'create'
    | 'stat'
    | 'list'
    | 'makeDirectory'
    | 'rename'
    | 'remove'
    | 'syncDirectory'
    | 'lock'
    | 'read'
    | 'write'
    | 'datasync'
    | 'truncate'
    | 'size'
    | 'close';
  readonly path: string;
  /** Of `read`, `write` and `truncate`, and of the `datasync` that is one half of a durable write. */
  readonly offset?: number;
  /** Of `read` and `write`: how many are asked for. Of a durable write's `datasync`: how many it syncs, and no others. */
  readonly bytes?: number;
  /** Of `write`: what is to be written. */
  readonly data?: Uint8Array;
}

/**
 * What happens instead. `error`: the operation fails with that system error and does nothing. `short`: a read or write
 * does only that many bytes. `stop`: the process ends here, and every later operation fails too; a write may get
 * `bytes` of itself done first. `wait`: it is done as it should, but only once `until` resolves.
 */
export type Fault =
  | { readonly kind: 'error'; readonly errno: string }
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'stop'; readonly bytes?: number }
  | { readonly kind: 'wait'; readonly until: Promise<unknown> };

/**
 * `watch` for a disk whose syncs take their time: whoever goes on before one is done is seen to. Unless it asks for a
 * fault, `watch` is called for a sync when it is begun, and again when it is about to be done.
 */
export function withSlowSyncs(
  watch: (operation: DiskOperation) => Fault | void,
): (operation: DiskOperation) => Fault | undefined {
  return (operation) => {
    const fault = watch(operation);
    if (fault !== undefined) return fault;
    if (operation.kind !== 'datasync' && operation.kind !== 'syncDirectory') return undefined;
    const until = new Promise((resolve) => setImmediate(resolve)).then(() => void watch(operation));
    return { kind: 'wait', until };
  };
}

/** Operations that change something, the ones a crash can come between. */
export function isMutation({ kind }: DiskOperation): boolean {
  return MUTATIONS.has(kind);
}

const MUTATIONS = new Set<DiskOperation['kind']>([
  'create',
  'makeDirectory',
  'rename',
  'remove',
  'syncDirectory',
  'write',
  'datasync',
  'truncate',
]);

/**
 * Injects faults. A durable write is two operations here, a `write` and then a `datasync`, because it can fail in either.
 *
 * @example
 * const disk = new FaultyDirectory(new MemoryDirectory(), (op) =>
 *   op.kind === 'datasync' && op.path === 'wal/wal_1.log' ? { kind: 'error', errno: 'EIO' } : undefined,
 * );
 */
export class FaultyDirectory implements Directory {
  /** Operations so far. */
  operations = 0;
  /** Faults so far; a test that counts on one checks that it came. */
  faults = 0;
  /** Whether a `stop` was met. */
  stopped = false;
  /** Decides each operation's fate; may be replaced at any time. */
  decide: (operation: DiskOperation) => Fault | undefined;

  readonly #inner: Directory;

  constructor(inner: Directory, decide: (operation: DiskOperation) => Fault | undefined = () => undefined) {
    this.#inner = inner;
    this.decide = decide;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const limit = this.#check({ kind: mode === 'create' ? 'create' : 'open', path });
    if (limit?.until !== undefined) await limit.until;
    return new FaultyHandle(await this.#inner.open(path, mode), (operation) => this.#check(operation));
  }

  async stat(path: string): Promise<FileInfo | undefined> {
    const limit = this.#check({ kind: 'stat', path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.stat(path);
  }

  async list(path: string): Promise<string[]> {
    const limit = this.#check({ kind: 'list', path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.list(path);
  }

  async makeDirectory(path: string): Promise<void> {
    const limit = this.#check({ kind: 'makeDirectory', path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.makeDirectory(path);
  }

  async rename(from: string, to: string): Promise<void> {
    const limit = this.#check({ kind: 'rename', path: from });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    const limit = this.#check({ kind: 'remove', path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.remove(path);
  }

  async syncDirectory(path: string): Promise<void> {
    const limit = this.#check({ kind: 'syncDirectory', path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.syncDirectory(path);
  }

  async lock(path: string): Promise<Lock> {
    const limit = this.#check({ kind: 'lock', path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.lock(path);
  }

  /** Throws for `error` and `stop`; returns what else is different. */
  #check(operation: Omit<DiskOperation, 'number'>): Limits | undefined {
    if (this.stopped) throw stopped(operation.path);
    const fault = this.decide({ number: ++this.operations, ...operation });
    if (fault === undefined) return undefined;
    if (fault.kind === 'wait')
      return {
        until: fault.until.then(() => {
          if (this.stopped) throw stopped(operation.path);
        }),
      };
    this.faults++;
    if (fault.kind === 'short') return { bytes: fault.bytes };
    if (fault.kind === 'error')
      throw new StorageError(`Injected: ${fault.errno} at ${operation.kind}`, {
        path: operation.path,
        errno: fault.errno,
      });
    this.stopped = true;
    if (operation.kind === 'write' && fault.bytes !== undefined) return { bytes: fault.bytes, stop: true };
    throw stopped(operation.path);
  }
}

interface Limits {
  /** Bytes that may be done; `undefined`: all. */
  readonly bytes?: number;
  readonly stop?: boolean;
  readonly until?: Promise<unknown>;
}

function stopped(path: string): StorageError {
  return new StorageError('The simulated process has ended', { path, errno: 'ESTOPPED' });
}

class FaultyHandle implements FileHandle {
  readonly path: string;
  readonly #inner: FileHandle;
  readonly #check: (operation: Omit<DiskOperation, 'number'>) => Limits | undefined;

  constructor(inner: FileHandle, check: (operation: Omit<DiskOperation, 'number'>) => Limits | undefined) {
    this.path = inner.path;
    this.#inner = inner;
    this.#check = check;
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    const limit = this.#check({ kind: 'read', path: this.path, offset, bytes: target.length });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.read(limit?.bytes === undefined ? target : target.subarray(0, limit.bytes), offset);
  }

  async write(source: Uint8Array, offset: number): Promise<number> {
    const limit = this.#check({ kind: 'write', path: this.path, offset, bytes: source.length, data: source });
    if (limit?.until !== undefined) await limit.until;
    if (limit?.bytes === undefined) return this.#inner.write(source, offset);
    const count = limit.bytes === 0 ? 0 : await this.#inner.write(source.subarray(0, limit.bytes), offset);
    if (limit.stop === true) throw stopped(this.path);
    return count;
  }

  async writeDurably(source: Uint8Array, offset: number): Promise<number> {
    const bytes = await this.write(source, offset);
    const limit = this.#check({ kind: 'datasync', path: this.path, offset, bytes });
    if (limit?.until !== undefined) await limit.until;
    if (this.#inner.writeDurably === undefined) await this.#inner.datasync();
    // The same bytes again, which changes nothing but that they are durable now, and only they.
    else await writeFullyDurably(this.#inner, source.subarray(0, bytes), offset);
    return bytes;
  }

  async datasync(): Promise<void> {
    const limit = this.#check({ kind: 'datasync', path: this.path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.datasync();
  }

  async truncate(size: number): Promise<void> {
    const limit = this.#check({ kind: 'truncate', path: this.path, offset: size });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.truncate(size);
  }

  async size(): Promise<number> {
    const limit = this.#check({ kind: 'size', path: this.path });
    if (limit?.until !== undefined) await limit.until;
    return this.#inner.size();
  }

  async close(): Promise<void> {
    // The handle is gone either way, as a descriptor is when close reports an error.
    await this.#inner.close();
    const limit = this.#check({ kind: 'close', path: this.path });
    if (limit?.until !== undefined) await limit.until;
  }
}
