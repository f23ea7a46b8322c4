// Aggregates: events, reducers, commands, and how they are written.

export type { DataOf, Event, Of } from './event.js';
export { AggregateRoot, beginSession, endSession, type Emitted } from './aggregate-root.js';
export {
  Aggregate,
  Command,
  MigratesState,
  Reduces,
  Upcasts,
  type AggregateDecorator,
  type AggregateOptions,
  type InstanceMethodDecorator,
  type StaticMethodDecorator,
} from './decorators.js';
export { definitionOfClass } from './aggregate-class.js';
export {
  defineAggregate,
  type CommandContext,
  type DefineAggregateOptions,
  type DefinedAggregate,
  type DefinedInstance,
} from './define-aggregate.js';
export type { AggregateDefinition } from './definition.js';
export { currentEventVersion, reduce, ReducerError, upcast, type Draft, type ReadonlyState } from './reduce.js';
