// One life of a log with checkpoints, on a simulated disk, and a record of everything that was promised meanwhile: what
// was appended, which of it was shown to be durable, which entries belong together. After any fault or crash that record
// says what must still be there.

import { CairnError, WalWriter, type CheckpointPublisher, type Directory } from 'cairnlog';
import { FaultyDirectory, isMutation, SimulatedDisk, type DiskOperation, type Fault } from 'cairnlog/testing';
import { expect } from 'chai';
import { markOf, publisherOf, recoverLedger, type Ledger } from './ledger.js';
import { textCodec } from './text-codec.js';

export interface WorkloadOptions {
  readonly segmentBytes: number;
  readonly preallocateBytes: number;
  readonly recycleSegments: number;
  /** Bytes of text in an entry, at most. */
  readonly entryBytes: number;
}

/** What was attempted and promised. */
export class Promises {
  /** The current lineage: `attempted[0]` is entry 1. What a recovery did not keep is taken out. */
  attempted: Ledger = [];
  /** First and last ids of batches. */
  batches: [first: number, last: number][] = [];
  /** Entries up to here survive a power cut: an acknowledgement, an observer or an opened log has shown them. */
  durable = 0;
  /** Entries up to here survive the process. */
  flushed = 0;
  /** Position of the last checkpoint whose publication was confirmed. */
  checkpointed = 0;

  copy(): Promises {
    const copy = new Promises();
    Object.assign(copy, this, { attempted: [...this.attempted], batches: [...this.batches] });
    return copy;
  }

  /** A recovery kept entries up to `last` and showed them. */
  kept(last: number): void {
    this.attempted = this.attempted.slice(0, last);
    this.batches = this.batches.filter((batch) => batch[1] <= last);
    this.durable = Math.max(this.durable, last);
    this.flushed = Math.max(this.flushed, last);
  }
}

/** Runs the workload; a fault makes some of its steps reject, which must be with a typed error. */
export class Workload {
  readonly promises = new Promises();
  disk = new SimulatedDisk();
  directory: FaultyDirectory;
  /** What the workload is doing. */
  phase = 'begin';
  /** Steps that were rejected. */
  rejected: { phase: string; error: CairnError }[] = [];
  /** Failures that observers were told of. */
  failures = 0;
  /** Callers who waited together when it failed. */
  waitersRejected = 0;
  /** Operations on the log that a failed writer went on with. */
  afterFailure: DiskOperation[] = [];
  /** Asked before every operation, after the bookkeeping. */
  decide: (operation: DiskOperation) => Fault | undefined;

  readonly #options: WorkloadOptions;
  #wal: WalWriter<string> | undefined;
  #failed = false;
  #number = 0;

  constructor(options: WorkloadOptions, decide: (operation: DiskOperation) => Fault | undefined = () => undefined) {
    this.#options = options;
    this.decide = decide;
    this.directory = this.#attach();
  }

  async run(): Promise<void> {
    await this.#life(false);
    // A fault may have stopped the process: what is on the disk then is for the caller to look at.
    if (this.directory.stopped) return;
    await this.#processEnds();
    await this.#life(true);
  }

