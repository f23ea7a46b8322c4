import {
  AlreadyExistsError,
  ClosedError,
  CorruptionError,
  EncodeError,
  FormatError,
  InvalidArgumentError,
  LockError,
  MemoryDirectory,
  messagePackCodec,
  NotFoundError,
  perAppend,
  WalReader,
  WalWriter,
  type WalObserver,
} from 'cairnlog';
import { bytesCodec, type WalWriterOptions } from 'cairnlog/wal';
import { FaultyDirectory, SimulatedDisk } from 'cairnlog/testing';
import { expect } from 'chai';
import { directoryOf, imageOf, put, sameImage } from '../support/image.js';
import { recorded } from '../support/recorded.js';
import { patch } from '../support/raw-files.js';
import { rejects, throws } from '../support/rejects.js';
import { bytesOf } from '../support/seed.js';
import { temporaryDirectory } from '../support/temporary-folder.js';
import { textCodec } from '../support/text-codec.js';
import { warningsOf } from '../support/warnings.js';

const codec = textCodec;

async function contents(directory: MemoryDirectory): Promise<string[]> {
  const records = await new WalReader(directory, { codec }).replayBestEffort();
  return records.map(({ entryId, entry }) => `${entryId} ${entry}`);
}

describe('WalWriter opens', () => {
  it('an empty directory as an empty log', async () => {
    const wal = await WalWriter.open(new MemoryDirectory(), { codec });
    expect(wal.opened).to.deep.equal({
      firstEntryId: 1,
      lastEntryId: 0,
      segments: 1,
      tornTail: undefined,
      rewrittenBytes: 0,
    });
    expect([wal.lastEntryId, wal.nextEntryId, wal.flushedId, wal.durableId]).to.deep.equal([0, 1, 0, 0]);
    expect([wal.currentSegmentId, wal.currentSegmentBytes, wal.stagedBytes]).to.deep.equal([1, 40, 0]);
    expect(wal.logId).to.be.within(1, Number.MAX_SAFE_INTEGER);
    await wal.close();
  });

  it('a log that was closed where it ended, and writes no entry of it again', async () => {
    const directory = new MemoryDirectory();
    for (let round = 0; round < 20; round++) {
      const wal = await WalWriter.open(directory, { codec, segmentBytes: 200 });
      expect(wal.opened.lastEntryId).to.equal(round * 3);
      // Only the seal, which nothing that follows it says is durable.
      expect(wal.opened.rewrittenBytes).to.equal(round === 0 ? 0 : 25);
      expect(wal.opened.tornTail).to.equal(undefined);
      for (let index = 1; index <= 3; index++) expect(wal.append(`e${round}`)).to.equal(round * 3 + index);
      await wal.close();
    }
    const records = await new WalReader(directory, { codec }).replay();
    expect(records.map(({ entryId }) => entryId)).to.deep.equal(Array.from({ length: 60 }, (_, index) => index + 1));
  });

  it('a log whose process died where it ended, and makes durable what nobody had synced', async () => {
    const first = new MemoryDirectory();
    const dead = await WalWriter.open(first, { codec });
    await dead.appendDurable('synced');
    dead.append('only written');
    await dead.flush();
    const wal = await WalWriter.open(await directoryOf(await imageOf(first)), { codec });
    expect(wal.opened.lastEntryId).to.equal(2);
    expect(wal.durableId).to.equal(2);
    // The second entry, and the watermark before it.
    expect(wal.opened.rewrittenBytes).to.equal(16 + 'only written'.length + 25);
    await Promise.all([wal.close(), dead.close()]);
  });

  it('what is there or not, as create, resume and open are told to', async () => {
    const directory = new MemoryDirectory();
    await rejects(WalWriter.resume(directory, { codec }), NotFoundError);
    expect(await directory.list('')).to.deep.equal([]);
    const created = await WalWriter.create(directory, { codec });
    await created.appendDurable('one');
    await created.close();
    await rejects(WalWriter.create(directory, { codec }), AlreadyExistsError);
    const resumed = await WalWriter.resume(directory, { codec });
    expect(resumed.nextEntryId).to.equal(2);
    await resumed.close();
    expect(await contents(directory)).to.deep.equal(['1 one']);
  });

  it('a log for one writer at a time, and gives the lock up when it closes or fails to open', async () => {
    for (const directory of [new MemoryDirectory(), await temporaryDirectory()]) {
      const wal = await WalWriter.open(directory, { codec });
      expect((await rejects(WalWriter.open(directory, { codec }), LockError)).pid).to.equal(process.pid);
      await wal.appendDurable('still the only writer');
      await wal.close();
      await rejects(WalWriter.create(directory, { codec }), AlreadyExistsError);
      const next = await WalWriter.open(directory, { codec });
      await next.close();
    }
  });

  it('beside a lock file that nobody holds', async () => {
    const directory = await temporaryDirectory();
    await put(directory, 'wal/.lock', new TextEncoder().encode('{"pid":1,"host":"elsewhere"}\n'));
    const wal = await WalWriter.open(directory, { codec });
    await wal.close();
  });

  it('beside files that are none of its own', async () => {
    const directory = new MemoryDirectory();
    for (const name of ['wal/wal_2.log.tmp', 'wal/notes.txt', 'wal/wal_.log', 'wal/.nfs0001', 'wal/wal_x.log'])
      await put(directory, name, Uint8Array.of(1, 2, 3));
    const wal = await WalWriter.open(directory, { codec });
    await wal.appendDurable('one');
    await wal.close();
    expect(await contents(directory)).to.deep.equal(['1 one']);
    expect((await directory.list('wal')).length).to.equal(7);
  });

  it('nothing with options that cannot be meant', async () => {
    const bad: Partial<WalWriterOptions<string>>[] = [
      { segmentBytes: 55 },
      { segmentBytes: 100.5 },
      { segmentBytes: Number.NaN },
      { segmentMaxAgeMs: 0 },
      { segmentMaxAgeMs: Number.NaN },
      { bufferBytes: -1 },
      { highWaterMarkBytes: 0 },
      { preallocateBytes: -1 },
      { durableId: -1 },
      { durableId: 2 ** 53 },
      { codec: {} as never },
      { codec: undefined as never },
    ];
    for (const options of bad) {
      const directory = new MemoryDirectory();
      await rejects(WalWriter.open(directory, { codec, ...options }), InvalidArgumentError);
      expect(await directory.list(''), JSON.stringify(options)).to.deep.equal([]);
    }
  });

  it('an empty log above what checkpoints say was durable', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, durableId: 41, logId: 7 });
    expect([wal.nextEntryId, wal.durableId, wal.logId]).to.deep.equal([42, 41, 7]);
    expect(wal.opened.firstEntryId).to.equal(42);
    await wal.appendDurable('forty-two');
    await wal.close();
    expect(await contents(directory)).to.deep.equal(['42 forty-two']);
  });

  it('no log that ends before what checkpoints say was durable, and no log of theirs', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, logId: 7 });
    await wal.appendDurable('one');
    await wal.close();
    const before = await imageOf(directory);
    const error = await rejects(WalWriter.open(directory, { codec, durableId: 2 }), CorruptionError);
    expect(error.entryId).to.equal(2);
    await rejects(WalWriter.open(directory, { codec, logId: 8 }), CorruptionError);
    sameImage(await imageOf(directory), before);
    const again = await WalWriter.open(directory, { codec, durableId: 1, logId: 7 });
    await again.close();
  });

  it('no log of a newer version, and changes nothing of it', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    await wal.close();
    const file = await directory.open('wal/wal_1.log', 'update');
    await file.write(Uint8Array.of(5), 4);
    await file.close();
    const before = await imageOf(directory);
    const error = await rejects(WalWriter.open(directory, { codec }), FormatError);
    expect(error.message).to.include('newer version');
    sameImage(await imageOf(directory), before);
  });
});

