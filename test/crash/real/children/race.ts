// Races for the lock of a folder, whenever it is told to, and says `won`, or `lost`, to whom, and with which error.
// Argument: folder.

import { FsDirectory, type Lock } from 'cairnlog/storage';
import * as readline from 'node:readline';

const directory = await FsDirectory.open(process.argv[2]!);
let lock: Lock | undefined;
console.log('ready');
for await (const told of readline.createInterface({ input: process.stdin })) {
  if (told === 'release') {
    await lock?.release();
    lock = undefined;
    console.log('released');
    continue;
  }
  try {
    lock = await directory.lock('LOCK');
    console.log('won');
  } catch (error) {
    const { code, pid } = error as { code?: string; pid?: number };
    console.log(`lost ${pid} ${code}`);
  }
}
