// What happens, in three acts: an index is built, a process that works on it is killed, and the index is recovered.

import type { Directory } from 'cairnlog';
import { answerAll, mustAgree, type Answer } from './answers.js';
import type { Document } from './documents.js';
import { FullScan } from './full-scan.js';
import { Indexer } from './indexer.js';
import { killInTheMiddleOfAMerge } from './kill.js';
import {
  counted,
  describeAnswer,
  describeCheckpoint,
  describeRecovery,
  describeTime,
  withProgress,
  type Report,
} from './report.js';

/** What the acts share. */
export interface Stage {
  readonly directory: Directory;
  readonly dataFolder: string;
  readonly report: Report;
  readonly documents: readonly Document[];
  /** Asked again and again; the answers to the first few are shown. */
  readonly queries: readonly string[];
  /** Texts of the documents that are to be found, by path: kept beside the index, to judge it by. */
  readonly library: Map<string, string>;
}

const INDEX_SEGMENTS = 24;
const MERGED_SEGMENTS = 6;
const SHOWN_ANSWERS = 3;

/** Act 1: index the documents, delete and update some, merge segments, and take checkpoints on the way. */
export async function build(stage: Stage): Promise<void> {
  const { directory, library, report } = stage;
  const { early } = inTwoParts(stage.documents);
  const index = await Indexer.open(directory);
  try {
    const begun = performance.now();
    const batch = Math.ceil(early.length / INDEX_SEGMENTS);
    await withProgress(early.length, async (advance) => {
      for (let at = 0; at < early.length; at += batch) {
        const documents = early.slice(at, at + batch);
        await index.add(documents);
        for (const { path, text } of documents) library.set(path, text);
        advance(documents.length);
      }
    });
    report.step(
      'Index',
      `${early.length} documents in ${index.segments.size} index segments, ${describeTime(performance.now() - begun)}`,
    );
    await takeCheckpoint(index, report);

    const removed = pathsOf(everyNth(early, 8, 5));
    await Promise.all(removed.map((path) => index.remove([path])));
    for (const path of removed) library.delete(path);
    const updated = everyNth(early, 16, 2).map(({ path, text }) => ({ path, text: `${text}\n\nRevised yesterday.` }));
    await index.add(updated);
    for (const { path, text } of updated) library.set(path, text);
    report.step('Change', `${removed.length} documents deleted, ${updated.length} replaced by a new version`);

    const merge = await index.startMerge(MERGED_SEGMENTS);
    const meanwhile = pathsOf(merge.postings.documents.slice(0, 3));
    await Promise.all([index.writeMerged(merge), index.remove(meanwhile)]);
    for (const path of meanwhile) library.delete(path);
    const carried = await index.endMerge(merge);
    report.step(
      'Merge',
      `${merge.sources.length} index segments into one of ${merge.postings.documents.length} documents, ` +
        `${carried} of them deleted meanwhile`,
    );
    await takeCheckpoint(index, report);

    const { reopened, opened, kept } = index.searcher.counts;
    report.step(
      'Refresh',
      `the subscription to segments$ has reopened the searcher ${counted(reopened, 'time')}:`,
      `${counted(opened, 'index segment')} opened, ${counted(kept, 'time')} one was kept as it was`,
    );
    const answers = answersOf(index, stage);
    report.step('Search', ...answers.slice(0, SHOWN_ANSWERS).flatMap(describeAnswer));
    mustBeAsScanned(stage, answers);
    report.step('Compare', `${answers.length} queries: the index answers as a full scan of all texts does`);
  } finally {
    await index.close();
  }
}

/** Act 2: another process goes on with the index and is killed. Resolves to the answers that it gave before. */
export async function crash(stage: Stage): Promise<readonly Answer[]> {
  const { documents, dataFolder, queries, library, report } = stage;
  const { early, late } = inTwoParts(documents);
  const killed = await killInTheMiddleOfAMerge({
    dataFolder,
    add: pathsOf(late),
    remove: pathsOf(everyNth(early, 16, 9)),
    mergeSegments: MERGED_SEGMENTS,
    queries,
  });
  // What it had acknowledged must be there afterwards.
  for (const { path, text } of late) if (killed.added.includes(path)) library.set(path, text);
  for (const path of killed.removed) library.delete(path);
  report.step(
    'Kill',
    `another process, ${killed.pid}, opened the index, added ${killed.added.length} documents, deleted ${killed.removed.length},`,
    `and got SIGKILL in merge ${killed.transactionId}, when the merged postings were written and EndMerge was not`,
  );
  return killed.answers;
}

/** Act 3: open the index again, clean up behind the killed process, and see whether anything is different. */
export async function recover(stage: Stage, answersBefore: readonly Answer[]): Promise<void> {
  const { directory, library, report } = stage;
  const index = await Indexer.open(directory);
  try {
    report.step('Recover', ...describeRecovery(index.recovery, index.interruptedMerges));
    const cancelled = await index.cancelMerges();
    const orphans = await index.removeOrphans();
    report.step(
      'Clean up',
      `${counted(cancelled.length, 'merge')} cancelled, ${counted(orphans.length, 'file')} that no index segment refers to removed:`,
      ...orphans,
    );

    const answers = answersOf(index, stage);
    mustAgree('before the kill', answersBefore, 'after recovery', answers);
    mustBeAsScanned(stage, answers);
    report.step('Compare', `${answers.length} queries: answered as before the kill, and as by a full scan`);

    const merge = await index.startMerge(MERGED_SEGMENTS);
    await index.writeMerged(merge);
    await index.endMerge(merge);
    const again = answersOf(index, stage);
    mustAgree('before the merge', answers, 'after the merge', again);
    report.step(
      'Go on',
      `merged again, with the same answers: ${library.size} documents in ${index.segments.size} index segments`,
    );
    await takeCheckpoint(index, report);
  } finally {
    await index.close();
  }
}

async function takeCheckpoint(index: Indexer, report: Report): Promise<void> {
  report.step('Checkpoint', describeCheckpoint(await index.checkpoint()));
}

function answersOf(index: Indexer, { queries }: Stage): Answer[] {
  return answerAll(queries, (query) => index.searcher.search(query));
}

function mustBeAsScanned({ queries, library }: Stage, answers: readonly Answer[]): void {
  const scan = new FullScan(library);
  mustAgree(
    'by a full scan',
    answerAll(queries, (query) => scan.search(query)),
    'by the index',
    answers,
  );
}

/** Most documents are there from the start; the rest arrives in act 2. */
function inTwoParts<T>(documents: readonly T[]): { readonly early: readonly T[]; readonly late: readonly T[] } {
  const cut = Math.ceil(documents.length * 0.9);
  return { early: documents.slice(0, cut), late: documents.slice(cut) };
}

function everyNth<T>(items: readonly T[], n: number, first: number): T[] {
  return items.filter((_, index) => index % n === first);
}

function pathsOf(documents: readonly { readonly path: string }[]): string[] {
  return documents.map(({ path }) => path);
}
