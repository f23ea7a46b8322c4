// Aggregates: events, reducers, commands, and how they are written.

export { copyEvent, type DataOf, type Event, type Of } from './event.js';
export { AggregateRoot, beginSession, endSession, isPromiseLike, type Emitted } from './aggregate-root.js';
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
  type Reducers,
} from './define-aggregate.js';
export { isAsync, type AggregateDefinition } from './definition.js';
export { currentEventVersion, reduce, ReducerError, upcast, type Draft, type ReadonlyState } from './reduce.js';
