// With `write`, makes a log of so many MiB; with `replay`, reads all of it. Prints the entries, and the most memory in
// KiB that it had. Arguments: folder, what to do, MiB.

import { FsDirectory, WalReader, WalWriter } from 'cairnlog';
import { textCodec } from '../../../support/text-codec.js';

const [folder, what, megabytes] = process.argv.slice(2) as [string, string, string];
const directory = await FsDirectory.open(folder);
let entries = 0;
if (what === 'write') {
  const text = 'x'.repeat(16 * 1024);
  const wal = await WalWriter.open(directory, { codec: textCodec });
  for (; entries < Number(megabytes) * 64; entries++) {
    wal.append(text);
    if (entries % 256 === 0) await wal.flush();
  }
  await wal.close();
} else {
  for await (const { entry } of new WalReader(directory, { codec: textCodec }).entries()) {
    if (entry.length !== 16 * 1024) throw new Error(`Entry ${entries + 1} has ${entry.length} characters`);
    entries++;
  }
}
console.log(`${entries} ${process.resourceUsage().maxRSS}`);
