// Two processes that want the same lock at the same moment: one gets it, the other is told who has it. Some winners are
// killed while they hold it, and then the other one gets it.

import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import * as readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { atTheEnd, makeFolder } from '../cleanup.js';
import type { Tally } from '../../lanes/lane.js';
import type { RealLane } from '../real-lane.js';

const RACES = 1000;
/** In every so many-th the winner is killed. */
const KILL_EVERY = 20;

export const lockRaces: RealLane = {
  name: 'races for the lock',
  needs: ['races', 'refused with the pid of the winner', 'kills', 'taken over from a killed holder'],
  processes: 1,
  async run(tally): Promise<void> {
    const { path: folder, remove } = makeFolder('races');
    let pair: Pair = [new Racer(folder), new Racer(folder)];
    await Promise.all(pair.map((racer) => racer.told));
    for (let number = 1; number <= RACES && !tally.isBroken; number++)
      await tally.hold(
        () => `race ${number}`,
        async () => {
          try {
            const winner = await race(pair, tally);
            if (number % KILL_EVERY === 0) pair = await takeOver(pair, winner, folder, tally);
          } finally {
            await Promise.all(pair.map((racer) => racer.tell('release')));
          }
        },
      );
    for (const racer of pair) racer.kill();
    await Promise.all(pair.map((racer) => racer.ended));
    remove();
  },
};

type Pair = readonly [Racer, Racer];

async function race(pair: Pair, tally: Tally): Promise<Racer> {
  const answers = await Promise.all(pair.map((racer) => racer.tell('race')));
  tally.add('races');
  const winner = answers.indexOf('won');
  expect(winner, `of: ${answers.join(', ')}`).to.be.at.least(0);
  expect(answers[1 - winner]).to.equal(`lost ${pair[winner]!.pid} CAIRN_LOCKED`);
  tally.add('refused with the pid of the winner');
  tally.add('won by the first', 1 - winner);
  return pair[winner]!;
}

async function takeOver(pair: Pair, holder: Racer, folder: string, tally: Tally): Promise<Pair> {
  const other = pair.find((racer) => racer !== holder)!;
  holder.kill();
  await holder.ended;
  tally.add('kills');
  const fresh = new Racer(folder);
  const replaced: Pair = [other, fresh];
  expect(await fresh.told).to.equal('ready');
  expect(await other.tell('race'), 'after the holder was killed').to.equal('won');
  tally.add('taken over from a killed holder');
  return replaced;
}

class Racer {
  readonly ended: Promise<void>;
  /** What it said last. */
  told: Promise<string>;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(folder: string) {
    const program = fileURLToPath(new URL('../children/race.js', import.meta.url));
    const child = spawn(process.execPath, [program, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
    const forget = atTheEnd(() => child.kill('SIGKILL'));
    child.stdin.on('error', () => undefined);
    this.#process = child;
    this.#lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.ended = new Promise((resolve) => {
      child.once('close', () => {
        forget();
        resolve();
      });
    });
    this.told = this.#line();
  }

  get pid(): number {
    return this.#process.pid!;
  }

  tell(what: 'race' | 'release'): Promise<string> {
    this.#process.stdin!.write(`${what}\n`);
    return (this.told = this.#line());
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    return done === true ? 'ended' : value;
  }
}
