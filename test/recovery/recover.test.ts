import {
  CheckpointFile,
  CorruptionError,
  DecodeError,
  InvalidArgumentError,
  MemoryDirectory,
  messagePackCodec,
  NotFoundError,
  RecoveryError,
  StorageError,
  TornTailError,
  WalMaintenance,
  WalWriter,
  type Directory,
} from 'cairnlog';
import { checkpointPath } from 'cairnlog/checkpoint';
import { FaultyDirectory } from 'cairnlog/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { changed, directoryOf, flipped, imageOf, sameImage, type Image } from '../support/image.js';
import { publisherOf, recoverLedger } from '../support/ledger.js';
import { recorded } from '../support/recorded.js';
import { rejects } from '../support/rejects.js';
import { check } from '../support/seed.js';
import { textCodec as codec } from '../support/text-codec.js';

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `e${index + 1}`);

interface Built {
  readonly image: Image;
  readonly logId: number;
}

/** Entries `e1` to `e<count>`, two to a segment, with checkpoints at the given positions; nothing is truncated. */
async function built(count: number, positions: readonly number[], options: { crashed?: boolean } = {}): Promise<Built> {
  const directory = new MemoryDirectory();
  const wal = await WalWriter.open(directory, { codec, segmentBytes: 80 });
  for (const entry of numbered(count)) wal.append(entry);
  await wal.flush();
  await directory.makeDirectory('checkpoints');
  for (const position of positions) await checkpoint(directory, position, wal.logId);
  const image = await imageOf(directory);
  await wal.close();
  return { image: options.crashed === true ? image : await imageOf(directory), logId: wal.logId };
}

async function checkpoint(directory: Directory, position: number, logId: number): Promise<void> {
  await CheckpointFile.write(directory, checkpointPath(position), {
    lastAppliedId: position,
    logId,
    codec,
    items: numbered(position),
  });
}

const segment = (id: number): string => `wal/wal_${id}.log`;
const lastSegment = (image: Image): string =>
  segment(Math.max(...[...image.keys()].map((path) => Number(/wal_(\d+)/.exec(path)?.[1] ?? 0))));

