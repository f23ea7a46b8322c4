// Numbered units in a store: commands and appends over some streams, and a projection that has all texts in their order.

import { defineAggregate, defineProjection, openStore, type Event, type EventStore } from 'cairnlog';
import { countUnits, textsOf, type Numbered, type NumberedOptions } from './numbered-notes.js';

const STREAMS = 10;

type Noted = Event<'Noted', { text: string }>;

const Notes = defineAggregate('notes', {
  initial: { texts: [] as string[] },
  reduce: {
    Noted: (state, event: Noted) => {
      state.texts.push(event.data.text);
    },
  },
  commands: (notes) => ({
    note(text: string) {
      notes.emit('Noted', { text });
    },
  }),
});

const order = defineProjection('order', {
  initial: { texts: [] as string[] },
  on: {
    Noted: (state, { data }: { data: Noted['data'] }) => {
      state.texts.push(data.text);
    },
  },
});

export async function openNumberedStore(folder: string, options: NumberedOptions): Promise<Numbered> {
  const { durability, segmentBytes = 700, preallocateBytes = 0, recycleSegments = 0, textBytes } = options;
  const store = await openStore({
    dir: folder,
    aggregates: [Notes],
    projections: [order],
    durability,
    checkpoint: { records: Number.MAX_SAFE_INTEGER, retain: 2, changesAboveBytes: 1 },
    files: { segmentBytes, preallocateBytes, recycleSegments },
  });
  try {
    return {
      found: countUnits(store.projection(order).state.texts, textBytes),
      position: store.position,
      write: (unit) => write(store, unit, textBytes),
      checkpoint: async (full) => void (await store.checkpoint({ full })),
      close: () => store.close(),
    };
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
}

async function write(store: EventStore, unit: number, textBytes: number | undefined): Promise<number> {
  const texts = textsOf(unit, textBytes);
  if (texts.length === 1) {
    const stream = `${unit % STREAMS}`;
    const options = { commandId: `${unit}` };
    return (await store.execute(Notes, stream, (notes) => notes.note(texts[0]!), options)).position;
  }
  const { lastPosition } = await store.append(
    texts.map((text, index) => ({
      stream: `notes-${(unit + index) % STREAMS}`,
      events: [{ type: 'Noted', data: { text } }],
    })),
  );
  return lastPosition;
}
