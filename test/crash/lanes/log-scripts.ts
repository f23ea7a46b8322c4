// The log and its checkpoints: every script of up to four steps, and drawn ones of up to twelve, cut at every moment.

import { loseEverything, type SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import { recoverLedger } from '../../support/ledger.js';
import { logSteps, ScriptedLog, type LogScriptOptions, type LogStep } from '../../support/scripted-log.js';
import { canRead, secondReading } from '../../support/second-parser.js';
import { randomOf, type Random } from '../../support/seed.js';
import { expectKept, survive, type Promises } from '../../support/workload.js';
import { explore, type Left, type Oracle } from './explore.js';
import { scriptsUpTo, Tally, type Lane } from './lane.js';

const variants: readonly LogScriptOptions[] = [
  { segmentBytes: 400, preallocateBytes: 0, recycleSegments: 0, durable: true },
  { segmentBytes: 400, preallocateBytes: 0, recycleSegments: 0, durable: false },
  { segmentBytes: 1300, preallocateBytes: 0, recycleSegments: 0, durable: false },
  { segmentBytes: 700, preallocateBytes: 1024, recycleSegments: 0, durable: true },
  { segmentBytes: 700, preallocateBytes: 1024, recycleSegments: 0, durable: false },
  { segmentBytes: 400, preallocateBytes: 0, recycleSegments: 2, durable: true },
  { segmentBytes: 1300, preallocateBytes: 1400, recycleSegments: 1, durable: false },
];

export const logScripts: Lane = {
  name: 'log scripts',
  needs: ['scripts', 'power cuts', 'recoveries cut', 'kills'],
  async run({ part, effort }): Promise<Tally> {
    const tally = new Tally();
    const random = randomOf(`log scripts ${part.index}`);
    const drawn = randomOf('long log scripts');
    let number = 0;
    for (const options of effort === 'short' ? variants.filter((_, index) => [1, 2, 3, 5].includes(index)) : variants)
      for (const script of effort === 'short' ? shortScripts() : longScripts(drawn, options)) {
        if (number++ % part.parts !== part.index) continue;
        await explore({
          name: `${script.join(', ') || 'open'} (${JSON.stringify(options)})`,
          script,
          scripted: new ScriptedLog(options),
          oracle: new LogOracle(options, tally, random),
          tally,
          random,
          // There are many of four steps: fewer of the combinations that a disk may make of each.
          effort: script.length === 4 ? 'short' : effort,
          killEvery: 19,
          cutRecoveryEvery: 97,
        });
      }
    return tally;
  },
};

/** The shortest ones, and some that reach what takes longer. */
function* shortScripts(): Generator<LogStep[]> {
  yield* scriptsUpTo(logSteps, 2);
  yield ['roll', 'roll', 'checkpoint'];
  yield ['roll', 'roll', 'checkpoint', 'truncate'];
  yield ['batch', 'roll', 'checkpoint', 'roll', 'truncate'];
  yield* usedAgain;
}

/** So that a new segment is made of one that was truncated. */
const usedAgain: readonly LogStep[][] = [
  ['roll', 'roll', 'checkpoint', 'truncate', 'roll'],
  ['roll', 'roll', 'checkpoint', 'truncate', 'roll', 'small'],
  ['roll', 'roll', 'checkpoint', 'truncate', 'roll', 'batch', 'reopen'],
  ['roll', 'roll', 'checkpoint', 'truncate', 'reopen', 'roll', 'small'],
  ['roll', 'roll', 'checkpoint', 'truncate', 'roll', 'roll', 'checkpoint', 'truncate', 'roll', 'small', 'small'],
];

/** All of up to four steps, and long ones, others for each variant. */
function* longScripts(drawn: Random, { recycleSegments }: LogScriptOptions): Generator<LogStep[]> {
  yield* scriptsUpTo(logSteps, 4);
  yield* usedAgain;
  for (let count = 0; count < 60; count++) {
    const steps = Array.from({ length: 5 + drawn.integer(8) }, () => drawn.pick(logSteps));
    yield recycleSegments > 0 ? ['roll', 'roll', 'checkpoint', 'truncate', ...steps.slice(-6)] : steps;
  }
}

class LogOracle implements Oracle<Promises> {
  readonly #options: LogScriptOptions;
  readonly #tally: Tally;
  readonly #random: Random;

  constructor(options: LogScriptOptions, tally: Tally, random: Random) {
    this.#options = options;
    this.#tally = tally;
    this.#random = random;
  }

  keyOf({ durable, checkpointed, attempted }: Promises): string {
    return `${durable} ${checkpointed} ${attempted.length}`;
  }

  async recover(
    directory: Parameters<Oracle<Promises>['recover']>[0],
    promises: Promises,
    crash: 'power cut' | 'process end',
    closing: () => void,
  ): Promise<void> {
    const least = crash === 'power cut' ? promises.durable : Math.max(promises.durable, promises.flushed);
    const { wal } = await survive(directory, promises, least, this.#options);
    closing();
    await wal.close();
  }

  async check({ disk, promises }: Left<Promises>): Promise<void> {
    const least = promises.durable;
    const reading = canRead ? secondReading(filesOf(disk)) : undefined;
    const { entries, checkpoint, wal } = await survive(disk, promises, least, this.#options);
    this.#mark(entries, promises, wal.opened.tornTail);
    if (reading !== undefined) {
      if (reading.kind === 'refused') expect.fail(`the second parser refuses it: ${reading.why}`);
      const last = reading.entries.at(-1)?.entryId;
      if (last !== undefined) expect(entries, 'the last entry that the second parser finds').to.equal(last);
      if (reading.entriesBehindCut > 0) this.#tally.mark('hole');
    }
    // What is shown now stays, whatever happens: also to the entries that nobody had been promised before.
    const after = promises.copy();
    after.kept(entries);
    // Not each time: what comes next mostly sees it as well.
    if (this.#random.chance(25)) {
      const { state } = await recoverLedger(disk.afterPowerCut(loseEverything));
      expect(state, 'what opening has shown').to.deep.equal(after.attempted);
    }
    after.attempted.push('after the power cut');
    expect(await wal.appendDurable('after the power cut'), 'the next id').to.equal(entries + 1);
    const again = await recoverLedger(disk.afterPowerCut(loseEverything));
    expect(again.state.length, 'entries after another power cut').to.equal(entries + 1);
    expectKept(again.state, after, entries + 1);
    // One that a killed process has not confirmed may have lost its name meanwhile.
    const newest = again.report.checkpoint?.lastAppliedId;
    if (newest !== checkpoint) expect(newest ?? 0, 'the checkpoint').to.be.at.least(promises.checkpointed);
    await wal.close();
    if (!this.#random.chance(10)) return;
    const closed = await recoverLedger(disk.afterPowerCut(loseEverything), { mode: 'strict' });
    expect(closed.state, 'after a clean close').to.deep.equal(after.attempted);
  }

  #mark(entries: number, promises: Promises, tornTail: { readonly offset: number } | undefined): void {
    const tally = this.#tally;
    if (tornTail !== undefined) tally.mark(tornTail.offset === 0 ? 'torn header' : 'torn payload');
    if (entries < promises.attempted.length) tally.mark('entries lost that nobody was promised');
    if (entries > promises.durable) tally.mark('entries kept that nobody was promised');
  }
}

function filesOf(disk: SimulatedDisk): Map<string, Uint8Array> {
  return new Map(disk.files().map((path) => [path, disk.peek(path)!]));
}
