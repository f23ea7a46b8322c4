// The store, watched and projected: every script of up to three steps, and drawn ones of up to eight, cut at every moment.

import type { Directory, EventStore } from 'cairnlog';
import { loseEverything } from 'cairnlog/testing';
import { expect } from 'chai';
import {
  Notes,
  openNotes,
  order,
  ScriptedStore,
  StorePromises,
  storeSteps,
  type StoreScriptOptions,
  type StoreStep,
} from '../../support/scripted-store.js';
import { randomOf, type Random } from '../../support/seed.js';
import { explore, type Left, type Oracle } from './explore.js';
import { scriptsUpTo, Tally, type Lane, type LaneOptions } from './lane.js';

const variants: readonly StoreScriptOptions[] = [
  { segmentBytes: 600, durability: 'fsync', retain: 1 },
  { segmentBytes: 600, durability: 'flush', retain: 1 },
  { segmentBytes: 1500, durability: 'memory', retain: 2 },
  { segmentBytes: 600, durability: 'fsync', retain: 1, recycleSegments: 2 },
];

const chainVariants: readonly StoreScriptOptions[] = [
  { segmentBytes: 1500, durability: 'fsync', retain: 2, streams: 40 },
  { segmentBytes: 1500, durability: 'memory', retain: 2, streams: 40 },
];

export const storeScripts: Lane = {
  name: 'store scripts',
  needs: ['scripts', 'power cuts', 'recoveries cut', 'kills'],
  run: (options) =>
    runScripts('store scripts', variants, options, (variant) =>
      options.effort === 'short' ? shortScripts() : longScripts(variant),
    ),
};

/** Checkpoints of what changed, which build on one another, and some of which are damaged. */
export const chainScripts: Lane = {
  name: 'chains of checkpoints',
  needs: ['scripts', 'power cuts', 'recoveries cut', 'kills', 'checkpoints of changes cut'],
  run: (options) =>
    runScripts('chains of checkpoints', chainVariants, options, (variant) =>
      options.effort === 'short' ? knownChains().slice(0, 4) : longChains(variant),
    ),
};

async function runScripts(
  name: string,
  of: readonly StoreScriptOptions[],
  { part, effort }: LaneOptions,
  scripts: (options: StoreScriptOptions) => Iterable<StoreStep[]>,
): Promise<Tally> {
  const tally = new Tally();
  const random = randomOf(`${name} ${part.index}`);
  let number = 0;
  for (const options of of)
    for (const script of scripts(options)) {
      if (number++ % part.parts !== part.index) continue;
      const scripted = new ScriptedStore(options);
      await explore({
        name: `${script.join(', ') || 'open'} (${JSON.stringify(options)})`,
        script,
        scripted,
        oracle: new StoreOracle(options, tally, random),
        tally,
        random,
        effort,
        killEvery: 31,
        cutRecoveryEvery: 157,
      });
      for (const error of scripted.subscriberErrors)
        await tally.hold(
          () => script.join(', '),
          () => Promise.reject(error as Error),
        );
      const last = scripted.lastCheckpoint;
      if (!script.at(-1)?.endsWith('checkpoint') || last === undefined) continue;
      if (last.buildsOn !== undefined) tally.add('checkpoints of changes cut');
      if (last.removedCheckpoints.length > 0) tally.mark('crash in removing checkpoints');
    }
  return tally;
}

/** Where chains are begun, made longer, removed, and left for an older one. */
function knownChains(): StoreStep[][] {
  const begun: StoreStep[] = ['checkpoint', 'small', 'checkpoint'];
  // Each with a segment of its own behind it, so that the log lets go of all that it may.
  const rolled: StoreStep[] = ['checkpoint', 'roll', 'checkpoint', 'roll', 'full checkpoint', 'roll', 'checkpoint'];
  const two: StoreStep[] = [...begun, 'small', 'full checkpoint', 'small', 'checkpoint'];
  return [
    begun,
    [...begun, 'batch', 'checkpoint'],
    [...two, 'small', 'full checkpoint'],
    [...rolled, 'roll', 'full checkpoint', 'damage the newest', 'small', 'checkpoint'],
    [...rolled, 'damage its base', 'small', 'checkpoint'],
    [
      ...rolled,
      'damage its base',
      'roll',
      'full checkpoint',
      'reopen',
      'roll',
      'checkpoint',
      'damage its base',
      'small',
    ],
    [...two, 'damage its base', 'small', 'checkpoint'],
    [...two, 'damage the newest', 'small', 'checkpoint', 'truncate'],
    [...two, 'small', 'full checkpoint', 'small', 'checkpoint', 'damage the newest', 'small', 'full checkpoint'],
    [...two, 'damage its base', 'small', 'full checkpoint', 'small', 'full checkpoint', 'truncate'],
    [...two, 'reopen', 'small', 'checkpoint', 'roll', 'checkpoint'],
  ];
}

