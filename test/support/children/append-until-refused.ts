// Appends durably until it is refused, and prints each id that was acknowledged and then the error.
// Argument: folder.

import { CairnError, FsDirectory, WalWriter } from 'cairnlog';
import { textCodec } from '../text-codec.js';

const wal = await WalWriter.open(await FsDirectory.open(process.argv[2]!), { codec: textCodec });
for (let entry = 1; ; entry++) {
  try {
    console.log(await wal.appendDurable(`entry ${entry}`));
  } catch (error) {
    console.log(error instanceof CairnError ? `${error.code} ${error.message}` : String(error));
    break;
  }
}
await wal.close();
