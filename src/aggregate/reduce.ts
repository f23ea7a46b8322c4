// Events → state, through immer: reducers change a draft, everyone else gets frozen states that share what did not
// change. A reducer that throws leaves the state as it was.

import { createDraft, finishDraft, isDraftable, type Draft, type Objectish } from 'immer';
import { CairnError, InvalidArgumentError } from '../errors/index.js';
import type { AggregateDefinition, Upcaster } from './definition.js';
import type { Event } from './event.js';

export type { Draft } from 'immer';

/** The state after `event`. Throws {@link ReducerError} with the reducer's error as its cause. */
export function reduce<S>(definition: AggregateDefinition<S>, state: S, event: Event): S {
  const reducer = definition.reducers.get(event.type);
  if (reducer === undefined)
    throw new ReducerError(`'${definition.name}' has no reducer for the event '${event.type}'`, event.type);
  if (!isDraftable(state)) throw new InvalidArgumentError(`The state of '${definition.name}' cannot be drafted`);
  const draft = createDraft(state as Objectish) as Draft<unknown>;
  let returned: unknown;
  try {
    returned = (reducer as (draft: unknown, event: Event) => unknown)(draft, event);
  } catch (cause) {
    finishDraft(draft as Draft<Objectish>);
    throw new ReducerError(
      `The reducer of '${event.type}' in '${definition.name}' threw: ${cause instanceof Error ? cause.message : String(cause)}`,
      event.type,
      cause,
    );
  }
  const next = finishDraft(draft as Draft<Objectish>) as S;
  if (returned instanceof Promise) {
    // Whatever it comes to, nobody waits for it.
    returned.catch(() => undefined);
    throw new ReducerError(
      `The reducer of '${event.type}' in '${definition.name}' is async; a reducer must change the draft at once`,
      event.type,
    );
  }
  return next;
}

/** A reducer is missing, threw, or is async. State is as it was before the event. */
export class ReducerError extends CairnError {
  readonly code = 'CAIRN_REDUCER';
  readonly eventType: string;

  constructor(message: string, eventType: string, cause?: unknown) {
    super(message, { cause });
    this.eventType = eventType;
  }
}

/** Version of the data that this definition writes for an event type: one more than it has upcasters. */
export function currentEventVersion(definition: AggregateDefinition, type: string): number {
  return (definition.upcasters.get(type)?.length ?? 0) + 1;
}

/** Data of an older event version as the current one would have it. */
export function upcast(definition: AggregateDefinition, type: string, data: unknown, version: number): unknown {
  const chain: readonly Upcaster[] = definition.upcasters.get(type) ?? [];
  if (version > chain.length + 1)
    throw new ReducerError(
      `The event '${type}' was written in version ${version}, '${definition.name}' knows up to ${chain.length + 1}. ` +
        'A newer version of the program wrote it',
      type,
    );
  let current = data;
  for (const step of chain.slice(version - 1)) current = (step as (data: unknown) => unknown)(current);
  return current;
}

/** Deeply read-only, as state is to everyone but reducers. What plain data knows besides fields and lists stays as it is. */
export type ReadonlyState<S> = S extends Uint8Array | Date
  ? S
  : S extends object
    ? { readonly [K in keyof S]: ReadonlyState<S[K]> }
    : S;
