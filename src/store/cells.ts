// Every stream of the store, in memory: its version and, for an aggregate, its state, each twice. `pending` is what the
// next command decides on: everything that was decided, acknowledged or not. `committed` is what everybody else sees:
// what was acknowledged. They differ only while appends are in flight.

import { reduce, upcast, type AggregateDefinition } from '../aggregate/index.js';
import type { RecordEntry } from './entry.js';
import type { AggregateTypes } from './types.js';

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

export class Cells {
  readonly #cells = new Map<string, Cell>();
  readonly #types: AggregateTypes;
  /** Called with a cell before its committed snapshot changes, while a cut is being read. */
  #onChange: ((cell: Cell) => void) | undefined;

  constructor(types: AggregateTypes) {
    this.#types = types;
  }

  get size(): number {
    return this.#cells.size;
  }

  /** The cell of a stream; for a new stream one that is not kept until {@link keep}, as nothing may come of it. */
  of(stream: string): Cell {
    return this.#cells.get(stream) ?? new Cell(stream, this.#types.ofStream(stream));
  }

  keep(cell: Cell): void {
    if (cell.isKept || this.#cells.has(cell.stream)) return;
    cell.isKept = true;
    this.#cells.set(cell.stream, cell);
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
    cell.committed = snapshot;
  }

  /**
   * All committed snapshots as of now, to be read at leisure: what changes before it is read is set aside first.
   * Call `end` when done.
   */
  cut(): { snapshots: () => Generator<readonly [Cell, Snapshot]>; end: () => void } {
    const asOf = new Map<Cell, Snapshot>();
    const count = this.#cells.size;
    this.#onChange = (cell) => {
      if (!asOf.has(cell)) asOf.set(cell, cell.committed);
    };
    const cells = this.#cells;
    return {
      *snapshots() {
        let seen = 0;
        // A map gives its keys in the order they came: those beyond the count are newer than the cut.
        for (const cell of cells.values()) {
          if (seen++ >= count) return;
          const snapshot = asOf.get(cell) ?? cell.committed;
          if (snapshot.version > 0) yield [cell, snapshot];
        }
      },
      end: () => {
        this.#onChange = undefined;
      },
    };
  }
}
