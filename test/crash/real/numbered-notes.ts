// What the programs of the real lanes write and look for: numbered units, of which every fifth is three records that
// belong together, and nothing else. What a unit says follows from its number, so what is left must be the units from 1
// to some number, each whole and once. The same units, in a store and in a bare log.

/** How units are written. */
export interface NumberedOptions {
  readonly level: 'store' | 'log';
  readonly durability: 'fsync' | 'flush';
  /** Length of a WAL segment. Default 700. */
  readonly segmentBytes?: number;
  readonly preallocateBytes?: number;
  readonly recycleSegments?: number;
  /** Length that texts are filled up to. Default: some characters, other ones for each unit. */
  readonly textBytes?: number;
}

/** An open store or log with the units that it was found with. */
export interface Numbered {
  readonly found: number;
  /** Position of the last record of those. */
  readonly position: number;
  /** Resolves to the position of the unit's last record once it is as durable as it was asked for. */
  write(unit: number): Promise<number>;
  checkpoint(full: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Opens what the options say, and reads all of it. Throws unless it is units in order and whole. */
export async function openUnits(folder: string, options: NumberedOptions): Promise<Numbered> {
  return (await loadOpener(options.level))(folder, options);
}

type Opener = (folder: string, options: NumberedOptions) => Promise<Numbered>;

/** Loads what {@link openUnits} needs, and no more: processes that do it are started by the hundred. */
export async function loadOpener(level: NumberedOptions['level']): Promise<Opener> {
  if (level === 'log') return (await import('./numbered-log.js')).openNumberedLog;
  return (await import('./numbered-store.js')).openNumberedStore;
}

export function textsOf(unit: number, textBytes?: number): string[] {
  const texts =
    unit % 5 === 0 ? [1, 2, 3].map((part) => `${unit}.${part}`) : [`${unit}${' '.repeat((unit * 37) % 90)}`];
  return textBytes === undefined ? texts : texts.map((text) => text.padEnd(textBytes, `${unit} `));
}

/** How many units there are. Throws unless they are the first ones, in order and whole. */
export function countUnits(texts: readonly string[], textBytes?: number): number {
  let at = 0;
  for (let unit = 1; ; unit++) {
    if (at === texts.length) return unit - 1;
    for (const text of textsOf(unit, textBytes)) {
      const found = texts[at++];
      if (found !== text) throw new Error(`Unit ${unit} should be '${text}', and is '${String(found)}'`);
    }
  }
}