describe('WalWriter appends', () => {
  it('with dense ids, and tells at each step what is staged, written and durable', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    expect(wal.append('a')).to.equal(1);
    expect(wal.append('bc')).to.equal(2);
    expect([wal.lastEntryId, wal.nextEntryId, wal.flushedId, wal.durableId]).to.deep.equal([2, 3, 0, 0]);
    expect([wal.stagedBytes, wal.currentSegmentBytes]).to.deep.equal([16 * 2 + 3, 40 + 16 * 2 + 3]);
    await wal.flush();
    expect([wal.flushedId, wal.durableId, wal.stagedBytes]).to.deep.equal([2, 0, 0]);
    await wal.flushAndSync();
    expect(wal.durableId).to.equal(2);
    expect(await wal.appendDurable('d')).to.equal(3);
    expect([wal.flushedId, wal.durableId]).to.deep.equal([3, 3]);
    // The watermark in front of the third entry counts.
    expect(wal.currentSegmentBytes).to.equal(40 + 16 * 3 + 4 + 25);
    expect((await directory.stat('wal/wal_1.log'))?.size).to.equal(wal.currentSegmentBytes);
    await wal.close();
  });

  it('a copy: what the caller does to an object afterwards does not change what was stored', async () => {
    const directory = new MemoryDirectory();
    const objects = messagePackCodec<{ list: number[]; raw: Uint8Array }>();
    const wal = await WalWriter.open(directory, { codec: objects });
    const value = { list: [1, 2], raw: Uint8Array.of(1, 2) };
    const durable = wal.appendDurable(value);
    value.list.push(3);
    value.raw.fill(9);
    await durable;
    await wal.close();
    const bytes = await WalWriter.open(new MemoryDirectory(), { codec: bytesCodec });
    const buffer = new Uint8Array(20_000).fill(1);
    const pending = bytes.appendBatchDurable([buffer, buffer]);
    buffer.fill(2);
    await pending;
    await bytes.close();
    const [first] = await new WalReader(directory, { codec: objects }).replay();
    expect(first?.entry).to.deep.equal({ list: [1, 2], raw: Uint8Array.of(1, 2) });
    for (const { entry } of await new WalReader(bytes.directory, { codec: bytesCodec }).replay())
      expect(entry.every((byte) => byte === 1)).to.equal(true);
  });

  it('entries of no bytes and of nothing but zeros', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec: bytesCodec });
    const entries = [0, 1, 4, 16, 40, 600].map((size) => new Uint8Array(size));
    for (const entry of entries) wal.append(entry);
    await wal.close();
    const records = await new WalReader(directory, { codec: bytesCodec }).replay();
    expect(records.map(({ entry }) => entry.length)).to.deep.equal([0, 1, 4, 16, 40, 600]);
    expect(records.every(({ entry }) => entry.every((byte) => byte === 0))).to.equal(true);
  });

  it('nothing that the codec refuses, and uses no id for it', async () => {
    const directory = new MemoryDirectory();
    const objects = messagePackCodec<unknown>();
    const wal = await WalWriter.open(directory, { codec: objects });
    wal.append('before');
    const staged = wal.stagedBytes;
    expect(throws(() => wal.append({ a: [undefined] }), EncodeError).field).to.equal('a[0]');
    await rejects(wal.appendDurable(1n), EncodeError);
    expect(throws(() => wal.appendBatch(['x', { b: -0 }]), EncodeError).field).to.equal('[1].b');
    await rejects(wal.appendBatchDurable([1n]), EncodeError);
    expect([wal.stagedBytes, wal.lastEntryId]).to.deep.equal([staged, 1]);
    expect(wal.append('after')).to.equal(2);
    await wal.close();
    const records = await new WalReader(directory, { codec: objects }).replay();
    expect(records.map(({ entry }) => entry)).to.deep.equal(['before', 'after']);
  });

  it('what a codec throws of its own as it is, and takes no part of the value', async () => {
    const directory = new MemoryDirectory();
    class Odd extends Error {}
    const wal = await WalWriter.open<string>(directory, {
      codec: {
        encode(value, writer) {
          writer.write(Buffer.from(value));
          if (value === 'odd') throw new Odd('after half of it');
        },
        decode: textCodec.decode,
      },
    });
    wal.append('one');
    expect(() => wal.append('odd')).to.throw(Odd);
    expect(() => wal.appendBatch(['two', 'odd'])).to.throw(Odd);
    wal.append('two');
    await wal.close();
    expect(await contents(directory)).to.deep.equal(['1 one', '2 two']);
  });

  it('a payload of exactly 16 MiB, and none that is one byte larger', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec: bytesCodec });
    const most = new Uint8Array(16 * 1024 * 1024).fill(3);
    throws(() => wal.append(new Uint8Array(most.length + 1)), FormatError);
    expect(
      throws(() => wal.appendBatch([most.subarray(0, 1), new Uint8Array(most.length + 9)]), FormatError).field,
    ).to.equal('[1]');
    expect([wal.lastEntryId, wal.stagedBytes]).to.deep.equal([0, 0]);
    expect(await wal.appendDurable(most)).to.equal(1);
    await wal.close();
    const [record] = await new WalReader(directory, { codec: bytesCodec }).replay();
    expect(Buffer.compare(record!.entry, most)).to.equal(0);
  });

  it('a batch up to 64 MiB, and none above', async () => {
    const wal = await WalWriter.open(new MemoryDirectory(), { codec: bytesCodec });
    const part = new Uint8Array(8 * 1024 * 1024);
    throws(() => wal.appendBatch(Array.from({ length: 8 }, () => part)), FormatError);
    expect([wal.lastEntryId, wal.stagedBytes]).to.deep.equal([0, 0]);
    expect(wal.appendBatch([part, part.subarray(1)])).to.deep.equal([1, 2]);
    await wal.close();
  });

  it('no id above 2^53-1: it refuses before it changes anything', async () => {
    const directory = new MemoryDirectory();
    const last = Number.MAX_SAFE_INTEGER;
    const wal = await WalWriter.open(directory, { codec, durableId: last - 2 });
    throws(() => wal.appendBatch(['a', 'b', 'c']), FormatError);
    expect(wal.lastEntryId).to.equal(last - 2);
    expect(wal.appendBatch(['a', 'b'])).to.deep.equal([last - 1, last]);
    throws(() => wal.append('c'), FormatError);
    await rejects(wal.appendDurable('c'), FormatError);
    await wal.close();
    expect(await contents(directory)).to.deep.equal([`${last - 1} a`, `${last} b`]);
    const again = await WalWriter.open(directory, { codec });
    throws(() => again.append('c'), FormatError);
    await again.close();
    await rejects(WalWriter.open(new MemoryDirectory(), { codec, durableId: last }), CorruptionError);
  });
});

