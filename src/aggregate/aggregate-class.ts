// A decorated class as a definition.

import { InvalidArgumentError } from '../errors/index.js';
import { factsChain } from './decorator-facts.js';
import {
  checkDefinition,
  type AggregateDefinition,
  type Migration,
  type Reducer,
  type Upcaster,
} from './definition.js';

const made = new WeakMap<object, AggregateDefinition>();

/** The definition of a decorated class; made once. Throws {@link InvalidArgumentError} that says what to change. */
export function definitionOfClass(constructor: abstract new (...args: never[]) => object): AggregateDefinition {
  const known = made.get(constructor);
  if (known !== undefined) return known;
  const label = `class ${constructor.name}`;
  const chain = factsChain(constructor);
  const name = chain.find((facts) => facts.name !== undefined)?.name;
  if (name === undefined) throw new InvalidArgumentError(`${label} is not an aggregate: decorate it with @Aggregate`);
  const reducers = new Map<string, Reducer>();
  const upcasters = new Map<string, Map<number, Upcaster>>();
  const migrations = new Map<number, Migration>();
  // Ancestors first: what a class says itself wins.
  for (const facts of [...chain].reverse()) {
    for (const [type, { reducer }] of facts.reducers) reducers.set(type, reducer);
    for (const [type, steps] of facts.upcasters)
      upcasters.set(type, new Map([...(upcasters.get(type) ?? []), ...steps]));
    for (const [from, migration] of facts.migrations) migrations.set(from, migration);
  }
  const definition = checkDefinition({
    name,
    version: chain.find((facts) => facts.version !== undefined)?.version,
    initial: (constructor as { initial?: unknown }).initial,
    reducers,
    upcasters,
    migrations,
    events: chain.flatMap((facts) => facts.events ?? []),
    label,
  });
  made.set(constructor, definition);
  return definition;
}
