// What the programs of the real lanes write and look for: numbered units, of which every fifth is an append of three
// records, and nothing else. So what is left must be the units from 1 to some number, each whole and once.

import { FsDirectory, openStore, type Directory, type EventStore } from 'cairnlog';
import { Notes, order } from '../../support/scripted-store.js';

export const STREAMS = 10;

export function textsOf(unit: number): string[] {
  return unit % 5 === 0 ? [1, 2, 3].map((part) => `${unit}.${part}`) : [`${unit}${' '.repeat((unit * 37) % 90)}`];
}

export async function openNumbered(folder: string, segmentBytes = 700): Promise<EventStore> {
  return openNumberedIn(await FsDirectory.open(folder), segmentBytes);
}

export function openNumberedIn(dir: Directory, segmentBytes = 700): Promise<EventStore> {
  return openStore({
    dir,
    aggregates: [Notes],
    projections: [order],
    checkpoint: { records: Number.MAX_SAFE_INTEGER, retain: 2, changesAboveBytes: 1 },
    files: { segmentBytes, preallocateBytes: 0 },
  });
}

/** How many units there are. Throws unless they are the first ones, in order and whole. */
export function unitsIn(store: EventStore): number {
  const { texts } = store.projection(order).state;
  let at = 0;
  for (let unit = 1; ; unit++) {
    if (at === texts.length) return unit - 1;
    for (const text of textsOf(unit)) {
      const found = texts[at++];
      if (found !== text) throw new Error(`Unit ${unit} should be '${text}', and is '${String(found)}'`);
    }
  }
}

/** Writes a unit; resolves once it is durable. */
export async function writeUnit(store: EventStore, unit: number): Promise<void> {
  const texts = textsOf(unit);
  const stream = `${unit % STREAMS}`;
  if (texts.length === 1) {
    await store.execute(Notes, stream, (notes) => notes.note(texts[0]!), { commandId: `${unit}` });
    return;
  }
  await store.append(
    texts.map((text, index) => ({
      stream: `notes-${(unit + index) % STREAMS}`,
      events: [{ type: 'Noted', data: { text } }],
    })),
  );
}
