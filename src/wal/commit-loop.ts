// The one loop that writes: takes all that is staged, writes it, syncs once if anybody waits for that, and answers
// everybody in the order of their entries. While it waits for the disk, the next entries gather: group commit. One
// operation is in flight at a time. The first that fails ends it for good; nothing is ever tried again, because after a
// failed sync the system may report success for pages that it has dropped.

import { viewOf } from '../bytes/view.js';
import { PoisonedError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import type { Directory } from '../storage/index.js';
import { CONTROL_END, CONTROL_FRAME_BYTES, CONTROL_SEAL, CONTROL_WATERMARK, writeControlFrame } from './format.js';
import type { LogLayout } from './layout.js';
import { notify, type WalObserver } from './observer.js';
import { SegmentFile } from './segment-file.js';
import type { SpareSegments } from './spare-segments.js';
import type { Chunk, Staging } from './staging.js';

interface Waiter {
  readonly id: number;
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface CommitLoopOptions {
  readonly directory: Directory;
  readonly layout: LogLayout;
  readonly observer: WalObserver | undefined;
  readonly preallocateBytes: number;
  /** What new segments are made of, as long as there are any. */
  readonly spares: SpareSegments | undefined;
}

export class CommitLoop {
  /** Entries up to here were handed to the operating system. */
  flushedId: number;
  /** Entries up to here are on stable storage. */
  durableId: number;
  failure: PoisonedError | undefined;
  /** Whether somebody has been told of the failure. */
  failureTold = false;

  readonly #staging: Staging<unknown>;
  readonly #options: CommitLoopOptions;
  #segment: SegmentFile;
  /** Highest id that the current segment says is durable. */
  #announcedId: number;
  /** Whether the current segment ends with a seal. */
  #sealed: boolean;
  #flushTarget = 0;
  #syncTarget = 0;
  #waiters: Waiter[] = [];
  #drainers: Waiter[] = [];
  #drainBelow = 0;
  #running: Promise<void> | undefined;

  constructor(
    staging: Staging<unknown>,
    options: CommitLoopOptions,
    opened: { segment: SegmentFile; lastId: number; announcedId: number; sealed: boolean },
  ) {
    this.#staging = staging;
    this.#options = options;
    this.#segment = opened.segment;
    // Opening rewrote and synced everything it found.
    this.flushedId = opened.lastId;
    this.durableId = opened.lastId;
    this.#announcedId = opened.announcedId;
    this.#sealed = opened.sealed;
  }

  /** Has everything staged by now written, without anybody waiting. */
  request(): void {
    this.#flushTarget = this.#staging.lastId;
    this.#run();
  }

  /** Resolves once entries up to `id` are written, and synced if `sync`; never before an earlier call. */
  settled(id: number, sync: boolean): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.tell(this.failure));
    if (this.#waiters.length === 0 && id <= (sync ? this.durableId : this.flushedId)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ id, sync, resolve, reject });
      this.#flushTarget = Math.max(this.#flushTarget, id);
      if (sync) this.#syncTarget = Math.max(this.#syncTarget, id);
      this.#run();
    });
  }

  /** Resolves once fewer than `bytes` are staged. */
  drained(bytes: number): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.tell(this.failure));
    if (this.#staging.bytes < bytes) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#drainBelow = bytes;
      this.#drainers.push({ id: 0, sync: false, resolve, reject });
      this.request();
    });
  }

  /** Ends the log cleanly: everything synced, and a seal that says so. Nothing is staged any more. */
  async finish(): Promise<void> {
    await this.settled(this.#staging.lastId, true);
    await this.#running;
    if (this.failure !== undefined) throw this.tell(this.failure);
    try {
      await this.#seal();
      await this.#segment.finish(false);
    } catch (error) {
      this.#poison(error);
      throw this.tell(this.failure!);
    }
  }

  /** Closes the file, whatever state it is in. */
  async close(): Promise<void> {
    await this.#running;
    await this.#segment.close();
  }

  tell(error: PoisonedError): PoisonedError {
    this.failureTold = true;
    return error;
  }

  #run(): void {
    if (this.#running !== undefined || this.failure !== undefined) return;
    this.#running = this.#loop().finally(() => {
      this.#running = undefined;
      // Asked for between the loop's last look and now.
      if (this.#hasWork()) this.#run();
    });
  }

  #hasWork(): boolean {
    return this.failure === undefined && (this.flushedId < this.#flushTarget || this.durableId < this.#syncTarget);
  }

  async #loop(): Promise<void> {
    try {
      let groupEnd = await this.#gather();
      while (this.#hasWork()) {
        const chunk = this.#staging.take();
        if (chunk !== undefined) {
          const written = this.#write(chunk, chunk.lastId >= groupEnd);
          // Those of the write before: they go on with appending while the disk is busy.
          this.#answer();
          await written;
        }
        if (this.flushedId >= groupEnd && this.#syncIsDue(this.flushedId)) await this.#sync();
        if (this.flushedId < groupEnd || this.#onlyWritesAreLeft()) continue;
        this.#answer();
        groupEnd = await this.#gather();
      }
      this.#answer();
    } catch (error) {
      this.#poison(error);
    }
  }

  /**
   * Lets whoever was answered append again, so that their entries share the next sync. Resolves to the last entry that
   * is staged then: up to there one sync is enough.
   */
  async #gather(): Promise<number> {
    await callersHaveRun();
    return this.#staging.lastId;
  }

  /** Whether something is to be written, and nobody waits for a sync. */
  #onlyWritesAreLeft(): boolean {
    return this.flushedId < this.#flushTarget && this.durableId >= this.#syncTarget;
  }

  /** Whether somebody waits for the sync of an entry up to `writtenId`. */
  #syncIsDue(writtenId: number): boolean {
    if (this.durableId >= this.#syncTarget) return false;
    for (const waiter of this.#waiters) {
      if (waiter.id > writtenId) return false;
      if (waiter.sync && waiter.id > this.durableId) return true;
    }
    return false;
  }

  /** `endsGroup`: nothing that shares its sync comes behind it. */
  async #write(chunk: Chunk, endsGroup: boolean): Promise<void> {
    if (chunk.plan !== this.#segment.plan) await this.#roll(chunk);
    const { writer, plan, firstId, lastId } = chunk;
    let from = CONTROL_FRAME_BYTES;
    if (this.durableId > this.#announcedId) {
      from = 0;
      writeControlFrame(writer.dataView, 0, CONTROL_WATERMARK, firstId - 1, this.durableId, plan.salt);
      this.#announcedId = this.durableId;
      this.#staging.noteWatermark(plan);
    }
    const bytes = writer.length - from;
    const markBytes = this.#segment.hasRoomBehind(bytes) ? CONTROL_FRAME_BYTES : 0;
    if (markBytes > 0) {
      writer.restrict(markBytes);
      writer.reserve(markBytes);
      writeControlFrame(writer.dataView, writer.length, CONTROL_END, lastId, this.durableId, plan.salt);
    }
    this.#sealed = false;
    const durably = endsGroup && this.#segment.appendsDurably && this.#syncIsDue(lastId);
    const frames = writer.bytes.subarray(from, writer.length + markBytes);
    if (durably) await this.#segment.appendDurably(frames, markBytes);
    else await this.#segment.append(frames, markBytes);
    this.flushedId = lastId;
    this.#staging.recycle(chunk);
    const { observer } = this.#options;
    if (observer?.onFlush !== undefined) notify(() => observer.onFlush!(bytes, lastId));
    if (durably) this.#durable(lastId);
  }

  async #sync(): Promise<void> {
    const { flushedId } = this;
    await this.#segment.sync();
    this.#durable(flushedId);
  }

  #durable(id: number): void {
    if (id <= this.durableId) return;
    this.durableId = id;
    const { observer } = this.#options;
    if (observer?.onSync !== undefined) notify(() => observer.onSync!(id));
  }

  /** The old segment is synced before the new one exists: so only the last one of a log can have a torn tail. */
  async #roll(chunk: Chunk): Promise<void> {
    const { directory, layout, observer, preallocateBytes, spares } = this.#options;
    const old = this.#segment;
    await old.finish(spares !== undefined && spares.capacity > 0);
    this.#durable(this.flushedId);
    await old.close();
    const spare = await spares?.take();
    this.#segment =
      spare === undefined
        ? await SegmentFile.create(directory, layout, chunk.plan, { replace: false, preallocateBytes })
        : await SegmentFile.useAgain(directory, layout, chunk.plan, spare);
    // That the segment exists says that everything before it is durable.
    this.#announcedId = chunk.plan.startEntryId - 1;
    if (observer?.onSegmentRoll !== undefined)
      notify(() => observer.onSegmentRoll!(old.plan.segmentId, chunk.plan.segmentId));
  }

  async #seal(): Promise<void> {
    const { plan } = this.#segment;
    const { durableId } = this;
    // Without entries in this segment there is nothing to seal: its header says what is durable.
    if (this.#sealed || durableId < plan.startEntryId) return;
    await this.#segment.sync();
    const markBytes = this.#segment.hasRoomBehind(CONTROL_FRAME_BYTES) ? CONTROL_FRAME_BYTES : 0;
    const frames = Buffer.alloc(CONTROL_FRAME_BYTES + markBytes);
    writeControlFrame(viewOf(frames), 0, CONTROL_SEAL, durableId, durableId, plan.salt);
    if (markBytes > 0)
      writeControlFrame(viewOf(frames), CONTROL_FRAME_BYTES, CONTROL_END, durableId, durableId, plan.salt);
    await this.#segment.append(frames, markBytes);
    this.#sealed = true;
  }

  #answer(): void {
    let answered = 0;
    for (const waiter of this.#waiters) {
      if (waiter.id > (waiter.sync ? this.durableId : this.flushedId)) break;
      waiter.resolve();
      answered++;
    }
    if (answered === this.#waiters.length) this.#waiters = [];
    else if (answered > 0) this.#waiters.splice(0, answered);
    if (this.#drainers.length > 0 && this.#staging.bytes < this.#drainBelow)
      for (const drainer of this.#drainers.splice(0)) drainer.resolve();
  }

  #poison(cause: unknown): void {
    const first = this.durableId + 1;
    const last = this.#staging.lastId;
    const which = first > last ? '' : ` Whether entries ${first} to ${last} are on disk is unknown.`;
    const failure = new PoisonedError(
      `The log cannot be written any more: ${messageOf(cause)}.${which} ` +
        'Close the writer and open it again to see what was kept',
      { path: this.#segment.path, entryId: first > last ? undefined : first, cause },
    );
    this.failure = failure;
    this.#staging.clear();
    const waiting = [...this.#waiters.splice(0), ...this.#drainers.splice(0)];
    for (const waiter of waiting) waiter.reject(this.tell(failure));
    const { observer } = this.#options;
    if (observer?.onFailure !== undefined) notify(() => observer.onFailure!(failure));
  }
}

/** Resolves after all microtasks that are due now, and those they lead to. */
function callersHaveRun(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
