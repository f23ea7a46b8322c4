// Takes the lock `LOCK` of a folder, says so, and holds it until a line comes in. Run as a process or as a thread.
// Arguments: folder, provider.

import { CairnError, FsDirectory } from 'cairnlog';
import { once } from 'node:events';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { lockProviders, type ProviderName } from '../lock-providers.js';

const [folder, provider] = (isMainThread ? process.argv.slice(2) : workerData) as [string, ProviderName];
const say = (line: string): void =>
  isMainThread ? void process.stdout.write(`${line}\n`) : parentPort!.postMessage(line);

const directory = await FsDirectory.open(folder, { lockProvider: lockProviders[provider]() });
try {
  const lock = await directory.lock('LOCK');
  say('held');
  await (isMainThread ? once(process.stdin, 'data') : once(parentPort!, 'message'));
  await lock.release();
  say('released');
} catch (error) {
  say(error instanceof CairnError ? `${error.code} ${error.message}` : String(error));
}
if (isMainThread) process.stdin.destroy();
else parentPort!.close();
