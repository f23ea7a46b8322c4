// A small store with several segments and checkpoints that build on one another, damaged in every way at every place. A
// second parser says what must come of it: the same content, an end without what nobody was promised, or a typed error.

import { CairnError, type EventStore } from 'cairnlog';
import { expect } from 'chai';
import * as zlib from 'node:zlib';
import { directoryOf, imageOf, sameImage, type Image } from '../../support/image.js';
import { Notes, openNotes, order, ScriptedStore, type StoreScriptOptions } from '../../support/scripted-store.js';
import { canRead, readFrame, readHeader } from '../../support/second-parser.js';
import { secondStoreReading } from '../../support/second-store-parser.js';
import { Tally, type Lane } from './lane.js';

const options: StoreScriptOptions = { segmentBytes: 900, durability: 'flush', retain: 2, streams: 12 };
/** Block that is zeroed, swapped and repeated. */
const BLOCK = 64;

interface Subject {
  readonly image: Image;
  readonly texts: readonly string[];
  /** Position of each text. */
  readonly positions: readonly number[];
  /** Position that the store had reached. */
  readonly last: number;
}

export const storeBytes: Lane = {
  name: 'bytes of the store',
  needs: ['mutations', 'the same', 'without the end', 'refused'],
  async run({ part, effort }): Promise<Tally> {
    const tally = new Tally();
    // Absent before Node 20.15: then there is nobody to ask.
    if (!canRead) return tally;
    const subject = await makeSubject();
    let number = 0;
    for (const { what, files } of mutations(subject.image)) {
      number++;
      if (number % part.parts !== part.index || (effort === 'short' && number % 53 !== 0)) continue;
      if (tally.isBroken) break;
      await tally.hold(
        () => what,
        () => judge(subject, files, what, tally),
      );
    }
    return tally;
  },
};

async function makeSubject(): Promise<Subject> {
  const scripted = new ScriptedStore(options);
  await scripted.open();
  for (const step of [
    'full checkpoint',
    'small',
    'checkpoint',
    'roll',
    'full checkpoint',
    'batch',
    'checkpoint',
  ] as const)
    await scripted.step(step);
  for (const step of ['small', 'batch', 'small'] as const) await scripted.step(step);
  const files = scripted.disk.files().filter((path) => !path.endsWith('.lock'));
  const image: Image = new Map(files.map((path) => [path, scripted.disk.peek(path)!]));
  const { attempted } = scripted.promises;
  const store = await openNotes(await directoryOf(image), options);
  const positions: number[] = [];
  for await (const { position } of store.readAll()) positions.push(position);
  const last = store.recovery.position;
  await store.close();
  await scripted.end();
  expect(positions.length, 'records of the subject that are still in its log').to.be.within(6, attempted.length);
  // The others are in every checkpoint.
  while (positions.length < attempted.length) positions.unshift(0);
  expect([...image.keys()].filter((path) => path.startsWith('checkpoints/')).length).to.be.greaterThan(3);
  return { image, texts: attempted.map(({ text }) => text), positions, last };
}

async function judge(subject: Subject, image: Image, what: string, tally: Tally): Promise<void> {
  tally.add('mutations');
  const verdict = secondStoreReading(image);
  const directory = await directoryOf(image);
  let store: EventStore;
  try {
    store = await openNotes(directory, options);
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    tally.add('refused');
    if (verdict.kind === 'opens') throw new Error(`It should open: ${error.message}`, { cause: error });
    sameImage(await imageOf(directory), image);
    return;
  }
  if (verdict.kind === 'refused') expect.fail(`It should be refused: ${verdict.why}`);
  const position = verdict.kind === 'opens' ? verdict.position : subject.last;
  expect(store.recovery.position, what).to.equal(position);
  const kept = subject.positions.filter((one) => one <= position).length;
  expect(store.projection(order).state.texts).to.deep.equal(subject.texts.slice(0, kept));
  const { version } = await store.load(Notes, 'a');
  tally.add(kept === subject.texts.length ? 'the same' : 'without the end');
  await store.execute(Notes, 'a', (notes) => notes.note('goes on'), { durability: 'fsync' });
  await store.close();
  if (tally.of('mutations') % 16 !== 0) return;
  const again = await openNotes(directory, options);
  expect(again.projection(order).state.texts).to.deep.equal([...subject.texts.slice(0, kept), 'goes on']);
  expect((await again.load(Notes, 'a')).version).to.equal(version + 1);
  await again.close();
}

