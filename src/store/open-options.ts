// Whether the options of openStore are of the kinds that they should be, before anything is done with them: JavaScript
// asks no compiler, and what is nearly right (a class without its list, a URL as the folder) would fail far from here.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import { checkList, checkTexts, isObject } from './arguments.js';

const FUNCTIONS = ['now', 'after', 'elapsed', 'random', 'onCheckpointFailure', 'onSubscriberError'] as const;

/** Throws {@link InvalidArgumentError} that says what to pass. */
export function checkOpenOptions(options: unknown): void {
  if (!isObject(options))
    throw new InvalidArgumentError(
      `openStore takes options, at least where the data is: openStore({ dir: './data' }); got ${shown(options)}`,
    );
  const { dir, engine, files, checkpoint, aggregates, projections, forget } = options;
  if ((dir === undefined) === (engine === undefined))
    throw new InvalidArgumentError(
      "Say where the data is, by one of the two: openStore({ dir: './data' }) or { engine }",
    );
  if (dir !== undefined && typeof dir !== 'string' && !has(dir, 'open', 'lock'))
    throw new InvalidArgumentError(
      `dir must be the path of a folder, or a Directory, got ${shown(dir)}` +
        (dir instanceof URL ? '; fileURLToPath of node:url makes a path of it' : ''),
    );
  if (engine !== undefined && !has(engine, 'open'))
    throw new InvalidArgumentError(`engine must be an object with open(), as memoryEngine() is, got ${shown(engine)}`);
  checkList('aggregates', aggregates, 'aggregates: [Account]');
  checkList('projections', projections, 'what defineProjection returned: [totals]');
  checkTexts('forget', forget);
  for (const [name, value] of Object.entries({ files, checkpoint }))
    if (value !== undefined && !isObject(value))
      throw new InvalidArgumentError(`${name} must be an object with options, got ${shown(value)}`);
  for (const name of FUNCTIONS)
    if (options[name] !== undefined && typeof options[name] !== 'function')
      throw new InvalidArgumentError(`${name} must be a function, got ${shown(options[name])}`);
}

function has(value: unknown, ...methods: string[]): boolean {
  return isObject(value) && methods.every((method) => typeof value[method] === 'function');
}
