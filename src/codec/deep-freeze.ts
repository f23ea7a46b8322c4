// Freezing what was just made, all through.

/** Freezes what was just decoded or made; nobody else has it yet. Bytes and dates cannot be frozen. */
export function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value;
  for (const key in value) deepFreeze((value as Record<string, unknown>)[key]);
  return Object.freeze(value);
}
