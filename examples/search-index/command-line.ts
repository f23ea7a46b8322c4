// The program around the story: options, the folder for the data, and an exit code that a script can rely on.

import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { CairnError, FsDirectory } from 'cairnlog';
import { makeDirectoryDurable } from 'cairnlog/storage';
import { DifferentAnswerError, queriesFrom } from './answers.js';
import { findDocuments, type Document } from './documents.js';
import { POSTINGS_FOLDER } from './postings-file.js';
import { describeSize, describeTime, Report } from './report.js';
import * as story from './story.js';

const USAGE = `Usage: npm start [-- [--data DIR] [FOLDER...]]

Indexes the Markdown and text files below the folders (default: node_modules and docs), has a process
killed in the middle of a merge, recovers, and checks that nothing acknowledged was lost.

  --data DIR   keep the index in DIR, a new or empty folder (default: a temporary one, removed at the end)
  --help       show this

Exit code: 0 nothing was lost, 1 something was lost or failed, 2 it could not begin`;

const DEFAULT_FOLDERS = ['node_modules', 'docs'];
/** With fewer there is nothing to merge. */
const MIN_DOCUMENTS = 20;

export interface Output {
  print(line: string): void;
  complain(line: string): void;
}

/** The reason why the program cannot begin, for the person who started it. */
class CannotBeginError extends Error {}

/** Runs the program and resolves to its exit code. Tests pass other `acts`, to disturb the story. */
export async function run(
  args: readonly string[],
  output: Output = { print: console.log, complain: console.error },
  acts: Pick<typeof story, 'build' | 'crash' | 'recover'> = story,
): Promise<number> {
  const begun = performance.now();
  let temporary: string | undefined;
  try {
    const options = readOptions(args);
    if (options === 'help') {
      output.print(USAGE);
      return 0;
    }
    const { data, folders } = options;
    const documents = await documentsIn(folders);
    const found = performance.now() - begun;
    const dataFolder = data ?? (temporary = path.join(os.tmpdir(), `search-index-${randomUUID()}`));
    const directory = await openData(dataFolder);

    const report = new Report(output.print);
    report.heading('A search index, and a process that is killed in the middle of a merge');
    const size = describeSize(documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0));
    report.step('Find', `${documents.length} documents, ${size}, in ${folders.join(' and ')}, ${describeTime(found)}`);
    const queries = queriesFrom(documents);
    const stage = { directory, dataFolder, report, documents, queries, library: new Map<string, string>() };
    await acts.build(stage);
    const answers = await acts.crash(stage);
    await acts.recover(stage, answers);
    report.end(`Nothing acknowledged was lost. ${describeTime(performance.now() - begun)} in all.`);
    return 0;
  } catch (error) {
    output.complain(describe(error));
    if (error instanceof CannotBeginError) return 2;
    if (temporary !== undefined) output.complain('To look at the files, run it again with --data DIR.');
    return 1;
  } finally {
    if (temporary !== undefined) await fs.rm(temporary, { recursive: true, force: true });
  }
}

function readOptions(
  args: readonly string[],
): 'help' | { readonly data: string | undefined; readonly folders: string[] } {
  const { values, positionals } = parse(args);
  if (values.help === true) return 'help';
  return { data: values.data, folders: positionals.length > 0 ? positionals : DEFAULT_FOLDERS };
}

function parse(args: readonly string[]) {
  try {
    const options = { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const [what] = (error as Error).message.split('. ');
    throw new CannotBeginError(`${what}\n\n${USAGE}`);
  }
}

async function documentsIn(folders: readonly string[]): Promise<readonly Document[]> {
  const documents = await findDocuments(folders);
  if (documents.length < MIN_DOCUMENTS)
    throw new CannotBeginError(
      `${documents.length} Markdown and text files in ${folders.join(' and ')}; at least ${MIN_DOCUMENTS} are needed.\n` +
        'Run npm ci in the project first, or name folders that have more: npm start -- FOLDER...',
    );
  return documents;
}

async function openData(folder: string): Promise<FsDirectory> {
  try {
    const directory = await FsDirectory.open(folder);
    if ((await directory.list('')).length > 0)
      throw new CannotBeginError(`${folder} is not empty. Choose a new or empty folder with --data DIR`);
    await makeDirectoryDurable(directory, POSTINGS_FOLDER);
    return directory;
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    throw new CannotBeginError(`Cannot write to ${folder}: ${error.message}.\nChoose another folder with --data DIR`);
  }
}

function describe(error: unknown): string {
  if (error instanceof CannotBeginError) return error.message;
  if (error instanceof DifferentAnswerError) return `\nFAILED: ${error.message}`;
  if (error instanceof CairnError) return `\nFAILED with ${error.code}: ${error.message}`;
  return `\nFAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
