// A store that lives for minutes: commands, appends, a projection, a durable subscription, checkpoints and truncation in
// tiny segments, ended over and over by a close, a kill, a failed operation or a power cut, on a simulated disk and in a
// real folder by turns. After every recovery it is compared with a plain model, and what it uses must not grow: open
// files, memory, bytes on disk, entries and time that opening takes.

import {
  CairnError,
  defineAggregate,
  defineProjection,
  FsDirectory,
  openStore,
  type Directory,
  type Durability,
  type Event,
  type EventStore,
  type StoredRecord,
} from 'cairnlog';
import { FaultyDirectory, isMutation, loseEverything, SimulatedDisk, type Fault } from 'cairnlog/testing';
import { expect } from 'chai';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import { drawnCut } from '../support/drawn-cut.js';
import { randomOf, type Random } from '../support/seed.js';

/** What must not be exceeded. */
export interface Gates {
  /** Files that are open between two lives, more than at the beginning. */
  readonly files: number;
  /** Resident memory in MiB between two lives, more than after the first ones. */
  readonly residentMiB: number;
  /** Heap in MiB after a collection, more than after the first lives. */
  readonly heapMiB: number;
  /** Bytes of all files, once two full checkpoints were taken and nobody holds the log. */
  readonly diskBytes: number;
  /** Entries that opening replays. */
  readonly replayed: number;
  /** Milliseconds that opening takes. */
  readonly openMs: number;
}

export const GATES: Gates = {
  files: 2,
  residentMiB: 160,
  heapMiB: 24,
  diskBytes: 160 * 1024,
  replayed: 1500,
  openMs: 5000,
};

export interface SoakOptions {
  /** It ends after so long, or after so many lives. */
  readonly milliseconds?: number;
  readonly lives?: number;
  /** Whether it also lives in a folder of the real file system. Default true. */
  readonly real?: boolean;
  readonly seed: number;
  readonly gates?: Partial<Gates>;
  /** Told every few seconds. */
  readonly tell?: (line: string) => void;
}

export interface Soaked {
  /** How often each thing was done. */
  readonly counts: ReadonlyMap<string, number>;
  /** The most that was used, by gate. */
  readonly most: Readonly<Record<keyof Gates, number>>;
}

/** What must have been done at least once, or nothing was shown. */
const NEEDS = [
  'closed',
  'killed',
  'power cuts',
  'failed',
  'records',
  'handled',
  'checkpoints',
  'parts removed',
  'floors measured',
] as const;

const STREAMS = 40;
const TELL_MS = 5000;
/** Lives after which memory counts as warmed up. */
const WARM_LIVES = 40;

type Added = Event<'Added', { n: number; pad: string }>;

const Account = defineAggregate('account', {
  initial: { count: 0, sum: 0, last: 0 },
  reduce: {
    Added: (state, { data }: Added) => {
      state.count++;
      state.sum += data.n;
      state.last = data.n;
    },
  },
  commands: (account) => ({ add: (n: number, pad: string) => account.emit('Added', { n, pad }) }),
});

const ledger = defineProjection('ledger', {
  initial: { count: 0, digest: 0 },
  on: {
    Added: (state, record: StoredRecord<Added>) => {
      state.count++;
      state.digest = digested(state.digest, record.data.n);
    },
  },
});

const digested = (digest: number, n: number): number => (Math.imul(digest, 31) + n) >>> 0;

interface AccountState {
  count: number;
  sum: number;
  last: number;
}

/** What must be there: everything up to the last recovery folded, and every record since. */
class Model {
  count = 0;
  digest = 0;
  accounts = new Map<string, AccountState>();
  /** Records since, in the order in which they were decided. */
  since: { readonly id: string; readonly n: number }[] = [];
  /** How many of them were acknowledged, and how many are on stable storage. */
  acknowledged = 0;
  durable = 0;
  /** `n` of the last record that the subscription was given, and of those that it is to be given, in order. */
  handled = 0;
  waiting: number[] = [];

  /** The subscription is given a record: once more, or the one that follows. */
  handle(n: number): void {
    if (n <= this.handled) return;
    const next = this.waiting.shift();
    if (next !== n) throw new Error(`the subscription was given record ${n} instead of ${next}`);
    this.handled = n;
  }