describe('WalWriter keeps batches together', () => {
  it('in order, with dense ids, beside single entries', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    expect(wal.appendBatch([])).to.deep.equal([]);
    expect(await wal.appendBatchDurable([])).to.deep.equal([]);
    expect(wal.appendBatch(['a', 'b'])).to.deep.equal([1, 2]);
    expect(wal.append('c')).to.equal(3);
    expect(await wal.appendBatchDurable(['d', 'e', 'f'])).to.deep.equal([4, 5, 6]);
    expect(wal.durableId).to.equal(6);
    await wal.close();
    expect(await contents(directory)).to.deep.equal(['1 a', '2 b', '3 c', '4 d', '5 e', '6 f']);
  });

  it('in one segment, even if it is larger than a segment should be', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 150 });
    for (let round = 0; round < 6; round++) wal.appendBatch(['x'.repeat(30), 'y'.repeat(30), 'z'.repeat(30)]);
    await wal.close();
    const files = (await directory.list('wal')).filter((name) => name.endsWith('.log'));
    expect(files.length).to.equal(6);
    expect((await contents(directory)).length).to.equal(18);
  });

  it('cut off whole when the last frame is missing', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    wal.append('single');
    wal.appendBatch(['a', 'b', 'c']);
    await wal.flush();
    const image = await imageOf(directory);
    const whole = image.get('wal/wal_1.log')!;
    for (let size = 40; size <= whole.length; size++) {
      const cut = await directoryOf(new Map([['wal/wal_1.log', whole.slice(0, size)]]));
      const expected = size < 40 + 22 ? 0 : size < whole.length ? 1 : 4;
      expect((await contents(cut)).length, `cut at ${size}`).to.equal(expected);
      const next = await WalWriter.open(cut, { codec });
      expect(next.lastEntryId).to.equal(expected);
      await next.close();
    }
    await wal.close();
  });
});

