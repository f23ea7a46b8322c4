// Which field of a value takes the most room, for whoever has to be told that it is too much.

/** Path of the field inside plain data that is to blame for its size: `data.pages[3].text`. */
export function largestField(value: unknown): string {
  let path = '';
  let current = value;
  for (;;) {
    let largest: readonly [step: string, value: unknown] | undefined;
    let most = weight(current) / 2;
    for (const [key, item] of fieldsOf(current)) {
      const size = weight(item);
      if (size <= most) continue;
      most = size;
      largest = [Array.isArray(current) ? `[${key}]` : `.${key}`, item];
    }
    // Nothing inside is more than half of it: all of it is to blame.
    if (largest === undefined) return path.replace(/^\./, '');
    path += largest[0];
    current = largest[1];
  }
}

function fieldsOf(value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return [];
  return Object.entries(value);
}

/** About the bytes it takes. */
function weight(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (value instanceof Uint8Array) return value.length;
  return fieldsOf(value).reduce((sum, [key, item]) => sum + key.length + weight(item), 9);
}
