// What the program says: a name for each step, and beside it what happened, in figures.

import type { Merge, SegmentManager, StoreRecovery } from 'cairnlog';
import cliProgress from 'cli-progress';
import type { Answer } from './answers.js';

export type Print = (line: string) => void;

const NAME_WIDTH = 12;

export class Report {
  readonly #print: Print;

  constructor(print: Print) {
    this.#print = print;
  }

  heading(text: string): void {
    this.#print(`\n${text}\n`);
  }

  /** A step and what came of it; further lines are set below the first. */
  step(name: string, ...lines: readonly string[]): void {
    for (const [index, line] of lines.entries())
      this.#print(`  ${(index === 0 ? name : '').padEnd(NAME_WIDTH)}${line}`);
  }

  end(text: string): void {
    this.#print(`\n${text}`);
  }
}

/** A progress bar that is gone afterwards; none where nobody would see it move. */
export async function withProgress<T>(total: number, work: (advance: (by: number) => void) => Promise<T>): Promise<T> {
  if (!process.stdout.isTTY) return work(() => undefined);
  const bar = new cliProgress.SingleBar(
    {
      format: `  ${'Index'.padEnd(NAME_WIDTH)}{bar} {value} of {total} documents`,
      stream: process.stdout,
      barsize: 30,
      clearOnComplete: true,
    },
    cliProgress.Presets.shades_grey,
  );
  bar.start(total, 0);
  try {
    return await work((by) => bar.increment(by));
  } finally {
    bar.stop();
  }
}

export function describeCheckpoint({
  position,
  bytes,
  truncation,
}: Awaited<ReturnType<SegmentManager['checkpoint']>>): string {
  const removed = truncation.removed.length;
  const log =
    removed === 0
      ? 'no WAL segment removed before there are two checkpoints'
      : `${counted(removed, 'WAL segment')} removed, ${truncation.kept.length} kept`;
  return `up to position ${position}, ${bytes} bytes; ${log}`;
}

export function describeRecovery(
  { checkpoint, skippedCheckpoints, entriesReplayed, position, tornTail, milliseconds }: StoreRecovery,
  merges: readonly Merge[],
): string[] {
  return [
    `from ${checkpoint?.name ?? 'the log alone'} and ${counted(entriesReplayed, 'entry', 'entries')} after it, ` +
      `up to position ${position}, in ${describeTime(milliseconds)}`,
    tornTail === undefined
      ? 'the log ends with a whole entry: no torn tail'
      : `a torn tail of ${tornTail.bytes} bytes was cut off: ${tornTail.reason}`,
    ...skippedCheckpoints.map(({ name, reason }) => `not used: ${name}, ${reason}`),
    ...merges.map(
      ({ transactionId, sources }) =>
        `merge ${transactionId} of index segments ${sources.map(({ segmentId }) => segmentId).join(', ')} was in flight`,
    ),
  ];
}

/** The query and its two best hits, side by side. */
export function describeAnswer({ query, hits }: Answer): string[] {
  if (hits.length === 0) return [`"${query}": nothing`];
  return hits
    .slice(0, 2)
    .map(
      ({ path, score }, index) =>
        `${(index === 0 ? `"${query}"` : '').padEnd(32)}${score.toFixed(2).padStart(6)}  ${path}`,
    );
}

/** `counted(1, 'file')` is `1 file`, `counted(1200, 'file')` is `1,200 files`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : several}`;
}

export function describeSize(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function describeTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}