describe('recoverWithWal', () => {
  it('gives the initial state where nothing was ever written', async () => {
    for (const mode of ['strict', 'bestEffort'] as const) {
      const { state, lastEntryId, report } = await recoverLedger(new MemoryDirectory(), { mode });
      expect([state, lastEntryId]).to.deep.equal([[], 0]);
      expect(report).to.deep.include({
        checkpoint: undefined,
        skippedCheckpoints: [],
        entriesReplayed: 0,
        bytesReplayed: 0,
        lastEntryId: 0,
        tornTail: undefined,
      });
      expect(report.milliseconds).to.be.at.least(0);
    }
    const empty = await directoryOf((await built(0, [])).image);
    expect((await recoverLedger(empty)).lastEntryId).to.equal(0);
  });

  it('gives the same state from the log alone and from any checkpoint on, and says how', async () => {
    const { image } = await built(21, []);
    const directory = await directoryOf(image);
    const scratch = await recoverLedger(directory);
    expect(scratch.state).to.deep.equal(numbered(21));
    expect(scratch.report).to.deep.include({ checkpoint: undefined, entriesReplayed: 21, lastEntryId: 21 });
    for (let position = 0; position <= 21; position++) {
      const { image: with_ } = await built(21, [position]);
      const { state, lastEntryId, report } = await recoverLedger(await directoryOf(with_), { mode: 'strict' });
      expect([state, lastEntryId]).to.deep.equal([numbered(21), 21]);
      expect(report.checkpoint).to.deep.equal({
        path: checkpointPath(position),
        lastAppliedId: position,
        bytes: with_.get(checkpointPath(position))!.length,
      });
      expect(report.entriesReplayed).to.equal(21 - position);
      if (position < 21) expect(report.bytesReplayed).to.be.at.least((21 - position) * 18);
    }
  });

  it('never applies the entry at the checkpoint again, nor skips the one after it', () =>
    check(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 20 }), { maxLength: 40 }),
        fc.nat(40),
        fc.integer({ min: 56, max: 500 }),
        async (entries, at, segmentBytes) => {
          const directory = new MemoryDirectory();
          const wal = await WalWriter.open(directory, { codec, segmentBytes });
          const expected: string[] = [];
          for (const [index, entry] of entries.entries()) {
            expected[wal.append(entry) - 1] = entry;
            if (index !== at) continue;
            await publisherOf(wal, 1, (_, id) => (expected[wal.lastEntryId] = `m${id}`)).publish(
              [...expected],
              wal.lastEntryId,
            );
          }
          await wal.close();
          const { state, lastEntryId } = await recoverLedger(directory, { mode: 'strict' });
          expect(state).to.deep.equal(expected);
          expect(lastEntryId).to.equal(expected.length);
        },
      ),
      80,
    ));

  it('changes nothing, takes no lock, and closes what it opens', async () => {
    const { image } = await built(21, [4, 9]);
    const { directory, count, mutations } = recorded(await directoryOf(image));
    await recoverLedger(directory);
    expect(mutations()).to.deep.equal([]);
    expect(count('lock')).to.equal(0);
    expect(count('open')).to.equal(count('close'));
  });

  it('keeps to the checkpoint that it is told to use', async () => {
    const { image, logId } = await built(21, [4, 9]);
    const directory = await directoryOf(image);
    await CheckpointFile.write(directory, 'elsewhere.ckpt', { lastAppliedId: 6, logId, codec, items: numbered(6) });
    for (const [path, position] of [
      [checkpointPath(4), 4],
      ['elsewhere.ckpt', 6],
    ] as const) {
      const { state, report } = await recoverLedger(directory, { checkpointPath: path });
      expect(state).to.deep.equal(numbered(21));
      expect(report.checkpoint?.lastAppliedId).to.equal(position);
    }
    await rejects(recoverLedger(directory, { checkpointPath: checkpointPath(5) }), NotFoundError);
    await rejects(recoverLedger(directory, { checkpointPath: checkpointPath(9), upTo: 8 }), RecoveryError);
    const damaged = await directoryOf(changed(image, checkpointPath(9), (bytes) => flipped(bytes, 60, 0)));
    await rejects(recoverLedger(damaged, { checkpointPath: checkpointPath(9) }), CorruptionError);
    const foreign = await directoryOf(image);
    await checkpoint(foreign, 12, logId + 1);
    const error = await rejects(recoverLedger(foreign, { checkpointPath: checkpointPath(12) }), RecoveryError);
    expect(error.message).to.include('belongs to log');
    const short = await directoryOf(changed(image, lastSegment(image), () => undefined));
    await checkpoint(short, 21, logId);
    const ahead = await rejects(recoverLedger(short, { checkpointPath: checkpointPath(21) }), CorruptionError);
    expect(ahead.message).to.include('up to 21 were on stable storage');
  });

  it('refuses an unknown mode and a position that cannot be meant', async () => {
    const directory = new MemoryDirectory();
    await rejects(recoverLedger(directory, { mode: 'lenient' as never }), InvalidArgumentError);
    for (const upTo of [-1, 1.5, 2 ** 53]) await rejects(recoverLedger(directory, { upTo }), InvalidArgumentError);
  });
});

