// A store's state as items of a checkpoint, and back. One MessagePack array each:
//
//   [0, 1, [[type, version, fingerprint]], [[projection, version, fingerprint]]]   first: what the rest was made by
//   [1, stream, version, state]                                                    a stream; state null without a type
//   [2, stream, commandId, version, position, ...result]                           a receipt
//   [3, subscription, position, [[parkedPosition, error, attempts]]]
//   [4, projection, position, state, ...error]     error: folding failed behind that position
//
// A checkpoint may hold only what changed since another one. Its first item is
//
//   [0, 2, types, projections, basePosition]
//
// its streams and receipts are added to those of the base, its subscriptions replace them, and a projection without a
// state is as it was.

import type { ByteReader } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { checkPlainData, uncheckedMessagePackCodec } from '../codec/index.js';
import { EncodeError, FormatError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Snapshots } from './cells.js';
import type { Answer } from './receipts.js';
import type { StoreState } from './store-state.js';

const WHOLE_VERSION = 1;
const CHANGES_VERSION = 2;

/** A type or projection as a checkpoint knew it. */
export interface Made {
  readonly version: number;
  readonly fingerprint: string;
}

export type CheckpointItem =
  | {
      readonly kind: 'made';
      readonly types: ReadonlyMap<string, Made>;
      readonly projections: ReadonlyMap<string, Made>;
      /** Position of the checkpoint that this one holds the changes since; `undefined` if it holds everything. */
      readonly base: number | undefined;
    }
  | { readonly kind: 'stream'; readonly stream: string; readonly version: number; readonly state: unknown }
  | { readonly kind: 'receipt'; readonly stream: string; readonly commandId: string; readonly answer: Answer }
  | {
      readonly kind: 'subscription';
      readonly name: string;
      readonly position: number;
      readonly parked: readonly (readonly [position: number, error: string, attempts: number])[];
    }
  | {
      readonly kind: 'projection';
      readonly name: string;
      readonly position: number;
      /** `undefined`: as in the base. */
      readonly state: unknown;
      readonly error: string | undefined;
    };

const codec = uncheckedMessagePackCodec<readonly unknown[]>();

/** What an earlier checkpoint held, for one that holds only what changed since. */
export interface Base {
  readonly position: number;
  /** What it was made by. */
  readonly made: string;
  /** States of projections, by name. */
  readonly folded: ReadonlyMap<string, unknown>;
}

/** Items one after the other. What it answers with, and the bytes in it, are good until it is asked again. */
export interface Items {
  next(): IteratorResult<Uint8Array, void>;
  /** No more are wanted. */
  return(): void;
}

/** The state on its way into a checkpoint. */
export interface EncodedState {
  readonly items: Items;
  /** What the next checkpoint can build on, if this one comes to be. */
  readonly base: Base;
  /** Has to be called if it does not. */
  readonly undo: () => void;
}

/** What decides whether a checkpoint can build on another: both must be made by the same. */
export function madeBy(state: StoreState): string {
  return JSON.stringify([made(state.types), made([...state.projections.values()].map(({ definition }) => definition))]);
}

/** The same of a checkpoint's first item. */
export function madeAs(item: CheckpointItem & { readonly kind: 'made' }): string {
  const list = (of: ReadonlyMap<string, Made>): unknown[] =>
    made([...of].map(([name, { version, fingerprint }]) => ({ name, version, fingerprint })));
  return JSON.stringify([list(item.types), list(item.projections)]);
}

/**
 * The committed state as of this call, which is `position`, encoded item by item as the items are asked for; the store
 * may go on meanwhile. With a base, only what changed since. The items throw {@link EncodeError} that names the
 * aggregate if a reducer made a state that is not plain data.
 */
export function encodeState(state: StoreState, position: number, base?: Base): EncodedState {
  // What is small is set aside now; streams and receipts are read from a cut.
  const subscriptions = [...state.subscriptions].map(([name, subscription]) => [
    3,
    name,
    subscription.position,
    [...subscription.parked].map(([parked, { error, attempts }]) => [parked, error, attempts]),
  ]);
  const folds = [...state.projections.values()].map(({ definition, position: at, state: folded, failure }) => ({
    name: definition.name,
    at,
    folded,
    error: failure?.message,
  }));
  const by = [made(state.types), made([...state.projections.values()].map(({ definition }) => definition))];
  const header = base === undefined ? [0, WHOLE_VERSION, ...by] : [0, CHANGES_VERSION, ...by, base.position];
  const receipts = state.receipts.cut(base?.position ?? 0, position);
  const cut = state.cells.cut(base === undefined ? 'all' : 'changed');
  const encoder = new ItemEncoder();
  return {
    items: new StateItems(encoder, header, cut.snapshots, others(), () => {
      cut.end();
      receipts.end();
    }),
    base: { position, made: JSON.stringify(by), folded: new Map(folds.map(({ name, folded }) => [name, folded])) },
    undo: cut.undo,
  };

  /** What comes behind the streams. */
  function* others(): Generator<Uint8Array, void, undefined> {
    for (const { stream, commandId, answer } of receipts.entries()) {
      const { version, position: at, result } = answer;
      yield encoder.encode([2, stream, commandId, version, at, ...(result === undefined ? [] : [result])]);
    }
    for (const subscription of subscriptions) yield encoder.encode(subscription);
    for (const { name, at, folded, error } of folds) {
      const failed = error === undefined ? [] : [error];
      if (failed.length === 0 && base?.folded.get(name) === folded) {
        yield encoder.encode([4, name, at]);
      } else {
        checkState(folded, 'The projection', name);
        yield encoder.encode([4, name, at, folded, ...failed]);
      }
    }
  }
}

