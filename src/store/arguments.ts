// What callers hand to a store, checked and copied before anything is done with it.

import { copyEvent, isAsync, type Event } from '../aggregate/index.js';
import { copyPlainData } from '../codec/index.js';
import { EncodeError, InvalidArgumentError } from '../errors/index.js';
import { shown } from '../errors/shown.js';
import type { Metadata } from './record.js';

/** Throws unless it can be called and comes to its end at once. */
export function checkDecide(decide: unknown): void {
  if (typeof decide !== 'function')
    throw new InvalidArgumentError(
      'execute(Class, id, decide) takes a function that calls a command: (account) => account.deposit(10)',
    );
  if (isAsync(decide)) throw asyncDecision();
}

export function asyncDecision(): InvalidArgumentError {
  return new InvalidArgumentError(
    'A command decides at once: fetch what it needs before execute, and pass it in. The function was async',
  );
}

export function checkCommandId(commandId: unknown): void {
  if (commandId !== undefined && !isName(commandId))
    throw new InvalidArgumentError(`commandId must be a text that is not empty, got ${shown(commandId)}`);
}

/** Times to try again. */
export function checkRetry(retry: number): void {
  if (!Number.isSafeInteger(retry) || retry < 0)
    throw new InvalidArgumentError(`retry must be a whole number from 0, got ${shown(retry)}`);
}

export function checkedStream(stream: unknown): string {
  if (!isName(stream))
    throw new InvalidArgumentError(`A stream is named by a text that is not empty, got ${shown(stream)}`);
  return stream;
}

/** Throws unless it is a list, or left out; `of` says what goes into it. */
export function checkList(name: string, list: unknown, of: string): void {
  if (list !== undefined && !Array.isArray(list))
    throw new InvalidArgumentError(`${name} must be an array of ${of}, got ${shown(list)}`);
}

/** Throws unless it is a list of texts, or left out. */
export function checkTexts(name: string, list: unknown): void {
  checkList(name, list, 'texts');
  for (const [index, text] of ((list ?? []) as unknown[]).entries())
    if (typeof text !== 'string')
      throw new InvalidArgumentError(`${name}[${index}] must be a text, got ${shown(text)}`);
}

/** Throws unless they are options: what is no object would be taken for none. */
export function checkOptions(method: string, options: unknown): void {
  if (!isObject(options) || Array.isArray(options))
    throw new InvalidArgumentError(`The options of ${method} must be an object, got ${shown(options)}`);
}

/** Throws unless it can be listened to, or is left out. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(isObject(signal) && typeof signal['addEventListener'] === 'function'))
    throw new InvalidArgumentError(
      `signal must be an AbortSignal, as AbortSignal.timeout(ms) or controller.signal, got ${shown(signal)}`,
    );
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** A text that is stored as it is. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.isWellFormed();
}

/** Throws unless it is a list of objects that name a stream each; `of` says what they are. */
export function checkAppends(name: string, list: unknown, of: string): void {
  if (!Array.isArray(list)) throw new InvalidArgumentError(`${name} takes an array of ${of}, got ${shown(list)}`);
  for (const [index, item] of list.entries())
    if (!isObject(item))
      throw new InvalidArgumentError(`${name} takes an array of ${of}, got ${shown(item)} as element ${index}`);
}

/** A frozen copy. */
export function copyMetadata(metadata: unknown): Metadata | undefined {
  if (metadata === undefined) return undefined;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw new InvalidArgumentError('metadata must be an object with named fields');
  return copyPlainData(metadata as Metadata, 'metadata');
}

/** Frozen copies of the events for a stream. Throws {@link EncodeError} that says which of them it is. */
export function copyEvents(stream: string, events: unknown): Event[] {
  if (!Array.isArray(events))
    throw new InvalidArgumentError(`The events for '${stream}' must be an array of { type, data }`);
  return (events as readonly (Event | null | undefined)[]).map((event, index) => {
    try {
      return copyEvent(event?.type, event?.data);
    } catch (cause) {
      if (!(cause instanceof EncodeError)) throw cause;
      const message = `events[${index}] for '${stream}': ${cause.message}`;
      throw new EncodeError(message, { field: cause.field, cause });
    }
  });
}

/** A frozen copy of what a command with an id returned, as its receipt keeps it. */
export function copyResult(result: unknown, commandId: string): unknown {
  if (result === undefined) return undefined;
  try {
    return copyPlainData(result, 'result');
  } catch (cause) {
    if (!(cause instanceof EncodeError)) throw cause;
    throw new EncodeError(`The result of the command '${commandId}' is kept with its id. ${cause.message}`, {
      field: cause.field,
      cause,
    });
  }
}
