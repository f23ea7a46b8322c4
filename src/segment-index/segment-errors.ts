// Why a change of index segments is refused. Nothing was appended, and the index is as before.

import { CairnError } from '../errors/index.js';

/** There is no such index segment, or none any more: a merge may have put another one in its place. */
export class UnknownSegmentError extends CairnError {
  readonly code = 'CAIRN_UNKNOWN_SEGMENT';
  readonly segmentId: number;

  constructor(segmentId: number, wasUsed: boolean) {
    super(
      wasUsed
        ? `Index segment ${segmentId} is gone: a merge has put another one in its place. ` +
            'Look the document up in the segments there are now, and try again'
        : `There is no index segment ${segmentId}. Add it with addSegment first`,
    );
    this.segmentId = segmentId;
  }
}

/** The id belongs to an index segment, or did: ids are never used twice, or a late delete would hit the wrong document. */
export class SegmentIdUsedError extends CairnError {
  readonly code = 'CAIRN_SEGMENT_ID_USED';
  readonly segmentId: number;

  constructor(segmentId: number) {
    super(`The id ${segmentId} was given to an index segment or a merge before. Take a new one from nextSegmentId()`);
    this.segmentId = segmentId;
  }
}

/** The index segment has no document of that number. */
export class UnknownDocumentError extends CairnError {
  readonly code = 'CAIRN_UNKNOWN_DOCUMENT';
  readonly segmentId: number;
  readonly docId: number;

  constructor(segmentId: number, docId: number, docCount: number) {
    super(
      docCount === 0
        ? `Index segment ${segmentId} has no documents, so there is no document ${docId}`
        : `The documents of index segment ${segmentId} are numbered 0 to ${docCount - 1}, there is no ${docId}`,
    );
    this.segmentId = segmentId;
    this.docId = docId;
  }
}

/** The index segment is in a merge already. */
export class SegmentInMergeError extends CairnError {
  readonly code = 'CAIRN_SEGMENT_IN_MERGE';
  readonly segmentId: number;
  /** The merge that has it. */
  readonly transactionId: number;

  constructor(segmentId: number, transactionId: number) {
    super(
      `Index segment ${segmentId} is in merge ${transactionId} already. ` +
        'Leave it out, or end or cancel that merge first',
    );
    this.segmentId = segmentId;
    this.transactionId = transactionId;
  }
}

/** No such merge is in flight. */
export class UnknownMergeError extends CairnError {
  readonly code = 'CAIRN_UNKNOWN_MERGE';
  readonly transactionId: number;

  constructor(transactionId: number) {
    super(
      `Merge ${transactionId} is not in flight: it was not started, or has ended or been cancelled. ` +
        'Those that are, are in merges',
    );
    this.transactionId = transactionId;
  }
}
