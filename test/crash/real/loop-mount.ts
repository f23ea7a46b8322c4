// A file system of its own in a file, and the switch that takes its power: after FS_IOC_SHUTDOWN nothing more gets to the
// disk, and what is there after mounting it anew is what was there at that moment.

import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { atTheEnd, mountedAt } from './cleanup.js';
import { CannotRun, needPrograms, needRoot, runProgram } from './real-lane.js';

export type FileSystem = 'ext4' | 'xfs';

/** `nothing`: what was not written is lost. `the journal`: it is written out first, and data is not. */
export type LastWrites = 'nothing' | 'the journal';

export interface LoopMountOptions {
  readonly fileSystem: FileSystem;
  /** Of mount. */
  readonly options?: string;
  /** File that the file system is made in. Default: one in `folder`. */
  readonly image?: string;
}

export class LoopMount {
  /** Where it is mounted. */
  readonly path: string;
  /** The file that it lies in. */
  readonly image: string;
  readonly #options: string;
  #mounted: { readonly forget: () => void } | undefined;

  private constructor(folder: string, image: string, options: string) {
    this.path = folder;
    this.image = image;
    this.#options = options;
  }

  /** Makes the file system and mounts it. Rejects with {@link CannotRun} where that is not to be had. */
  static async make(folder: string, { fileSystem, options, image }: LoopMountOptions): Promise<LoopMount> {
    needRoot();
    needPrograms(`mkfs.${fileSystem}`, 'mount', 'umount');
    const file = image ?? path.join(folder, `${fileSystem}.image`);
    // The smallest that xfs can be.
    if (image === undefined) {
      fs.writeFileSync(file, '');
      fs.truncateSync(file, (fileSystem === 'xfs' ? 320 : 64) * 1024 * 1024);
    }
    await runProgram(`mkfs.${fileSystem}`, '-q', fileSystem === 'xfs' ? '-f' : '-F', file);
    const at = path.join(folder, `${fileSystem}.mounted`);
    fs.mkdirSync(at);
    const mount = new LoopMount(at, file, options === undefined ? 'loop' : `loop,${options}`);
    try {
      await mount.mount();
    } catch (error) {
      throw new CannotRun(`${fileSystem} cannot be mounted: ${String(error)}`);
    }
    return mount;
  }

  async mount(): Promise<void> {
    await runProgram('mount', '-o', this.#options, this.image, this.path);
    this.#mounted = mountedAt(this.path);
  }

  async unmount(): Promise<void> {
    // A process that was killed may not have closed its files yet.
    for (let attempt = 1; ; attempt++) {
      try {
        await runProgram('umount', this.path);
        break;
      } catch (error) {
        if (attempt === 40) throw error;
        await sleep(50);
      }
    }
    this.#mounted?.forget();
  }

  /** The device that the file system lies on, such as `loop3`. */
  get device(): string {
    const mounts = fs.readFileSync('/proc/mounts', 'utf8').split('\n');
    const [device] = mounts.find((line) => line.split(' ')[1] === this.path)!.split(' ');
    const name = path.basename(device!);
    if (!/^loop\d+$/.test(name)) throw new Error(`'${this.path}' is mounted from ${name}`);
    return name;
  }

  async again(): Promise<void> {
    await this.unmount();
    await this.mount();
  }
}

const SWITCH = `
import fcntl, os, struct, sys
for line in sys.stdin:
    how, path = line.rstrip('\\n').split(' ', 1)
    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(folder, 0x8004587d, struct.pack('I', int(how)))
        print('done', flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
    os.close(folder)
`;

/** A process that waits to cut the power of mounted file systems: starting one takes longer than what is to be hit. */
export class PowerSwitch {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #forget: () => void;

  constructor() {
    needPrograms('python3');
    const child = spawn('python3', ['-c', SWITCH], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process = child;
    this.#answers = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#forget = atTheEnd(() => child.kill());
  }

  /** Before this is called is before the power cut; what happens until it resolves may be on either side. */
  async cut(mount: LoopMount, lastWrites: LastWrites): Promise<void> {
    this.#process.stdin!.write(`${lastWrites === 'nothing' ? 2 : 1} ${mount.path}\n`);
    const { value } = (await this.#answers.next()) as { value: string };
    if (value !== 'done') throw new CannotRun(`the power of a file system cannot be cut here: ${value}`);
  }

  end(): void {
    this.#forget();
  }
}