describe('WalWriter rolls to a new segment', () => {
  const sizes = async (directory: MemoryDirectory): Promise<number[]> => {
    const image = await imageOf(directory, 'wal');
    return [...image.keys()]
      .sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0]))
      .map((path) => image.get(path)!.length);
  };

  it('when an entry would make it larger than allowed, at the exact byte', async () => {
    for (const [more, segments] of [
      [0, 1],
      [1, 2],
    ] as const) {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { codec, segmentBytes: 40 + 2 * 26 });
      wal.append('x'.repeat(10));
      wal.append('x'.repeat(10 + more));
      await wal.flush();
      expect((await sizes(directory)).length).to.equal(segments);
      expect(wal.currentSegmentId).to.equal(segments);
      await wal.close();
    }
  });

  it('a hundred times, with an entry each, and reads back in numeric order of the names', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 64 });
    for (let id = 1; id <= 100; id++) wal.append(`entry ${id}`);
    await wal.close();
    expect((await directory.list('wal')).filter((name) => name.endsWith('.log')).length).to.equal(100);
    expect(await contents(directory)).to.deep.equal(Array.from({ length: 100 }, (_, i) => `${i + 1} entry ${i + 1}`));
    const again = await WalWriter.open(directory, { codec });
    expect([again.currentSegmentId, again.lastEntryId]).to.deep.equal([100, 100]);
    await again.close();
  });

  it('never for an entry that is alone in its segment, however large', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 56 });
    wal.append('x'.repeat(500));
    expect(wal.currentSegmentId).to.equal(1);
    wal.append('y');
    expect(wal.currentSegmentId).to.equal(2);
    await wal.close();
    expect((await contents(directory)).length).to.equal(2);
  });

  it('keeps to the limit but for control frames', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 400 });
    for (let id = 1; id <= 60; id++)
      if (id % 3 === 0) await wal.appendDurable('x'.repeat(id));
      else wal.append('x'.repeat(id));
    await wal.close();
    for (const size of await sizes(directory)) expect(size).to.be.at.most(400 + 2 * 25);
  });

  it('when the segment has become too old, also one that an earlier process made', async () => {
    let now = 1_000_000;
    const directory = new MemoryDirectory({ now: () => now });
    const options = { codec, segmentMaxAgeMs: 1000, now: () => now };
    const wal = await WalWriter.open(directory, options);
    wal.append('a');
    now += 999;
    wal.append('b');
    expect(wal.currentSegmentId).to.equal(1);
    now += 1;
    wal.append('c');
    expect(wal.currentSegmentId).to.equal(2);
    await wal.close();
    now += 500;
    const again = await WalWriter.open(directory, options);
    again.append('d');
    expect(again.currentSegmentId).to.equal(2);
    now += 500;
    again.append('e');
    expect(again.currentSegmentId).to.equal(3);
    await again.close();
    expect((await contents(directory)).length).to.equal(5);
  });

  it('but makes no empty one, however old the segment is', async () => {
    let now = 0;
    const wal = await WalWriter.open(new MemoryDirectory(), { codec, segmentMaxAgeMs: 1, now: () => now });
    now = 1e9;
    wal.append('first');
    expect(wal.currentSegmentId).to.equal(1);
    await wal.close();
  });

  it('only after the old one is synced, and syncs the new name before the first entry', async () => {
    const { directory, operations } = recorded(new MemoryDirectory());
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 64 });
    operations.length = 0;
    wal.append('x'.repeat(20));
    wal.append('y'.repeat(20));
    await wal.flush();
    expect(operations.map(({ kind, path }) => `${kind} ${path}`)).to.deep.equal([
      'write wal/wal_1.log',
      'datasync wal/wal_1.log',
      'close wal/wal_1.log',
      'create wal/wal_2.log',
      'write wal/wal_2.log',
      'datasync wal/wal_2.log',
      'syncDirectory wal',
      'write wal/wal_2.log',
    ]);
    expect([wal.flushedId, wal.durableId]).to.deep.equal([2, 1]);
    await wal.close();
  });
});

