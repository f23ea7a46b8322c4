// The past, from what the log and the checkpoints still hold: one aggregate as of a version, all as of a position.

import { reduce, type AggregateDefinition } from '../aggregate/index.js';
import { TruncatedError } from '../errors/index.js';
import { boot } from './boot.js';
import type { CheckpointDescription, Engine } from './event-log.js';
import { readRecords } from './read-records.js';
import type { StoreState } from './store-state.js';
import type { AggregateTypes } from './types.js';

export interface PastSource {
  readonly engine: Engine;
  readonly types: AggregateTypes;
  /** An empty state of streams alone. */
  readonly makePast: () => StoreState;
}

/** The state of all streams at a position. Rejects with {@link TruncatedError} if the position lies too far back. */
export async function stateAtPosition({ engine, makePast }: PastSource, position: number): Promise<StoreState> {
  if (position === 0) return makePast();
  const oldest = (await oldestCheckpoint(engine))?.position;
  if (engine.log.firstPosition > 1 && (oldest === undefined || position < oldest))
    throw new TruncatedError(
      `The records up to position ${position} have left the log; the oldest state that is left is ` +
        (oldest === undefined ? 'the current one' : `of position ${oldest}`),
      { entryId: position },
    );
  return (await boot(engine, makePast, { upTo: position })).state;
}

/** The oldest checkpoint that the log reaches back to. */
async function oldestCheckpoint({ log, checkpoints }: Engine): Promise<CheckpointDescription | undefined> {
  return (await checkpoints.list()).findLast(
    ({ problem, position, logId }) =>
      problem === undefined && position + 1 >= log.firstPosition && (logId ?? log.logId) === log.logId,
  );
}

/**
 * The state of a stream at a version. Begins with the oldest checkpoint that the log reaches back to, or with the log
 * itself if it has everything. Rejects with {@link TruncatedError} if the version lies before that.
 */
export async function stateAtVersion(
  source: PastSource,
  definition: AggregateDefinition,
  stream: string,
  version: number,
  upTo: number,
): Promise<unknown> {
  const { engine, types } = source;
  let start = 0;
  let state: unknown = definition.initial;
  let at = 0;
  if (engine.log.firstPosition > 1) {
    start = (await oldestCheckpoint(engine))?.position ?? engine.log.firstPosition - 1;
    const { committed } = (await stateAtPosition(source, start)).cells.of(stream);
    state = committed.state;
    at = committed.version;
  }
  if (at > version)
    throw new TruncatedError(
      `The records of '${stream}' up to version ${version} have left the log; the oldest state that is left is of version ${at}`,
    );
  if (at === version) return state;
  for await (const records of readRecords(engine.log, types, start + 1, upTo))
    for (const record of records) {
      if (record.stream !== stream) continue;
      state = reduce(definition, state, record);
      if (record.version === version) return state;
    }
  throw new TruncatedError(`Version ${version} of '${stream}' is not in the log`);
}
