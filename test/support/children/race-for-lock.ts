// Takes the lock `LOCK` of a folder as soon as it can get it, and while it holds it makes a file that must not be there
// yet. Arguments: folder, provider, and how to end: `release`, or `kill`, without a word and with the lock still held.
// Ends with code 3 if it was not alone.

import { FsDirectory } from 'cairnlog/storage';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockProviders, type ProviderName } from '../lock-providers.js';

const [folder, provider, end] = process.argv.slice(2) as [string, ProviderName, 'release' | 'kill'];
const directory = await FsDirectory.open(folder, { lockProvider: lockProviders[provider]() });
const alone = path.join(folder, 'alone');

for (;;) {
  try {
    const lock = await directory.lock('LOCK');
    try {
      fs.closeSync(fs.openSync(alone, 'wx'));
    } catch {
      process.exit(3);
    }
    await sleep(2);
    fs.unlinkSync(alone);
    if (end === 'kill') process.kill(process.pid, 'SIGKILL');
    await lock.release();
    break;
  } catch (error) {
    if ((error as { code?: string }).code !== 'CAIRN_LOCKED') throw error;
    await sleep(20 + Math.random() * 80);
  }
}