  /** A recovery has kept so many records: they are the model now. */
  keep(count: number): void {
    for (const { id, n } of this.since.slice(0, count - this.count)) {
      const { count: before, sum } = this.accounts.get(id) ?? { count: 0, sum: 0 };
      this.accounts.set(id, { count: before + 1, sum: sum + n, last: n });
      this.digest = digested(this.digest, n);
    }
    const lost = new Set(this.since.slice(count - this.count).map(({ n }) => n));
    if (lost.size > 0) {
      this.waiting = this.waiting.filter((n) => !lost.has(n));
      // What was lost may have been handled, at durability `memory`.
      this.handled = Math.min(this.handled, Math.max(0, ...[...this.accounts.values()].map(({ last }) => last)));
    }
    this.count = count;
    this.since = [];
    this.acknowledged = this.durable = 0;
  }
}

type End = 'closed' | 'killed' | 'power cuts' | 'failed';

/** Where a store lives. */
interface Place {
  readonly name: string;
  /** How its lives end. */
  readonly ends: readonly End[];
  directory(): Promise<Directory>;
  /** The next process finds this. */
  ended(how: End, random: Random): void;
  bytes(): number;
}

class SimulatedPlace implements Place {
  readonly name = 'simulated disk';
  readonly ends = ['closed', 'killed', 'power cuts', 'power cuts', 'failed'] as const;
  #disk = new SimulatedDisk();

  async directory(): Promise<Directory> {
    return this.#disk;
  }

  ended(how: End, random: Random): void {
    if (how === 'power cuts')
      this.#disk = this.#disk.afterPowerCut(random.chance(50) ? loseEverything : drawnCut(this.#disk, random));
    else this.#disk = this.#disk.afterProcessEnd();
  }

  bytes(): number {
    return this.#disk.files().reduce((sum, file) => sum + this.#disk.peek(file)!.length, 0);
  }
}

