// Records: events as they are stored.

import type { Event } from '../aggregate/index.js';

/** Plain data that travels with records and is not reduced: who, from where, because of what. */
export type Metadata = Readonly<Record<string, unknown>>;

/**
 * An event in its place; frozen all through. Of a union of events it is a union of records, so that `record.type` tells
 * the type of `record.data`.
 */
export type StoredRecord<E extends Event = Event> = E extends Event ? RecordOf<E> : never;

/** A record of one type of event. */
interface RecordOf<E extends Event> {
  /** `name-id` of the aggregate. */
  readonly stream: string;
  /** Place in the stream, from 1. */
  readonly version: number;
  /** Place in the store, from 1; not every position is a record. */
  readonly position: number;
  readonly type: E['type'];
  readonly data: E['data'];
  readonly metadata: Metadata;
  /** Milliseconds since 1970, by the writer's clock; for people, never for order. */
  readonly recordedAt: number;
}