describe('WalWriter tells its observer', () => {
  it('everything once, in the order in which it happened', async () => {
    const told: string[] = [];
    const observer: WalObserver = {
      onAppend: (id, bytes) => void told.push(`append ${id} ${bytes}`),
      onFlush: (bytes, id) => void told.push(`flush ${bytes} ${id}`),
      onSync: (id) => void told.push(`sync ${id}`),
      onSegmentRoll: (from, to) => void told.push(`roll ${from} ${to}`),
      onFailure: () => void told.push('failure'),
    };
    const wal = await WalWriter.open(new MemoryDirectory(), { codec, observer, segmentBytes: 100 });
    wal.append('a');
    await wal.flush();
    await wal.appendDurable('bc');
    await wal.appendDurable('x'.repeat(60));
    await wal.flushAndSync();
    await wal.close();
    expect(told).to.deep.equal([
      'append 1 17',
      'flush 17 1',
      'append 2 18',
      'flush 18 2',
      'sync 2',
      'append 3 76',
      'roll 1 2',
      'flush 76 3',
      'sync 3',
    ]);
  });

  it('the size of each frame of a batch', async () => {
    const told: number[][] = [];
    const observer: WalObserver = { onAppend: (id, bytes) => void told.push([id, bytes]) };
    const wal = await WalWriter.open(new MemoryDirectory(), { codec, observer });
    wal.appendBatch(['a', 'bcdef', '']);
    await wal.close();
    expect(told).to.deep.equal([
      [1, 17],
      [2, 21],
      [3, 16],
    ]);
  });

  it('and is not harmed when it throws', async () => {
    const directory = new MemoryDirectory();
    const fail = (): never => {
      throw new Error('observer is broken');
    };
    const warnings = await warningsOf('CAIRN_OBSERVER', async () => {
      const observer: WalObserver = { onAppend: fail, onFlush: fail, onSync: fail, onSegmentRoll: fail };
      const wal = await WalWriter.open(directory, { codec, observer, segmentBytes: 60 });
      await wal.appendDurable('one');
      await wal.appendDurable('another one');
      await wal.close();
    });
    expect(warnings.length).to.be.greaterThan(4);
    expect(warnings[0]).to.include('observer is broken');
    expect(await contents(directory)).to.deep.equal(['1 one', '2 another one']);
  });
});