describe('recoverWithWal when something is missing or damaged', () => {
  // Checkpoints at 10 and 20; the log in three parts of five segments: entries 1-10, 11-20 and 21-30.
  type CheckpointState = 'whole' | 'absent' | 'cut' | 'rotten' | 'foreign';
  type PartState = 'whole' | 'absent' | 'damaged';
  const checkpointStates: readonly CheckpointState[] = ['whole', 'absent', 'cut', 'rotten', 'foreign'];
  const partStates: readonly PartState[] = ['whole', 'absent', 'damaged'];

  interface Situation {
    readonly newest: CheckpointState;
    readonly older: CheckpointState;
    readonly parts: readonly [PartState, PartState, PartState];
  }

  async function directoryIn({ image, logId }: Built, { newest, older, parts }: Situation): Promise<MemoryDirectory> {
    const files = new Map(image);
    for (const [part, state] of parts.entries())
      for (let id = part * 5 + 1; id <= part * 5 + 5; id++) {
        if (state === 'absent') files.delete(segment(id));
        if (state === 'damaged' && id === part * 5 + 3) files.set(segment(id), flipped(files.get(segment(id))!, 57, 2));
      }
    for (const [position, state] of [
      [20, newest],
      [10, older],
    ] as const) {
      const path = checkpointPath(position);
      const bytes = files.get(path)!;
      if (state === 'absent') files.delete(path);
      if (state === 'cut') files.set(path, bytes.slice(0, -1));
      if (state === 'rotten') files.set(path, flipped(bytes, 50, 1));
    }
    const directory = await directoryOf(files);
    if (newest === 'foreign') await checkpoint(directory, 20, logId + 1);
    if (older === 'foreign') await checkpoint(directory, 10, logId + 1);
    return directory;
  }

  /** What must come of it: a number of entries, or an error. */
  function expected({ newest, older, parts }: Situation): number | 'error' {
    const there = parts.map((state) => state !== 'absent');
    if (there[0] && !there[1] && there[2]) return 'error';
    const exists = there.includes(true);
    const usable = (state: CheckpointState): boolean => state === 'whole' || (state === 'foreign' && !exists);
    const whole = [...(usable(newest) ? [20] : []), ...(usable(older) ? [10] : [])];
    const unusable = [newest, older].some((state) => state !== 'absent' && !usable(state));
    if (!exists) {
      if (whole.length > 0) return whole[0]!;
      return unusable ? 'error' : 0;
    }
    const first = there.indexOf(true) * 10 + 1;
    const last = there.lastIndexOf(true) * 10 + 10;
    // Bit rot in the middle shows only when the file is read to its end: until then it counts.
    const ahead = newest === 'rotten' ? last < 20 : whole.some((position) => position > last);
    if (ahead) return 'error';
    const start = whole.find((position) => position <= last) ?? 0;
    // A log that is whole beside checkpoints of another one, and none of its own: one of the two is not where it belongs.
    if (start === 0 && [newest, older].includes('foreign')) return 'error';
    if (first > start + 1) return 'error';
    for (const [part, state] of parts.entries()) if (state === 'damaged' && part * 10 + 10 > start) return 'error';
    return last;
  }

  for (const mode of ['bestEffort', 'strict'] as const)
    it(`finds the right state or refuses, never a shorter or an empty one in silence (${mode})`, async () => {
      const whole = await built(30, [10, 20]);
      expect([...whole.image.keys()].filter((path) => path.startsWith('wal/')).length).to.equal(15);
      const outcomes = new Map<string, number>();
      for (const newest of checkpointStates)
        for (const older of checkpointStates)
          for (const first of partStates)
            for (const middle of partStates)
              for (const last of partStates) {
                const situation: Situation = { newest, older, parts: [first, middle, last] };
                const name = `checkpoint 20 ${newest}, checkpoint 10 ${older}, log ${situation.parts.join(', ')}`;
                const directory = await directoryIn(whole, situation);
                const should = expected(situation);
                const outcome = await recoverLedger(directory, { mode }).catch((error: unknown) => error as Error);
                if (outcome instanceof Error) {
                  expect(should, `${name}: ${outcome.message}`).to.equal('error');
                  expect(outcome, name).to.satisfy(
                    (error: unknown) => error instanceof RecoveryError || error instanceof CorruptionError,
                  );
                  if (outcome instanceof RecoveryError)
                    expect(outcome.message, name).to.match(/missing|can be used|belong to another log/);
                  outcomes.set(outcome.name, (outcomes.get(outcome.name) ?? 0) + 1);
                  continue;
                }
                if (should === 'error') expect.fail(`${name}: recovered ${outcome.state.length} entries`);
                expect(outcome.state, name).to.deep.equal(numbered(should));
                expect(outcome.lastEntryId, name).to.equal(should);
                const skipped = outcome.report.skippedCheckpoints;
                const { checkpoint: used } = outcome.report;
                const unusable = (['cut', 'rotten', 'foreign'] as const).some((state) => state === newest);
                if (unusable && should > 0 && used?.lastAppliedId !== 20)
                  expect(
                    skipped.map(({ path }) => path),
                    name,
                  ).to.include(checkpointPath(20));
                outcomes.set('recovered', (outcomes.get('recovered') ?? 0) + 1);
              }
      expect([...outcomes.keys()].sort()).to.deep.equal(['CorruptionError', 'RecoveryError', 'recovered']);
      expect(Math.min(...outcomes.values())).to.be.greaterThan(40);
    });

  it('names the entries that are missing', async () => {
    const directory = await directoryOf((await built(30, [10])).image);
    await new WalMaintenance(directory).truncatePrefix(20);
    const gap = await rejects(recoverLedger(directory), RecoveryError);
    expect(gap.message).to.include('entries 11 to 20 are missing').and.include('begins with entry 21');
    await directory.remove(checkpointPath(10));
    const all = await rejects(recoverLedger(directory), RecoveryError);
    expect(all.message).to.include('entries 1 to 20 are missing');
  });

  it('names both gaps when the newest checkpoint is damaged and the older one is too old', async () => {
    const { image } = await built(30, [10, 20]);
    const directory = await directoryOf(changed(image, checkpointPath(20), (bytes) => flipped(bytes, 50, 1)));
    await new WalMaintenance(directory).truncatePrefix(20);
    const error = await rejects(recoverLedger(directory), RecoveryError);
    expect(error.message).to.include('entries 11 to 20 are missing').and.include(checkpointPath(20));
  });

  it('starts anew with each checkpoint that it tries: nothing of a damaged one is left in the state', async () => {
    const { image } = await built(30, [10, 20]);
    const directory = await directoryOf(
      changed(image, checkpointPath(20), (bytes) => flipped(bytes, bytes.length - 60, 1)),
    );
    let made = 0;
    const { state, report } = await recoverLedger(directory, {
      init: () => {
        made++;
        return [];
      },
    });
    expect(state).to.deep.equal(numbered(30));
    expect([made, report.checkpoint?.lastAppliedId]).to.deep.equal([2, 10]);
    expect(report.skippedCheckpoints).to.have.length(1);
    expect(report.skippedCheckpoints[0]).to.deep.include({ path: checkpointPath(20), lastAppliedId: 20 });
    expect(report.skippedCheckpoints[0]!.reason).to.include('damaged');
  });

  it('is not told to use an older checkpoint by a disk that cannot be read, or a codec that is wrong', async () => {
    const { image } = await built(30, [10, 20]);
    for (const kind of ['open', 'read', 'size', 'stat', 'list'] as const) {
      const directory = new FaultyDirectory(await directoryOf(image), (operation) =>
        operation.kind === kind && operation.path.startsWith('checkpoints')
          ? { kind: 'error', errno: 'EIO' }
          : undefined,
      );
      if (kind !== 'stat') await rejects(recoverLedger(directory), StorageError);
    }
    await rejects(
      recoverLedger(await directoryOf(image), { checkpointCodec: messagePackCodec<string>() }),
      DecodeError,
    );
  });

  it('takes a checkpoint that vanishes while it looks for one that is not there', async () => {
    const { image } = await built(30, [10, 20]);
    const inner = await directoryOf(image);
    let opened = 0;
    const directory = new FaultyDirectory(inner, ({ kind, path }) => {
      if (kind === 'open' && path === checkpointPath(20) && ++opened === 2) void inner.remove(path);
      return undefined;
    });
    const { state, report } = await recoverLedger(directory);
    expect(state).to.deep.equal(numbered(30));
    expect(report.checkpoint?.lastAppliedId).to.equal(10);
  });

  it('takes a checkpoint whose name and contents disagree for unusable', async () => {
    const { image } = await built(30, [10, 20]);
    image.set(checkpointPath(25), image.get(checkpointPath(20))!);
    const { state, report } = await recoverLedger(await directoryOf(image));
    expect(state).to.deep.equal(numbered(30));
    expect(report.checkpoint?.lastAppliedId).to.equal(20);
    expect(report.skippedCheckpoints[0]?.reason).to.include('named after position 25');
  });

  it('refuses a log that ends before the checkpoint that was made of it', async () => {
    const { image } = await built(30, [30]);
    const cut = changed(image, lastSegment(image), (bytes) => bytes.slice(0, 60));
    await rejects(recoverLedger(await directoryOf(cut)), CorruptionError);
    await rejects(WalWriter.open(await directoryOf(cut), { codec, durableId: 30 }), CorruptionError);
  });
});

