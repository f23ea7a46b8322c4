// Arbitrary entries of a search-index log.

import type { WalEntry } from 'cairnlog';
import fc from 'fast-check';
import { texts } from './texts.js';

const id = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));
const count = fc.oneof(fc.nat(300), fc.nat(0xffff_ffff), fc.constantFrom(0, 127, 128, 0xffff_ffff));

export function walEntries(ids: fc.Arbitrary<number>, counts: fc.Arbitrary<number>): fc.Arbitrary<WalEntry> {
  const list = fc.array(ids, { maxLength: 4 });
  const addresses = fc.array(fc.tuple(ids, counts), { maxLength: 5 });
  return fc.oneof(
    fc.record({ type: fc.constant('AddSegment' as const), segmentId: ids, docCount: counts }),
    fc.record({ type: fc.constant('StartMerge' as const), transactionId: ids, segmentIds: list }),
    fc.record({ type: fc.constant('CancelMerge' as const), transactionId: ids, segmentIds: list }),
    fc.record({
      type: fc.constant('EndMerge' as const),
      transactionId: ids,
      newSegmentId: ids,
      oldSegmentIds: list,
      remappedDeletes: addresses,
    }),
    fc.record({ type: fc.constant('DeleteDocuments' as const), deletes: addresses }),
    fc.record({
      type: fc.constant('Checkpoint' as const),
      checkpointPath: texts(),
      lastEntryId: ids,
    }),
  );
}

/** Any entry that the format can hold. */
export const anyWalEntry: fc.Arbitrary<WalEntry> = walEntries(id, count);

/** Entries about a handful of segments, so that they meet each other. */
export const crowdedWalEntry: fc.Arbitrary<WalEntry> = walEntries(fc.nat(4), fc.nat(12));