function* longChains(options: StoreScriptOptions): Generator<StoreStep[]> {
  yield* knownChains();
  const random = randomOf(`long chains ${options.durability}`);
  const steps: readonly StoreStep[] = ['small', 'small', 'batch', 'roll', 'full checkpoint', 'truncate', 'reopen'];
  for (let count = 0; count < 30; count++) {
    const script: StoreStep[] = ['checkpoint'];
    const length = 2 + random.integer(4);
    // One file at a time may be damaged: two checkpoints are kept because of that.
    const damaged = random.chance(50) ? random.integer(length) : -1;
    for (let step = 0; step < length; step++) {
      if (step === damaged) script.push(random.pick(['damage the newest', 'damage its base']));
      script.push(random.pick(steps), 'checkpoint');
    }
    yield script.slice(0, script.length - random.integer(2));
  }
}

function* shortScripts(): Generator<StoreStep[]> {
  yield* scriptsUpTo(storeSteps, 1);
  yield ['small', 'roll', 'checkpoint', 'small', 'checkpoint'];
  yield ['batch', 'checkpoint', 'reopen'];
}

function* longScripts(options: StoreScriptOptions): Generator<StoreStep[]> {
  // Drawn from a stream of their own: every part of the lane must come to the same ones.
  const random = randomOf(`long store scripts ${options.durability}`);
  yield* scriptsUpTo(storeSteps, 3);
  for (let count = 0; count < 40; count++)
    yield Array.from({ length: 4 + random.integer(5) }, () => random.pick(storeSteps));
}

export class StoreOracle implements Oracle<StorePromises> {
  readonly #options: StoreScriptOptions;
  readonly #tally: Tally;
  readonly #random: Random;

  constructor(options: StoreScriptOptions, tally: Tally, random: Random) {
    this.#options = options;
    this.#tally = tally;
    this.#random = random;
  }

  keyOf({ attempted, acknowledged, shown, durable, checkpointed, handled }: StorePromises): string {
    return [attempted.length, acknowledged, shown.length, durable, checkpointed, handled.size].join();
  }

