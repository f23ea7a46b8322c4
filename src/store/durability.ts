// What an acknowledgement means, from the weakest to the strongest.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

/**
 * `memory`: nothing, it is acknowledged at once. `flush`: the operating system has it, it survives the process.
 * `fsync`: it is on stable storage, it survives a power cut. `replicated`: it is on several machines.
 */
export type Durability = 'memory' | 'flush' | 'fsync' | 'replicated';

const ORDER: readonly Durability[] = ['memory', 'flush', 'fsync', 'replicated'];

/** Whether `level` promises at least what `wanted` does. */
export function covers(level: Durability, wanted: Durability): boolean {
  return ORDER.indexOf(level) >= ORDER.indexOf(wanted);
}

export function stronger(a: Durability, b: Durability): Durability {
  return covers(a, b) ? a : b;
}

/** Throws {@link InvalidArgumentError} unless it is a level that the engine can give. */
export function checkDurability(level: Durability, strongest: Durability): void {
  if (!ORDER.includes(level))
    throw new InvalidArgumentError(`durability must be one of ${ORDER.join(', ')}, got ${shown(level)}`);
  if (!covers(strongest, level))
    throw new InvalidArgumentError(`This engine acknowledges '${strongest}' at most, not '${level}'`);
}
