// event-storage has no types of its own: what of it is used here.

declare module 'event-storage' {
  import type { EventEmitter } from 'node:events';

  export interface Config {
    readonly storageDirectory: string;
    readonly storageConfig: {
      readonly partitioner: (event: unknown) => string;
      readonly writeBufferSize: number;
      readonly syncOnFlush: boolean;
    };
  }

  export default class EventStore<E> extends EventEmitter {
    constructor(name: string, config: Config);
    commit(stream: string, events: readonly E[], callback: (commit: unknown) => void): void;
    getAllEvents(): Iterable<E> | false;
    close(): void;
  }
}
