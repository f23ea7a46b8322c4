// A disk in memory whose writes fail whenever it is told so: nbdkit, made a file by nbdfuse, for a loop device.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atTheEnd, mountedAt } from './cleanup.js';
import { CannotRun, needPrograms, needRoot, runProgram } from './real-lane.js';

export class FailingDisk {
  /** The file that it is. */
  readonly image: string;
  readonly #switch: string;
  readonly #end: () => Promise<void>;

  private constructor(image: string, trigger: string, end: () => Promise<void>) {
    this.image = image;
    this.#switch = trigger;
    this.#end = end;
  }

  static async start(folder: string): Promise<FailingDisk> {
    needRoot();
    needPrograms('nbdkit', 'nbdfuse', 'umount');
    const at = path.join(folder, 'disk');
    const trigger = path.join(folder, 'writes-fail');
    fs.mkdirSync(at);
    const disk = spawn(
      'nbdfuse',
      [
        at,
        '--command',
        'nbdkit',
        '-s',
        'memory',
        '320M',
        '--filter=error',
        'error-pwrite=EIO',
        'error-pwrite-rate=100%',
        `error-pwrite-file=${trigger}`,
      ],
      { stdio: 'ignore' },
    );
    const forget = atTheEnd(() => disk.kill());
    const ended = new Promise<void>((resolve) => {
      disk.once('error', () => resolve());
      disk.once('close', () => resolve());
    });
    const image = path.join(at, 'nbd');
    for (let attempt = 0; !fs.existsSync(image); attempt++) {
      if (attempt === 100 || disk.exitCode !== null) throw new CannotRun('nbdfuse makes no disk here; is there FUSE?');
      await sleep(50);
    }
    const mounted = mountedAt(at);
    return new FailingDisk(image, trigger, async () => {
      await runProgram('umount', at);
      mounted.forget();
      await ended;
      forget();
    });
  }

  fail(): void {
    fs.writeFileSync(this.#switch, '');
  }

  heal(): void {
    fs.rmSync(this.#switch, { force: true });
  }

  /** It must not be mounted any more. */
  end(): Promise<void> {
    return this.#end();
  }
}
