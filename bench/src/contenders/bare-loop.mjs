// No store at all, but the limit of one: a loop that writes as many bytes as Cairn writes for an entry to a preallocated
// file, and syncs. What is left of a store's time above it is the store's own.

import * as fs from 'node:fs';
import { entryOf } from '../workload.mjs';

/** @import { Contender, Store } from '../contender.js' */

/** A frame with an entry of the workload, and the watermark before it. */
const RECORD_BYTES = 48;
const FILE_BYTES = 10 * 1024 * 1024;

/** Holds the event loop for as long as the disk takes, as better-sqlite3 does. @type {Contender} */
export const bareLoop = contender('writeSync() and fdatasyncSync(): the event loop stands still', (descriptor) => {
  return async (bytes, at) => {
    fs.writeSync(descriptor, bytes, 0, RECORD_BYTES, at);
    fs.fdatasyncSync(descriptor);
  };
});

/** @type {Contender} */
export const bareLoopAsync = contender('write() and fdatasync(), one after the other', (descriptor) => {
  return async (bytes, at) => {
    await new Promise((resolve, reject) =>
      fs.write(descriptor, bytes, 0, RECORD_BYTES, at, (error) => (error ? reject(error) : resolve(undefined))),
    );
    await new Promise((resolve, reject) =>
      fs.fdatasync(descriptor, (error) => (error ? reject(error) : resolve(undefined))),
    );
  };
});

/** @type {Contender} */
export const bareLoopSynced = contender(
  'write() to a file that was opened with O_DSYNC',
  (descriptor) => (bytes, at) =>
    new Promise((resolve, reject) =>
      fs.write(descriptor, bytes, 0, RECORD_BYTES, at, (error) => (error ? reject(error) : resolve(undefined))),
    ),
  fs.constants.O_DSYNC ?? fs.constants.O_SYNC,
);

/**
 * @param {string} durable
 * @param {(descriptor: number) => (bytes: Uint8Array, at: number) => Promise<void>} writerOf
 * @param {number} flags
 * @returns {Contender}
 */
function contender(durable, writerOf, flags = 0) {
  return {
    how: { append: '', replay: '', durable },
    async open(folder) {
      const path = `${folder}/records`;
      if (!fs.existsSync(path)) {
        fs.writeFileSync(path, Buffer.alloc(FILE_BYTES));
        const descriptor = fs.openSync(path, 'r+');
        fs.fsyncSync(descriptor);
        fs.closeSync(descriptor);
      }
      const descriptor = fs.openSync(path, fs.constants.O_RDWR | flags);
      return store(descriptor, writerOf(descriptor));
    },
  };
}

/**
 * @param {number} descriptor
 * @param {(bytes: Uint8Array, at: number) => Promise<void>} write
 * @returns {Store}
 */
function store(descriptor, write) {
  return {
    append() {
      throw new Error('Only for durable appends');
    },
    async appendDurably(_callers, meter) {
      const bytes = Buffer.alloc(RECORD_BYTES);
      while (meter.goesOn()) {
        if ((meter.count + 1) * RECORD_BYTES > FILE_BYTES) throw new Error('The preallocated file is full');
        bytes.writeUInt32LE(meter.count + 1, 0);
        bytes.writeUInt32LE(entryOf(meter.count).docCount, 4);
        await write(bytes, meter.count++ * RECORD_BYTES);
      }
    },
    async replay() {
      const bytes = Buffer.alloc(FILE_BYTES);
      fs.readSync(descriptor, bytes, 0, FILE_BYTES, 0);
      let count = 0;
      let sum = 0;
      for (; bytes.readUInt32LE(count * RECORD_BYTES) === count + 1; count++)
        sum += bytes.readUInt32LE(count * RECORD_BYTES + 4);
      return { count, sum };
    },
    async close() {
      fs.closeSync(descriptor);
    },
  };
}
