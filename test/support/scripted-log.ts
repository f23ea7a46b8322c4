// A log with checkpoints that follows a script of a few steps, and keeps a record of everything that was promised.

import { WalMaintenance, WalWriter } from 'cairnlog';
import { FaultyDirectory, SimulatedDisk, type DiskOperation } from 'cairnlog/testing';
import { expect } from 'chai';
import { withSlowSyncs } from '#src/testing/faulty-directory.js';
import { markOf, publisherOf, recoverLedger } from './ledger.js';
import { bytesOf } from './seed.js';
import { textCodec } from './text-codec.js';
import { Promises } from './workload.js';

export const logSteps = ['small', 'roll', 'batch', 'checkpoint', 'truncate', 'reopen'] as const;
export type LogStep = (typeof logSteps)[number];

export interface LogScriptOptions {
  readonly segmentBytes: number;
  readonly preallocateBytes: number;
  readonly recycleSegments: number;
  /** Whether steps wait until what they append is on stable storage, or only until it was written. */
  readonly durable: boolean;
}

export class ScriptedLog {
  readonly promises = new Promises();
  readonly disk = new SimulatedDisk();
  /** Asked before every operation. */
  watch: (operation: DiskOperation) => void = () => undefined;
  readonly #options: LogScriptOptions;
  readonly #directory: FaultyDirectory;
  // The same bytes each time, so that scripts which begin alike leave alike files.
  readonly #random = bytesOf('scripted log');
  #wal: WalWriter<string> | undefined;
  #checkpoint = 0;

  constructor(options: LogScriptOptions) {
    this.#options = options;
    this.#directory = new FaultyDirectory(
      this.disk,
      withSlowSyncs((operation) => this.watch(operation)),
    );
  }

  async open(): Promise<void> {
    const { promises } = this;
    const { segmentBytes, preallocateBytes, recycleSegments } = this.#options;
    const { state, report } = await recoverLedger(this.#directory);
    this.#checkpoint = report.checkpoint?.lastAppliedId ?? 0;
    const wal = (this.#wal = await WalWriter.open(this.#directory, {
      codec: textCodec,
      segmentBytes,
      preallocateBytes,
      recycleSegments,
      bufferBytes: 4096,
      random: this.#random,
      durableId: this.#checkpoint,
      observer: {
        onFlush: (_, id) => void (promises.flushed = Math.max(promises.flushed, id)),
        onSync: (id) => void (promises.durable = Math.max(promises.durable, id)),
      },
    }));
    expect(wal.lastEntryId).to.equal(state.length);
    promises.kept(wal.lastEntryId);
  }

  async step(step: LogStep): Promise<void> {
    const wal = this.#wal!;
    const { promises } = this;
    const { segmentBytes, durable } = this.#options;
    switch (step) {
      case 'small':
        return this.#append(`small ${wal.nextEntryId}`);
      case 'roll':
        // With this one in it, no segment has room for anything more. Who comes with it and waits for a sync is answered
        // for the end of one segment while the next one is made.
        await Promise.all([
          this.#append(`beside ${wal.nextEntryId}`),
          this.#append(`roll ${wal.nextEntryId} `.padEnd(segmentBytes - 80, 'r')),
        ]);
        return;
      case 'batch': {
        const texts = [1, 2, 3].map((part) => `batch ${wal.nextEntryId} part ${part} `.padEnd(20 + part * 30, 'b'));
        const first = wal.nextEntryId;
        promises.attempted.push(...texts);
        promises.batches.push([first, first + 2]);
        wal.appendBatch(texts);
        return durable ? wal.flushAndSync() : wal.flush();
      }
      case 'checkpoint': {
        const position = wal.lastEntryId;
        if (position === 0) return;
        const publisher = publisherOf(
          wal,
          1,
          (_, id) => {
            promises.attempted.push(markOf(id));
            return markOf(id);
          },
          // The log is truncated by its own step.
          { observer: { onBeforeTruncate: () => false } },
        );
        await publisher.publish(promises.attempted.slice(0, position), position);
        promises.checkpointed = this.#checkpoint = position;
        return;
      }
      case 'truncate':
        await new WalMaintenance(wal).truncatePrefix(this.#checkpoint);
        return;
      case 'reopen':
        await wal.close();
        promises.durable = promises.attempted.length;
        return this.open();
    }
  }

  async #append(text: string): Promise<void> {
    const { promises } = this;
    promises.attempted.push(text);
    if (this.#options.durable) {
      const id = await this.#wal!.appendDurable(text);
      promises.durable = Math.max(promises.durable, id);
    } else {
      this.#wal!.append(text);
      await this.#wal!.flush();
    }
  }

  promised(): Promises {
    return this.promises.copy();
  }

  async end(): Promise<void> {
    await this.#wal?.close();
  }
}
