// A store's state as items of a checkpoint, and back. One MessagePack array each:
//
//   [0, 1, [[type, version, fingerprint]], [[projection, version, fingerprint]]]   first: what the rest was made by
//   [1, stream, version, state]                                                    a stream; state null without a type
//   [2, stream, commandId, version, position, ...result]                           a receipt
//   [3, subscription, position, [[parkedPosition, error, attempts]]]
//   [4, projection, position, state, ...failure]                                   failure: it stopped at that position

import { ByteReader } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { checkPlainData, uncheckedMessagePackCodec } from '../codec/index.js';
import { EncodeError, FormatError } from '../errors/index.js';
import type { Answer } from './receipts.js';
import type { StoreState } from './store-state.js';

const ITEMS_VERSION = 1;

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
      readonly state: unknown;
      /** Why it is only at its position, and not at the checkpoint's. */
      readonly failure: string | undefined;
    };

const codec = uncheckedMessagePackCodec<readonly unknown[]>();

/**
 * The committed state as of this call, encoded item by item as the items are asked for; the store may go on meanwhile.
 * The items throw {@link EncodeError} that names the aggregate if a reducer made a state that is not plain data.
 */
export function encodeState(state: StoreState): Generator<Uint8Array, void, undefined> {
  // What is small is set aside now; streams are read from a cut.
  const receipts = [...state.receipts.entries()];
  const subscriptions = [...state.subscriptions].map(([name, { position, parked }]) => [
    3,
    name,
    position,
    [...parked].map(([parkedPosition, { error, attempts }]) => [parkedPosition, error, attempts]),
  ]);
  const folds = [...state.projections.values()].map(({ definition, position, state: folded, failure }) => ({
    definition,
    position,
    folded,
    failure,
  }));
  const header = [0, ITEMS_VERSION, made(state.types), made(folds.map(({ definition }) => definition))];
  const cut = state.cells.cut();
  const generator = items();
  // Begun, so that `return` on it ends the cut even if no item is ever asked for.
  generator.next();
  return generator;

  function* items(): Generator<Uint8Array, void, undefined> {
    try {
      yield NOTHING;
      yield encode(header);
      for (const [{ stream }, snapshot] of cut.snapshots()) {
        const value = snapshot.state ?? null;
        yield encodeChecked([1, stream, snapshot.version, value], value, `The state of '${stream}'`);
      }
      for (const [stream, commandId, { version, position, result }] of receipts)
        yield encode([2, stream, commandId, version, position, ...(result === undefined ? [] : [result])]);
      for (const subscription of subscriptions) yield encode(subscription);
      for (const { definition, position, folded, failure } of folds) {
        const item = [4, definition.name, position, folded, ...(failure === undefined ? [] : [failure.message])];
        yield encodeChecked(item, folded, `The projection '${definition.name}'`);
      }
    } finally {
      cut.end();
    }
  }
}

const writer = new ByteWriter(4096);
const NOTHING = new Uint8Array(0);

/** A view that the next item overwrites. */
function encode(array: readonly unknown[]): Uint8Array {
  writer.length = 0;
  codec.encode(array, writer);
  return writer.bytes.subarray(0, writer.length);
}

function encodeChecked(array: readonly unknown[], value: unknown, what: string): Uint8Array {
  try {
    checkPlainData(value);
  } catch (cause) {
    throw new EncodeError(`${what} cannot be checkpointed: ${(cause as Error).message}`, { cause });
  }
  return encode(array);
}

function made(list: Iterable<{ readonly name: string } & Made>): unknown[] {
  return [...list].map(({ name, version, fingerprint }) => [name, version, fingerprint]);
}

export function decodeItem(bytes: Uint8Array): CheckpointItem {
  const array = codec.decode(new ByteReader(bytes)) as unknown[];
  const [kind, name] = array as [number, string];
  switch (kind) {
    case 0:
      if (array[1] !== ITEMS_VERSION)
        throw new FormatError(
          `The checkpoint's contents are of version ${String(array[1])}; a newer version wrote them`,
        );
      return { kind: 'made', types: readMade(array[2]), projections: readMade(array[3]) };
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
        failure: array[4] as string | undefined,
      };
    default:
      throw new FormatError(`An item of kind ${String(kind)} in a checkpoint; a newer version of the library wrote it`);
  }
}

function readMade(list: unknown): Map<string, Made> {
  return new Map(
    (list as [string, number, string][]).map(([name, version, fingerprint]) => [name, { version, fingerprint }]),
  );
}
