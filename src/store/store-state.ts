// Everything that a store remembers, as a function of its log: streams, receipts, what subscriptions have handled, and
// projections. Recovery builds it from a checkpoint and entries; a live store advances it entry by entry, the same way.

import { advance, Cells, type Cell, type Snapshot } from './cells.js';
import type { StoreEntry } from './entry.js';
import { ProjectionFold, type ProjectionDefinition } from './projection.js';
import { Receipts, type Answer } from './receipts.js';
import type { StoredRecord } from './record.js';
import type { AggregateTypes } from './types.js';

/** How far a durable subscription has come. */
export interface SubscriptionState {
  /** Everything up to here was handled, parked or skipped. */
  position: number;
  /** Parked records by position. */
  readonly parked: Map<number, Parked>;
}

/** Why a record was set aside. */
export interface Parked {
  readonly error: string;
  /** How often it was tried. */
  readonly attempts: number;
}

export class StoreState {
  readonly types: AggregateTypes;
  readonly cells: Cells;
  readonly receipts: Receipts;
  readonly subscriptions: Map<string, SubscriptionState> = new Map();
  readonly projections: Map<string, ProjectionFold> = new Map();

  constructor(types: AggregateTypes, projections: readonly ProjectionDefinition[], receiptsKept: number) {
    this.types = types;
    this.cells = new Cells(types);
    this.receipts = new Receipts(receiptsKept);
    for (const projection of projections) this.projections.set(projection.name, new ProjectionFold(projection));
  }

  subscription(name: string): SubscriptionState {
    let state = this.subscriptions.get(name);
    if (state === undefined) {
      state = { position: 0, parked: new Map() };
      this.subscriptions.set(name, state);
    }
    return state;
  }

  /** Takes in a committed entry. `known`: the cell of its stream, kept, and what its state becomes. */
  apply(entry: StoreEntry, position: number, known?: { readonly cell?: Cell; readonly snapshot?: Snapshot }): void {
    switch (entry.kind) {
      case 'record': {
        let cell = known?.cell;
        if (cell === undefined) {
          cell = this.cells.of(entry.stream);
          this.cells.keep(cell);
        }
        this.cells.commit(cell, known?.snapshot ?? advance(cell, cell.committed, entry));
        if (entry.receipt !== undefined)
          this.receipts.add(
            entry.stream,
            entry.receipt.commandId,
            answer(entry.version, position, entry.receipt.result),
          );
        return;
      }
      case 'receipt':
        this.receipts.add(entry.stream, entry.receipt.commandId, answer(entry.version, position, entry.receipt.result));
        return;
      case 'cursor':
        this.subscription(entry.subscription).position = entry.position;
        return;
      case 'parked': {
        const { subscription, position, error, attempts } = entry;
        const known = this.subscriptions.get(subscription);
        // It may have been given up meanwhile; then it does not come back.
        if (known === undefined) return;
        known.parked.set(position, { error, attempts });
        // Everything before was handled. One entry for both, so that no crash comes in between.
        known.position = Math.max(known.position, position);
        return;
      }
      case 'unparked':
        this.subscriptions.get(entry.subscription)?.parked.delete(entry.position);
        return;
      case 'unsubscribed':
        this.subscriptions.delete(entry.subscription);
        return;
      case 'wal':
        return;
    }
  }
}

function answer(version: number, position: number, result: unknown): Answer {
  return { version, position, result };
}

/** The record that an entry is at its position. */
export function recordOf(entry: StoreEntry & { readonly kind: 'record' }, position: number): StoredRecord {
  const { stream, version, type, data, metadata, recordedAt } = entry;
  return Object.freeze({ stream, version, position, type, data, metadata, recordedAt });
}
