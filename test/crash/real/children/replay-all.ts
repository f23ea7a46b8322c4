// With `write`, makes a log or a store of so many MiB; with `read`, reads all of the log, or opens the store, which has
// no checkpoint. Prints how many entries there are, and the most memory in KiB that it had. Arguments: folder, `log` or
// `store`, `write` or `read`, MiB.

import { FsDirectory } from 'cairnlog/storage';
import { WalReader, WalWriter } from 'cairnlog/wal';
import { textCodec } from '../../../support/text-codec.js';

const [folder, level, what, megabytes] = process.argv.slice(2) as [string, 'log' | 'store', 'write' | 'read', string];
const TEXT = 'x'.repeat(16 * 1024);
const wanted = Number(megabytes) * 64;
const entries = level === 'log' ? await ofLog() : await ofStore();
console.log(`${entries} ${process.resourceUsage().maxRSS}`);

async function ofLog(): Promise<number> {
  const directory = await FsDirectory.open(folder);
  if (what === 'write') {
    const wal = await WalWriter.open(directory, { codec: textCodec });
    for (let entry = 1; entry <= wanted; entry++) {
      wal.append(TEXT);
      if (entry % 256 === 0) await wal.flush();
    }
    await wal.close();
    return wanted;
  }
  let count = 0;
  for await (const { entry } of new WalReader(directory, { codec: textCodec }).entries()) {
    if (entry !== TEXT) throw new Error(`Entry ${count + 1} is not what was written`);
    count++;
  }
  return count;
}

async function ofStore(): Promise<number> {
  const { defineProjection, openStore } = await import('cairnlog');
  const total = defineProjection('total', {
    initial: { records: 0 },
    on: {
      Noted: (state, { data }: { data: { text: string } }) => {
        if (data.text === TEXT) state.records++;
      },
    },
  });
  const store = await openStore({
    dir: folder,
    projections: [total],
    durability: 'flush',
    checkpoint: { records: Infinity },
  });
  if (what === 'write')
    for (let record = 0; record < wanted; record += 64) {
      const events = Array.from({ length: 64 }, () => ({ type: 'Noted', data: { text: TEXT } }));
      await store.append([{ stream: 'notes-1', events }]);
    }
  const { records } = store.projection(total).state;
  await store.close();
  return records;
}