describe('recoverWithWal at a torn tail', () => {
  it('ends before it with best effort and reports it, and refuses it when strict', async () => {
    const { image } = await built(5, [2], { crashed: true });
    const directory = await directoryOf(changed(image, segment(3), (bytes) => bytes.slice(0, -1)));
    const { state, lastEntryId, report } = await recoverLedger(directory);
    expect([state, lastEntryId]).to.deep.equal([numbered(4), 4]);
    expect(report.tornTail).to.deep.include({ path: segment(3), offset: 40, bytes: 17 });
    await rejects(recoverLedger(directory, { mode: 'strict' }), TornTailError);
  });

  it('shows exactly what opening the log for writing then keeps', async () => {
    const { image } = await built(5, [], { crashed: true });
    const size = image.get(segment(3))!.length;
    for (let length = 0; length <= size; length++) {
      const directory = await directoryOf(changed(image, segment(3), (bytes) => bytes.slice(0, length)));
      const shown = await recoverLedger(directory);
      const wal = await WalWriter.open(directory, { codec });
      expect(wal.opened.lastEntryId).to.equal(shown.lastEntryId);
      expect(wal.opened.tornTail?.bytes).to.equal(shown.report.tornTail?.bytes);
      await wal.close();
      expect((await recoverLedger(directory, { mode: 'strict' })).state).to.deep.equal(shown.state);
    }
  });
});