interface Mutation {
  readonly what: string;
  readonly files: Image;
}

function* mutations(image: Image): Generator<Mutation> {
  for (const [path, bytes] of image) {
    if (!path.startsWith('wal/') && !path.startsWith('checkpoints/')) continue;
    const withBytes = (what: string, changed: Uint8Array): Mutation => ({
      what: `${path}: ${what}`,
      files: new Map([...image, [path, changed]]),
    });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      yield withBytes(`bit ${bit & 7} of byte ${bit >> 3}`, changed);
    }
    for (let length = 0; length < bytes.length; length++)
      yield withBytes(`only ${length} bytes`, bytes.slice(0, length));
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const zeroed = bytes.slice();
      zeroed.fill(0, at, at + BLOCK);
      yield withBytes(`zeros at ${at}`, zeroed);
      if (at + 2 * BLOCK > bytes.length) continue;
      const swapped = bytes.slice();
      swapped.copyWithin(at, at + BLOCK, at + 2 * BLOCK);
      swapped.set(bytes.subarray(at, at + BLOCK), at + BLOCK);
      yield withBytes(`blocks swapped at ${at}`, swapped);
      const repeated = bytes.slice();
      repeated.copyWithin(at + BLOCK, at, at + BLOCK);
      yield withBytes(`a block repeated at ${at}`, repeated);
    }
    for (const tail of [1, 16, 40, 512]) {
      yield withBytes(`${tail} zeros behind it`, Buffer.concat([bytes, Buffer.alloc(tail)]));
      yield withBytes(`its own beginning behind it`, Buffer.concat([bytes, bytes.subarray(0, tail)]));
    }
    const without = new Map(image);
    without.delete(path);
    yield { what: `${path}: missing`, files: without };
    if (path.startsWith('wal/')) yield* extremes(path, bytes, withBytes);
    for (const other of image.keys())
      if (other !== path && other.split('/')[0] === path.split('/')[0])
        yield withBytes(`the contents of ${other}`, image.get(other)!);
  }
  const foreign: readonly [string, Uint8Array][] = [
    ['wal/notes.txt', Uint8Array.of(1)],
    ['wal/wal_1.log.bak', Uint8Array.of(1)],
    ['checkpoints/ckpt_1.ckpt.tmp', Uint8Array.of(1)],
    ['checkpoints/.DS_Store', Uint8Array.of(1)],
    ['checkpoints/ckpt_3.ckpt', new Uint8Array(0)],
    ['wal/wal_900.log', new Uint8Array(0)],
  ];
  for (const [path, bytes] of foreign) yield { what: `${path}: added`, files: new Map([...image, [path, bytes]]) };
}

const numbers = [0n, 1n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n];
const crc = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

/** Numbers that no writer would write, with checksums that fit. */
function* extremes(
  path: string,
  bytes: Uint8Array,
  withBytes: (what: string, changed: Uint8Array) => Mutation,
): Generator<Mutation> {
  const original = Buffer.from(bytes);
  const header = readHeader(original, 'VWAL');
  if (header === undefined) return;
  for (const value of numbers) {
    for (const field of [8, 16, 24]) {
      const changed = Buffer.from(original);
      changed.writeBigUInt64LE(value, field);
      changed.writeUInt32LE(crc!(changed.subarray(0, 36)), 36);
      yield withBytes(`${value} in the header at ${field}`, changed);
    }
    let at = 40;
    for (let frame = readFrame(original, at, header.salt); frame !== undefined;) {
      const { end } = frame;
      const changed = Buffer.from(original);
      changed.writeBigUInt64LE(value, at + 4);
      const covered = Buffer.concat([changed.subarray(at, at + 12), changed.subarray(at + 16, end)]);
      changed.writeUInt32LE(crc!(covered, header.salt), at + 12);
      yield withBytes(`the id ${value} at ${at}`, changed);
      const long = Buffer.from(original);
      long.writeUInt32LE(Number(value & 0xffff_ffffn), at);
      const room = Math.min(long.length, at + Math.max(16, Number(value & 0x0fff_ffffn)));
      long.writeUInt32LE(
        crc!(Buffer.concat([long.subarray(at, at + 12), long.subarray(at + 16, room)]), header.salt),
        at + 12,
      );
      yield withBytes(`the length ${value} at ${at}`, long);
      at = end;
      frame = readFrame(original, at, header.salt);
    }
  }
}