describe('WalWriter preallocates', () => {
  const size = async (directory: MemoryDirectory, id: number): Promise<number | undefined> =>
    (await directory.stat(`wal/wal_${id}.log`))?.size;

  it('zeros in a new segment, and gives back what it did not use', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 1000, segmentBytes: 200 });
    expect(await size(directory, 1)).to.equal(1000);
    wal.append('x'.repeat(100));
    wal.append('y'.repeat(100));
    await wal.flush();
    expect([await size(directory, 1), await size(directory, 2)]).to.deep.equal([40 + 116, 1000]);
    expect((await contents(directory)).length).to.equal(2);
    await wal.close();
    expect(await size(directory, 2)).to.equal(40 + 116 + 25);
    const strict = await new WalReader(directory, { codec }).replay();
    expect(strict.length).to.equal(2);
  });

  it('nothing by default', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    expect(await size(directory, 1)).to.equal(40);
    await wal.close();
  });

  it('so that appends do not grow the file, in pieces where it is much', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 3_000_001 });
    expect(await size(directory, 1)).to.equal(3_000_001);
    await wal.appendDurable('one');
    expect(await size(directory, 1)).to.equal(3_000_001);
    await wal.close();
    expect(await size(directory, 1)).to.equal(40 + 19 + 25);
  });

  it('behind a header that is synced already, so that a crash in between leaves no damage that looks like another', async () => {
    const { directory, operations } = recorded(new MemoryDirectory());
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 1000 });
    expect(operations.map(({ kind, bytes }) => `${kind} ${bytes ?? ''}`.trim()).slice(-5)).to.deep.equal([
      'create',
      'write 40',
      'datasync',
      'syncDirectory',
      'write 960',
    ]);
    await wal.close();
    const inner = new SimulatedDisk();
    const stopping = new FaultyDirectory(inner, ({ kind, offset }) =>
      kind === 'write' && offset === 40 ? { kind: 'stop', bytes: 900 } : undefined,
    );
    await WalWriter.open(stopping, { codec, preallocateBytes: 1000 }).catch(() => undefined);
    for (const page of ['garbage', 'zero', 'old', 'new'] as const) {
      const found = inner.afterPowerCut({
        page: (_, index) => (index === 0 ? 'old' : page),
        size: () => true,
        name: () => true,
      });
      const next = await WalWriter.open(found, { codec });
      expect(next.nextEntryId).to.equal(1);
      await next.close();
    }
  });

  it('and when the process dies, the unused rest is cut and the log goes on', async () => {
    const directory = new MemoryDirectory();
    const dead = await WalWriter.open(directory, { codec, preallocateBytes: 500 });
    await dead.appendDurable('one');
    const left = await directoryOf(await imageOf(directory));
    expect(await size(left, 1)).to.equal(500);
    const wal = await WalWriter.open(left, { codec });
    // There is an end mark behind it: nothing was interrupted.
    expect(wal.opened.tornTail).to.equal(undefined);
    expect(await size(left, 1)).to.equal(40 + 19);
    await wal.appendDurable('two');
    await wal.close();
    expect(await contents(left)).to.deep.equal(['1 one', '2 two']);
    await dead.close();
  });

  it('and when zeros are all that is left of what came next, they are a torn tail', async () => {
    const directory = new MemoryDirectory();
    const dead = await WalWriter.open(directory, { codec, preallocateBytes: 500 });
    await dead.appendDurable('one');
    const left = await directoryOf(await imageOf(directory));
    await dead.close();
    await patch(left, 'wal/wal_1.log', (bytes) => void bytes.fill(0, 40 + 19));
    const wal = await WalWriter.open(left, { codec });
    expect(wal.opened.tornTail).to.deep.include({ offset: 40 + 19, bytes: 500 - 59, path: 'wal/wal_1.log' });
    expect(wal.opened.tornTail?.reason).to.include('zeros');
    await wal.close();
    expect(await contents(left)).to.deep.equal(['1 one']);
  });

  it('and a strict reader beside it sees a log that ends whole, from the first moment on', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec, preallocateBytes: 500, segmentBytes: 500 });
    const seen: string[] = [];
    for (let entry = 1; entry <= 60; entry++) {
      expect(await contents(directory)).to.deep.equal(seen);
      await wal.appendDurable(`entry ${entry}`);
      seen.push(`${entry} entry ${entry}`);
    }
    expect(wal.currentSegmentId).to.be.greaterThan(5);
    await wal.close();
    const again = await WalWriter.open(directory, { codec, preallocateBytes: 500, segmentBytes: 500 });
    expect(await contents(directory)).to.deep.equal(seen);
    await again.close();
    expect(await contents(directory)).to.deep.equal(seen);
  });
});

