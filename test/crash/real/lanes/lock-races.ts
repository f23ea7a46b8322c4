// Two processes that want the same lock at the same moment: one gets it, the other is told who has it. Some winners are
// killed while they hold it, and then the other one gets it.

import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import * as readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { atTheEnd, makeFolder } from '../cleanup.js';
import type { RealLane } from '../real-lane.js';

const RACES = 1000;
/** In every so many-th the winner is killed. */
const KILL_EVERY = 20;

export const lockRaces: RealLane = {
  name: 'races for the lock',
  needs: ['races', 'refused with the pid of the winner', 'kills', 'taken over from a killed holder'],
  async run(tally): Promise<void> {
    const { path: folder, remove } = makeFolder('races');
    let pair = [new Racer(folder), new Racer(folder)] as const;
    await Promise.all(pair.map((racer) => racer.told));
    for (let race = 1; race <= RACES && !tally.isBroken; race++)
      await tally.hold(
        () => `race ${race}`,
        async () => {
          const answers = await Promise.all(pair.map((racer) => racer.tell('race')));
          tally.add('races');
          expect([...answers].sort()[1], answers.join(', ')).to.equal('won');
          const winner = pair[answers.indexOf('won')]!;
          const loser = pair[1 - answers.indexOf('won')]!;
          expect(answers[pair.indexOf(loser)]).to.equal(`lost ${winner.pid} CAIRN_LOCKED`);
          tally.add('refused with the pid of the winner');
          tally.add('won by the first', Number(winner === pair[0]));
          if (race % KILL_EVERY !== 0) {
            expect(await winner.tell('release')).to.equal('released');
            return;
          }
          // At once, when it has hardly begun to end.
          winner.kill();
          expect(await loser.tell('race'), 'after the holder was killed').to.equal('won');
          expect(await loser.tell('release')).to.equal('released');
          await winner.ended;
          tally.add('kills');
          tally.add('taken over from a killed holder');
          const fresh = new Racer(folder);
          pair = winner === pair[0] ? [fresh, loser] : [loser, fresh];
          expect(await fresh.told).to.equal('ready');
        },
      );
    for (const racer of pair) racer.kill();
    await Promise.all(pair.map((racer) => racer.ended));
    remove();
  },
};

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