  async #life(again: boolean): Promise<void> {
    const { segmentBytes, preallocateBytes, recycleSegments } = this.#options;
    this.#failed = false;
    const { promises } = this;
    await this.#step('open', async () => {
      const recovered = again ? await recoverLedger(this.directory) : undefined;
      const wal = await WalWriter.open(this.directory, {
        codec: textCodec,
        segmentBytes,
        preallocateBytes,
        recycleSegments,
        durableId: recovered?.report.checkpoint?.lastAppliedId ?? 0,
        observer: {
          onFlush: (_, id) => void (promises.flushed = id),
          onSync: (id) => void (promises.durable = Math.max(promises.durable, id)),
          onFailure: () => {
            this.failures++;
            this.#failed = true;
          },
        },
      });
      this.#wal = wal;
      expect(wal.lastEntryId).to.be.at.least(promises.durable);
      if (recovered !== undefined) expect(wal.lastEntryId).to.equal(recovered.state.length);
      promises.kept(wal.lastEntryId);
    });
    const wal = this.#wal;
    if (wal === undefined) return;

    await this.#step('append', async () => {
      for (let count = 0; count < 3; count++) this.#append();
      await wal.flush();
    });
    await this.#step('append durable', () => this.#durably());
    await this.#step('batch', async () => {
      this.#batch(4);
      await wal.flushAndSync();
    });
    await this.#step('append together', async () => {
      this.#append();
      const waiting = [this.#durably(), this.#durably(), wal.flush(), this.#durably()];
      const rejected = (await Promise.allSettled(waiting)).filter((result) => result.status === 'rejected');
      this.waitersRejected += rejected.length;
      if (rejected.length > 0) throw rejected[0]!.reason;
    });
    await this.#step('roll', async () => {
      for (let count = 0; count < 7; count++) this.#append();
      await wal.flush();
    });
    await this.#step('publish', () => this.#publish());
    await this.#step('batch', async () => {
      this.#append();
      this.#batch(3);
      await wal.flush();
      for (let count = 0; count < 3; count++) await this.#durably();
    });
    await this.#step('publish', () => this.#publish());
    await this.#step('append', async () => {
      this.#append();
      this.#batch(2);
      await wal.flush();
      this.#append();
      await wal.flush();
    });
    if (again) await this.#step('close', () => wal.close());
  }

  /** The process is killed: what it had not written is gone, and the last bytes it wrote may not have arrived whole. */
  async #processEnds(): Promise<void> {
    const { promises } = this;
    this.#wal = undefined;
    this.disk = this.disk.afterProcessEnd();
    const last = this.disk
      .files()
      .filter((path) => /wal_\d+\.log$/.test(path))
      .sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0]))
      .at(-1);
    if (last !== undefined && promises.flushed > promises.durable) {
      const file = await this.disk.open(last, 'update');
      // Only entries that nobody was told are durable lie there, if the last segment has any; else it is its header.
      const size = await file.size();
      if (size > 43) await file.truncate(size - 3);
      await file.close();
      promises.flushed = promises.durable;
    }
    this.directory = this.#attach();
  }

  #attach(): FaultyDirectory {
    return new FaultyDirectory(this.disk, (operation) => {
      const numbered = { ...operation, number: ++this.#number };
      if (this.#failed && isMutation(operation) && operation.path.startsWith('wal')) this.afterFailure.push(numbered);
      return this.decide(numbered);
    });
  }

  async #step(phase: string, run: () => Promise<unknown>): Promise<void> {
    this.phase = phase;
    try {
      await run();
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      this.rejected.push({ phase, error });
    }
  }

  #text(): string {
    const { entryBytes } = this.#options;
    const number = this.#wal!.nextEntryId;
    // The count tells two entries apart that were given the same id at different times.
    return `${number} of attempt ${this.#attempts++} `.padEnd(8 + ((number * 37) % entryBytes), 'x');
  }
  #attempts = 1;

  #append(): number {
    const text = this.#text();
    const id = this.#wal!.append(text);
    this.promises.attempted[id - 1] = text;
    return id;
  }

  #batch(count: number): void {
    const texts = Array.from({ length: count }, (_, index) => `${this.#text()} in batch ${index}`);
    const ids = this.#wal!.appendBatch(texts);
    for (const [index, id] of ids.entries()) this.promises.attempted[id - 1] = texts[index]!;
    this.promises.batches.push([ids[0]!, ids.at(-1)!]);
  }

  async #durably(): Promise<void> {
    const text = this.#text();
    const pending = this.#wal!.appendDurable(text);
    const id = this.#wal!.lastEntryId;
    // A writer that refuses at once has taken no id.
    if (!this.#failed) this.promises.attempted[id - 1] = text;
    expect(await pending).to.equal(id);
    this.promises.durable = Math.max(this.promises.durable, id);
  }

  async #publish(): Promise<void> {
    const { promises } = this;
    const position = this.#wal!.lastEntryId;
    const publisher: CheckpointPublisher<string, string> = publisherOf(this.#wal!, 2, (_, id) => {
      promises.attempted[this.#wal!.lastEntryId] = markOf(id);
      return markOf(id);
    });
    await publisher.publish(promises.attempted.slice(0, position), position);
    promises.checkpointed = position;
    promises.durable = Math.max(promises.durable, position);
  }
}

/** What one recovery came to. */
export interface Survived {
  readonly entries: number;
  readonly checkpoint: number | undefined;
  readonly wal: WalWriter<string>;
}

/**
 * Recovers and opens the log as a program would, and holds it to what was promised: at least the entries up to `least`,
 * in order, unchanged, batches whole. The writer is left open.
 */
export async function survive(
  directory: Directory,
  promises: Promises,
  least: number,
  options: Pick<WorkloadOptions, 'segmentBytes'>,
): Promise<Survived> {
  const { state, report } = await recoverLedger(directory);
  const checkpoint = report.checkpoint?.lastAppliedId;
  expectKept(state, promises, least);
  if (checkpoint === undefined) expect(promises.checkpointed, 'a confirmed checkpoint').to.equal(0);
  else expect(checkpoint, 'the position of the checkpoint').to.be.at.least(promises.checkpointed);
  const wal = await WalWriter.open(directory, {
    codec: textCodec,
    segmentBytes: options.segmentBytes,
    durableId: checkpoint ?? 0,
  });
  expect(wal.lastEntryId, 'the last entry of the log and of the state').to.equal(state.length);
  return { entries: state.length, checkpoint, wal };
}

export function expectKept(state: Ledger, { attempted, batches }: Promises, least: number): void {
  if (state.length < least) expect.fail(`${state.length} entries are left, ${least} were promised`);
  if (state.length > attempted.length) expect.fail(`${state.length} entries, ${attempted.length} were attempted`);
  for (const [index, text] of state.entries())
    if (text !== attempted[index]) expect.fail(`entry ${index + 1} is '${text}' instead of '${attempted[index]}'`);
  for (const [first, last] of batches)
    if (state.length >= first && state.length < last)
      expect.fail(`of the batch ${first} to ${last} only entries up to ${state.length} are left`);
}
