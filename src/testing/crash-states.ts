// Everything that a power cut at one moment may leave of a simulated disk. Where there are few choices, all of them are
// combined; where there are many, the states in which crash bugs are known to hide (everything up to one item, all but
// one, only one, only the last ones) and random ones.

import { loseNothing, type PageFate, type PowerCut } from './power-cut.js';
import type { SimulatedDisk, Unsynced } from './simulated-disk.js';

export interface CrashStatesOptions {
  /** Combinations that are all tried; where there are more, a choice of them is. Default 64. */
  readonly exhaustiveUpTo?: number | undefined;
  /** Random states where not all are tried. Default 16. */
  readonly draws?: number | undefined;
  /** An integer from 0 to `below - 1`: what draws are made with. Default: always the same numbers. */
  readonly random?: ((below: number) => number) | undefined;
  /** Sizes of what is written or lost together. Default 512 and 4096. */
  readonly pageBytes?: readonly number[] | undefined;
  /** What garbage is, see {@link PowerCut.garbage}. */
  readonly garbage?: PowerCut['garbage'] | undefined;
  /** The write that is about to be made: it is also cut at its bytes. */
  readonly write?: { readonly path: string; readonly offset: number; readonly bytes: Uint8Array } | undefined;
  /** A write up to this size is cut at every byte, a longer one at its ends, its middle and its sectors. Default 256. */
  readonly everyByteUpTo?: number | undefined;
  /** Hashes of states that need not be given again; those that are given are added. */
  readonly seen?: Set<string> | undefined;
}

/** What a crash may leave. */
export interface CrashState {
  readonly disk: SimulatedDisk;
  /** {@link SimulatedDisk.hash} of it. */
  readonly hash: string;
  /** What was lost, in short. */
  readonly what: string;
}

/**
 * The states that a power cut now may leave, each once.
 *
 * @example
 * for (const { disk: left, what } of crashStates(disk)) {
 *   const { state } = await recover(left);
 *   if (state.length < acknowledged) throw new Error(`lost: ${what}`);
 * }
 */
export function* crashStates(disk: SimulatedDisk, options: CrashStatesOptions = {}): Generator<CrashState> {
  const { seen = new Set<string>(), pageBytes = [512, 4096] } = options;
  for (const size of pageBytes)
    for (const { cut, what } of cutsOf(disk, size, options)) {
      const left = disk.afterPowerCut(options.garbage === undefined ? cut : { ...cut, garbage: options.garbage });
      const hash = left.hash();
      if (seen.has(hash)) continue;
      seen.add(hash);
      yield { disk: left, hash, what };
    }
}

interface Cut {
  readonly cut: PowerCut;
  readonly what: string;
}

function* cutsOf(disk: SimulatedDisk, pageBytes: number, options: CrashStatesOptions): Generator<Cut> {
  const choices = choicesOf(disk.unsyncedItems(), pageBytes);
  const combinations = choices.reduce((count, { fates }) => count * fates.length, 1);
  const plans =
    combinations <= (options.exhaustiveUpTo ?? 64) ? everyPlan(choices, combinations) : somePlans(choices, options);
  for (const plan of plans) yield { cut: cutBy(choices, plan, pageBytes), what: describe(choices, plan) };
  if (options.write !== undefined && pageBytes === 512) yield* insideWrite(disk, options.write, options.everyByteUpTo);
}

type Fate = PageFate | boolean | 'both';

/** One thing that a cut decides. The first of its fates is that it arrives. */
interface Choice {
  readonly key: string;
  readonly name: string;
  readonly fates: readonly Fate[];
}

function choicesOf(items: readonly Unsynced[], pageBytes: number): Choice[] {
  const choices = new Map<string, Choice>();
  for (const item of items) {
    if (item.kind === 'sector') {
      const page = Math.floor((item.sector * 512) / pageBytes);
      const key = `page ${item.file} ${page}`;
      const wasThere = page * pageBytes < item.durableBytes;
      // Writing to a sector again leaves it as it was or as it becomes: without that nothing could be appended safely.
      const fates: Fate[] = wasThere ? ['new', 'old'] : ['new', 'zero', 'garbage'];
      choices.set(key, { key, name: `page ${page} of ${item.path}`, fates });
    } else if (item.kind === 'size') {
      const key = `size ${item.file}`;
      choices.set(key, { key, name: `size of ${item.path}`, fates: [true, false] });
    } else {
      const { kind, path } = item.change;
      const key = `name ${choices.size}`;
      choices.set(key, {
        key,
        name: `${kind} of ${path}`,
        fates: kind === 'rename' ? [true, false, 'both'] : [true, false],
      });
    }
  }
  return [...choices.values()];
}

