// One aggregate as of an earlier version, from what the log and the checkpoints still hold.

import { reduce, type AggregateDefinition } from '../aggregate/index.js';
import { TruncatedError } from '../errors/index.js';
import { boot } from './boot.js';
import type { Engine } from './event-log.js';
import { readRecords } from './read-records.js';
import type { StoreState } from './store-state.js';
import type { AggregateTypes } from './types.js';

export interface PastSource {
  readonly engine: Engine;
  readonly types: AggregateTypes;
  readonly makeState: () => StoreState;
}

/**
 * The state of a stream at a version. Begins with the oldest checkpoint that the log reaches back to, or with the log
 * itself if it has everything. Rejects with {@link TruncatedError} if the version lies before that.
 */
export async function stateAtVersion(
  { engine, types, makeState }: PastSource,
  definition: AggregateDefinition,
  stream: string,
  version: number,
  upTo: number,
): Promise<unknown> {
  const { firstPosition } = engine.log;
  let start = 0;
  let state: unknown = definition.initial;
  let at = 0;
  if (firstPosition > 1) {
    const checkpoints = await engine.checkpoints.list();
    const oldest = checkpoints.findLast(
      ({ problem, position }) => problem === undefined && position + 1 >= firstPosition,
    );
    if (oldest !== undefined) {
      start = oldest.position;
      const { committed } = (await boot(engine, makeState, { upTo: start })).state.cells.of(stream);
      state = committed.state;
      at = committed.version;
    }
  }
  if (at > version || (firstPosition > 1 && start === 0))
    throw new TruncatedError(
      `The records of '${stream}' up to version ${version} have left the log; the oldest state that is left is of version ${at}`,
      { path: stream },
    );
  if (at === version) return state;
  for await (const record of readRecords(engine.log, types, start + 1, upTo)) {
    if (record.stream !== stream) continue;
    state = reduce(definition, state, record);
    if (record.version === version) return state;
  }
  throw new TruncatedError(`Version ${version} of '${stream}' is not in the log`, { path: stream });
}
