// Random lives of an index: adds, deletes, merges that overlap with both, checkpoints, restarts. After every step no
// document is found that was deleted, or lost that was not; and in the end the index is what a naive model makes of it.

import {
  CairnError,
  IndexSegments,
  MemoryDirectory,
  openStore,
  RecoveryManager,
  SegmentManager,
  walEntryCodec,
  WalWriter,
  type EventStore,
  type WalEntry,
} from 'cairnlog';
import { expect } from 'chai';
import fc from 'fast-check';
import { afterEntry, emptyIndex, type NaiveIndex } from '../support/naive-index.js';
import { check } from '../support/seed.js';

type Address = [segmentId: number, docId: number];

type Step =
  | { readonly kind: 'add'; readonly docCount: number; readonly deletes: readonly number[] }
  | { readonly kind: 'delete'; readonly picks: readonly number[] }
  | { readonly kind: 'delete badly'; readonly address: Address }
  | { readonly kind: 'start'; readonly picks: readonly number[] }
  | { readonly kind: 'end'; readonly pick: number; readonly reversed: boolean }
  | { readonly kind: 'cancel'; readonly pick: number }
  | { readonly kind: 'checkpoint' | 'restart' };

const pick = fc.nat(1000);
const picks = fc.array(pick, { maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), docCount: fc.nat(20), deletes: picks }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), picks }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete badly' as const), address: fc.tuple(fc.nat(9), fc.nat(25)) }) }, // prettier-ignore
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('start' as const), picks }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('end' as const), pick, reversed: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('checkpoint' as const, 'restart' as const) }) },
);

const chosen = <T>(from: readonly T[], at: number): T | undefined => from[at % from.length];

/** An index, and which documents lie where in its segments: the files, so to speak. */
class Life {
  index!: SegmentManager;
  readonly #dir = new MemoryDirectory();
  #store!: EventStore;
  #files = new Map<number, readonly string[]>();
  /** Documents that are to be found. */
  #live = new Set<string>();
  #named = 0;
  readonly #usedIds = new Set<number>();

