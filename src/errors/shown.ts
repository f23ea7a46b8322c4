// How a value that was not expected is shown in a message. It may be anything, so showing it must not fail, nor make a
// message as long as the value.

/** Characters of a text that tell which one it is. */
const MOST = 100;
/** An error has more to say. */
const MOST_OF_AN_ERROR = 1000;

/** A value for a message. Never throws. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > MOST
        ? `${JSON.stringify(value.slice(0, MOST))}… (${value.length} characters)`
        : JSON.stringify(value);
    case 'bigint':
      return `${cut(String(value))}n`;
    case 'symbol':
      return cut(String(value));
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : kind(value);
    case 'boolean':
    case 'undefined':
      return String(value);
  }
}

function kind(value: object): string {
  try {
    if (value instanceof Error) return cut(String(value), MOST_OF_AN_ERROR);
    if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
    const prototype = Object.getPrototypeOf(value) as { readonly constructor?: { readonly name?: unknown } } | null;
    if (prototype === null || prototype === Object.prototype) return 'an object';
    const name = prototype.constructor?.name;
    return typeof name === 'string' && name !== '' ? `an object of class ${cut(name)}` : 'an object';
  } catch {
    // A proxy that was revoked, or a getter.
    return 'an object';
  }
}

function cut(text: string, most = MOST): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
