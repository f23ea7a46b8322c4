// Opens a store or a log, says how many units it found, writes more, and notes the number of each one that is as durable
// as it was asked for. Argument: {@link WriteUnits} as JSON.
//
// On its output, a line for each: `ready` (and waits for a line if it was told to), `open UNITS POSITION`, what a
// checkpoint failed with, `refused CODE ERRNO` for what opening or the first failed write was refused with, `went on` if
// a failed log accepts more, `closed`. To descriptor 3 go the acknowledged units, `UNIT POSITION`, and in front of them
// what was found, `open UNITS POSITION`.

import * as fs from 'node:fs';
import { once } from 'node:events';
import { loadOpener, type NumberedOptions } from '../numbered-notes.js';

export interface WriteUnits extends NumberedOptions {
  readonly folder: string;
  readonly units: number;
  /** Units that are written at the same time. */
  readonly atOnce: number;
  /** Units between two checkpoints; every third is a full one. */
  readonly every: number;
  readonly waits?: boolean;
}

const options = JSON.parse(process.argv[2]!) as WriteUnits;
// At once, and not when Node comes to it: what was promised must have been said when the process ends.
const say = (line: string): void => void fs.writeSync(1, `${line}\n`);
const note = (line: string): void => void fs.writeSync(3, `${line}\n`);

// With this, the threads that work on files are there as well.
const openUnits = await loadOpener(options.level);
say('ready');
if (options.waits === true) await once(process.stdin.resume(), 'data');
process.stdin.destroy();

try {
  const numbered = await openUnits(options.folder, options);
  note(`open ${numbered.found} ${numbered.position}`);
  say(`open ${numbered.found} ${numbered.position}`);
  const last = numbered.found + options.units;
  let next = numbered.found + 1;
  let failure: unknown;
  const write = async (): Promise<void> => {
    while (next <= last && failure === undefined) {
      const unit = next++;
      note(`${unit} ${await numbered.write(unit)}`);
      if (unit % options.every === 0)
        await numbered.checkpoint(unit % (3 * options.every) === 0).catch((error: unknown) => {
          say(`checkpoint failed: ${nameOf(error)}`);
        });
    }
  };
  const writers = Array.from({ length: options.atOnce }, () => write().catch((error: unknown) => (failure ??= error)));
  await Promise.all(writers);
  if (failure !== undefined) {
    say(`refused ${nameOf(failure)}`);
    await numbered.write(next).then(
      () => say('went on'),
      () => undefined,
    );
    await numbered.close().catch(() => undefined);
    process.exit(1);
  }
  await numbered.close();
  say('closed');
} catch (error) {
  say(`refused ${nameOf(error)}`);
  process.exit(1);
}

/** The code of an error, and what the system said. */
function nameOf(error: unknown): string {
  const code = String((error as { code?: unknown } | undefined)?.code);
  // By its code: importing the class would load everything.
  if (!(error instanceof Error) || !code.startsWith('CAIRN_'))
    return `untyped ${error instanceof Error ? error.stack : String(error)}`;
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    const { errno } = inner as { errno?: unknown };
    if (typeof errno === 'string') return `${code} ${errno}`;
  }
  return `${code} ${error.message}`;
}
