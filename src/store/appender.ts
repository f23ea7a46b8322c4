// From a decision to staged entries: numbers the events, reduces them into pending states, remembers what becomes
// visible when they are acknowledged. Works on all streams of an append together: all of it is staged, or nothing.

import { currentEventVersion, type Emitted, type Event } from '../aggregate/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import type { AppendPipeline } from './append-pipeline.js';
import { advance, type Cell, type Cells, type Snapshot } from './cells.js';
import type { Durability } from './durability.js';
import { metadataOrNone, type Receipt, type RecordEntry, type StoreEntry } from './entry.js';
import type { Metadata } from './record.js';

/** Events for one stream, in order, reduced already or not. Data is plain and frozen. */
export interface StreamEvents {
  readonly cell: Cell;
  readonly events: readonly (Event | Emitted)[];
}

/** What an append is apart from its events. */
export interface AppendFacts {
  readonly durability: Durability;
  readonly metadata: Metadata | undefined;
  readonly recordedAt: number;
  /** Kept with the last record; without records it gets an entry of its own, for this stream. */
  readonly receipt: Receipt | undefined;
}

/** An entry and, for a record, the state that it leads to. */
export interface StagedEntry {
  readonly entry: StoreEntry;
  readonly cell?: Cell;
  readonly snapshot?: Snapshot;
}

export interface StagedAppend {
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly settled: Promise<void>;
}

/** Stages an append. Throws what a reducer or the codec throws; then pending states are as before. */
export function stageAppend(
  pipeline: AppendPipeline,
  cells: Cells,
  streams: readonly StreamEvents[],
  facts: AppendFacts,
  commit: (entries: readonly StagedEntry[], firstPosition: number) => void,
  /** What goes to the log right behind the records, or not at all. */
  behind: readonly StoreEntry[] = [],
): StagedAppend {
  const staged: StagedEntry[] = [];
  const pending = new Map<Cell, Snapshot>();
  const count = streams.reduce((sum, { events }) => sum + events.length, 0);
  for (const { cell, events } of streams)
    for (const event of events) {
      const { type, data } = event;
      const before = pending.get(cell) ?? cell.pending;
      const entry: RecordEntry = {
        kind: 'record',
        stream: cell.stream,
        version: before.version + 1,
        type,
        eventVersion: cell.definition === undefined ? 1 : currentEventVersion(cell.definition, type),
        recordedAt: facts.recordedAt,
        data,
        metadata: metadataOrNone(facts.metadata),
        receipt: staged.length === count - 1 ? facts.receipt : undefined,
      };
      const snapshot = 'state' in event ? { version: entry.version, state: event.state } : advance(cell, before, entry);
      pending.set(cell, snapshot);
      staged.push({ entry, cell, snapshot });
    }
  if (count === 0 && facts.receipt !== undefined) {
    const cell = streams[0]?.cell;
    if (cell === undefined) throw new InvalidArgumentError('A receipt belongs to a stream');
    staged.push({
      entry: { kind: 'receipt', stream: cell.stream, version: cell.pending.version, receipt: facts.receipt },
    });
  }
  for (const entry of behind) staged.push({ entry });
  return pipeline.stage(
    staged.map(({ entry }) => entry),
    facts.durability,
    {
      // Only then: an entry that could not be encoded leaves no trace.
      staged: () => {
        for (const [cell, snapshot] of pending) {
          cells.keep(cell);
          cell.pending = snapshot;
        }
      },
      commit: (firstPosition) => commit(staged, firstPosition),
    },
  );
}