describe('WalWriter closes', () => {
  it('once, however often it is asked, and takes nothing more', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    wal.append('staged only');
    const closing = wal.close();
    expect(wal.close()).to.equal(closing);
    throws(() => wal.append('late'), ClosedError);
    throws(() => wal.appendBatch(['late']), ClosedError);
    await rejects(wal.appendDurable('late'), ClosedError);
    await rejects(wal.appendBatchDurable(['late']), ClosedError);
    await rejects(wal.flush(), ClosedError);
    await rejects(wal.flushAndSync(), ClosedError);
    await rejects(wal.drain(), ClosedError);
    await closing;
    expect(wal.durableId).to.equal(1);
    throws(() => wal.append('late'), ClosedError);
    expect(await contents(directory)).to.deep.equal(['1 staged only']);
  });

  it('answers everybody who waits first', async () => {
    const wal = await WalWriter.open(new MemoryDirectory(), { codec });
    const order: string[] = [];
    const durable = wal.appendDurable('a').then(() => order.push('durable'));
    const flushed = wal.flush().then(() => order.push('flushed'));
    await wal.close().then(() => order.push('closed'));
    await Promise.all([durable, flushed]);
    expect(order).to.deep.equal(['durable', 'flushed', 'closed']);
  });

  it('with `await using`', async () => {
    const directory = new MemoryDirectory();
    {
      await using wal = await WalWriter.open(directory, { codec });
      wal.append('one');
    }
    expect(await contents(directory)).to.deep.equal(['1 one']);
    const next = await WalWriter.open(directory, { codec });
    await next.close();
  });

  it('with a seal, once: opening and closing again adds nothing', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    await wal.appendDurable('one');
    await wal.close();
    const sealed = await imageOf(directory);
    expect(sealed.get('wal/wal_1.log')!.length).to.equal(40 + 19 + 25);
    for (let round = 0; round < 3; round++) {
      const again = await WalWriter.open(directory, { codec });
      await again.close();
    }
    sameImage(await imageOf(directory), sealed);
  });

  it('an empty log without one', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec });
    await wal.close();
    expect((await directory.stat('wal/wal_1.log'))?.size).to.equal(40);
    expect(await contents(directory)).to.deep.equal([]);
  });
});

describe('The bytes that WalWriter leaves', () => {
  it('depend on the entries and the random numbers alone, not on flush policy, buffer or clock', async () => {
    const images = [];
    const variants: Partial<WalWriterOptions<string>>[] = [
      {},
      { flushPolicy: perAppend },
      { bufferBytes: 0 },
      { bufferBytes: 1 << 20, now: () => 12345 },
      { flushPolicy: { kind: 'manual' } },
    ];
    for (const options of variants) {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { codec, segmentBytes: 300, random: bytesOf('bytes'), ...options });
      for (let id = 1; id <= 40; id++) {
        wal.append('x'.repeat(id));
        if (id % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await wal.flush();
      images.push(await imageOf(directory));
      await wal.close();
    }
    for (const image of images) sameImage(image, images[0]!);
    expect(images[0]!.size).to.be.greaterThan(3);
  });
});
