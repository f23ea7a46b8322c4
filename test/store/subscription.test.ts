import { expect } from 'chai';
import {
  ClosedError,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  PoisonedError,
  SubscriptionError,
  TruncatedError,
  type EventStore,
  type OpenStoreOptions,
  type SubscriptionStatus,
} from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { Account } from './bank.js';
import { HeldDirectory } from '../support/held-directory.js';
import { directoryOf, imageOf, type Image } from '../support/image.js';
import { ManualTimer } from '../support/manual-timer.js';
import { rejects } from '../support/rejects.js';
import { quiet, until } from '../support/until.js';
import { addFacts, openSmall, range } from './facts.js';

describe('a durable subscription', () => {
  let dir: MemoryDirectory;
  let store: EventStore;
  let reported: unknown[];
  let timer: ManualTimer;
  const open = async (options: OpenStoreOptions = {}): Promise<EventStore> => {
    store = await openSmall({
      dir,
      after: timer.timer,
      onSubscriberError: (error) => reported.push(error),
      ...options,
    });
    return store;
  };
  beforeEach(() => {
    dir = new MemoryDirectory();
    reported = [];
    timer = new ManualTimer();
  });
  afterEach(() => store.close().catch(() => undefined));

  it('handles every record, one at a time', async () => {
    await open();
    await addFacts(store, 20);
    const heard: string[] = [];
    const subscription = await store.subscription('s', {
      handle: async ({ position }) => {
        heard.push(`begin ${position}`);
        await Promise.resolve();
        heard.push(`end ${position}`);
      },
    });
    await addFacts(store, 20);
    await until(() => subscription.position >= 40);
    const records = heard.map((text) => Number(text.split(' ')[1]));
    expect(heard).to.deep.equal([...new Set(records)].flatMap((position) => [`begin ${position}`, `end ${position}`]));
    expect(new Set(records).size).to.equal(40);
  });

  it('goes on after a restart where it was, whatever `from` says', async () => {
    await open();
    await addFacts(store, 10);
    const handled: number[] = [];
    const handle = ({ position }: { position: number }): void => void handled.push(position);
    await store.subscription('s', { from: 4, handle });
    await until(() => handled.length === 7);
    await store.close();
    await open();
    await store.subscription('s', { from: 'start', handle });
    await addFacts(store, 2);
    await until(() => handled.length === 9);
    expect(handled.slice(0, 7)).to.deep.equal(range(4, 10));
    expect(new Set(handled).size).to.equal(9);
    // Recovered from a checkpoint as well.
    await store.checkpoint();
    await store.close();
    await open();
    await store.subscription('s', { handle });
    await addFacts(store, 1);
    await until(() => handled.length === 10);
    expect(new Set(handled).size).to.equal(10);
  });

  it('begins now, or at a position that is not there yet', async () => {
    await open();
    await addFacts(store, 5);
    const now: number[] = [];
    const later: number[] = [];
    await store.subscription('now', { from: 'now', handle: ({ position }) => now.push(position) });
    await store.subscription('later', { from: 20, handle: ({ position }) => later.push(position) });
    await addFacts(store, 20);
    await until(() => now.length === 20 && later.at(-1) === now.at(-1));
    expect(now[0]).to.be.greaterThan(5);
    expect(later[0]).to.equal(20);
  });

  it('has a cursor in the log that is never ahead of what was handled, whenever the process dies', async () => {
    // One file, so that a copy taken while it grows is what a crash would leave.
    await open({ files: {} });
    await addFacts(store, 30);
    let handled = 0;
    const images: { readonly image: Image; readonly handled: number }[] = [];
    await store.subscription('s', {
      handle: async ({ position }) => {
        images.push({ image: await imageOf(dir), handled });
        await quiet();
        images.push({ image: await imageOf(dir), handled });
        handled = position;
      },
    });
    await until(() => handled >= 30);
    await quiet();
    images.push({ image: await imageOf(dir), handled });
    const cursors: number[] = [];
    for (const { image, handled: atMost } of images) {
      const again = await openSmall({ dir: await directoryOf(image) });
      const { position } = again.subscriptions()[0]!;
      expect(position).to.be.at.most(atMost);
      cursors.push(position);
      await again.close();
    }
    expect(cursors).to.deep.equal([...cursors].sort((a, b) => a - b));
    // All of it is noted without being asked, once there is nothing left to do.
    expect(cursors.at(-1)).to.equal(handled);
  });

  it('writes few cursors while it catches up', async () => {
    await open({ elapsed: () => 0 });
    await addFacts(store, 1000);
    const subscription = await store.subscription('s', { handle: () => undefined });
    await until(() => subscription.status.lag === 0 && subscription.position === 1000);
    await subscription.stop();
    expect(store.position - 1000).to.be.within(2, 8);
  });

  it('holds truncation back, and says so, until it is given up', async () => {
    await open();
    await addFacts(store, 200);
    const subscription = await store.subscription('mailer', {
      handle: ({ position }) => {
        if (position === 50) throw new Error('no mail today');
      },
    });
    await rejects(subscription.done, SubscriptionError);
    await store.checkpoint();
    expect(store.oldestPosition).to.be.within(30, 50);
    const { kept } = await store.truncate({ dryRun: true });
    expect(kept[1]!.heldBy).to.deep.equal(["subscription 'mailer'"]);
    // Also after a restart, when nobody runs it.
    await store.close();
    await open();
    expect(store.subscriptions()).to.deep.equal([{ name: 'mailer', position: 49, parked: 0, running: false }]);
    expect((await store.truncate()).removed).to.deep.equal([]);
    await store.unsubscribe('mailer');
    await store.truncate();
    expect(store.oldestPosition).to.be.greaterThan(100);
    expect(store.subscriptions()).to.deep.equal([]);
    // Forgotten for good: under the same name a new one begins.
    await rejects(store.subscription('mailer', { handle: () => undefined }), TruncatedError);
    await store.subscription('mailer', { from: store.oldestPosition, handle: () => undefined });
    await store.unsubscribe('unknown');
  });

  it('does not hold what its filter leaves out', async () => {
    await open();
    const subscription = await store.subscription('s', { filter: { types: ['Rare'] }, handle: () => undefined });
    await addFacts(store, 200);
    await until(() => subscription.position >= 200);
    await quiet();
    await store.checkpoint();
    expect(store.oldestPosition).to.be.greaterThan(100);
  });

  it('runs once per name', async () => {
    await open();
    const options = { handle: () => undefined };
    const [first, second] = await Promise.allSettled([
      store.subscription('s', options),
      store.subscription('s', options),
    ]);
    expect(first.status).to.equal('fulfilled');
    expect((second as PromiseRejectedResult).reason).to.be.instanceOf(InvalidArgumentError);
    await rejects(store.subscription('s', options), InvalidArgumentError);
    // Free again the moment it has stopped.
    if (first.status === 'fulfilled') await first.value.stop();
    const again = await store.subscription('s', options);
    await store.unsubscribe('s');
    expect(again.status.state).to.equal('stopped');
    await store.subscription('s', options);
  });

  it('refuses options that make no sense', async () => {
    await open();
    for (const options of [
      {},
      { handle: 'no' },
      { handle: () => undefined, from: 0 },
      { handle: () => undefined, onError: { then: 'ignore' } },
      { handle: () => undefined, onError: { retry: -1 } },
      { handle: () => undefined, onError: { delayMs: '1' } },
      { handle: () => undefined, filter: { kinds: [] } },
    ])
      await rejects(store.subscription('s', options as never), InvalidArgumentError);
    for (const name of ['', 5, '\ud800'])
      await rejects(store.subscription(name as string, { handle: () => undefined }), InvalidArgumentError);
    expect(store.subscriptions()).to.deep.equal([]);
  });

  it('tries again with growing delays, told which attempt it is', async () => {
    await open();
    const attempts: number[] = [];
    const subscription = await store.subscription('s', {
      handle: (_, { attempt }) => {
        attempts.push(attempt);
        if (attempt < 5) throw new Error('not yet');
      },
      onError: { retry: 4, delayMs: 100, maxDelayMs: 500 },
    });
    await addFacts(store, 1);
    for (const delay of [100, 200, 400, 500]) {
      await until(() => timer.waiting === 1);
      expect(subscription.status).to.deep.include({ state: 'retrying', lag: 1 });
      timer.advance(delay - 1);
      expect(timer.waiting).to.equal(1);
      timer.advance(1);
    }
    await until(() => subscription.status.lag === 0);
    expect(attempts).to.deep.equal([1, 2, 3, 4, 5]);
    expect(timer.asked).to.deep.equal([100, 200, 400, 500]);
    expect(reported).to.deep.equal([]);
  });

  it('stops after the retries, says why, and goes on with the same record when it is started again', async () => {
    await open();
    const handled: number[] = [];
    let broken = true;
    const options = {
      handle: async ({ version }: { version: number }) => {
        await Promise.resolve();
        if (broken && version === 5) throw new Error('no mail today');
        handled.push(version);
      },
    };
    const subscription = await store.subscription('mailer', options);
    const states: SubscriptionStatus[] = [];
    let completed = 0;
    subscription.status$.subscribe({ next: (status) => states.push(status), complete: () => completed++ });
    await addFacts(store, 10);
    const failure = await rejects(subscription.done, SubscriptionError);
    // The first position is where the subscription was made known.
    expect(failure.entryId).to.equal(6);
    expect(failure.message).to.include('no mail today').and.include("store.subscription('mailer'");
    expect(subscription.failure).to.equal(failure);
    expect(reported).to.deep.equal([failure]);
    expect(states.at(-1)).to.deep.include({ state: 'failed', position: 5 });
    expect(states.at(-1)!.lag).to.be.at.least(6);
    expect(completed).to.equal(1);
    broken = false;
    await store.subscription('mailer', options);
    await until(() => handled.length === 10);
    expect(handled).to.deep.equal(range(1, 10));
  });

  it('skips what fails if told so', async () => {
    await open();
    const handled: number[] = [];
    const subscription = await store.subscription('s', {
      handle: ({ position, data }) => {
        if ((data as { n: number }).n % 2 === 0) throw new Error('even');
        handled.push(position);
      },
      onError: { then: 'skip' },
    });
    await addFacts(store, 6);
    await until(() => subscription.status.lag === 0 && handled.length === 3);
    expect(subscription.parked()).to.deep.equal([]);
  });

  it('parks what fails, for later: after a restart and truncation, replayed or discarded', async () => {
    await open();
    let broken = true;
    const replayed: unknown[] = [];
    const options = {
      handle: ({ position, data }: { position: number; data: unknown }, { attempt }: { attempt: number }) => {
        if (broken && (data as { n: number }).n % 4 === 0) throw new Error(`poor ${position}`);
        if (attempt > 1) replayed.push([position, data, attempt]);
      },
      onError: { retry: 1, delayMs: 0, then: 'park' as const },
    };
    await addFacts(store, 1, { type: 'Other' });
    let subscription = await store.subscription('s', options);
    const appended = store.append([
      { stream: 'fact-1', events: [1, 2, 4, 5, 8, 12].map((n) => ({ type: 'Happened', data: { n } })) },
    ]);
    for (let parked = 1; parked <= 4; parked++) {
      await until(() => timer.waiting === 1);
      timer.advance(0);
      await until(() => subscription.parked().length === parked);
    }
    const { firstPosition } = await appended;
    const [second, third, fourth] = [firstPosition + 2, firstPosition + 4, firstPosition + 5];
    await until(() => subscription.status.lag === 0);
    expect(subscription.status.parked).to.equal(4);
    await addFacts(store, 200, { type: 'Other' });
    timer.advance(1);
    // `n` is 0, 4, ... there as well: what is parked is more than these.
    broken = false;
    await until(() => subscription.status.lag === 0);
    await store.checkpoint();
    await store.close();
    await open();
    await store.checkpoint();
    expect(store.oldestPosition).to.be.at.most(second);
    const held = (await store.truncate({ dryRun: true })).kept.flatMap(({ heldBy }) => heldBy);
    expect(held).to.include("a record that 's' has parked");
    subscription = await store.subscription('s', options);
    const list = subscription.parked();
    expect(list.slice(0, 4)).to.deep.equal([
      { position: 1, error: 'poor 1', attempts: 2 },
      { position: second, error: `poor ${second}`, attempts: 2 },
      { position: third, error: `poor ${third}`, attempts: 2 },
      { position: fourth, error: `poor ${fourth}`, attempts: 2 },
    ]);
    broken = true;
    expect(
      await subscription.replay(second).then(
        () => 'handled',
        (error: Error) => error.message,
      ),
    ).to.equal(`poor ${second}`);
    expect(subscription.parked()[1]).to.deep.equal({ position: second, error: `poor ${second}`, attempts: 3 });
    broken = false;
    await subscription.replay(second);
    expect(replayed).to.deep.equal([[second, { n: 4 }, 4]]);
    await subscription.discard(third);
    await rejects(subscription.replay(second), InvalidArgumentError);
    await rejects(subscription.discard(third), InvalidArgumentError);
    for (const { position } of subscription.parked()) await subscription.discard(position);
    await until(() => subscription.status.lag === 0);
    await quiet();
    await store.checkpoint();
    expect(store.oldestPosition).to.be.greaterThan(100);
    await store.close();
    await open();
    expect(store.subscriptions()).to.deep.include({
      name: 's',
      position: subscription.position,
      parked: 0,
      running: false,
    });
  });

  it('parks no more than it is allowed to', async () => {
    await open();
    const subscription = await store.subscription('s', {
      handle: () => {
        throw new Error('always');
      },
      onError: { then: 'park', maxParked: 3 },
    });
    await addFacts(store, 10);
    const failure = await rejects(subscription.done, SubscriptionError);
    expect(failure.message).to.include('3 records are parked already');
    expect(subscription.parked()).to.have.length(3);
    // After the end they can still be dealt with.
    await subscription.discard(subscription.parked()[0]!.position);
    expect(store.subscriptions()[0]!.parked).to.equal(2);
  });

  it('replays between two records, not beside one', async () => {
    await open();
    const heard: string[] = [];
    let broken = true;
    const subscription = await store.subscription('s', {
      handle: async ({ position }) => {
        if (broken) throw new Error('broken');
        heard.push(`begin ${position}`);
        await quiet();
        heard.push(`end ${position}`);
      },
      onError: { then: 'park' },
    });
    await addFacts(store, 1);
    await until(() => subscription.parked().length === 1);
    broken = false;
    const { position } = subscription.parked()[0]!;
    await addFacts(store, 2);
    await Promise.all([
      subscription.replay(position),
      // The second time it is not parked any more.
      rejects(subscription.replay(position), InvalidArgumentError),
    ]);
    await until(() => heard.length === 6);
    for (let n = 0; n < 6; n += 2) expect(heard[n]!.split(' ')[1]).to.equal(heard[n + 1]!.split(' ')[1]);
  });

  it('forgets what was parked with the subscription, also while it is replayed', async () => {
    await open();
    let go!: () => void;
    let attempts = 0;
    const subscription = await store.subscription('s', {
      handle: () => {
        if (attempts++ === 0) throw new Error('broken');
        return new Promise<void>((resolve) => (go = resolve));
      },
      onError: { then: 'park' },
    });
    await addFacts(store, 1);
    await until(() => subscription.parked().length === 1);
    const replay = subscription.replay(subscription.parked()[0]!.position);
    await until(() => attempts === 2);
    await store.unsubscribe('s');
    go();
    await replay;
    expect(subscription.parked()).to.deep.equal([]);
    expect(store.subscriptions()).to.deep.equal([]);
  });

  it('takes a filter that throws for a failure to handle', async () => {
    await open();
    const subscription = await store.subscription('s', {
      filter: ({ position }) => {
        if (position === 3) throw new Error('bad filter');
        return true;
      },
      handle: () => undefined,
      onError: { then: 'park' },
    });
    await addFacts(store, 4);
    await until(() => subscription.parked().length === 1 && subscription.status.lag === 0);
    expect(subscription.parked()[0]).to.deep.include({ position: 3, error: 'bad filter' });
  });

  it('tells where it is: catching up, live, stopped, and how far behind', async () => {
    await open();
    await addFacts(store, 50);
    const heard: SubscriptionStatus[] = [];
    let go: (() => void) | undefined;
    const subscription = await store.subscription('s', {
      handle: ({ position }) => (position > 51 ? new Promise<void>((resolve) => (go = resolve)) : undefined),
    });
    subscription.status$.subscribe((status) => heard.push(status));
    expect(heard[0]).to.deep.include({ state: 'catching-up', position: 0 });
    await until(() => heard.at(-1)!.state === 'live' && heard.at(-1)!.lag === 0);
    await addFacts(store, 3);
    await until(() => go !== undefined);
    expect(subscription.status).to.deep.include({ state: 'live', lag: 3 });
    for (let lag = 2; lag >= 0; lag--) {
      const resolve = go!;
      go = undefined;
      resolve();
      await until(() => subscription.status.lag === lag && (lag === 0 || go !== undefined));
    }
    await subscription.stop();
    expect(heard.at(-1)).to.deep.include({ state: 'stopped', parked: 0 });
    await subscription.done;
    const late: string[] = [];
    subscription.status$.subscribe({ next: ({ state }) => late.push(state), complete: () => late.push('complete') });
    expect(late).to.deep.equal(['stopped', 'complete']);
  });

  it('executes commands on the store it listens to', async () => {
    await open({ aggregates: [Account] });
    const subscription = await store.subscription('interest', {
      handle: async ({ stream, data }) => {
        const { amount } = data as { amount: number };
        if (stream === 'account-a') await store.execute(Account, 'bank', (bank) => bank.deposit(amount));
      },
    });
    for (let amount = 1; amount <= 10; amount++)
      await store.execute(Account, 'a', (account) => account.deposit(amount));
    await until(() => subscription.status.lag === 0);
    expect((await store.load(Account, 'bank')).state.balance).to.equal(55);
  });

  it('tells a handler that it is being stopped, waits for it, and counts what it finishes', async () => {
    await open();
    let told = false;
    let begun = false;
    const subscription = await store.subscription('s', {
      handle: (_, { signal }) =>
        new Promise<void>((resolve) => {
          begun = true;
          signal.addEventListener('abort', () => {
            told = true;
            setImmediate(resolve);
          });
        }),
    });
    await addFacts(store, 2);
    await until(() => begun);
    await subscription.stop();
    expect(told).to.equal(true);
    expect(store.subscriptions()[0]!.position).to.equal(subscription.position);
    // The other one comes when it is started again.
    const handled: number[] = [];
    await store.subscription('s', { handle: ({ position }) => handled.push(position) });
    await until(() => handled.length === 1);
    expect(handled[0]).to.equal(3);
  });

  it('does not park what fails because it was told to stop', async () => {
    await open();
    let begun = false;
    const subscription = await store.subscription('s', {
      handle: (_, { signal }) =>
        new Promise<void>((_resolve, reject) => {
          begun = true;
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      onError: { then: 'park' },
    });
    await addFacts(store, 1);
    await until(() => begun);
    await store.close();
    expect(reported).to.deep.equal([]);
    expect(subscription.failure).to.equal(undefined);
    await open();
    expect(store.subscriptions()).to.deep.equal([{ name: 's', position: 0, parked: 0, running: false }]);
  });

  it('does not wait for the next retry when it is stopped', async () => {
    await open();
    const subscription = await store.subscription('s', {
      handle: () => {
        throw new Error('never');
      },
      onError: { retry: 1000, delayMs: 1000, then: 'skip' },
    });
    await addFacts(store, 1);
    await until(() => timer.waiting === 1);
    await subscription.stop();
    expect(timer.waiting).to.equal(0);
    expect(subscription.position).to.equal(0);
  });

  it('lets the store close although a handler never ends; its record comes again', async () => {
    await open();
    let begun = 0;
    const options = {
      handle: () => {
        begun++;
        return new Promise<void>(() => undefined);
      },
      stopMs: 3000,
    };
    await store.subscription('s', options);
    await addFacts(store, 1);
    await until(() => begun === 1);
    let closed = false;
    const closing = store.close().then(() => (closed = true));
    await quiet();
    expect(closed).to.equal(false);
    timer.advance(3000);
    await closing;
    await open();
    const subscription = await store.subscription('s', options);
    await until(() => begun === 2);
    // Forgotten by its own handler, and waited for no longer than that.
    const stopping = subscription.stop();
    await quiet();
    timer.advance(3000);
    await stopping;
    expect(subscription.position).to.equal(0);
  });

  it('lets a handler close the store it listens to', async () => {
    await open();
    let closing: Promise<void> | undefined;
    await store.subscription('s', { handle: () => (closing = store.close()) });
    await addFacts(store, 1);
    await until(() => closing !== undefined && timer.waiting === 1);
    timer.advance(10_000);
    await closing;
  });

  it('handles a record again whose handler could execute nothing any more, as the store was being closed', async () => {
    await open({ aggregates: [Account] });
    let refused: unknown;
    let begun = false;
    const options = {
      filter: { streams: ['fact-1'] },
      handle: async () => {
        begun = true;
        await quiet();
        await store
          .execute(Account, 'a', (account) => account.deposit(1))
          .catch((error: unknown) => {
            refused = error;
            throw error;
          });
      },
    };
    await store.subscription('s', options);
    await addFacts(store, 1);
    await until(() => begun);
    await store.close();
    expect(refused).to.be.instanceOf(ClosedError);
    expect(reported).to.deep.equal([]);
    await open({ aggregates: [Account] });
    const again = await store.subscription('s', options);
    await until(() => again.position >= 2);
    expect((await store.load(Account, 'a')).version).to.equal(1);
  });

  it('ends with the store when that fails', async () => {
    let broken = false;
    const faulty = new FaultyDirectory(dir, ({ kind }) =>
      broken && kind === 'write' ? { kind: 'error', errno: 'EIO' } : undefined,
    );
    await open({ dir: faulty });
    const subscription = await store.subscription('s', { handle: () => undefined });
    await quiet();
    broken = true;
    await rejects(addFacts(store, 1), PoisonedError);
    await rejects(subscription.done, PoisonedError);
    expect(subscription.status.state).to.equal('failed');
    expect(subscription.failure).to.be.instanceOf(PoisonedError);
    await rejects(store.subscription('s', { handle: () => undefined }), PoisonedError);
  });

  it('cannot be started on a store that is closed, or being closed while it starts', async () => {
    const held = new HeldDirectory(dir);
    await open({ dir: held });
    held.holds.add('write');
    const starting = store.subscription('s', { handle: () => undefined });
    await held.blocked();
    const closing = store.close();
    held.releaseAll();
    await rejects(starting, ClosedError);
    await closing;
    await rejects(store.subscription('s', { handle: () => undefined }), ClosedError);
    await rejects(store.unsubscribe('s'), ClosedError);
  });

  it('does not let what it has to read be truncated while it is started', async () => {
    const held = new HeldDirectory(dir);
    await open({ dir: held });
    await addFacts(store, 200);
    const tail = store.tail({ from: 1 });
    await tail.next();
    await store.checkpoint();
    await quiet();
    held.holds.add('write');
    const handled: number[] = [];
    const starting = store.subscription('s', { handle: ({ stream, version }) => handled.push(version) && stream });
    await held.blocked();
    // Nobody else holds the log now, and the subscription is not noted yet.
    await tail.return();
    expect((await store.truncate()).removed).to.deep.equal([]);
    held.releaseAll();
    await starting;
    await until(() => handled.length === 200);
    expect(handled).to.deep.equal(range(1, 200));
  });

  it('waits with its beginning until a truncation that did not know of it is done', async () => {
    const held = new HeldDirectory(dir);
    await open({ dir: held });
    await addFacts(store, 200);
    const tail = store.tail({ from: 1 });
    await tail.next();
    await store.checkpoint();
    await tail.return();
    held.holds.add('remove');
    const truncating = store.truncate();
    await held.blocked();
    // The log still has position 1, but not for long.
    const refused = [
      rejects(store.subscription('s', { handle: () => undefined }), TruncatedError),
      rejects(store.tail({ from: 1 }).next(), TruncatedError),
    ];
    await quiet();
    held.releaseAll();
    await Promise.all([truncating, ...refused]);
    expect(store.subscriptions()).to.deep.equal([]);
  });

  it('has handled what it parks: it does not come again after a restart', async () => {
    await open();
    const handled: number[] = [];
    const options = {
      handle: ({ version }: { version: number }) => {
        handled.push(version);
        throw new Error('always');
      },
      onError: { then: 'park' as const },
    };
    const subscription = await store.subscription('s', options);
    await addFacts(store, 1);
    await until(() => subscription.parked().length === 1);
    await store.close();
    await open();
    await store.subscription('s', options);
    await addFacts(store, 1);
    await until(() => handled.length === 2);
    expect(handled).to.deep.equal([1, 2]);
  });
});

describe('two durable subscriptions', () => {
  it('do not keep each other busy with their cursors', async () => {
    const store = await openStore({ dir: new MemoryDirectory() });
    await store.subscription('a', { handle: () => undefined });
    await store.subscription('b', { handle: () => undefined });
    await addFacts(store, 1);
    await quiet();
    const { position } = store;
    await quiet();
    expect(store.position).to.equal(position);
    expect(position).to.be.at.most(5);
    await store.close();
  });
});
