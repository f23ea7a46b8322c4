// Where decorators put what they were told, in both dialects: `Class[Symbol.metadata]`, which the standard dialect makes
// and the legacy dialect (experimentalDecorators) lacks, so there it is made here. One way to read it, inheritance by
// the prototype chain, and two copies of this library agree because every key is registered.

import 'reflect-metadata';
import { InvalidArgumentError } from '../errors/index.js';
import type { Migration, Reducer, Upcaster } from './definition.js';

// A compiler reads Symbol.metadata while it defines a decorated class, so it must be there before that class is. It is:
// whoever writes a decorator has imported this module. Symbol.for(...) is the key that esbuild falls back to.
(Symbol as { metadata?: symbol }).metadata ??= Symbol.for('Symbol.metadata');
const METADATA: unique symbol = (Symbol as { metadata?: symbol }).metadata as never;
const FACTS: unique symbol = Symbol.for('cairnlog.aggregate') as never;

/** What the decorators of one class said, without its ancestors. */
export interface Facts {
  name?: string;
  version?: number | undefined;
  events?: readonly string[] | undefined;
  readonly reducers: Map<string, { readonly key: string | symbol; readonly reducer: Reducer }>;
  readonly upcasters: Map<string, Map<number, Upcaster>>;
  readonly migrations: Map<number, Migration>;
  readonly commands: Set<string | symbol>;
  /** What is wrong with the class. Told when it is used: a class should be definable without a try around it. */
  readonly problems: string[];
}

type Metadata = { [FACTS]?: Facts };
type Described = { [METADATA]?: Metadata | null };
type AnyContext = ClassDecoratorContext | ClassMethodDecoratorContext;

/** Whether the second argument of a decorator is that of the standard dialect. */
export function isContext(value: unknown): value is AnyContext {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

/** Facts of the class that is being defined, in the standard dialect. */
export function factsInContext(context: AnyContext): Facts {
  const metadata = context.metadata as Metadata | undefined;
  if (!metadata)
    throw new InvalidArgumentError(
      `A decorator on '${String(context.name)}' got no context.metadata from the compiler; TypeScript 5.2 or later gives it`,
    );
  return factsIn(metadata);
}

/** Facts of a class itself, made if missing, in the legacy dialect. */
export function ownFacts(constructor: object): Facts {
  if (!Object.hasOwn(constructor, METADATA)) {
    const parent = (Object.getPrototypeOf(constructor) as Described | null)?.[METADATA] ?? null;
    Object.defineProperty(constructor, METADATA, { value: Object.create(parent) as Metadata, configurable: true });
  }
  return factsIn((constructor as Described)[METADATA]!);
}

/** Facts of a class and its ancestors, the class's own first; empty without decorators. */
export function factsChain(constructor: object): Facts[] {
  const chain: Facts[] = [];
  for (
    let metadata = (constructor as Described)[METADATA];
    metadata;
    metadata = Object.getPrototypeOf(metadata) as Metadata | null
  )
    if (Object.hasOwn(metadata, FACTS)) chain.push(metadata[FACTS]!);
  return chain;
}

function factsIn(metadata: Metadata): Facts {
  // Own, or a subclass would write into its parent's.
  if (!Object.hasOwn(metadata, FACTS))
    metadata[FACTS] = {
      reducers: new Map(),
      upcasters: new Map(),
      migrations: new Map(),
      commands: new Set(),
      problems: [],
    };
  return metadata[FACTS]!;
}

/** Whether the legacy compiler says that a method returns a promise; only with emitDecoratorMetadata. */
export function declaredAsync(target: object, key: string | symbol): boolean {
  return Reflect.getMetadata('design:returntype', target, key) === Promise;
}
