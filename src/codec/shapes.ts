// Shapes of objects that were met: names of fields in their order, as a tree of places. Objects of one kind have one
// shape, so what is known of it is worth remembering: how its names are encoded, and a program, a function made for this
// one shape once it has come often enough. How much is remembered is bounded, whatever comes by.

/** Objects with more fields have no shape. */
export const MOST_FIELDS = 64;
/** Places that are remembered, and shapes that get a program. */
const MOST_PLACES = 4096;
const MOST_PROGRAMS = 512;
/** Names longer than that are not worth their memory. */
const MOST_CHARACTERS = 256;
/** Objects that must have come before a program is worth its making. */
const WORTH_A_PROGRAM = 32;
/** Names that take more bytes than this together make a program that is too long to be fast. */
const MOST_NAME_BYTES = 4096;

/** A field behind certain others; the path to it is the names before it. */
export class Place<P, N = never> {
  readonly name: string;
  /** The name in MessagePack, where that is known. */
  readonly encoded: Uint8Array;
  readonly before: Place<P, N> | undefined;
  /** Places behind it. Those that come more often move to the front. */
  readonly next: Place<P, N>[] = [];
  /** For objects that end here. */
  program: P | undefined;
  objects = 0;
  /** What else whoever has the shapes knows of this field. */
  note: N | undefined;
  #fields: readonly Place<P, N>[] | undefined;

  constructor(name: string, encoded: Uint8Array, before: Place<P, N> | undefined) {
    this.name = name;
    this.encoded = encoded;
    this.before = before;
  }

  /** The place behind this one with that name; undefined where it was not met. */
  behind(name: string): Place<P, N> | undefined {
    const { next } = this;
    for (let index = 0; index < next.length; index++) {
      const place = next[index]!;
      if (place.name !== name) continue;
      if (index > 0) this.prefer(index);
      return place;
    }
    return undefined;
  }

  /** Moves a place one nearer to the front. */
  prefer(index: number): void {
    const { next } = this;
    const place = next[index]!;
    next[index] = next[index - 1]!;
    next[index - 1] = place;
  }

  /** The fields of objects that end here, in their order. */
  get fields(): readonly Place<P, N>[] {
    return (this.#fields ??= pathTo(this));
  }
}

export class Shapes<P, N = never> {
  readonly #compile: (fields: readonly Place<P, N>[]) => P | undefined;
  readonly #beginnings: Place<P, N>[] = Array.from(
    { length: MOST_FIELDS + 1 },
    () => new Place('', NO_BYTES, undefined),
  );
  #places = 0;
  #programs = 0;

  /** `compile`: makes the program for a shape; undefined where there can be none. */
  constructor(compile: (fields: readonly Place<P, N>[]) => P | undefined) {
    this.#compile = compile;
  }

  /** Where an object of so many fields begins. */
  beginning(fields: number): Place<P, N> {
    return this.#beginnings[fields]!;
  }

  /** A new place behind another; remembered unless there are too many, or the name is too long. */
  add(name: string, encoded: Uint8Array, before: Place<P, N>): Place<P, N> {
    // The one string that stands for this name in the whole process: comparing with it is comparing two addresses.
    const [only] = Object.keys({ [name]: undefined });
    const place = new Place(only!, encoded, before);
    if (this.#places < MOST_PLACES && name.length <= MOST_CHARACTERS) {
      this.#places++;
      before.next.push(place);
    }
    return place;
  }

  /** Counts an object whose last field is at `place`, which has no program yet: now it has one if it is worth it. */
  count(place: Place<P, N>): void {
    if (++place.objects !== WORTH_A_PROGRAM || this.#programs === MOST_PROGRAMS) return;
    const fields = place.fields;
    if (fields.reduce((sum, { name, encoded }) => sum + name.length + encoded.length, 0) > MOST_NAME_BYTES) return;
    place.program = this.#compile(fields);
    if (place.program !== undefined) this.#programs++;
  }
}

function pathTo<P, N>(end: Place<P, N>): Place<P, N>[] {
  const path: Place<P, N>[] = [];
  for (let place = end; place.before !== undefined; place = place.before) path.push(place);
  return path.reverse();
}

const NO_BYTES = new Uint8Array(0);
