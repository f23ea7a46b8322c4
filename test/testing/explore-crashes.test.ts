import { fileEngine, InvalidArgumentError, memoryEngine, type Directory, type Engine, type EventLog } from 'cairnlog';
import { exploreCrashes, type CrashReport } from 'cairnlog/testing';
import { expect } from 'chai';
import { rejects } from '../support/rejects.js';

const open = (directory: Directory): Promise<Engine> => fileEngine(directory, { segmentBytes: 600 }).open();

/** The engine on files with something of its log replaced. */
async function broken(change: (log: EventLog) => Partial<EventLog>): Promise<CrashReport> {
  return exploreCrashes(
    async (directory) => {
      const engine = await open(directory);
      const { log } = engine;
      const append = log.append.bind(log);
      const truncate = log.truncate.bind(log);
      Object.assign(log, change({ append, truncate } as EventLog));
      return engine;
    },
    { steps: 1, longScripts: 0 },
  );
}

describe('exploreCrashes', () => {
  it('finds nothing wrong with the engine on files, and says what it did', async function () {
    this.timeout(60_000);
    const { violations, ...counts } = await exploreCrashes(open, { steps: 1, longScripts: 0 });
    expect(violations).to.deep.equal([]);
    expect(counts.scripts).to.equal(9);
    expect(counts.powerCuts).to.be.greaterThan(100);
    expect(counts.disks).to.be.greaterThan(100);
    expect(counts.kills).to.be.greaterThan(100);
    expect(counts.recoveriesCut).to.be.greaterThan(5);
    expect(counts.faults).to.be.greaterThan(100);
  });

  it('refuses numbers of steps and scripts that cannot be meant', async () => {
    for (const bad of [-1, 1.5, NaN, 'a'] as number[]) {
      const steps = await rejects(exploreCrashes(open, { steps: bad }), InvalidArgumentError);
      expect(steps.message).to.match(/^steps must be a whole number from 0, got /);
      await rejects(exploreCrashes(open, { longScripts: bad }), InvalidArgumentError);
    }
  });

  it('nor at a weaker durability, of which a power cut may take more', async function () {
    this.timeout(60_000);
    for (const durability of ['flush', 'memory'] as const) {
      const { violations, powerCuts } = await exploreCrashes(open, { steps: 0, longScripts: 1, durability });
      expect(violations).to.deep.equal([]);
      expect(powerCuts).to.be.greaterThan(50);
    }
  });

  it('finds an engine that acknowledges before it syncs', async () => {
    const { violations } = await broken(({ append }) => ({
      append: (block) => append({ ...block, durability: 'flush' }),
    }));
    expect(violations.join()).to.match(/\d+ records are left, \d+ were promised/);
  });

  it('finds an engine that stores the records of an append one by one', async () => {
    const { violations } = await broken(({ append }) => ({
      append: (block) => append({ ...block, groups: Array.from({ length: block.count }, () => 1) }),
    }));
    expect(violations.join()).to.match(/of the append \d+ to \d+ only some records are left/);
  });

  it('finds an engine that lets go of more of its log than it was told to', async () => {
    const { violations } = await broken(({ truncate }) => ({ truncate: (position) => truncate(position + 20) }));
    expect(violations).not.to.deep.equal([]);
  });

  it('finds an engine that takes a failed append for a stored one', async () => {
    const { violations } = await broken(({ append }) => ({
      append: async (block) => {
        await append(block);
        return { kind: 'done' };
      },
    }));
    expect(violations.join()).to.match(/EIO at operation \d+/);
  });

  it('does not take an engine for safe that keeps its data elsewhere', async () => {
    const engine = memoryEngine();
    const { violations } = await exploreCrashes(() => engine.open(), { steps: 0, longScripts: 0 });
    expect(violations).not.to.deep.equal([]);
  });

  it('tells of an engine that does not open, and ends', async () => {
    const { violations } = await exploreCrashes(() => Promise.reject(new Error('no such server')), { steps: 1 });
    expect(violations[0]).to.match(/^open: Error: no such server/);
  });
});
