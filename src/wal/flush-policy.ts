// When staged entries are handed to the operating system without being asked. It is never a sync: that is asked for
// with `appendDurable` and `flushAndSync`.

import { InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';

export type FlushPolicy =
  | { readonly kind: 'perAppend' }
  | { readonly kind: 'every'; readonly appends: number }
  | { readonly kind: 'interval'; readonly milliseconds: number }
  | { readonly kind: 'manual' };

/** Throws {@link InvalidArgumentError} for what is no policy: entries would wait for a flush that never comes. */
export function checkFlushPolicy(policy: FlushPolicy): void {
  const { kind, appends, milliseconds } = (policy ?? {}) as Partial<Record<string, unknown>>;
  if (kind === 'every') every(appends as number);
  else if (kind === 'interval') interval(milliseconds as number);
  else if (kind !== 'perAppend' && kind !== 'manual')
    throw new InvalidArgumentError(
      `flushPolicy must be perAppend, manual, every(appends) or interval(milliseconds), got ${shown(policy)}`,
    );
}

/** After every append; appends of one tick share one write. */
export const perAppend: FlushPolicy = { kind: 'perAppend' };

/** Only on `flush`, `flushAndSync`, `appendDurable`, `close`, or when the buffer is full. */
export const manual: FlushPolicy = { kind: 'manual' };

/** After every `appends` appends. */
export function every(appends: number): FlushPolicy {
  if (!Number.isSafeInteger(appends) || appends < 1)
    throw new InvalidArgumentError(`every() takes a whole number of appends from 1, got ${shown(appends)}`);
  return { kind: 'every', appends };
}

/** At most `milliseconds` after an append. */
export function interval(milliseconds: number): FlushPolicy {
  if (!Number.isFinite(milliseconds) || milliseconds <= 0)
    throw new InvalidArgumentError(`interval() takes milliseconds above 0, got ${shown(milliseconds)}`);
  return { kind: 'interval', milliseconds };
}