class RealPlace implements Place {
  readonly name = 'real folder';
  readonly ends = ['closed', 'killed', 'failed'] as const;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  directory(): Promise<Directory> {
    return FsDirectory.open(this.#root);
  }

  ended(): void {
    // The system keeps what the process wrote.
  }

  bytes(): number {
    return fs
      .readdirSync(this.#root, { recursive: true, encoding: 'utf8' })
      .map((file) => fs.statSync(path.join(this.#root, file)))
      .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
  }
}

/** Rejects when the store is not what the model is, when a gate breaks, and when something was never done. */
export async function soak(options: SoakOptions): Promise<Soaked> {
  const { milliseconds = Infinity, lives = Infinity, real = true, seed, gates, tell = () => undefined } = options;
  return new Soaking(seed, { ...GATES, ...gates }, tell).run(milliseconds, lives, real);
}

class Soaking {
  readonly #random: Random;
  readonly #gates: Gates;
  readonly #tell: (line: string) => void;
  readonly #counts = new Map<string, number>();
  readonly #most: Record<keyof Gates, number> = {
    files: 0,
    residentMiB: 0,
    heapMiB: 0,
    diskBytes: 0,
    replayed: 0,
    openMs: 0,
  };
  #numbers = 0;
  #lives = 0;

  constructor(seed: number, gates: Gates, tell: (line: string) => void) {
    this.#random = randomOf(`soak ${seed}`);
    this.#gates = gates;
    this.#tell = tell;
  }

  async run(milliseconds: number, lives: number, real: boolean): Promise<Soaked> {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'cairn-soak-'));
    try {
      const all: Place[] = real ? [new SimulatedPlace(), new RealPlace(root)] : [new SimulatedPlace()];
      const places = all.map((place) => ({ place, model: new Model() }));
      const begun = performance.now();
      let told = begun;
      let files = openFiles();
      let warm: { residentMiB: number; heapMiB: number } | undefined;
      while (this.#lives < lives && performance.now() - begun < milliseconds) {
        const { place, model } = places[this.#lives % places.length]!;
        try {
          await this.#live(place, model);
        } catch (error) {
          if (error instanceof Error) error.message = `life ${this.#lives + 1} (${place.name}): ${error.message}`;
          throw error;
        }
        this.#lives++;
        // The first life opens what the process keeps open.
        if (this.#lives === places.length) files = openFiles();
        this.#gate('files', openFiles() - files);
        if (this.#lives % WARM_LIVES === 0) {
          const used = memory();
          warm ??= used;
          this.#gate('residentMiB', used.residentMiB - warm.residentMiB);
          this.#gate('heapMiB', used.heapMiB - warm.heapMiB);
        }
        if (performance.now() - told < TELL_MS) continue;
        told = performance.now();
        this.#tell(this.#line((told - begun) / 1000));
      }
      this.#tell(this.#line((performance.now() - begun) / 1000));
      for (const need of NEEDS) if (!this.#counts.has(need)) throw new Error(`Nothing was shown: no ${need}`);
      return { counts: this.#counts, most: this.#most };
    } finally {
      fs.rmSync(root, { recursive: true, force: true });
    }
  }

  async #live(place: Place, model: Model): Promise<void> {
    const random = this.#random;
    const directory = new FaultyDirectory(await place.directory());
    const durability = random.pick<Durability>(['fsync', 'fsync', 'flush', 'memory']);
    const begun = performance.now();
    const store = await openStore({
      dir: directory,
      aggregates: [Account],
      projections: [ledger],
      durability,
      receipts: 100,
      checkpoint: { records: 120, changesAboveBytes: random.pick([1, 1024 * 1024]) },
      files: {
        segmentBytes: random.pick([1000, 4000]),
        preallocateBytes: random.pick([0, 2000]),
        recycleSegments: random.pick([0, 3]),
      },
      onCheckpointFailure: () => undefined,
      onSubscriberError: (error) => {
        if (!(error instanceof CairnError)) throw error;
      },
    });
    this.#gate('openMs', performance.now() - begun);
    this.#gate('replayed', store.recovery.entriesReplayed);
    await this.#compare(store, model);
    let violation: unknown;
    await store.subscription('watcher', {
      from: 'start',
      handle: ({ data }) => {
        try {
          model.handle((data as Added['data']).n);
        } catch (error) {
          violation ??= error;
        }
        this.#add('handled');
      },
    });

    const how = random.pick(place.ends);
    if (how === 'failed') directory.decide = this.#faults();
    const rounds = 1 + random.integer(25);
    let isFailed = false;
    for (let round = 0; round < rounds && !isFailed; round++) isFailed = await this.#round(store, model, durability);
    if (how === 'killed' || how === 'power cuts') {
      // Something is on its way when it comes.
      const last = this.#work(store, model);
      for (let turn = random.integer(4); turn > 0; turn--) await new Promise((resolve) => setImmediate(resolve));
      const safe = this.#safe(model, how, durability);
      directory.decide = (operation) =>
        operation.kind === 'write' && !directory.stopped
          ? { kind: 'stop', bytes: random.integer(operation.bytes ?? 1) }
          : { kind: 'stop' };
      model.durable = safe;
      place.ended(how, random);
      await Promise.allSettled(last);
    } else if (how === 'closed' && random.chance(40)) {
      await this.#floor(place, store, model);
    }
    this.#add(how);
    await this.#close(store, model, how, durability);
    if (how === 'failed' || how === 'closed') place.ended(how, random);
    if (violation !== undefined) throw violation as Error;
  }

  /** Closes what is left of a life. */
  async #close(store: EventStore, model: Model, how: End, durability: Durability): Promise<void> {
    // Of a process that ends, the system keeps what it was given.
    if (how === 'failed') model.durable = this.#safe(model, 'killed', durability);
    try {
      await store.close();
      if (how === 'closed') model.durable = model.since.length;
    } catch (error) {
      if (!(error instanceof CairnError) || how === 'closed') throw error;
    }
  }

  /** Several at once; true once the store refuses. */
  async #round(store: EventStore, model: Model, durability: Durability): Promise<boolean> {
    const random = this.#random;
    const work = this.#work(store, model);
    if (random.chance(10)) work.push(this.#checkpoint(store, model));
    if (random.chance(10)) work.push(this.#truncate(store));
    if (random.chance(10)) work.push(this.#read(store));
    const results = await Promise.allSettled(work);
    let isFailed = false;
    for (const result of results)
      if (result.status === 'rejected') {
        if (!(result.reason instanceof CairnError)) throw result.reason;
        isFailed = true;
      }
    if (!isFailed) model.acknowledged = model.since.length;
    if (!isFailed && durability === 'fsync') model.durable = model.acknowledged;
    return isFailed;
  }

  #work(store: EventStore, model: Model): Promise<unknown>[] {
    const random = this.#random;
    return Array.from({ length: 1 + random.integer(6) }, async () => {
      if (random.chance(70)) {
        const { id, n, pad } = this.#next(model);
        return store.execute(Account, id, (account) => account.add(n, pad), { commandId: `c${n}` });
      }
      const appends = new Map<string, Added[]>();
      const ids = Array.from({ length: 1 + random.integer(4) }, () => `s${random.integer(STREAMS)}`).sort();
      for (const wanted of ids) {
        const { id, n, pad } = this.#next(model, wanted);
        appends.set(id, [...(appends.get(id) ?? []), { type: 'Added', data: { n, pad } }]);
      }
      return store.append([...appends].map(([id, events]) => ({ stream: `account-${id}`, events })));
    });
  }

  #next(model: Model, id = `s${this.#random.integer(STREAMS)}`): { id: string; n: number; pad: string } {
    const n = ++this.#numbers;
    model.since.push({ id, n });
    model.waiting.push(n);
    this.#add('records');
    return { id, n, pad: 'x'.repeat(this.#random.pick([0, 10, 40, 300])) };
  }

  async #checkpoint(store: EventStore, model: Model): Promise<void> {
    const { length } = model.since;
    const known = model.acknowledged;
    const { removedCheckpoints, truncation } = await store.checkpoint({ full: this.#random.chance(30) });
    expect(known).to.be.at.most(length);
    model.durable = Math.max(model.durable, known);
    this.#add('checkpoints');
    this.#add('parts removed', truncation.removed.length);
    this.#add('checkpoints removed', removedCheckpoints.length);
  }

  async #truncate(store: EventStore): Promise<void> {
    const { removed } = await store.truncate();
    this.#add('parts removed', removed.length);
  }

  async #read(store: EventStore): Promise<void> {
    let before = 0;
    for await (const { data } of store.readAll()) {
      const { n } = data as Added['data'];
      expect(n, 'what is read goes up').to.be.greaterThan(before);
      before = n;
    }
    this.#add('reads');
  }

  /** Records that must be there after this end. */
  #safe(model: Model, how: 'killed' | 'power cuts', durability: Durability): number {
    if (how === 'power cuts' || durability === 'memory') return model.durable;
    return Math.max(model.durable, model.acknowledged);
  }

  /** What the store has recovered is a beginning of what was decided, and all that was promised of it. */
  async #compare(store: EventStore, model: Model): Promise<void> {
    const { count, digest } = store.projection(ledger).state;
    const least = model.count + model.durable;
    expect(count, 'records that were recovered').to.be.within(least, model.count + model.since.length);
    const lost = model.count + model.since.length - count;
    this.#add('records lost that nobody was promised', lost);
    model.keep(count);
    expect(digest, 'what was folded over all streams').to.equal(model.digest);
    for (const [id, account] of model.accounts)
      expect((await store.load(Account, id)).state, id).to.deep.equal(account);
    this.#add('recoveries');
  }

  /** With two full checkpoints and nobody who holds the log, only what is needed is on the disk. */
  async #floor(place: Place, store: EventStore, model: Model): Promise<void> {
    for (const _ of [1, 2]) {
      const { id, n, pad } = this.#next(model);
      await store.execute(Account, id, (account) => account.add(n, pad));
      await store.waitFor(store.position);
      await store.checkpoint({ full: true });
    }
    const { id, n, pad } = this.#next(model);
    await store.execute(Account, id, (account) => account.add(n, pad));
    model.acknowledged = model.since.length;
    await this.#checkpoint(store, model);
    await this.#truncate(store);
    this.#gate('diskBytes', place.bytes());
    this.#add('floors measured');
  }

  /** One operation fails, of those that change something or of all. */
  #faults(): (operation: Parameters<typeof isMutation>[0]) => Fault | undefined {
    const random = this.#random;
    const at = 1 + random.integer(150);
    const errno = random.pick(['EIO', 'ENOSPC', 'EMFILE', 'EACCES', 'EINTR']);
    const all = random.chance(50);
    let seen = 0;
    return (operation) => {
      if (operation.kind === 'close' || (!all && !isMutation(operation))) return undefined;
      return ++seen === at ? { kind: 'error', errno } : undefined;
    };
  }

  #gate(gate: keyof Gates, value: number): void {
    this.#most[gate] = Math.max(this.#most[gate], value);
    if (value > this.#gates[gate]) throw new Error(`The gate '${gate}' is ${this.#gates[gate]}, and it is ${value}`);
  }

  #add(what: string, count = 1): void {
    if (count > 0) this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
  }

  #line(seconds: number): string {
    const counted = NEEDS.map((need) => `${(this.#counts.get(need) ?? 0).toLocaleString('en')} ${need}`).join(', ');
    const { files, residentMiB, diskBytes, openMs, replayed } = this.#most;
    return (
      `${seconds.toFixed(0).padStart(5)} s: ${this.#lives} lives, ${counted}; at most +${files} files, ` +
      `+${residentMiB.toFixed(0)} MiB, ${Math.ceil(diskBytes / 1024)} KiB on disk, ${replayed} replayed in ${openMs.toFixed(0)} ms`
    );
  }
}

/** 0 where the system does not tell. */
function openFiles(): number {
  try {
    return fs.readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

function memory(): { residentMiB: number; heapMiB: number } {
  collect();
  const { rss, heapUsed } = process.memoryUsage();
  return { residentMiB: rss / 2 ** 20, heapMiB: heapUsed / 2 ** 20 };
}
