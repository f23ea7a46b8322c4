// Every stream of the store, in memory: its version and, for an aggregate, its state, each twice. `pending` is what the
// next command decides on: everything that was decided, acknowledged or not. `committed` is what everybody else sees:
// what was acknowledged. They differ only while appends are in flight.

import { reduce, upcast, type AggregateDefinition } from '../aggregate/index.js';
import type { RecordEntry } from './entry.js';
import { streamOf, type AggregateTypes } from './types.js';

/** State of one stream at one version. States are immutable and share what did not change. */
export interface Snapshot {
  readonly version: number;
  /** `undefined` for a stream that no aggregate of the store reduces. */
  readonly state: unknown;
}

export class Cell {
  readonly stream: string;
  readonly definition: AggregateDefinition | undefined;
  pending: Snapshot;
  committed: Snapshot;
  /** The stretch between two cuts in which it was last committed; see {@link Cells}. */
  stretch = -1;
  /** Whether it is the cell of its stream for good. */
  isKept = false;

  constructor(stream: string, definition: AggregateDefinition | undefined) {
    this.stream = stream;
    this.definition = definition;
    this.pending = { version: 0, state: definition?.initial };
    this.committed = this.pending;
  }

  /** Id of the aggregate: the stream's name behind the first '-'. */
  get id(): string {
    return this.stream.slice(this.stream.indexOf('-') + 1);
  }
}

/** The snapshot after one more record; `data` is of the record's own event version. */
export function advance(cell: Cell, from: Snapshot, record: RecordEntry): Snapshot {
  const { definition } = cell;
  if (definition === undefined) return { version: from.version + 1, state: undefined };
  const data = upcast(definition, record.type, record.data, record.eventVersion);
  return { version: from.version + 1, state: reduce(definition, from.state, { type: record.type, data }) };
}

/** Up to so many cells are found by their id as well. */
const MOST_BY_ID = 16_384;

export class Cells {
  readonly #cells = new Map<string, Cell>();
  readonly #types: AggregateTypes;
  /**
   * Kept cells by aggregate and id, as long as there are few: to put the name of a stream together and find it by that
   * takes several times as long.
   */
  readonly #byId = new Map<AggregateDefinition, Map<string, Cell>>();
  /** Cells that were committed since the last cut, each once, in the order in which they first were. */
  #changed: Cell[] = [];
  /** Counts cuts. */
  #stretch = 0;
  /** Called with a cell before its committed snapshot changes, while a cut is being read. */
  #onChange: ((cell: Cell) => void) | undefined;

  constructor(types: AggregateTypes) {
    this.#types = types;
  }

  get size(): number {
    return this.#cells.size;
  }

  /** Streams that were committed since the last cut. */
  get changed(): number {
    return this.#changed.length;
  }

  /** The cell of a stream; for a new stream one that is not kept until {@link keep}, as nothing may come of it. */
  of(stream: string): Cell {
    return this.#cells.get(stream) ?? new Cell(stream, this.#types.ofStream(stream));
  }

  /** {@link of} for the stream of an aggregate, as the command after command on it asks. */
  ofAggregate(definition: AggregateDefinition, id: string): Cell {
    let byId = this.#byId.get(definition);
    if (byId === undefined) this.#byId.set(definition, (byId = new Map<string, Cell>()));
    const known = byId.get(id);
    if (known !== undefined) return known;
    const cell = this.of(streamOf(definition.name, id));
    if (cell.isKept && this.#cells.size <= MOST_BY_ID) byId.set(id, cell);
    return cell;
  }

  keep(cell: Cell): void {
    if (cell.isKept || this.#cells.has(cell.stream)) return;
    cell.isKept = true;
    this.#cells.set(cell.stream, cell);
    if (this.#cells.size > MOST_BY_ID) this.#byId.clear();
  }

  /** Puts a snapshot of a checkpoint in its place; it does not count as a change. */
  restore(stream: string, snapshot: Snapshot): void {
    let cell = this.#cells.get(stream);
    if (cell === undefined) {
      cell = new Cell(stream, this.#types.ofStream(stream));
      this.keep(cell);
    }
    cell.committed = snapshot;
  }

  find(stream: string): Cell | undefined {
    return this.#cells.get(stream);
  }

  values(): IterableIterator<Cell> {
    return this.#cells.values();
  }

  /** Makes a snapshot the one that everybody sees. */
  commit(cell: Cell, snapshot: Snapshot): void {
    this.#onChange?.(cell);
    this.#note(cell);
    cell.committed = snapshot;
  }

  /**
   * All committed snapshots as of now, or only those that changed since the last cut, to be read at leisure: what
   * changes before it is read is set aside first. Call `end` when it was read.
   */
  cut(what: 'all' | 'changed'): Cut {
    const asOf = new Map<Cell, Snapshot>();
    const changed = this.#changed;
    const count = what === 'all' ? this.#cells.size : changed.length;
    this.#changed = [];
    this.#stretch++;
    this.#onChange = (cell) => {
      if (!asOf.has(cell)) asOf.set(cell, cell.committed);
    };
    const cells = what === 'all' ? this.#cells : changed;
    return {
      snapshots: new Snapshots(cells.values(), count, asOf),
      end: () => {
        this.#onChange = undefined;
      },
      undo: () => {
        const later = this.#changed;
        this.#changed = [];
        this.#stretch++;
        for (const cell of changed) this.#note(cell);
        for (const cell of later) this.#note(cell);
      },
    };
  }

  #note(cell: Cell): void {
    if (cell.stretch === this.#stretch) return;
    cell.stretch = this.#stretch;
    this.#changed.push(cell);
  }
}

/** Snapshots as of one moment. */
export interface Cut {
  readonly snapshots: Snapshots;
  readonly end: () => void;
  /** Nothing came of it: the next cut of what changed is to have what this one had. */
  readonly undo: () => void;
}

/**
 * Goes over the streams of a cut that have a version. A cursor and no generator: an object for each stream would be most
 * of the garbage of a checkpoint, and every collection of garbage holds up whoever waits for the store.
 */
export class Snapshots {
  /** The stream that {@link next} went to, and its snapshot. */
  stream = '';
  snapshot: Snapshot = NO_SNAPSHOT;
  readonly #cells: Iterator<Cell, unknown>;
  readonly #asOf: ReadonlyMap<Cell, Snapshot>;
  #left: number;

  constructor(cells: Iterator<Cell, unknown>, count: number, asOf: ReadonlyMap<Cell, Snapshot>) {
    this.#cells = cells;
    this.#left = count;
    this.#asOf = asOf;
  }

  /** False behind the last one. */
  next(): boolean {
    // A map gives its keys in the order they came: those beyond the count are newer than the cut.
    while (this.#left-- > 0) {
      const { done, value: cell } = this.#cells.next();
      if (done === true) return false;
      const snapshot = this.#asOf.get(cell) ?? cell.committed;
      if (snapshot.version === 0) continue;
      this.stream = cell.stream;
      this.snapshot = snapshot;
      return true;
    }
    return false;
  }
}

const NO_SNAPSHOT: Snapshot = { version: 0, state: undefined };
