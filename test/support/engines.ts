// The engines that tests of the store run on, ready to be made to fail.

import { memoryEngine, MemoryDirectory, type Directory, type Engine, type EngineSource } from 'cairnlog';
import { FaultyDirectory, type EngineUnderTest } from 'cairnlog/testing';
import { checkpointPath } from 'cairnlog/checkpoint';
import { prepareFileEngine } from '#src/store/file-engine.js';
import { edit } from './directory-contents.js';
import { temporaryDirectory } from './temporary-folder.js';

/** The file engine, with segments of some 16 entries of 100 bytes. */
export class FileEngineUnderTest implements EngineUnderTest {
  readonly #directory: Directory;
  readonly #disk: FaultyDirectory;

  constructor(directory: Directory) {
    this.#directory = directory;
    this.#disk = new FaultyDirectory(directory);
  }

  open(): Promise<Engine> {
    this.#disk.decide = () => undefined;
    return prepareFileEngine(this.#disk, { segmentBytes: 2000 });
  }

  failNextAppend(stored: boolean): void {
    // A sync that fails: the bytes are in the page cache. A write that fails: nothing is anywhere.
    const kind = stored ? 'datasync' : 'write';
    this.#disk.decide = (operation) => (operation.kind === kind ? { kind: 'error', errno: 'EIO' } : undefined);
  }

  async damageCheckpoint(position: number): Promise<void> {
    await edit(this.#directory, checkpointPath(position), (bytes) => {
      bytes[60]! ^= 1;
    });
  }
}

/** Makes an engine that is empty. */
export type MakeEngine = () => Promise<EngineUnderTest>;

export const ENGINES: Readonly<Record<string, MakeEngine>> = {
  'files on disk': async () => new FileEngineUnderTest(await temporaryDirectory()),
  'files in memory': async () => new FileEngineUnderTest(new MemoryDirectory()),
  'memory engine': async () => memoryEngine({ partEntries: 20 }),
  'memory engine as a replicated one': async () => memoryEngine({ partEntries: 20, strongest: 'replicated' }),
};

/** An engine that gives out changed logs or checkpoints. */
export function wrapped(inner: EngineUnderTest, change: (opened: Engine) => Engine): EngineUnderTest {
  const source: EngineSource = { open: async () => change(await inner.open()) };
  return {
    open: () => source.open(),
    failNextAppend: (stored) => inner.failNextAppend(stored),
    damageCheckpoint: (position) => inner.damageCheckpoint(position),
  };
}
