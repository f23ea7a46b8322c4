// Takes and releases the lock of a folder many times, and makes sure each time that nobody else has it. Arguments:
// folder, times. Ends with code 3 if it was not alone.

import { FsDirectory } from 'cairnlog/storage';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [folder, times] = process.argv.slice(2) as [string, string];
const alone = path.join(folder, 'alone');
const directory = await FsDirectory.open(folder);
let refused = 0;

for (let won = 0; won < Number(times);) {
  try {
    const lock = await directory.lock('LOCK');
    try {
      fs.closeSync(fs.openSync(alone, 'wx'));
    } catch {
      process.exit(3);
    }
    if (won % 10 === 0) await sleep(1);
    fs.unlinkSync(alone);
    await lock.release();
    won++;
  } catch (error) {
    if ((error as { code?: string }).code !== 'CAIRN_LOCKED') throw error;
    refused++;
  }
  // The other one gets a chance.
  await sleep(Math.random() * 3);
}
console.log(`${refused}`);
