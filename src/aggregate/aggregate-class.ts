// A decorated class as a definition.

import { InvalidArgumentError } from '../errors/index.js';
import { AggregateRoot } from './aggregate-root.js';
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
  const named = chain.find((facts) => facts.name !== undefined);
  if (named?.name === undefined)
    throw new InvalidArgumentError(`${label} is not an aggregate: decorate it with @Aggregate`);
  if (!(constructor.prototype instanceof AggregateRoot))
    throw new InvalidArgumentError(`${label} must extend AggregateRoot, which gives it state, version and emit`);
  const problem = chain.flatMap(({ problems }) => problems)[0];
  if (problem !== undefined) throw new InvalidArgumentError(`${label}: ${problem}`);
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
  const declared = chain.flatMap(({ events }) => (events === undefined ? [] : [events]));
  const definition = checkDefinition({
    name: named.name,
    version: named.version,
    initial: (constructor as { initial?: unknown }).initial,
    reducers,
    upcasters,
    migrations,
    events: declared.length === 0 ? undefined : declared.flat(),
    self: constructor,
    label,
  });
  made.set(constructor, definition);
  return definition;
}
