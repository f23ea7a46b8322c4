// Cutting the power at every point of a piece of work, and choosing what is left of what was not synced.

import { FaultyDirectory, isMutation, loseEverything, loseNothing } from 'cairnlog/testing';
import type { PowerCut, SimulatedDisk } from 'cairnlog/testing';

const SECTOR_BYTES = 512;

/** Files have grown and have their names, but none of the bytes arrived. */
export const sizeBeforeData: PowerCut = { page: () => 'zero', size: () => true, name: () => true };

/** As {@link sizeBeforeData}, with what happened to lie on the disk before. */
export const garbageBeforeData: PowerCut = { page: () => 'garbage', size: () => true, name: () => true };

/** The bytes arrived and the names did not. */
export const dataBeforeNames: PowerCut = { page: () => 'new', size: () => true, name: () => false };

/** The names arrived and the bytes did not. */
export const namesBeforeData: PowerCut = { page: () => 'old', size: () => false, name: () => true };

/** The extremes: what a cut can leave if it treats all files alike. */
export function extremes(disk: SimulatedDisk): PowerCut[] {
  const harsh = [sizeBeforeData, garbageBeforeData].map((cut) => sparingDurable(disk, cut));
  return [loseEverything, loseNothing, ...harsh, dataBeforeNames, namesBeforeData];
}

/** Every fate of first and of other unsynced sectors, of sizes and of names, for all files alike. */
export function everyFate(disk: SimulatedDisk): PowerCut[] {
  const fates = ['new', 'old', 'zero', 'garbage'] as const;
  const cuts: PowerCut[] = [];
  for (const first of fates)
    for (const others of fates)
      for (const size of [true, false])
        for (const name of [true, false])
          cuts.push({ page: (_, page) => (page === 0 ? first : others), size: () => size, name: () => name });
  return cuts.map((cut) => sparingDurable(disk, cut));
}

/**
 * Writing to a sector a second time leaves it as it was or as it becomes: disks promise as much, and without it nothing
 * could be appended to a file safely. So a sector that has durable bytes in it is never zeros or garbage.
 */
export function sparingDurable(disk: SimulatedDisk, cut: PowerCut): PowerCut {
  const durable = disk.afterPowerCut({ ...loseEverything, name: () => true });
  return {
    ...cut,
    page(path, page, file) {
      const fate = cut.page(path, page, file);
      if (fate === 'new' || fate === 'old') return fate;
      return (durable.peek(path)?.length ?? 0) > page * SECTOR_BYTES ? 'old' : fate;
    },
  };
}

/** Every choice of which unsynced changes of names reached the disk; of the data, all or nothing did. */
export function everySubsetOfNames(disk: SimulatedDisk): PowerCut[] {
  const { names } = disk.unsynced();
  if (names > 12) throw new Error(`${names} unsynced names are too many to try all subsets`);
  const cuts: PowerCut[] = [];
  for (const data of [loseEverything, loseNothing])
    for (let subset = 0; subset < 2 ** names; subset++) {
      let asked = 0;
      cuts.push({ ...data, name: () => ((subset >> asked++) & 1) === 1 });
    }
  return cuts;
}

/** A disk as a power cut left it. */
export interface CutPoint<T> {
  /** The change that would have come next. */
  readonly before: string;
  /** What was noted at that moment, e.g. how much was acknowledged. */
  readonly noted: T;
  readonly disk: SimulatedDisk;
}

/** Watches work on a simulated disk and cuts the power before each change of it. */
export class CutEverywhere<T> {
  /** Work on this one. */
  readonly directory: FaultyDirectory;
  readonly points: CutPoint<T>[] = [];
  readonly #disk: SimulatedDisk;
  readonly #cuts: (disk: SimulatedDisk) => Iterable<PowerCut>;
  readonly #note: () => T;

  constructor(disk: SimulatedDisk, cuts: (disk: SimulatedDisk) => Iterable<PowerCut>, note: () => T) {
    this.#disk = disk;
    this.#cuts = cuts;
    this.#note = note;
    this.directory = new FaultyDirectory(disk, (operation) => {
      if (isMutation(operation)) this.cut(`${operation.kind} ${operation.path}`);
      return undefined;
    });
  }

  /** Cuts the power now. */
  cut(before: string): void {
    for (const cut of this.#cuts(this.#disk))
      this.points.push({ before, noted: this.#note(), disk: this.#disk.afterPowerCut(cut) });
  }
}
