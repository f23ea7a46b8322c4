// Opens a store, says so, and keeps it open until a line comes in. Argument: folder.

import { openStore } from 'cairnlog';
import { once } from 'node:events';

const store = await openStore({ dir: process.argv[2]! });
process.stdout.write('open\n');
await once(process.stdin, 'data');
await store.close();
process.stdin.destroy();