  async open(): Promise<void> {
    this.#store = await openStore({ dir: this.#dir, aggregates: [IndexSegments] });
    this.index = await SegmentManager.open(this.#store);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async do(next: Step): Promise<void> {
    const { index } = this;
    switch (next.kind) {
      case 'add': {
        const deletes = this.#addresses(next.deletes);
        const segmentId = index.nextSegmentId();
        expect(this.#usedIds.has(segmentId), `id ${segmentId} again`).to.equal(false);
        const documents = Array.from({ length: next.docCount }, () => `document ${this.#named++}`);
        await index.addSegment({ segmentId, docCount: documents.length, deletes });
        this.#usedIds.add(segmentId);
        for (const address of deletes) this.#live.delete(this.#at(address));
        this.#files.set(segmentId, documents);
        for (const document of documents) this.#live.add(document);
        return;
      }
      case 'delete': {
        const deletes = this.#addresses(next.picks);
        const { deleted } = await index.deleteDocuments(deletes);
        const before = this.#live.size;
        for (const address of deletes) this.#live.delete(this.#at(address));
        expect(deleted).to.equal(before - this.#live.size);
        return;
      }
      case 'delete badly': {
        const [segmentId, docId] = next.address;
        const there = docId < (index.segments.get(segmentId)?.docCount ?? 0);
        const outcome = await index.deleteDocuments([next.address]).catch((error: unknown) => error);
        expect(outcome instanceof CairnError, `delete [${segmentId}, ${docId}]`).to.equal(!there);
        if (there) this.#live.delete(this.#at([segmentId, docId]));
        return;
      }
      case 'start': {
        const ids = [...index.segments.keys()];
        const segmentIds = [...new Set(next.picks.map((at) => chosen(ids, at)).filter((id) => id !== undefined))];
        const taken = new Set(
          [...index.merges.values()].flatMap(({ sources }) => sources.map(({ segmentId }) => segmentId)),
        );
        const allowed = segmentIds.length > 0 && !segmentIds.some((id) => taken.has(id));
        const outcome = await index.startMerge(segmentIds).catch((error: unknown) => error);
        expect(outcome instanceof CairnError).to.equal(!allowed);
        if (!(outcome instanceof CairnError)) this.#usedIds.add((outcome as { newSegmentId: number }).newSegmentId);
        return;
      }
      case 'end': {
        const merge = chosen([...index.merges.values()], next.pick);
        if (merge === undefined) return;
        // As a merger does that knows nothing but what it was given.
        const alive: Address[] = merge.sources.flatMap(
          ({ segmentId, docCount, deletedDocs }) =>
          Array.from({ length: docCount }, (_, docId): Address => [segmentId, docId]).filter(([, docId]) => !deletedDocs.has(docId)), // prettier-ignore
        );
        if (next.reversed) alive.reverse();
        const places = new Map(alive.map((address, place) => [address.join(), place]));
        const remap = (...address: Address): number => places.get(address.join())!;
        const documents = alive.map((address) => this.#at(address));
        await index.endMerge(merge.transactionId, next.reversed ? { remap } : {});
        for (const { segmentId } of merge.sources) this.#files.delete(segmentId);
        this.#files.set(merge.newSegmentId, documents);
        return;
      }
      case 'cancel': {
        const merge = chosen([...index.merges.values()], next.pick);
        if (merge !== undefined) await index.cancelMerge(merge.transactionId);
        return;
      }
      case 'checkpoint':
        await index.checkpoint();
        return;
      case 'restart':
        await this.close();
        await this.open();
    }
  }

  /** Neither more nor less is found than what was added and not deleted. */
  mustBeComplete(): void {
    const found = [...this.index.segments.values()].flatMap(({ segmentId, docCount, deletedDocs }) => {
      expect(this.#files.get(segmentId)).to.have.length(docCount);
      return this.#files.get(segmentId)!.filter((_, docId) => !deletedDocs.has(docId));
    });
    expect(found.sort()).to.deep.equal([...this.#live].sort());
  }

  async mustBeAsModelled(): Promise<void> {
    expect(plain(this.index)).to.deep.equal((await this.entries()).reduce(afterEntry, emptyIndex));
  }

  /** The entries of the log that are about the index. */
  async entries(): Promise<WalEntry[]> {
    const entries: WalEntry[] = [];
    for await (const { type, data } of this.#store.readStream('segments-main'))
      entries.push({ type, ...(data as object) } as WalEntry);
    return entries;
  }

  #addresses(at: readonly number[]): Address[] {
    const all = [...this.index.segments.values()].flatMap(({ segmentId, docCount }) =>
      Array.from({ length: docCount }, (_, docId): Address => [segmentId, docId]),
    );
    return at.map((place) => chosen(all, place)).filter((address) => address !== undefined);
  }

  #at([segmentId, docId]: Address): string {
    return this.#files.get(segmentId)![docId]!;
  }
}

function plain({ segments, merges }: SegmentManager): NaiveIndex {
  return {
    segments: [...segments.values()].map(({ segmentId, docCount, deletedDocs }) => ({
      segmentId,
      docCount,
      deleted: [...deletedDocs],
    })),
    merges: [...merges.values()].map(({ transactionId, sources, docCount }) => ({
      transactionId,
      segmentIds: sources.map(({ segmentId }) => segmentId),
      liveDocs: docCount,
    })),
  };
}

describe('SegmentManager, whatever happens', () => {
  it('has exactly the documents that were added and not deleted', async () => {
    await check(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
        const life = new Life();
        await life.open();
        for (const next of steps) {
          await life.do(next);
          life.mustBeComplete();
        }
        await life.mustBeAsModelled();
        await life.do({ kind: 'restart' });
        life.mustBeComplete();
        await life.mustBeAsModelled();
        await life.close();
      }),
      40,
    );
  });

  it('is what RecoveryManager makes of the same entries in a log without a store', async () => {
    await check(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
        const life = new Life();
        await life.open();
        for (const next of steps) await life.do(next);
        const directory = new MemoryDirectory();
        const wal = await WalWriter.open(directory, { codec: walEntryCodec });
        for (const entry of await life.entries()) wal.append(entry);
        await wal.close();
        const { state } = await new RecoveryManager(directory).recoverLatest();
        expect([...state.segments.keys()].sort((a, b) => a - b)).to.deep.equal([...life.index.segments.keys()]);
        for (const [segmentId, { docCount, deletedDocs }] of state.segments) {
          const segment = life.index.segments.get(segmentId)!;
          expect({ docCount, liveDocs: state.liveDocs(segmentId) }).to.deep.equal({
            docCount: segment.docCount,
            liveDocs: segment.liveDocs,
          });
          expect([...deletedDocs].sort((a, b) => a - b)).to.deep.equal([...segment.deletedDocs]);
        }
        expect([...state.merges.keys()].sort((a, b) => a - b)).to.deep.equal([...life.index.merges.keys()]);
        await life.close();
      }),
      20,
    );
  });
});
