// What is expected and what is there, line against line, as the messages of failed checks show it.

import * as assert from 'node:assert';
import { inspect, isDeepStrictEqual } from 'node:util';
import { copyPlainData } from '../codec/index.js';

/** Unchanged lines that are shown around a change. */
const CONTEXT = 3;
/** Above this many lines on either side, what differs is shown in one piece: comparing takes time times memory. */
const MOST_LINES = 1500;

/** Whether both are the same plain data. */
export function isSame(actual: unknown, expected: unknown): boolean {
  return isDeepStrictEqual(plain(actual), plain(expected));
}

/** Throws an `AssertionError` with both sides in its message. */
export function fail(message: string, actual: unknown, expected: unknown, labels = 'expected, actual'): never {
  const [minus, plus] = labels.split(', ');
  throw assertionError(`${message}\n- ${minus}   + ${plus}\n\n${differences(actual, expected)}\n`, actual, expected);
}

export function assertionError(message: string, actual?: unknown, expected?: unknown): assert.AssertionError {
  // Not by the name of an assertion that exists: Node would add its own account of what differs.
  const error = new assert.AssertionError({ message, actual, expected, operator: 'then' });
  // The differences are in the message already; this keeps mocha from showing them again.
  return Object.defineProperty(error, 'showDiff', { value: false, enumerable: false });
}

/** Lines of `expected` that are missing begin with `-`, those of `actual` that are too many with `+`. */
export function differences(actual: unknown, expected: unknown): string {
  const lines = diffLines(linesOf(expected), linesOf(actual));
  const isNear = lines.map((_, at) => lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(isChange));
  const shown: string[] = [];
  for (const [at, line] of lines.entries()) {
    if (isNear[at]!) shown.push(line);
    else if (at === 0 || isNear[at - 1]!) shown.push('  ...');
  }
  return shown.join('\n');
}

/** As it would come back from a log or checkpoint; what is not plain data stays as it is, to be seen. */
function plain(value: unknown): unknown {
  try {
    return copyPlainData(value);
  } catch {
    return value;
  }
}

function linesOf(value: unknown): string[] {
  const options = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity, sorted: true } as const;
  return inspect(plain(value), { ...options, compact: false, breakLength: Infinity }).split('\n');
}

function isChange(line: string): boolean {
  return line.startsWith('-') || line.startsWith('+');
}

function diffLines(before: readonly string[], after: readonly string[]): string[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  return [
    ...before.slice(0, start).map((line) => `  ${line}`),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map((line) => `  ${line}`),
  ];
}

/** By the longest common subsequence. */
function middle(before: readonly string[], after: readonly string[]): string[] {
  if (before.length > MOST_LINES || after.length > MOST_LINES)
    return [...before.map((line) => `- ${line}`), ...after.map((line) => `+ ${line}`)];
  // common[i][j]: lines that before from i on and after from j on have in common.
  const common = Array.from({ length: before.length + 1 }, () => new Uint16Array(after.length + 1));
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      common[i]![j] =
        before[i] === after[j] ? common[i + 1]![j + 1]! + 1 : Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push(`  ${before[i++]}`);
      j++;
    } else if (j === after.length || (i < before.length && common[i + 1]![j]! >= common[i]![j + 1]!)) {
      lines.push(`- ${before[i++]}`);
    } else lines.push(`+ ${after[j++]}`);
  }
  return lines;
}
