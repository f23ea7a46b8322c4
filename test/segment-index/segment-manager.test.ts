import { expect } from 'chai';
import {
  ANY,
  ClosedError,
  defineProjection,
  IndexSegments,
  InvalidArgumentError,
  MemoryDirectory,
  openStore,
  PoisonedError,
  SegmentIdUsedError,
  SegmentInMergeError,
  SegmentManager,
  UnknownDocumentError,
  UnknownMergeError,
  UnknownSegmentError,
  walEntryCodec,
  type Directory,
  type EventStore,
  type OpenStoreOptions,
} from 'cairnlog';
import { segmentsOf } from 'cairnlog/segment-index';
import { FaultyDirectory, loseEverything, SimulatedDisk } from 'cairnlog/testing';
import { ByteReader, bytesCodec, WalReader } from 'cairnlog/wal';
import { Account } from '../store/bank.js';
import { rejects } from '../support/rejects.js';

function openIndex(dir: Directory, options: Partial<OpenStoreOptions> = {}): Promise<EventStore> {
  return openStore({ dir, aggregates: [Account, IndexSegments], now: () => 1000, ...options });
}

async function opened(dir: Directory = new MemoryDirectory()): Promise<{ store: EventStore; index: SegmentManager }> {
  const store = await openIndex(dir);
  return { store, index: await SegmentManager.open(store) };
}

/** `id: live/all`, with the deleted documents. */
function shown(index: Pick<SegmentManager, 'segments'>): string[] {
  return [...index.segments.values()].map(
    ({ segmentId, liveDocs, docCount, deletedDocs }) =>
      `${segmentId}: ${liveDocs}/${docCount}${deletedDocs.size > 0 ? ` without ${[...deletedDocs].join(' ')}` : ''}`,
  );
}

