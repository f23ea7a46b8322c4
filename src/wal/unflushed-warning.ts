// A writer that is forgotten rather than closed loses what it had not written yet. Nothing can be done about it then,
// but it is said: when such a writer is collected, and when the process exits with one.

import * as fs from 'node:fs';

/** What a writer has appended and written, without the writer itself. */
interface Appended {
  readonly lastId: number;
}
interface Flushed {
  readonly flushedId: number;
  readonly failure: unknown;
}

interface Watched {
  readonly folder: string;
  readonly appended: Appended;
  readonly flushed: Flushed;
}

export interface UnflushedWatch {
  stop(): void;
}

const watched = new Set<Watched>();
const collected = new FinalizationRegistry<Watched>((writer) => {
  watched.delete(writer);
  const lost = describe(writer);
  if (lost !== undefined) process.emitWarning(lost, { code: 'CAIRN_UNFLUSHED' });
});

export function watchForUnflushed(
  writer: object,
  folder: string,
  appended: Appended,
  flushed: Flushed,
): UnflushedWatch {
  // One listener for all writers, only while there are any to speak of.
  if (watched.size === 0) process.on('exit', warnAtExit);
  const entry: Watched = { folder, appended, flushed };
  watched.add(entry);
  collected.register(writer, entry, entry);
  return {
    stop() {
      watched.delete(entry);
      collected.unregister(entry);
      if (watched.size === 0) process.off('exit', warnAtExit);
    },
  };
}

function warnAtExit(): void {
  for (const writer of watched) {
    const lost = describe(writer);
    // Warnings are printed in a later tick, and there is none any more.
    if (lost !== undefined) fs.writeSync(2, `(cairnlog) Warning: ${lost}\n`);
  }
}

function describe({ folder, appended, flushed }: Watched): string | undefined {
  const count = appended.lastId - flushed.flushedId;
  if (count <= 0 || flushed.failure !== undefined) return undefined;
  return `${count} entries appended to '${folder}' were never written: await close() or flush() before letting go of a writer`;
}
