// From a decision to staged entries: numbers the events, reduces them into pending states, remembers what becomes
// visible when they are acknowledged. Works on all streams of an append together: all of it is staged, or nothing.

import { currentEventVersion, type Emitted, type Event } from '../aggregate/index.js';
import { Append } from './append-pipeline.js';
import { advance, type Cell, type Cells, type Snapshot } from './cells.js';
import type { Durability } from './durability.js';
import { metadataOrNone, type Receipt, type RecordEntry, type StoreEntry } from './entry.js';
import type { Metadata } from './record.js';

/** What an append is apart from its events. */
export interface AppendFacts {
  readonly durability: Durability;
  readonly metadata: Metadata | undefined;
  readonly recordedAt: number;
}

/** An entry and, for a record, the state that it leads to. */
export interface StagedEntry {
  readonly entry: StoreEntry;
  readonly cell?: Cell;
  readonly snapshot?: Snapshot;
}

const NO_ENTRIES: readonly StagedEntry[] = [];

/** Who is told what becomes of an append. */
export interface AppendTold {
  /** It is acknowledged: what it came to is to be shown. Called before `resolve`. */
  readonly commit: (entries: readonly StagedEntry[], firstPosition: number, bytes: number) => void;
  readonly resolve: (append: StreamsAppend) => void;
  readonly reject: (error: Error) => void;
}

/** Events for one or more streams; {@link add} them, and hand it to the pipeline. */
export class StreamsAppend extends Append {
  declare entries: StagedEntry[];
  readonly #cells: Cells;
  readonly #facts: AppendFacts;
  readonly #told: AppendTold;
  // What cells become once it is staged. Mostly it is one cell.
  #cell: Cell | undefined;
  #snapshot: Snapshot | undefined;
  #more: Map<Cell, Snapshot> | undefined;

  constructor(cells: Cells, facts: AppendFacts, told: AppendTold) {
    super(NO_ENTRIES, facts.durability);
    this.#cells = cells;
    this.#facts = facts;
    this.#told = told;
  }

  /**
   * Adds events for one stream, in order, reduced already or not; their data is plain and frozen. `receipt` is kept with
   * the last one; without events it gets an entry of its own. Throws what a reducer throws.
   */
  add(cell: Cell, events: readonly (Event | Emitted)[], receipt?: Receipt): void {
    const { recordedAt } = this.#facts;
    const { stream, definition } = cell;
    const metadata = metadataOrNone(this.#facts.metadata);
    let snapshot = this.#pendingOf(cell);
    if (events.length === 0) {
      if (receipt !== undefined)
        this.#stage({ entry: { kind: 'receipt', stream, version: snapshot.version, receipt } });
      return;
    }
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!;
      const entry: RecordEntry = {
        kind: 'record',
        stream,
        version: snapshot.version + 1,
        type: event.type,
        eventVersion: definition === undefined ? 1 : currentEventVersion(definition, event.type),
        recordedAt,
        data: event.data,
        metadata,
        receipt: index === events.length - 1 ? receipt : undefined,
      };
      snapshot = 'state' in event ? { version: entry.version, state: event.state } : advance(cell, snapshot, entry);
      this.#stage({ entry, cell, snapshot });
    }
    if (this.#cell === undefined || this.#cell === cell) {
      this.#cell = cell;
      this.#snapshot = snapshot;
    } else (this.#more ??= new Map()).set(cell, snapshot);
  }

  /** What goes to the log right behind the events, or not at all. */
  addBehind(entry: StoreEntry): void {
    this.#stage({ entry });
  }

  // Only then: an entry that could not be encoded leaves no trace.
  override onStaged(): void {
    if (this.#cell !== undefined) this.#keep(this.#cell, this.#snapshot!);
    if (this.#more !== undefined) for (const [cell, snapshot] of this.#more) this.#keep(cell, snapshot);
  }

  override onCommitted(): void {
    this.#told.commit(this.entries, this.firstPosition, this.bytes);
    this.#told.resolve(this);
  }

  override onFailed(error: Error): void {
    this.#told.reject(error);
  }

  #stage(staged: StagedEntry): void {
    // Mostly it stays the only one; an array that is pushed to has room for seventeen.
    if (this.entries.length === 0) this.entries = [staged];
    else this.entries.push(staged);
  }

  #pendingOf(cell: Cell): Snapshot {
    return (cell === this.#cell ? this.#snapshot : this.#more?.get(cell)) ?? cell.pending;
  }

  #keep(cell: Cell, snapshot: Snapshot): void {
    this.#cells.keep(cell);
    cell.pending = snapshot;
  }
}
