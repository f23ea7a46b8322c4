// The process that gets killed. It goes on with the index that its parent has closed, says on stdout what is done once
// that is durable, begins a merge, and waits for its end in the middle of it.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { FsDirectory } from 'cairnlog';
import { writeFileAtomically, writeFully } from 'cairnlog/storage';
import { answerAll, type Answer } from './answers.js';
import { readDocument } from './documents.js';
import { Indexer } from './indexer.js';
import { buildPostings } from './postings.js';
import { encodePostings, postingsPath } from './postings-file.js';

/** What the worker is to do: one line of JSON on stdin. */
export interface WorkOrder {
  readonly dataFolder: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly mergeSegments: number;
  readonly queries: readonly string[];
}

/** What it has to say: lines of JSON on stdout. `added` and `removed` are promises that the kill must not break. */
export type WorkerMessage =
  | { readonly type: 'added'; readonly paths: readonly string[] }
  | { readonly type: 'removed'; readonly paths: readonly string[] }
  | { readonly type: 'answers'; readonly answers: readonly Answer[] }
  | { readonly type: 'merging'; readonly transactionId: number };

const stdin = createInterface({ input: process.stdin });
// The parent keeps stdin open; when it closes, nobody is left to do the killing.
stdin.once('close', () => process.exit(1));
const [line] = (await once(stdin, 'line')) as [string];
const order = JSON.parse(line) as WorkOrder;

const directory = await FsDirectory.open(order.dataFolder);
const index = await Indexer.open(directory);

await index.add(await Promise.all(order.add.map(readDocument)));
tell({ type: 'added', paths: order.add });
tell({ type: 'removed', paths: await index.remove(order.remove) });

const merge = await index.startMerge(order.mergeSegments);
await index.writeMerged(merge);
const meanwhile = merge.postings.documents.slice(0, 2).map(({ path }) => path);
tell({ type: 'removed', paths: await index.remove(meanwhile) });
tell({ type: 'answers', answers: answerAll(order.queries, (query) => index.searcher.search(query)) });

// The merged file is whole and its EndMerge is missing. As if that were not enough, another file is only half written.
const bytes = encodePostings(buildPostings([await readDocument(order.add[0]!)]));
await writeFileAtomically(directory, postingsPath(merge.newSegmentId + 1), async (file) => {
  await writeFully(file, bytes.subarray(0, bytes.length >> 1), 0);
  tell({ type: 'merging', transactionId: merge.transactionId });
  await new Promise(() => undefined);
});

function tell(message: WorkerMessage): void {
  console.log(JSON.stringify(message));
}
