// What was thrown, as part of a message: an error says it itself, but anything can be thrown.

import { shown } from './shown.js';

/** The message of an error, or what was thrown in its place. Never throws. */
export function messageOf(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.message);
  } catch {
    // A proxy that was revoked, or a message that is a getter.
  }
  return typeof thrown === 'string' ? thrown : shown(thrown);
}