function cutBy(choices: readonly Choice[], plan: readonly Fate[], pageBytes: number): PowerCut {
  const fates = new Map(choices.map(({ key }, index) => [key, plan[index]!]));
  const names = choices.flatMap(({ key }, index) => (key.startsWith('name') ? [plan[index] as boolean | 'both'] : []));
  let asked = 0;
  return {
    pageBytes,
    page: (_, page, file) => (fates.get(`page ${file} ${page}`) ?? 'new') as PageFate,
    size: (_, file) => (fates.get(`size ${file}`) ?? true) as boolean,
    name: () => names[asked++] ?? true,
  };
}

function* everyPlan(choices: readonly Choice[], combinations: number): Generator<Fate[]> {
  for (let number = 0; number < combinations; number++) {
    let rest = number;
    yield choices.map(({ fates }) => {
      const fate = fates[rest % fates.length]!;
      rest = Math.floor(rest / fates.length);
      return fate;
    });
  }
}

/** The choice that finds most crash bugs, see "All File Systems Are Not Created Equal" (OSDI 2014), and some more. */
function* somePlans(choices: readonly Choice[], options: CrashStatesOptions): Generator<Fate[]> {
  const { draws = 16, random = sequence() } = options;
  const arrives = ({ fates }: Choice): Fate => fates[0]!;
  const mildly = ({ fates }: Choice): Fate => fates[1]!;
  const harshly = ({ fates }: Choice): Fate => fates.at(-1)!;
  const plan = (kept: (index: number) => boolean, lost: (choice: Choice) => Fate): Fate[] =>
    choices.map((choice, index) => (kept(index) ? arrives(choice) : lost(choice)));
  for (const lost of [mildly, harshly])
    for (let at = 0; at <= choices.length; at++) {
      yield plan((index) => index < at, lost);
      yield plan((index) => index >= at, lost);
      yield plan((index) => index !== at, lost);
      yield plan((index) => index === at, lost);
    }
  for (let draw = 0; draw < draws; draw++) {
    const percent = [10, 50, 50, 90][random(4)]!;
    yield choices.map(({ key, fates }) => {
      if (random(100) < percent) return fates[0]!;
      // Some of its bytes, as where sectors are not written whole.
      if (key.startsWith('page') && random(8) === 0) return random(512);
      return fates[1 + random(fates.length - 1)]!;
    });
  }
}

/** As many bytes of a write as may have arrived, when all before it had arrived or none of it. */
function* insideWrite(
  disk: SimulatedDisk,
  { path, offset, bytes }: NonNullable<CrashStatesOptions['write']>,
  everyByteUpTo = 256,
): Generator<Cut> {
  // A sector is transferred from its beginning: with the write come the bytes before it in the same sector.
  const start = offset - (offset % 512);
  const before = disk.peek(path) ?? new Uint8Array(0);
  const whole = new Uint8Array(offset - start + bytes.length);
  whole.set(before.subarray(start, Math.min(offset, before.length)));
  whole.set(bytes, offset - start);
  for (const count of cutsInside(bytes.length, offset, everyByteUpTo)) {
    const arriving = { path, offset: start, bytes: whole.subarray(0, offset - start + count) };
    const what = `${count} of ${bytes.length} bytes written to ${path}`;
    yield { cut: { ...loseNothing, arriving }, what };
    yield {
      cut: { page: () => 'old', size: () => false, name: () => true, arriving },
      what: `${what}, no data before`,
    };
  }
}

function cutsInside(length: number, offset: number, everyByteUpTo: number): number[] {
  // All of it may have arrived, and whoever wrote it not have got to know.
  if (length <= everyByteUpTo) return Array.from({ length }, (_, index) => index + 1);
  const cuts = new Set([1, 15, 16, 17, 39, 40, 41, length >> 1, length - 1, length]);
  for (let edge = 512 - (offset % 512); edge < length; edge += 512) for (const by of [-1, 0, 1]) cuts.add(edge + by);
  return [...cuts].filter((cut) => cut > 0 && cut <= length).sort((a, b) => a - b);
}

function describe(choices: readonly Choice[], plan: readonly Fate[]): string {
  const lost = choices.flatMap(({ name, fates }, index) => {
    const fate = plan[index]!;
    return fate === fates[0] ? [] : [`${name}: ${String(fate)}`];
  });
  return lost.length === 0
    ? 'nothing lost'
    : `${lost.length} of ${choices.length} lost (${lost.slice(0, 6).join(', ')})`;
}

/** Numbers that look random and are always the same. */
function sequence(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}
