// The proof that nothing acknowledged is lost, for an engine that keeps its data in a Directory: scripts of steps of a
// store on it, cut at every moment, killed, and failed at every operation.

import { readU32 } from '../bytes/u64.js';
import { CairnError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Directory } from '../storage/index.js';
import type { Durability, Engine } from '../store/index.js';
import { Tally } from './crash-tally.js';
import { explore } from './explore-script.js';
import { isMutation } from './faulty-directory.js';
import { seededRandom } from './manual-clock.js';
import { NOTE_STEPS, NotesOracle, ScriptedNotes, type NotesOptions, type NoteStep } from './notes-script.js';
import { loseEverything } from './power-cut.js';

export interface ExploreCrashesOptions {
  /** All scripts of up to so many steps are explored. Default 2: 43 scripts. Two longer ones come with them. */
  readonly steps?: number | undefined;
  /** And so many drawn ones of 4 to 7 steps. Default 10. */
  readonly longScripts?: number | undefined;
  /** What the appends of the scripts ask for. Default: the strongest that the engine has. */
  readonly durability?: Durability | undefined;
  /** Another one draws other scripts and other states where there are too many. Default 1. */
  readonly seed?: number | undefined;
}

export interface CrashReport {
  /** Scripts that were cut at every moment of their last step. */
  readonly scripts: number;
  /** States that a power cut may leave, each recovered from, and held to what was promised. */
  readonly powerCuts: number;
  /** Different ones. */
  readonly disks: number;
  /** Processes that ended, at a moment or in the middle of a write. */
  readonly kills: number;
  /** Recoveries that were themselves cut at every moment. */
  readonly recoveriesCut: number;
  /** Operations that failed, one in each run. */
  readonly faults: number;
  /** What was not as promised, with the script and the state; nothing more is looked for after 20. */
  readonly violations: readonly string[];
}

/** What short scripts do not come to: parts that no checkpoint covers, and more than one checkpoint. */
const KNOWN: readonly (readonly NoteStep[])[] = [
  ['batch', 'checkpoint', 'large', 'large', 'truncate'],
  ['large', 'checkpoint', 'large', 'checkpoint', 'batch', 'reopen'],
];

/** The script whose operations fail one by one: everything once, with something before and after it. */
const FAULTY: readonly NoteStep[] = [
  'small',
  'batch',
  'checkpoint',
  'large',
  'large',
  'checkpoint',
  'truncate',
  'reopen',
  'batch',
];

/**
 * Explores what crashes may leave of a store on an engine, and holds what is recovered to what was acknowledged: every
 * record that its durability promises, in order, appends whole, states and projections that fit, checkpoints that never
 * go back, and everything that was shown once still there after the next crash. `open` must keep all its data in the
 * directory and give it to nobody else; set it up with parts so small that a few records fill one. Resolves with
 * what was done and found, and never rejects because of the engine; for
 * options that cannot be meant, with `InvalidArgumentError`.
 *
 * It takes seconds for a small engine: a few thousand recoveries.
 *
 * @example
 * const { powerCuts, violations } = await exploreCrashes((directory) => openMyEngine(directory));
 * assert.deepEqual(violations, []);
 * assert.ok(powerCuts > 1000);
 */
export async function exploreCrashes(
  open: (directory: Directory) => Promise<Engine>,
  options: ExploreCrashesOptions = {},
): Promise<CrashReport> {
  const { steps = 2, longScripts = 10, durability, seed = 1 } = options;
  for (const [name, count] of Object.entries({ steps, longScripts }))
    if (!Number.isSafeInteger(count) || count < 0)
      throw new InvalidArgumentError(`${name} must be a whole number from 0, got ${shown(count)}`);
  const bytes = seededRandom(seed);
  const random = (below: number): number => readU32(bytes(4), 0) % below;
  const tally = new Tally();
  const notes: NotesOptions = { open, durability };
  for (const script of scripts(steps, longScripts, random))
    await tally.hold(
      () => nameOf(script),
      () =>
        explore({
          name: nameOf(script),
          script,
          scripted: new ScriptedNotes(notes),
          oracle: new NotesOracle(notes),
          tally,
          random,
          states: { everyByteUpTo: 64, exhaustiveUpTo: 24, draws: 4 },
          killEvery: 11,
          cutRecoveryEvery: 97,
        }),
    );
  let more = true;
  for (let at = 1; more && !tally.isBroken; at++)
    await tally.hold(
      () => `EIO at operation ${at} of: ${nameOf(FAULTY)}`,
      async () => {
        more = await failAt(at, notes, tally);
      },
    );
  const { violations, images } = tally;
  if (tally.of('moments') === tally.of('scripts') && violations.length === 0)
    violations.push('The engine has changed nothing in the directory: there was no moment to cut the power at');
  return {
    scripts: tally.of('scripts'),
    powerCuts: tally.of('power cuts'),
    disks: images.size,
    kills: tally.of('kills'),
    recoveriesCut: tally.of('recoveries cut'),
    faults: tally.of('faults'),
    violations,
  };
}

/** One life in which an operation fails. False once there is no such operation. */
async function failAt(at: number, notes: NotesOptions, tally: Tally): Promise<boolean> {
  const scripted = new ScriptedNotes(notes);
  let seen = 0;
  let last: object | undefined;
  let hit: boolean | undefined;
  scripted.watch = (operation) => {
    // Syncs are seen twice, the second time when they are done.
    if (last === operation) return undefined;
    last = operation;
    if (++seen !== at) return undefined;
    hit = isMutation(operation);
    return { kind: 'error', errno: 'EIO' };
  };
  // What is rejected says so with an error of the library; after that nobody knows what the log has.
  const refused = async (run: () => Promise<void>): Promise<boolean> => {
    try {
      await run();
      return false;
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      return true;
    }
  };
  if (!(await refused(() => scripted.open())))
    for (const step of FAULTY) if (await refused(() => scripted.step(step))) break;
  await refused(() => scripted.end());
  if (hit === undefined) return false;
  tally.add('faults');
  const { disk, promises } = scripted;
  const oracle = new NotesOracle(notes);
  tally.add('kills');
  await oracle.recover(disk.copy().afterProcessEnd(), promises, 'process end', () => undefined);
  if (!hit) return true;
  tally.add('power cuts');
  await oracle.check({ disk: disk.afterPowerCut(loseEverything), hash: '', promises, where: '' });
  return true;
}

function* scripts(
  steps: number,
  longScripts: number,
  random: (below: number) => number,
): Generator<readonly NoteStep[]> {
  let longest: NoteStep[][] = [[]];
  yield [];
  for (let count = 1; count <= steps; count++) {
    longest = longest.flatMap((script) => NOTE_STEPS.map((step) => script.concat(step)));
    yield* longest;
  }
  yield* KNOWN;
  for (let count = 0; count < longScripts; count++)
    yield Array.from({ length: 4 + random(4) }, () => NOTE_STEPS[random(NOTE_STEPS.length)]!);
}

function nameOf(script: readonly NoteStep[]): string {
  return script.join(', ') || 'open';
}
