// A search index that is killed in the middle of its work and loses nothing that it had acknowledged. `npm start`.
//
// Read on in story.ts, which is what happens in order; in indexer.ts, which is all there is to do with the log; and in
// postings.ts and searcher.ts for the search itself, which knows nothing of logs and files.

import { run } from './command-line.js';

// `npm start | head` stops reading early: the rest happens unseen, and the temporary folder still goes.
process.stdout.on('error', () => undefined);
process.exitCode = await run(process.argv.slice(2));
