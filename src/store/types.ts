// The aggregate types a store knows: what `aggregates` of openStore became; and what they are to the compiler.

import {
  definitionOfClass,
  type AggregateDefinition,
  type AggregateRoot,
  type DefinedAggregate,
  type Event,
} from '../aggregate/index.js';
import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

type AnyRoot = AggregateRoot<object, Event>;
/** What `defineAggregate` returned, whatever its types. */
type AnyDefined = Pick<DefinedAggregate<object, Event, object>, 'definition' | 'make'>;

/** State type of an aggregate, deeply read-only: `StateOf<typeof Account>`. */
export type StateOf<T> = InstanceOf<T> extends { readonly state: infer S } ? S : unknown;

/** What commands of an aggregate are called on: `InstanceOf<typeof Account>` is `Account`. */
export type InstanceOf<T> = T extends new () => infer A ? A : T extends { readonly make: () => infer A } ? A : never;

/** An aggregate, as `openStore` and `execute` take it: a class with `@Aggregate`, or what `defineAggregate` returned. */
export type Target = (new () => AnyRoot) | AnyDefined;

export class AggregateTypes {
  readonly #byName = new Map<string, AggregateDefinition>();
  readonly #byTarget = new Map<unknown, AggregateDefinition>();
  readonly #forgotten: ReadonlySet<string>;

  /**
   * `forgotten`: names of aggregates that are no longer defined. Throws {@link InvalidArgumentError} for anything that is
   * not a usable aggregate, and for two of one name.
   */
  constructor(targets: readonly unknown[], forgotten: readonly string[] = []) {
    this.#forgotten = new Set(forgotten);
    for (const target of targets) {
      const definition = definitionOf(target);
      const other = this.#byName.get(definition.name);
      if (other !== undefined && other !== definition)
        throw new InvalidArgumentError(`Two aggregates are named '${definition.name}'; streams are told apart by it`);
      this.#byName.set(definition.name, definition);
      this.#byTarget.set(target, definition);
    }
  }

  [Symbol.iterator](): IterableIterator<AggregateDefinition> {
    return this.#byName.values();
  }

  /** Whether states of this name may be lost. */
  forgets(name: string): boolean {
    return this.#forgotten.has(name);
  }

  named(name: string): AggregateDefinition | undefined {
    return this.#byName.get(name);
  }

  /** The definition behind a class or defined aggregate. Throws if it was not given to openStore. */
  of(target: unknown): AggregateDefinition {
    const definition = this.#byTarget.get(target);
    if (definition !== undefined) return definition;
    throw new InvalidArgumentError(
      `'${definitionOf(target).name}' is not among the aggregates of this store; add it to openStore({ aggregates })`,
    );
  }

  /** The type of a stream, by the part of its name before the first '-'. */
  ofStream(stream: string): AggregateDefinition | undefined {
    const dash = stream.indexOf('-');
    return dash < 0 ? undefined : this.#byName.get(stream.slice(0, dash));
  }
}

function definitionOf(target: unknown): AggregateDefinition {
  if (typeof target === 'function') return definitionOfClass(target as never);
  const definition = (target as { definition?: AggregateDefinition } | null)?.definition;
  if (definition !== undefined && definition.reducers instanceof Map) return definition;
  throw new InvalidArgumentError('An aggregate is a class decorated with @Aggregate, or what defineAggregate returned');
}

/** `name-id`. Throws {@link InvalidArgumentError} for an id that cannot be part of a stream's name. */
export function streamOf(name: string, id: string): string {
  if (typeof id !== 'string' || id === '' || !id.isWellFormed())
    throw new InvalidArgumentError(`The id of an aggregate must be a text that is not empty, got ${shown(id)}`);
  return `${name}-${id}`;
}
