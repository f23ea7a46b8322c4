// Events → state, through immer: reducers change a draft, everyone else gets frozen states that share what did not
// change. A reducer that throws, or that leaves something in the state that a checkpoint could not hold, leaves the
// state as it was.

import { createDraft, current, finishDraft, isDraft, isDraftable, type Draft, type Objectish } from 'immer';
import { copyPlainData } from '../codec/index.js';
import { CairnError, EncodeError, InvalidArgumentError } from '../errors/index.js';
import { messageOf } from '../errors/message-of.js';
import type { AggregateDefinition, Upcaster } from './definition.js';
import type { Event } from './event.js';
import { checkState } from './plain-state.js';

export type { Draft } from 'immer';

/**
 * The state after `event`, which gets frozen. Throws {@link ReducerError} with the reducer's error as its cause.
 * `mayReturn`: the reducer may return the next state instead of changing the draft.
 */
export function reduce<S>(definition: AggregateDefinition<S>, state: S, event: Event, mayReturn = true): S {
  const reducer = definition.reducers.get(event.type);
  if (reducer === undefined)
    throw new ReducerError(
      `'${definition.name}' has no reducer for the event '${event.type}'; add one, also if it does nothing`,
      event.type,
    );
  if (!isDraftable(state)) throw new InvalidArgumentError(`The state of '${definition.name}' cannot be drafted`);
  const draft = createDraft(state as Objectish) as Draft<object>;
  let isFinished = false;
  try {
    const returned = (reducer as (draft: unknown, event: Event) => unknown)(draft, Object.freeze(event));
    if (typeof returned === 'object' && returned !== null) {
      refusePromise(returned);
      if (mayReturn) takeReturned(draft, state, returned);
    }
    isFinished = true;
    const next = finishDraft(draft) as S & object;
    return checkState(next, state) ? withoutNegativeZeros(next) : next;
  } catch (cause) {
    if (!isFinished) discard(draft);
    const what =
      cause instanceof EncodeError
        ? `made a state that is not plain data, so it could not be checkpointed: ${cause.message}`
        : cause instanceof AsyncError
          ? 'is async; a reducer must change the draft at once. Decide in the command, and emit what was decided'
          : `threw: ${messageOf(cause)}`;
    throw new ReducerError(`The reducer of '${event.type}' in '${definition.name}' ${what}`, event.type, {
      cause,
      field: cause instanceof EncodeError ? cause.field : undefined,
    });
  }
}

/** Of a reducer that returned a promise. */
class AsyncError extends Error {}

function refusePromise(returned: object): void {
  if (typeof (returned as { then?: unknown }).then !== 'function') return;
  // Whatever it comes to, nobody waits for it.
  if (returned instanceof Promise) returned.catch(() => undefined);
  throw new AsyncError('it is async: it returned a promise, and must change the state at once');
}

/**
 * An object that a reducer returned without touching the draft is the next state, as in Redux. In every other case what
 * it returned is ignored: arrow functions return whatever they assigned last, also where that changed nothing because
 * the state held the very same object.
 */
function takeReturned(draft: Draft<object>, state: unknown, returned: object): void {
  if (isDraft(returned) || Array.isArray(returned) !== Array.isArray(state) || current(draft) !== state) return;
  // Whatever a state holds is frozen.
  if (Object.isFrozen(returned) && holds(state, returned)) return;
  const prototype: unknown = Object.getPrototypeOf(returned);
  if (!Array.isArray(returned) && prototype !== Object.prototype && prototype !== null)
    // In place of the state, its fields would be taken for those of the state.
    throw new EncodeError(`it returned an instance of ${returned.constructor?.name || 'a class'}`);
  if (Array.isArray(returned)) {
    (draft as unknown[]).length = 0;
    for (const item of returned as unknown[]) (draft as unknown[]).push(item);
    return;
  }
  for (const key of Object.keys(draft))
    if (!Object.hasOwn(returned, key)) delete (draft as Record<string, unknown>)[key];
  Object.assign(draft, returned);
}

/** Whether `wanted` is `value`, or lies somewhere inside it. */
function holds(value: unknown, wanted: object): boolean {
  if (value === wanted) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some((field) => holds(field, wanted));
}

function discard(draft: Draft<object>): void {
  try {
    finishDraft(draft);
  } catch {
    // It holds what cannot be finished; nobody will see it.
  }
}

function withoutNegativeZeros<S extends object>(state: S): S {
  const draft = createDraft(state);
  mend(draft as Record<string, unknown>);
  return finishDraft(draft) as S;
}

function mend(draft: Record<string, unknown>): void {
  for (const key of Object.keys(draft)) {
    const value = draft[key];
    if (Object.is(value, -0)) {
      // To immer the two are the same, so there is nothing to do unless something else is in between.
      draft[key] = null;
      draft[key] = 0;
    } else if (isDraft(value)) mend(value as Record<string, unknown>);
  }
}

/**
 * A reducer is missing, threw, is async, or made a state that is not plain data; or an upcaster failed. State is as it
 * was before the event, and nothing was appended.
 */
export class ReducerError extends CairnError {
  readonly code = 'CAIRN_REDUCER';
  readonly eventType: string;
  /** Path of the field of the state that is not plain data, where that is the reason. */
  readonly field: string | undefined;

  constructor(
    message: string,
    eventType: string,
    facts: { readonly cause?: unknown; readonly field?: string | undefined } = {},
  ) {
    super(message, { cause: facts.cause });
    this.eventType = eventType;
    this.field = facts.field;
  }
}

/** Version of the data that this definition writes for an event type: one more than it has upcasters. */
export function currentEventVersion(definition: AggregateDefinition, type: string): number {
  return (definition.upcasters.get(type)?.length ?? 0) + 1;
}

/** Data of an older event version as the current one would have it; frozen. Throws {@link ReducerError}. */
export function upcast(definition: AggregateDefinition, type: string, data: unknown, version: number): unknown {
  const chain: readonly Upcaster[] = definition.upcasters.get(type) ?? [];
  if (version === chain.length + 1) return data;
  if (version > chain.length + 1)
    throw new ReducerError(
      `The event '${type}' was written in version ${version}, '${definition.name}' knows up to ${chain.length + 1}. ` +
        'A newer version of the program wrote it',
      type,
    );
  let upcasted = data;
  for (let from = version; from <= chain.length; from++) {
    try {
      upcasted = copyPlainData((chain[from - 1] as (data: unknown) => unknown)(upcasted), 'data');
    } catch (cause) {
      throw new ReducerError(
        `The upcaster of '${type}' from version ${from} in '${definition.name}' ` +
          (cause instanceof EncodeError ? 'made data that is not plain: ' : 'threw: ') +
          messageOf(cause),
        type,
        { cause },
      );
    }
  }
  return upcasted;
}

/** Deeply read-only, as state is to everyone but reducers. What plain data knows besides fields and lists stays as it is. */
export type ReadonlyState<S> = S extends Uint8Array | Date
  ? S
  : S extends object
    ? { readonly [K in keyof S]: ReadonlyState<S[K]> }
    : S;
