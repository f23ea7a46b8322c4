// From a decision to staged entries: numbers the events, reduces them into pending states, remembers what becomes
// visible when they are acknowledged. Works on all streams of an append together: all of it is staged, or nothing.

import { currentEventVersion, type Emitted, type Event } from '../aggregate/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import type { AppendPipeline, Told } from './append-pipeline.js';
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

/** Who is told what becomes of an append. */
export interface AppendTold extends Pick<Told, 'resolve' | 'reject'> {
  readonly commit: (entries: readonly StagedEntry[], firstPosition: number, bytes: number) => void;
}

/**
 * Stages an append and returns its first position. Throws what a reducer or the codec throws; then pending states are as
 * before.
 */
export function stageAppend(
  pipeline: AppendPipeline,
  cells: Cells,
  streams: readonly StreamEvents[],
  facts: AppendFacts,
  told: AppendTold,
): number {
  const entries: StoreEntry[] = [];
  const staged: StagedEntry[] = [];
  const pending = new Pending();
  const count = streams.length === 1 ? streams[0]!.events.length : countOf(streams);
  const metadata = metadataOrNone(facts.metadata);
  for (const { cell, events } of streams) {
    if (events.length === 0) continue;
    let snapshot = pending.of(cell);
    for (const event of events) {
      const { type, data } = event;
      const entry: RecordEntry = {
        kind: 'record',
        stream: cell.stream,
        version: snapshot.version + 1,
        type,
        eventVersion: cell.definition === undefined ? 1 : currentEventVersion(cell.definition, type),
        recordedAt: facts.recordedAt,
        data,
        metadata,
        receipt: staged.length === count - 1 ? facts.receipt : undefined,
      };
      snapshot = 'state' in event ? { version: entry.version, state: event.state } : advance(cell, snapshot, entry);
      entries.push(entry);
      staged.push({ entry, cell, snapshot });
    }
    pending.set(cell, snapshot);
  }
  if (count === 0 && facts.receipt !== undefined) {
    const cell = streams[0]?.cell;
    if (cell === undefined) throw new InvalidArgumentError('A receipt belongs to a stream');
    const { receipt } = facts;
    const entry: StoreEntry = { kind: 'receipt', stream: cell.stream, version: cell.pending.version, receipt };
    entries.push(entry);
    staged.push({ entry });
  }
  return pipeline.stageAndTell(entries, facts.durability, {
    // Only then: an entry that could not be encoded leaves no trace.
    staged: () => pending.keepIn(cells),
    commit: (firstPosition, bytes) => told.commit(staged, firstPosition, bytes),
    resolve: told.resolve,
    reject: told.reject,
  });
}

function countOf(streams: readonly StreamEvents[]): number {
  return streams.reduce((sum, { events }) => sum + events.length, 0);
}

/** What cells become if all goes well. Mostly it is one cell. */
class Pending {
  #cell: Cell | undefined;
  #snapshot: Snapshot | undefined;
  #more: Map<Cell, Snapshot> | undefined;

  of(cell: Cell): Snapshot {
    return (cell === this.#cell ? this.#snapshot : this.#more?.get(cell)) ?? cell.pending;
  }

  set(cell: Cell, snapshot: Snapshot): void {
    if (this.#cell === undefined || this.#cell === cell) {
      this.#cell = cell;
      this.#snapshot = snapshot;
    } else (this.#more ??= new Map()).set(cell, snapshot);
  }

  keepIn(cells: Cells): void {
    if (this.#cell !== undefined) {
      cells.keep(this.#cell);
      this.#cell.pending = this.#snapshot!;
    }
    if (this.#more === undefined) return;
    for (const [cell, snapshot] of this.#more) {
      cells.keep(cell);
      cell.pending = snapshot;
    }
  }
}