describe('recoverWithWal up to an entry', () => {
  it('gives the state after exactly that entry, from whichever checkpoint is not later', async () => {
    const { image } = await built(21, [5, 10, 15]);
    const directory = await directoryOf(image);
    for (let upTo = 0; upTo <= 23; upTo++) {
      const { state, lastEntryId, report } = await recoverLedger(directory, { upTo });
      expect(state).to.deep.equal(numbered(Math.min(upTo, 21)));
      expect(lastEntryId).to.equal(Math.min(upTo, 21));
      const position = [15, 10, 5].find((at) => at <= upTo);
      expect(report.checkpoint?.lastAppliedId).to.equal(position);
      expect(report.skippedCheckpoints.map(({ lastAppliedId }) => lastAppliedId)).to.deep.equal(
        [15, 10, 5].filter((at) => at > upTo),
      );
    }
  });

  it('pays no attention to damage behind it, wherever that is', async () => {
    const { image } = await built(21, [10]);
    for (let upTo = 0; upTo <= 20; upTo++)
      for (let broken = upTo + 1; broken <= 21; broken++) {
        const path = segment(Math.ceil(broken / 2));
        const payload = 40 + ((broken - 1) % 2 === 0 ? 16 : broken < 11 ? 34 : 35);
        const directory = await directoryOf(changed(image, path, (bytes) => flipped(bytes, payload, 0)));
        for (const mode of ['strict', 'bestEffort'] as const) {
          const { state } = await recoverLedger(directory, { upTo, mode }).catch((error: unknown) => {
            throw new Error(`up to ${upTo} with entry ${broken} damaged (${mode}): ${String(error)}`, { cause: error });
          });
          expect(state).to.deep.equal(numbered(upTo));
        }
      }
  });

  it('pays no attention to a torn tail behind it', async () => {
    const { image } = await built(5, [], { crashed: true });
    const directory = await directoryOf(changed(image, segment(3), (bytes) => bytes.slice(0, -1)));
    for (const upTo of [0, 3, 4]) {
      const { state, report } = await recoverLedger(directory, { upTo, mode: 'strict' });
      expect(state).to.deep.equal(numbered(upTo));
      expect(report.tornTail).to.equal(undefined);
    }
    await rejects(recoverLedger(directory, { upTo: 5, mode: 'strict' }), TornTailError);
  });

  it('refuses what was truncated, and names it', async () => {
    const { image } = await built(21, [10]);
    const directory = await directoryOf(image);
    await new WalMaintenance(directory).truncatePrefix(10);
    expect((await recoverLedger(directory, { upTo: 10 })).state).to.deep.equal(numbered(10));
    expect((await recoverLedger(directory, { upTo: 13 })).state).to.deep.equal(numbered(13));
    for (const upTo of [0, 9]) {
      const error = await rejects(recoverLedger(directory, { upTo }), RecoveryError);
      expect(error.message).to.include('entries 1 to 10 are missing');
    }
  });

  it('is the state after the first entries, for any log, pace and position', () =>
    check(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 56, max: 400 }),
        fc.nat(60),
        async (count, pace, segmentBytes, upTo) => {
          const directory = new MemoryDirectory();
          const wal = await WalWriter.open(directory, { codec, segmentBytes });
          const expected: string[] = [];
          for (let step = 1; step <= count; step++) {
            expected[wal.append(`s${step}`) - 1] = `s${step}`;
            if (step % pace !== 0) continue;
            const path = checkpointPath(wal.lastEntryId);
            await wal.flushAndSync();
            if ((await directory.stat('checkpoints')) === undefined) await directory.makeDirectory('checkpoints');
            await CheckpointFile.write(directory, path, {
              lastAppliedId: wal.lastEntryId,
              logId: wal.logId,
              codec,
              items: expected,
            });
          }
          await wal.close();
          const { state } = await recoverLedger(directory, { upTo, mode: 'strict' });
          expect(state).to.deep.equal(expected.slice(0, upTo));
        },
      ),
      80,
    ));
});

