// File systems that lose their power at any moment while a writer is at work on them, and while it recovers. Only what
// was acknowledged before the cut began counts. To see that the cut is one: a file that nobody has synced is gone.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomOf } from '../../../support/seed.js';
import type { Tally } from '../../lanes/lane.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped, Promised } from '../evidence.js';
import { LoopMount, PowerSwitch, type FileSystem } from '../loop-mount.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { needPrograms, needRoot, type RealLane } from '../real-lane.js';
import { Writer } from '../writer.js';

const HISTORIES = 8;
const CUTS_OF_ONE = 6;

export const powerCuts: readonly RealLane[] = (['ext4', 'xfs'] as const).map((fileSystem): RealLane => ({
  name: `power cuts of ${fileSystem}`,
  needs: [
    'power cuts',
    'power cuts while it opened',
    'power cuts while it wrote',
    'power cuts right after a recovery',
    'files lost that nobody has synced',
    'acknowledged units checked',
    'recoveries',
  ],
  processes: 1,
  run: (tally) => cutThePower(fileSystem, tally),
}));

async function cutThePower(fileSystem: FileSystem, tally: Tally): Promise<void> {
  needRoot();
  needPrograms('python3');
  const { path: folder, remove } = makeFolder('power');
  const power = new PowerSwitch();
  const mount = await LoopMount.make(folder, { fileSystem });
  try {
    for (let history = 0; history < HISTORIES && !tally.isBroken; history++)
      await tally.hold(
        () => `history ${history}`,
        () => live(mount, power, history, tally),
      );
  } finally {
    await mount.unmount();
    power.end();
    remove();
  }
}

async function live(mount: LoopMount, power: PowerSwitch, history: number, tally: Tally): Promise<void> {
  const random = randomOf(`power cuts ${history}`);
  const options: NumberedOptions = {
    level: history % 2 === 0 ? 'store' : 'log',
    durability: history % 4 === 3 ? 'flush' : 'fsync',
    segmentBytes: random.pick([700, 5000, 100_000]),
    preallocateBytes: random.pick([0, 0, 16_384]),
    recycleSegments: random.pick([0, 2]),
  };
  const promised = new Promised(path.join(mount.path, `data-${history}`), tally);
  const outside = path.dirname(mount.path);
  const cut = async (): Promise<void> => {
    const marker = path.join(mount.path, 'nobody syncs this');
    fs.writeFileSync(marker, 'text');
    await power.cut(mount, random.pick(['nothing', 'nothing', 'the journal']));
    tally.add('power cuts');
  };
  const repower = async (): Promise<void> => {
    await mount.again();
    const marker = path.join(mount.path, 'nobody syncs this');
    const isLost = !fs.existsSync(marker) || fs.readFileSync(marker, 'latin1') !== 'text';
    tally.add('files lost that nobody has synced', Number(isLost));
    fs.rmSync(marker, { force: true });
  };
  for (let round = 0; round < CUTS_OF_ONE; round++) {
    const writer = new Writer(
      {
        ...options,
        folder: promised.folder,
        units: 20_000,
        atOnce: random.pick([1, 3, 8]),
        every: random.pick([3, 10]),
      },
      { folder: outside },
    );
    await writer.line('ready');
    if (random.chance(75)) await writer.line('open ');
    await sleep(random.integer(random.pick([10, 100])));
    const noted = writer.noted();
    await cut();
    writer.kill();
    await writer.ended;
    expectTyped(writer);
    await repower();
    tally.add(noted.opened === undefined ? 'power cuts while it opened' : 'power cuts while it wrote');
    promised.add(writer, noted, options.durability === 'fsync');
    promised.examine(options);
    if (!random.chance(30)) continue;
    await promised.recover(options, cut);
    await repower();
    tally.add('power cuts right after a recovery');
    promised.examine(options);
  }
  await promised.recover(options);
}
