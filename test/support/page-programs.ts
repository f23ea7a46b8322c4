// The TypeScript blocks of Markdown pages as programs: one per page, all of its ```ts blocks in order. Every line of the
// program stands in the line where the page has it, so whatever goes wrong is told with the page's own line numbers.

import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { projectRoot } from './module-process.js';

export interface Page {
  /** Path from the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface PageProgram {
  readonly page: Page;
  /** One per error, `docs/guide/page.md:12:3 what is wrong`. */
  readonly problems: readonly string[];
  /** The compiled program; its source map leads to the page. */
  readonly javaScript: string;
}

const COMPILER_OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.esnext.decorators.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  strict: true,
  experimentalDecorators: true,
  skipLibCheck: true,
  sourceMap: true,
};

/** Resolves to the program of a page; `undefined` if it has none. Throws for a block that is neither run nor exempt. */
export function programOf({ path: name, text }: Page): string | undefined {
  let inside: 'run' | 'shown' | undefined;
  let any = false;
  const lines = text.split('\n').map((line, index) => {
    if (!line.startsWith('```')) return inside === 'run' ? line : '';
    const language = line.slice(3).trim();
    if (inside !== undefined) {
      inside = undefined;
    } else if (language === 'ts') {
      inside = 'run';
      any = true;
    } else if (language !== 'ts nocheck' && /^(ts|typescript)\b/i.test(language)) {
      throw new Error(`${name}:${index + 1} '${language}': a block is 'ts', which is run, or 'ts nocheck'`);
    } else {
      inside = 'shown';
    }
    return '';
  });
  return any ? lines.join('\n') : undefined;
}

/** Type-checks and compiles the programs of all pages that have one, together: the library's types are read once. */
export function compilePages(pages: readonly Page[]): PageProgram[] {
  const sources = new Map<string, { readonly page: Page; readonly source: string }>();
  for (const page of pages) {
    const source = programOf(page);
    if (source !== undefined) sources.set(path.join(projectRoot, `${page.path}.ts`), { page, source });
  }
  const host = ts.createCompilerHost(COMPILER_OPTIONS);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  host.readFile = (file) => sources.get(file)?.source ?? readFile(file);
  host.getSourceFile = (file, target, ...rest) => {
    const virtual = sources.get(file);
    return virtual === undefined
      ? getSourceFile(file, target, ...rest)
      : ts.createSourceFile(file, virtual.source, target);
  };
  host.getCurrentDirectory = () => projectRoot;
  const program = ts.createProgram([...sources.keys()], COMPILER_OPTIONS, host);
  const wrongOptions = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()];
  if (wrongOptions.length > 0) throw new Error(wrongOptions.map(describe).join('\n'));
  return [...sources].map(([file, { page }]) => {
    const sourceFile = program.getSourceFile(file)!;
    const problems = [
      ...program.getSyntacticDiagnostics(sourceFile),
      ...program.getSemanticDiagnostics(sourceFile),
    ].map(describe);
    return { page, problems, javaScript: emit(program, sourceFile, page) };
  });
}

function describe({ file, start, messageText }: ts.Diagnostic): string {
  const message = ts.flattenDiagnosticMessageText(messageText, '\n  ');
  if (file === undefined || start === undefined) return message;
  const { line, character } = file.getLineAndCharacterOfPosition(start);
  const page = path.relative(projectRoot, file.fileName).replace(/\.ts$/, '').replaceAll(path.sep, '/');
  return `${page}:${line + 1}:${character + 1} ${message}`;
}

function emit(program: ts.Program, sourceFile: ts.SourceFile, page: Page): string {
  let code = '';
  let map: Record<string, unknown> = {};
  program.emit(sourceFile, (file, text) => {
    if (file.endsWith('.map')) map = JSON.parse(text) as Record<string, unknown>;
    else code = text;
  });
  const sources = [pathToFileURL(path.join(projectRoot, page.path)).href];
  const inline = Buffer.from(JSON.stringify({ ...map, sourceRoot: '', sources })).toString('base64');
  return code.replace(/\/\/# sourceMappingURL=.*/, `//# sourceMappingURL=data:application/json;base64,${inline}`);
}

/**
 * Runs a compiled page in a process of its own in the folder `cwd`. Resolves to what went wrong, `undefined` if it ran
 * to its end.
 */
export async function runPage({ page, javaScript }: PageProgram, cwd: string): Promise<string | undefined> {
  // Below the project, so that it finds 'cairnlog' by name; the working directory is another one.
  const folder = path.join(projectRoot, '.build', 'pages');
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${page.path.replaceAll('/', '_')}.${process.pid}.mjs`);
  fs.writeFileSync(file, javaScript);
  try {
    const child = spawn(process.execPath, ['--enable-source-maps', '--unhandled-rejections=strict', file], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stdout.on('data', (data) => (output += String(data)));
    child.stderr.on('data', (data) => (output += String(data)));
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once('close', (...ended) => resolve(ended)),
    );
    if (code === 0) return undefined;
    // 13: a promise at the top level that nothing will ever settle. Node says so itself, and where.
    const ended = code === null ? `was killed with ${signal} after ${TIMEOUT_MS / 1000} s` : `ended with code ${code}`;
    return `${page.path} ${ended}:\n${output}`;
  } finally {
    fs.rmSync(file, { force: true });
  }
}

const TIMEOUT_MS = 30_000;