describe('recoverWithWal when apply throws', () => {
  it('refuses with the entry and the cause, and does not try another way', async () => {
    const directory = await directoryOf((await built(21, [5, 10])).image);
    const cause = new TypeError('cannot read properties of undefined');
    let restored = 0;
    const error = await rejects(
      recoverLedger(directory, {
        init: () => (restored++, []),
        apply: (ledger, { entryId, entry }) => {
          if (entryId === 13) throw cause;
          ledger.push(entry);
          return ledger;
        },
      }),
      RecoveryError,
    );
    expect([error.entryId, error.cause, restored]).to.deep.equal([13, cause, 1]);
    expect(error.message).to.include('cannot read properties');
  });

  it('ends as well when restore throws, instead of trying another checkpoint', async () => {
    const directory = await directoryOf((await built(21, [5, 10])).image);
    const cause = new Error('no such item');
    const restore = (): never => {
      throw cause;
    };
    const error = await rejects(recoverLedger(directory, { restore }), RecoveryError);
    expect([error.cause, error.path]).to.deep.equal([cause, checkpointPath(10)]);
  });

  it('names an entry that the codec cannot read', async () => {
    const { image } = await built(3, []);
    const directory = await directoryOf(image);
    const error = await rejects(recoverLedger(directory, { walCodec: messagePackCodec<string>() }), DecodeError);
    expect(error.entryId).to.equal(1);
    sameImage(await imageOf(directory), image);
  });
});