describe('SegmentManager', () => {
  it('adds segments, deletes documents, and finds everything again', async () => {
    const dir = new MemoryDirectory();
    let { store, index } = await opened(dir);
    expect(await index.addSegment({ docCount: 100 })).to.deep.equal({ segmentId: 1, deleted: 0, position: 1 });
    expect(await index.addSegment({ docCount: 10 })).to.include({ segmentId: 2 });
    expect(await index.deleteDocuments([[2, 9], [1, 42], [1, 7], [1, 42]])).to.deep.equal({ deleted: 3, position: 3 }); // prettier-ignore
    const expected = ['1: 98/100 without 7 42', '2: 9/10 without 9'];
    expect(shown(index)).to.deep.equal(expected);
    expect(index.segments.get(1)!.deletedDocs.has(42)).to.equal(true);
    expect(index.segments.get(1)!.deletedDocs.has(43)).to.equal(false);
    await store.close();
    ({ store, index } = await opened(dir));
    expect(shown(index)).to.deep.equal(expected);
    await index.checkpoint();
    await store.close();
    ({ store, index } = await opened(dir));
    expect(store.recovery.checkpoint?.position).to.equal(3);
    expect(shown(index)).to.deep.equal(expected);
    await store.close();
  });

  it('carries deletes that arrive during a merge into the merged segment', async () => {
    const { store, index } = await opened();
    await index.addSegment({ docCount: 4 });
    await index.addSegment({ docCount: 3 });
    await index.deleteDocuments([[1, 1], [2, 0]]); // prettier-ignore
    const merge = await index.startMerge([2, 1]);
    expect(merge).to.include({ transactionId: 3, newSegmentId: 3, docCount: 5 });
    expect(merge.sources.map(({ segmentId, deletedDocs }) => [segmentId, [...deletedDocs]])).to.deep.equal([[2, [0]], [1, [1]]]); // prettier-ignore
    // In the merged segment: 2/1 is 0, 2/2 is 1, 1/0 is 2, 1/2 is 3, 1/3 is 4.
    await index.deleteDocuments([[1, 2]]);
    await index.deleteDocuments([[2, 1], [1, 3]]); // prettier-ignore
    expect(shown(index), 'the sources are searched until the merge ends').to.deep.equal(['1: 1/4 without 1 2 3', '2: 1/3 without 0 1']); // prettier-ignore
    expect([merge.newDocId(2, 1), merge.newDocId(1, 0), merge.newDocId(1, 3)]).to.deep.equal([0, 2, 4]);
    expect(await index.endMerge(3)).to.deep.equal({ segmentId: 3, docCount: 5, carriedDeletes: 3, position: 7 });
    expect(shown(index)).to.deep.equal(['3: 2/5 without 0 3 4']);
    await store.close();
  });

  it('carries deletes to where a merge that numbers documents in its own way has put them', async () => {
    const { store, index } = await opened();
    await index.addSegment({ docCount: 5 });
    await index.deleteDocuments([[1, 0]]);
    await index.startMerge([1]);
    await index.deleteDocuments([[1, 1], [1, 4]]); // prettier-ignore
    for (const remap of [() => -1, () => 4, () => 1, () => 0.5, () => undefined as never])
      await rejects(index.endMerge(2, { remap }), InvalidArgumentError);
    expect(shown(index), 'nothing was done').to.deep.equal(['1: 2/5 without 0 1 4']);
    await index.endMerge(2, { remap: (_, docId) => 4 - docId });
    expect(shown(index)).to.deep.equal(['2: 2/4 without 0 3']);
    await store.close();
  });

  it('loses no delete that races with the end of a merge: it is carried, or refused', async () => {
    const { store, index } = await opened();
    await index.addSegment({ docCount: 3 });
    await index.startMerge([1]);
    const before = index.deleteDocuments([[1, 0]]);
    const end = index.endMerge(2);
    const after = index.deleteDocuments([[1, 1]]);
    const error = await rejects(after, UnknownSegmentError);
    expect(error).to.include({ segmentId: 1, code: 'CAIRN_UNKNOWN_SEGMENT' });
    expect(error.message).to.contain('a merge has put another one in its place');
    expect((await before).deleted).to.equal(1);
    expect((await end).carriedDeletes).to.equal(1);
    expect(shown(index)).to.deep.equal(['2: 2/3 without 0']);
    await store.close();
  });

  it('keeps deletes that arrived during a merge that is cancelled', async () => {
    const { store, index } = await opened();
    await index.addSegment({ docCount: 3 });
    await index.startMerge([1]);
    await index.deleteDocuments([[1, 2]]);
    await index.cancelMerge(2);
    expect(index.merges.size).to.equal(0);
    expect(shown(index)).to.deep.equal(['1: 2/3 without 2']);
    await index.startMerge([1]);
    await index.endMerge(3);
    expect(shown(index)).to.deep.equal(['3: 2/2']);
    await store.close();
  });

  it('replaces documents in one step: whoever watches sees no moment with both or neither', async () => {
    const { store, index } = await opened();
    const seen: string[][] = [];
    index.segments$.subscribe((segments) => seen.push(shown({ segments })));
    await index.addSegment({ docCount: 2 });
    expect(await index.addSegment({ docCount: 1, deletes: [[1, 0]] })).to.include({ segmentId: 2, deleted: 1 });
    await rejects(index.addSegment({ docCount: 1, deletes: [[1, 2]] }), UnknownDocumentError);
    expect(seen).to.deep.equal([[], ['1: 2/2'], ['1: 1/2 without 0', '2: 1/1']]);
    await store.close();
  });

  describe('refuses', () => {
    let store: EventStore;
    let index: SegmentManager;

    beforeEach(async () => {
      ({ store, index } = await opened());
      await index.addSegment({ segmentId: 1, docCount: 2 });
      await index.addSegment({ segmentId: 2, docCount: 0 });
      await index.addSegment({ segmentId: 5, docCount: 2 });
      await index.startMerge([5]); // merge 6
    });

    afterEach(async () => {
      expect(shown(index)).to.deep.equal(['1: 2/2', '2: 0/0', '5: 2/2']);
      expect([...index.merges.keys()]).to.deep.equal([6]);
      expect(store.position, 'something was appended').to.equal(4);
      await store.close();
    });

    it('deletes in a segment that is not there', async () => {
      const error = await rejects(index.deleteDocuments([[1, 0], [3, 0]]), UnknownSegmentError); // prettier-ignore
      expect(error.message).to.contain('There is no index segment 3');
      await rejects(index.deleteDocuments([[6, 0]]), UnknownSegmentError);
    });

    it('deletes of documents that a segment does not have', async () => {
      const error = await rejects(index.deleteDocuments([[1, 0], [1, 2]]), UnknownDocumentError); // prettier-ignore
      expect(error).to.include({ segmentId: 1, docId: 2 });
      expect(error.message).to.contain('numbered 0 to 1');
      await rejects(index.deleteDocuments([[2, 0]]), UnknownDocumentError);
    });

    it('ids of segments that are there, are promised to a merge, or were ever used', async () => {
      for (const segmentId of [1, 5, 6]) {
        const error = await rejects(index.addSegment({ segmentId, docCount: 1 }), SegmentIdUsedError);
        expect(error.segmentId).to.equal(segmentId);
      }
    });

    it('a segment in two merges, or twice in one', async () => {
      const error = await rejects(index.startMerge([1, 5]), SegmentInMergeError);
      expect(error).to.include({ segmentId: 5, transactionId: 6 });
      await rejects(index.startMerge([1, 1]), InvalidArgumentError);
    });

    it('a merge of nothing, or of what is not there', async () => {
      await rejects(index.startMerge([]), InvalidArgumentError);
      await rejects(index.startMerge([1, 3]), UnknownSegmentError);
    });

    it('the end of a merge that is not in flight', async () => {
      expect(await rejects(index.endMerge(1), UnknownMergeError)).to.include({ transactionId: 1 });
      await rejects(index.cancelMerge(7), UnknownMergeError);
    });

    it('what is no id and no count', async () => {
      for (const bad of [-1, 0.5, NaN, 2 ** 53, '1' as never, null as never, -0]) {
        await rejects(index.addSegment({ segmentId: bad, docCount: 1 }), InvalidArgumentError);
        await rejects(index.addSegment({ docCount: bad }), InvalidArgumentError);
        await rejects(index.deleteDocuments([[bad, 0]]), InvalidArgumentError);
        await rejects(index.deleteDocuments([[1, bad]]), InvalidArgumentError);
        await rejects(index.startMerge([bad]), InvalidArgumentError);
        await rejects(index.endMerge(bad), InvalidArgumentError);
        await rejects(index.cancelMerge(bad), InvalidArgumentError);
      }
      await rejects(index.addSegment({ docCount: 2 ** 32 }), InvalidArgumentError);
      for (const bad of [[1], [[1, 2, 3]], [null], 'all', undefined])
        await rejects(index.deleteDocuments(bad as never), InvalidArgumentError);
      await rejects(index.startMerge(undefined as never), InvalidArgumentError);
      await rejects(SegmentManager.open(store, { nextSegmentId: -1 }), InvalidArgumentError);
    });
  });

  it('gives out ids that no segment ever had, also after those with the highest are gone and after a restart', async () => {
    const dir = new MemoryDirectory();
    let { store, index } = await opened(dir);
    expect([index.nextSegmentId(), index.nextSegmentId()]).to.deep.equal([1, 2]);
    await index.addSegment({ segmentId: 2, docCount: 1 });
    await index.addSegment({ segmentId: 1, docCount: 1 });
    await index.addSegment({ segmentId: 9, docCount: 1 });
    const merge = await index.startMerge([1, 2, 9]);
    expect(merge.newSegmentId).to.equal(10);
    await index.cancelMerge(10);
    await store.checkpoint();
    await store.close();
    ({ store, index } = await opened(dir));
    expect(index.nextSegmentId(), 'the cancelled merge had 10').to.equal(11);
    await rejects(index.addSegment({ segmentId: 10, docCount: 1 }), SegmentIdUsedError);
    // Given out, and not used before the process ended: only files can say so.
    await store.close();
    store = await openIndex(dir);
    index = await SegmentManager.open(store, { nextSegmentId: 12 });
    expect((await index.addSegment({ docCount: 1 })).segmentId).to.equal(12);
    await index.addSegment({ segmentId: 11, docCount: 1 });
    expect(index.nextSegmentId()).to.equal(13);
    await index.addSegment({ segmentId: 2 ** 53 - 1, docCount: 1 });
    expect(() => index.nextSegmentId()).to.throw(InvalidArgumentError, 'no segment id left');
    await store.close();
  });

  it('shows merges that a crash interrupted, to be resumed or cancelled', async () => {
    const disk = new SimulatedDisk();
    const first = await opened(disk);
    for (let segment = 0; segment < 4; segment++) await first.index.addSegment({ docCount: 10 });
    await first.index.deleteDocuments([[1, 3]]);
    await first.index.startMerge([1, 2]);
    await first.index.startMerge([3, 4]);
    expect(first.index.interruptedMerges, 'under way, not interrupted').to.deep.equal([]);
    await first.store.checkpoint();
    await first.index.deleteDocuments([[2, 5], [3, 9]]); // prettier-ignore

    const { store, index } = await opened(disk.afterPowerCut(loseEverything));
    const [resumed, cancelled] = index.interruptedMerges;
    expect(index.interruptedMerges).to.have.length(2);
    expect(resumed).to.include({ transactionId: 5, docCount: 19 });
    expect([...resumed!.sources[0]!.deletedDocs], 'what was deleted when it began').to.deep.equal([3]);
    expect([...resumed!.sources[1]!.deletedDocs]).to.deep.equal([]);
    const another = await index.startMerge([(await index.addSegment({ docCount: 1 })).segmentId]);
    expect(index.interruptedMerges.map(({ transactionId }) => transactionId)).to.deep.equal([5, 6]);
    expect(await index.endMerge(resumed!.transactionId)).to.include({ carriedDeletes: 1 });
    await index.cancelMerge(cancelled!.transactionId);
    expect(index.interruptedMerges).to.deep.equal([]);
    expect([...index.merges.keys()]).to.deep.equal([another.transactionId]);
    expect(shown(index)).to.deep.equal(['3: 9/10 without 9', '4: 10/10', '5: 18/19 without 14', '7: 1/1']);
    await store.close();
  });

  it('tells whoever watches of the segments as they are, then whenever they change, and of nothing else', async () => {
    const { store, index } = await opened();
    await index.addSegment({ docCount: 1 });
    await index.addSegment({ docCount: 2 });
    const emitted: ReadonlyMap<number, unknown>[] = [];
    let completed = false;
    index.segments$.subscribe({ next: (segments) => emitted.push(segments), complete: () => (completed = true) });
    expect(emitted).to.have.length(1);
    expect(emitted[0], 'the same object until something changes').to.equal(index.segments);
    await store.execute(Account, 'a', (account) => account.open('Ada'));
    await index.startMerge([1]);
    await index.cancelMerge(3);
    await index.deleteDocuments([]);
    expect(emitted).to.have.length(1);
    await index.deleteDocuments([[2, 0]]);
    expect(emitted).to.have.length(2);
    expect(emitted[1]!.get(1), 'an untouched segment').to.equal(emitted[0]!.get(1));
    expect(emitted[1]!.get(2)).not.to.equal(emitted[0]!.get(2));
    expect(emitted[1]).to.equal(index.segments);
    expect(completed).to.equal(false);
    await store.close();
    expect(completed).to.equal(true);
    expect(shown(index)).to.deep.equal(['1: 1/1', '2: 1/2 without 0']);
    await rejects(index.addSegment({ docCount: 1 }), ClosedError);
  });

  it('shows a change to the one who made it by the time the call resolves, at every durability', async () => {
    const { store, index } = await opened();
    for (const [count, durability] of (['memory', 'flush', 'fsync', 'memory'] as const).entries()) {
      await index.addSegment({ docCount: 1 }, { durability });
      expect(index.segments.size, durability).to.equal(count + 1);
    }
    await store.close();
  });

  it('shows nothing before it is durable, and what was shown after the disk has failed', async () => {
    let fail = false;
    const disk = new FaultyDirectory(new MemoryDirectory(), ({ kind }) =>
      fail && kind === 'datasync' ? { kind: 'error', errno: 'EIO' } : undefined,
    );
    const { store, index } = await opened(disk);
    const seen: string[][] = [];
    let failure: unknown;
    index.segments$.subscribe({ next: (segments) => seen.push(shown({ segments })), error: (e) => (failure = e) });
    await index.addSegment({ docCount: 1 });
    fail = true;
    await rejects(index.deleteDocuments([[1, 0]]), PoisonedError);
    expect(seen).to.deep.equal([[], ['1: 1/1']]);
    expect(shown(index)).to.deep.equal(['1: 1/1']);
    expect(failure).to.be.instanceOf(PoisonedError);
    await store.close().catch(() => undefined);
  });

  it('hands what a subscriber throws to the store, and goes on', async () => {
    const thrown: unknown[] = [];
    const store = await openIndex(new MemoryDirectory(), { onSubscriberError: (error) => thrown.push(error) });
    const index = await SegmentManager.open(store);
    const seen: number[] = [];
    index.segments$.subscribe(() => {
      throw new Error('a searcher that cannot open');
    });
    index.segments$.subscribe((segments) => seen.push(segments.size));
    await index.addSegment({ docCount: 1 });
    expect(seen).to.deep.equal([0, 1]);
    expect(thrown.map(String)).to.deep.equal(Array(2).fill('Error: a searcher that cannot open'));
    await store.close();
  });

  it('keeps several indexes and other aggregates in one store, at one recovery point', async () => {
    const dir = new MemoryDirectory();
    let store = await openIndex(dir);
    const [mails, notes] = await Promise.all(['mails', 'notes'].map((id) => SegmentManager.open(store, { id })));
    await store.execute(Account, 'a', (account) => account.open('Ada'));
    await mails!.addSegment({ docCount: 3 });
    await notes!.addSegment({ docCount: 5 });
    await store.checkpoint();
    await store.execute(Account, 'a', (account) => account.deposit(10));
    await mails!.deleteDocuments([[1, 0]]);
    await store.close();
    store = await openIndex(dir);
    expect(store.recovery).to.deep.include({ entriesReplayed: 3 });
    expect(shown(await SegmentManager.open(store, { id: 'mails' }))).to.deep.equal(['1: 2/3 without 0']);
    expect(shown(await SegmentManager.open(store, { id: 'notes' }))).to.deep.equal(['1: 5/5']);
    expect((await store.load(Account, 'a')).state.balance).to.equal(10);
    const past = await store.at(3);
    expect(shown({ segments: segmentsOf(past.load(IndexSegments, 'mails').state) })).to.deep.equal(['1: 3/3']);
    await store.close();
  });

  it('is written as WalEntry values between the records of aggregates', async () => {
    const dir = new MemoryDirectory();
    const { store, index } = await opened(dir);
    await index.addSegment({ docCount: 100 });
    await store.execute(Account, 'a', (account) => account.open('Ada'));
    await index.startMerge([1]);
    await index.deleteDocuments([[1, 42]]);
    await index.endMerge(2);
    await store.checkpoint();
    const records = [];
    for await (const { type, data } of store.readStream('segments-main')) records.push({ type, ...(data as object) });
    const expected = [
      { type: 'AddSegment', segmentId: 1, docCount: 100 },
      { type: 'StartMerge', transactionId: 2, segmentIds: [1] },
      { type: 'DeleteDocuments', deletes: [[1, 42]] },
      { type: 'EndMerge', transactionId: 2, newSegmentId: 2, oldSegmentIds: [1], remappedDeletes: [[2, 42]] },
    ];
    expect(records).to.deep.equal(expected);
    await store.close();
    const payloads: Uint8Array[] = [];
    for await (const { entry } of new WalReader(dir, { codec: bytesCodec }).entries()) payloads.push(entry);
    const [add, account, ...rest] = payloads;
    expect(account![0]).to.be.greaterThan(0x8f);
    expect([add!, ...rest].map((bytes) => walEntryCodec.decode(new ByteReader(bytes)))).to.deep.equal([
      ...expected,
      { type: 'Checkpoint', checkpointPath: 'checkpoints/ckpt_5.ckpt', lastEntryId: 5 },
    ]);
    expect(add!.length).to.be.at.most(20);
  });

  it('refuses a store that does not know its aggregate', async () => {
    const store = await openStore({ dir: new MemoryDirectory(), aggregates: [Account] });
    const error = await rejects(SegmentManager.open(store), InvalidArgumentError);
    expect(error.message).to.contain("'segments' is not among the aggregates of this store");
    await store.close();
  });

  it('passes over what an append that goes around it says of what is not there', async () => {
    const { store, index } = await opened();
    await index.addSegment({ docCount: 2 });
    await store.append([
      {
        stream: 'segments-main',
        expectedVersion: ANY,
        events: [
          { type: 'DeleteDocuments', data: { deletes: [[7, 0], [1, 2 ** 32 - 1], [1, 1]] } }, // prettier-ignore
          { type: 'CancelMerge', data: { transactionId: 8, segmentIds: [] } },
          { type: 'EndMerge', data: { transactionId: 8, newSegmentId: 4, oldSegmentIds: [1, 9], remappedDeletes: [[4, 0], [3, 1]] } }, // prettier-ignore
        ],
      },
    ]);
    expect(shown(index)).to.deep.equal(['4: 1/2 without 0']);
    await store.close();
  });

  it('is seen by projections and subscriptions of the store like every aggregate', async () => {
    const added = defineProjection('added', {
      initial: { documents: 0 },
      on: { AddSegment: (state, { data }) => void (state.documents += (data as { docCount: number }).docCount) },
    });
    const store = await openIndex(new MemoryDirectory(), { projections: [added] });
    const index = await SegmentManager.open(store);
    for (const docCount of [3, 4]) await index.addSegment({ docCount });
    expect(store.projection(added).state.documents).to.equal(7);
    await store.close();
  });

  it('takes a million documents and a hundred thousand deletes in its stride', async () => {
    const dir = new MemoryDirectory();
    let { store, index } = await opened(dir);
    await index.addSegment({ docCount: 1_000_000 });
    const deletes = Array.from({ length: 100_000 }, (_, number) => [1, number * 10] as const);
    expect((await index.deleteDocuments(deletes)).deleted).to.equal(100_000);
    await index.startMerge([1]);
    await Promise.all(Array.from({ length: 500 }, (_, number) => index.deleteDocuments([[1, number * 2000 + 1]])));
    expect(index.segments.get(1)).to.include({ liveDocs: 899_500 });
    const { bytes } = await index.checkpoint();
    expect(bytes, 'the checkpoint, with the segment as it is and as it was').to.be.lessThan(300_000);
    await store.close();
    ({ store, index } = await opened(dir));
    expect(await index.endMerge(2)).to.include({ docCount: 900_000, carriedDeletes: 500 });
    expect(index.segments.get(2)!.deletedDocs.has(0), 'document 1 was the first that was alive').to.equal(true);
    expect(index.segments.get(2)!.deletedDocs.has(1800), 'document 2001, 201 before it were deleted').to.equal(true);
    await store.close();
  });
});
