// Shapes of objects that were met: names of fields in their order, as a tree of places. Objects of one kind have one
// shape, so what is known of a place (how its name is encoded, how objects that end there are made in one go) is worth
// remembering. How much is remembered is bounded, whatever comes by.

/** Objects with more fields have no shape. */
export const MOST_FIELDS = 64;
/** Places that are remembered, and shapes that get a function of their own. */
const MOST_PLACES = 4096;
const MOST_MAKERS = 512;
/** Objects that must have come before a function of their own is worth its making. */
const WORTH_A_MAKER = 32;

/** Makes an object of the values from `base` on. */
export type Maker = (values: readonly unknown[], base: number) => object;

/** A field behind certain others; the path to it is the names before it. */
export class Place {
  readonly name: string;
  /** The name in MessagePack, where that is known. */
  readonly encoded: Uint8Array;
  readonly before: Place | undefined;
  /** Places behind it. Those that come more often move to the front. */
  readonly next: Place[] = [];
  /** Of objects that end here. */
  maker: Maker | undefined;
  objects = 0;
  /** Strings that were read here, and those among them that had been read before. */
  strings = 0;
  known = 0;

  constructor(name: string, encoded: Uint8Array, before: Place | undefined) {
    this.name = name;
    this.encoded = encoded;
    this.before = before;
  }

  /** Moves a place one nearer to the front. */
  prefer(index: number): void {
    const { next } = this;
    const place = next[index]!;
    next[index] = next[index - 1]!;
    next[index - 1] = place;
  }
}

export class Shapes {
  readonly #beginnings: Place[] = Array.from({ length: MOST_FIELDS + 1 }, () => new Place('', NO_BYTES, undefined));
  #places = 0;
  #makers = 0;

  /** Where an object of so many fields begins. */
  beginning(fields: number): Place {
    return this.#beginnings[fields]!;
  }

  /** A new place behind another; remembered unless there are too many. */
  add(name: string, encoded: Uint8Array, before: Place): Place {
    // The one string that stands for this name in the whole process: comparing with it is comparing two addresses.
    const [only] = Object.keys({ [name]: undefined });
    const place = new Place(only!, encoded, before);
    if (this.#places < MOST_PLACES) {
      this.#places++;
      before.next.push(place);
    }
    return place;
  }

  /** The object whose last field is at `place`. */
  make(place: Place, values: readonly unknown[], base: number): object {
    if (place.maker !== undefined) return place.maker(values, base);
    const names: string[] = [];
    for (let at = place; at.before !== undefined; at = at.before) names.unshift(at.name);
    if (++place.objects < WORTH_A_MAKER || this.#makers === MOST_MAKERS) return fieldByField(names, values, base);
    this.#makers++;
    place.maker = makerOf(names);
    return place.maker(values, base);
  }
}

const NO_BYTES = new Uint8Array(0);

function fieldByField(names: readonly string[], values: readonly unknown[], base: number): object {
  const made: Record<string, unknown> = {};
  for (let index = 0; index < names.length; index++) made[names[index]!] = values[base + index];
  return made;
}

/**
 * An object literal is made in a tenth of the time that its fields take one by one, so it is worth compiling one for
 * names that come again and again. Names are the only thing in it that comes from outside, each as a JSON string, and
 * `__proto__`, which would mean something else in a literal, must not be among them. Where a process forbids code from
 * strings, objects are made field by field.
 */
function makerOf(names: readonly string[]): Maker {
  const fields = names.map((name, index) => `${JSON.stringify(name)}:v[b+${index}]`);
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- JSON strings and numbers are all that it is made of.
    return new Function('v', 'b', `return {${fields.join()}}`) as Maker;
  } catch {
    return (values, base) => fieldByField(names, values, base);
  }
}