const END: IteratorResult<Uint8Array, void> = { done: true, value: undefined };

/** Makes nothing for the garbage collector as long as there are streams: there may be millions. */
class StateItems implements Items {
  readonly #encoder: ItemEncoder;
  readonly #header: readonly unknown[];
  readonly #snapshots: Snapshots;
  readonly #others: Generator<Uint8Array, void, undefined>;
  readonly #end: () => void;
  readonly #answer: { done: false; value: Uint8Array } = { done: false, value: new Uint8Array(0) };
  readonly #stream: unknown[] = [1, '', 0, null];
  #at: 'header' | 'streams' | 'others' | 'end' = 'header';

  constructor(
    encoder: ItemEncoder,
    header: readonly unknown[],
    snapshots: Snapshots,
    others: Generator<Uint8Array, void, undefined>,
    end: () => void,
  ) {
    this.#encoder = encoder;
    this.#header = header;
    this.#snapshots = snapshots;
    this.#others = others;
    this.#end = end;
  }

  next(): IteratorResult<Uint8Array, void> {
    if (this.#at === 'end') return END;
    try {
      if (this.#at === 'header') {
        this.#at = 'streams';
        return this.#give(this.#header);
      }
      if (this.#at === 'streams') {
        if (this.#snapshots.next()) return this.#give(this.#streamItem());
        this.#at = 'others';
      }
      const other = this.#others.next();
      if (other.done === true) this.return();
      return other;
    } catch (error) {
      this.return();
      throw error;
    }
  }

  return(): void {
    if (this.#at === 'end') return;
    this.#at = 'end';
    this.#end();
  }

  #streamItem(): readonly unknown[] {
    const { stream, snapshot } = this.#snapshots;
    const state = snapshot.state ?? null;
    checkState(state, 'The state of', stream);
    const item = this.#stream;
    item[1] = stream;
    item[2] = snapshot.version;
    item[3] = state;
    return item;
  }

  #give(item: readonly unknown[]): IteratorResult<Uint8Array, void> {
    this.#answer.value = this.#encoder.encode(item);
    return this.#answer;
  }
}

/** Views of this length and shorter ones are made once. */
const KEPT_VIEW_BYTES = 1024;

/** One for each checkpoint: two stores may each be taking one. */
class ItemEncoder {
  readonly #writer = new ByteWriter(4096);
  /** Of the writer's bytes, by length. */
  #views: Uint8Array[] = [];
  #viewed: Uint8Array = this.#writer.bytes;

  /** A view that the next item overwrites. */
  encode(item: readonly unknown[]): Uint8Array {
    const writer = this.#writer;
    writer.length = 0;
    codec.encode(item, writer);
    const { bytes, length } = writer;
    if (length > KEPT_VIEW_BYTES) return bytes.subarray(0, length);
    if (bytes !== this.#viewed) {
      this.#viewed = bytes;
      this.#views = [];
    }
    return (this.#views[length] ??= bytes.subarray(0, length));
  }
}

/** Throws {@link EncodeError} for what a checkpoint could not bring back as it was. */
function checkState(state: unknown, what: string, name: string): void {
  try {
    checkPlainData(state);
  } catch (cause) {
    throw new EncodeError(`${what} '${name}' cannot be checkpointed: ${(cause as Error).message}`, { cause });
  }
}

function made(list: Iterable<{ readonly name: string } & Made>): unknown[] {
  return [...list]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, version, fingerprint }) => [name, version, fingerprint]);
}

/** What is decoded is nobody else's yet. */
export function decodeItem(reader: ByteReader): CheckpointItem {
  const array = codec.decode(reader) as unknown[];
  const [kind, name] = array as [number, string];
  switch (kind) {
    case 0:
      if (array[1] !== WHOLE_VERSION && array[1] !== CHANGES_VERSION)
        throw new FormatError(
          `The checkpoint's contents are of version ${shown(array[1])}; a newer version wrote them`,
        );
      return {
        kind: 'made',
        types: readMade(array[2]),
        projections: readMade(array[3]),
        base: array[1] === CHANGES_VERSION ? (array[4] as number) : undefined,
      };
    case 1:
      return { kind: 'stream', stream: name, version: array[2] as number, state: array[3] ?? undefined };
    case 2:
      return {
        kind: 'receipt',
        stream: name,
        commandId: array[2] as string,
        answer: { version: array[3] as number, position: array[4] as number, result: array[5] },
      };
    case 3:
      return {
        kind: 'subscription',
        name,
        position: array[2] as number,
        parked: array[3] as (readonly [number, string, number])[],
      };
    case 4:
      return {
        kind: 'projection',
        name,
        position: array[2] as number,
        state: array[3],
        error: array[4] as string | undefined,
      };
    default:
      throw new FormatError(`An item of kind ${shown(kind)} in a checkpoint; a newer version of the library wrote it`);
  }
}

function readMade(list: unknown): Map<string, Made> {
  return new Map(
    (list as [string, number, string][]).map(([name, version, fingerprint]) => [name, { version, fingerprint }]),
  );
}
