// What a writer may find: nothing, or what a crash has left, with an interrupted write at the end.

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Tally } from '../lanes/lane.js';
import { Promised } from './evidence.js';
import { openUnits, type NumberedOptions } from './numbered-notes.js';

export const startingPoints = ['nothing', 'after a crash'] as const;
export type StartingPoint = (typeof startingPoints)[number];

const UNITS = 11;

/** Makes starting points of some kinds in a folder. */
export class StartingPoints {
  readonly #folder: string;
  readonly #crashed = new Map<string, Promise<{ readonly folder: string; readonly position: number }>>();
  #copies = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async make(start: StartingPoint, options: NumberedOptions, tally: Tally): Promise<Promised> {
    const folder = path.join(this.#folder, `copy-${this.#copies++}`);
    const promised = new Promised(folder, tally);
    if (start === 'nothing') return promised;
    let crashed = this.#crashed.get(options.level);
    if (crashed === undefined) this.#crashed.set(options.level, (crashed = this.#crash(options)));
    const { folder: from, position } = await crashed;
    fs.cpSync(from, folder, { recursive: true });
    return Object.assign(promised, { units: UNITS, position, most: UNITS });
  }

  /** The files of a writer that was not closed. */
  async #crash(options: NumberedOptions): Promise<{ folder: string; position: number }> {
    const live = path.join(this.#folder, `live ${options.level}`);
    const folder = path.join(this.#folder, `crashed ${options.level}`);
    const numbered = await openUnits(live, options);
    let position = 0;
    for (let unit = 1; unit <= UNITS; unit++) {
      position = await numbered.write(unit);
      if (unit % 4 === 0) await numbered.checkpoint(unit === 4);
    }
    fs.cpSync(live, folder, { recursive: true });
    await numbered.close();
    const segments = fs.readdirSync(path.join(folder, 'wal')).filter((name) => name.endsWith('.log'));
    const last = segments.sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0])).at(-1)!;
    fs.appendFileSync(path.join(folder, 'wal', last), 'half a frame');
    return { folder, position };
  }
}