  async recover(
    directory: Directory,
    promises: StorePromises,
    crash: 'power cut' | 'process end',
    closing: () => void,
  ): Promise<void> {
    const store = await openNotes(directory, this.#options);
    expectStore(store, promises, leastAfter(crash, promises, this.#options));
    closing();
    await store.close();
  }

  async check({ disk, promises }: Left<StorePromises>): Promise<void> {
    const least = leastAfter('power cut', promises, this.#options);
    const store = await openNotes(disk, this.#options);
    const { tornTail } = store.recovery;
    const kept = expectStore(store, promises, least);
    if ((store.recovery.checkpoint?.buildsOn.length ?? 0) > 0) this.#tally.mark('recovered from a chain');
    if (store.recovery.skippedCheckpoints.some(({ reason }) => !reason.includes('another log')))
      this.#tally.mark('fell back to an older checkpoint');
    if (tornTail !== undefined) this.#tally.mark(tornTail.offset === 0 ? 'torn header' : 'torn payload');
    if (kept > least) this.#tally.mark('entries kept that nobody was promised');
    if (kept < promises.attempted.length) this.#tally.mark('entries lost that nobody was promised');
    const positions = await expectRecords(store, promises, kept);
    if (this.#random.chance(30)) {
      // What the log may lose because of what was recovered is not to be missed afterwards.
      await store.truncate();
      const again = await openNotes(disk.afterPowerCut(loseEverything), this.#options);
      expect(expectStore(again, promises, kept), 'what opening has shown').to.equal(kept);
      await again.close();
    }
    await this.#expectAnswers(store, promises, kept);
    await expectSubscription(store, promises, positions);

    const { result } = await store.execute(Notes, 'a', (notes) => notes.note('after the power cut'), {
      durability: 'fsync',
    });
    const after = promises.copy();
    after.attempted = [...promises.attempted.slice(0, kept), { id: 'a', text: 'after the power cut' }];
    after.groups = [];
    expect(result).to.equal(after.attempted.filter(({ id }) => id === 'a').length);
    const last = await openNotes(disk.afterPowerCut(loseEverything), this.#options);
    expect(expectStore(last, after, kept + 1), 'after another power cut').to.equal(kept + 1);
    await last.close();
    await store.close();
  }

  /** A command that was kept is answered as it was the first time, and not executed again. */
  async #expectAnswers(store: EventStore, { attempted }: StorePromises, kept: number): Promise<void> {
    const { position } = store;
    for (const [index, { id, text, commandId }] of attempted.slice(0, kept).entries()) {
      if (commandId === undefined || this.#random.chance(50)) continue;
      const before = attempted.slice(0, index + 1).filter((attempt) => attempt.id === id).length;
      const { result, version } = await store.execute(
        Notes,
        id,
        () => expect.fail(`'${text}' was executed again`) as number,
        { commandId },
      );
      expect({ result, version }).to.deep.equal({ result: before, version: before });
      this.#tally.add('answers');
    }
    expect(store.position, 'what repeated commands appended').to.equal(position);
  }
}

/** Records that must be there. */
function leastAfter(
  crash: 'power cut' | 'process end',
  { shown, acknowledged, durable, flushed }: StorePromises,
  { durability }: StoreScriptOptions,
): number {
  const safe = crash === 'power cut' ? durable : Math.max(durable, flushed);
  const known = shown.filter((position) => position <= safe).length;
  const isPromised = durability === 'fsync' || (durability === 'flush' && crash === 'process end');
  return isPromised ? Math.max(known, acknowledged, shown.length) : known;
}

/** Holds the states of a store to what was promised; returns how many records it has kept. */
function expectStore(store: EventStore, { attempted, groups, checkpointed }: StorePromises, least: number): number {
  const { texts } = store.projection(order).state;
  const kept = texts.length;
  if (kept < least) expect.fail(`${kept} records are left, ${least} were promised`);
  expect(texts, 'what was folded over all streams').to.deep.equal(attempted.slice(0, kept).map(({ text }) => text));
  for (const [first, last] of groups)
    if (kept > first && kept <= last)
      expect.fail(`of the append ${first} to ${last} only records up to ${kept} are left`);
  expect(store.recovery.checkpoint?.position ?? 0, 'the checkpoint').to.be.at.least(checkpointed);
  return kept;
}

/** The records and states of every stream are those of a plain list. Returns the positions of what can be read. */
async function expectRecords(store: EventStore, { attempted }: StorePromises, kept: number): Promise<number[]> {
  const positions: number[] = [];
  const texts: unknown[] = [];
  for await (const { position, data } of store.readAll()) {
    expect(position).to.be.greaterThan(positions.at(-1) ?? 0);
    positions.push(position);
    texts.push((data as { text: string }).text);
  }
  const list = attempted.slice(0, kept);
  expect(texts, 'the records that are left').to.deep.equal(list.slice(kept - texts.length).map(({ text }) => text));
  for (const wanted of ['a', 'b', '3']) {
    const { state, version } = await store.load(Notes, wanted);
    const own = list.filter(({ id }) => id === wanted).map(({ text }) => text);
    expect(state.texts, `the state of '${wanted}'`).to.deep.equal(own);
    expect(version).to.equal(own.length);
  }
  return positions;
}

/** The subscription goes on behind what it has handled, and misses nothing. */
async function expectSubscription(store: EventStore, { handled }: StorePromises, positions: number[]): Promise<void> {
  const delivered: number[] = [];
  const subscription = await store.subscription('watcher', {
    from: 'start',
    handle: (record) => void delivered.push(record.position),
  });
  for (let turn = 0; turn < 50 && subscription.position < (positions.at(-1) ?? 0); turn++)
    await new Promise((resolve) => setImmediate(resolve));
  await subscription.stop();
  expect(subscription.failure).to.equal(undefined);
  const skipped = positions.slice(0, positions.length - delivered.length);
  expect(delivered, 'what the subscription was given').to.deep.equal(positions.slice(skipped.length));
  for (const position of skipped)
    if (!handled.has(position)) expect.fail(`record ${position} was never handled, and the cursor is behind it`);
}
