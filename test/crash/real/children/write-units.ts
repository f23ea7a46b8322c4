// Opens a store, prints how many units it found, writes more, and prints the number of each one that is durable.
// Arguments: folder, units to write, units between two checkpoints. Ends with the code of the error that stopped it.

import { CairnError } from 'cairnlog';
import * as fs from 'node:fs';
import { openNumbered, unitsIn, writeUnit } from '../numbered-notes.js';

const [folder, count, every] = process.argv.slice(2) as [string, string, string];
// At once, and not when Node comes to it: what was promised must have been said when the process ends.
const say = (line: string): void => void fs.writeSync(1, `${line}\n`);

try {
  const store = await openNumbered(folder);
  const found = unitsIn(store);
  say(`open ${found}`);
  for (let unit = found + 1; unit <= found + Number(count); unit++) {
    await writeUnit(store, unit);
    say(`${unit}`);
    if (unit % Number(every) === 0) await store.checkpoint({ full: unit % (3 * Number(every)) === 0 });
  }
  await store.close();
  say('closed');
} catch (error) {
  say(error instanceof CairnError ? error.code : `untyped ${String(error)}`);
  process.exit(1);
}
