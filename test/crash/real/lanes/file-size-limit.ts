// A limit on the size of files (RLIMIT_FSIZE) at every stage of a writer's work: a write stops in the middle, without an
// error, and only the next one fails.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { randomOf } from '../../../support/seed.js';
import type { Tally } from '../../lanes/lane.js';
import { makeFolder } from '../cleanup.js';
import { expectTyped, Promised } from '../evidence.js';
import type { NumberedOptions } from '../numbered-notes.js';
import { needPrograms, twoAtATime, type RealLane } from '../real-lane.js';
import { Writer } from '../writer.js';

const LIMITS = 56;

export const fileSizeLimit: RealLane = {
  name: 'limits of file size',
  needs: [
    'faults fired',
    'writes cut in the middle',
    'writers refused',
    'checkpoints failed',
    'acknowledged units checked',
    'recoveries',
  ],
  processes: 2,
  async run(tally): Promise<void> {
    needPrograms('prlimit');
    const { path: folder, remove } = makeFolder('limits');
    await twoAtATime(Array(LIMITS).keys(), async (number) => {
      await tally.hold(
        () => `limit ${number}`,
        () => limit(folder, number, tally),
      );
    });
    remove();
  },
};

async function limit(folder: string, number: number, tally: Tally): Promise<void> {
  const random = randomOf(`limit of file size ${number}`);
  const options: NumberedOptions = {
    level: number % 2 === 0 ? 'store' : 'log',
    durability: number % 4 < 2 ? 'fsync' : 'flush',
    // In some of them only checkpoints become too large.
    segmentBytes: number % 8 === 0 ? 500 : 1_000_000,
  };
  const bytes = number < 20 ? 10 * number : 200 + random.integer(3000);
  const promised = new Promised(path.join(folder, `data-${number}`), tally);
  const writer = new Writer(
    { ...options, folder: promised.folder, units: 60, atOnce: random.pick([1, 3]), every: 5 },
    { folder, through: ['prlimit', `--fsize=${bytes}`] },
  );
  const { code, signal } = await writer.ended;
  expectTyped(writer);
  if (signal !== null || code === null) throw new Error(`The writer was ended by ${String(signal)}`);
  const failed = writer.lines.filter((line) => line.startsWith('checkpoint failed')).length;
  if (writer.outcome !== 'closed' && !writer.outcome.endsWith('EFBIG'))
    throw new Error(`The writer said: ${writer.lines.slice(-3).join(', ')}`);
  tally.add('faults fired', failed + Number(writer.outcome !== 'closed'));
  tally.add('writers refused', Number(writer.outcome !== 'closed'));
  tally.add('checkpoints failed', failed);
  const logs = path.join(promised.folder, 'wal');
  const names = fs.existsSync(logs) ? fs.readdirSync(logs).filter((name) => name.endsWith('.log')) : [];
  for (const name of names)
    tally.add('writes cut in the middle', Number(fs.statSync(path.join(logs, name)).size === bytes));
  promised.add(writer);
  promised.examine(options);
  await promised.recover(options);
  promised.remove();
}
