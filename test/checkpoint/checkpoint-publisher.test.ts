import {
  CheckpointFile,
  CheckpointPublisher,
  CorruptionError,
  InvalidArgumentError,
  MemoryDirectory,
  PoisonedError,
  StorageError,
  walEntryCodec,
  WalMaintenance,
  WalReader,
  WalWriter,
  type Directory,
  type WalEntry,
} from 'cairnlog';
import { checkpointPath, listCheckpoints } from 'cairnlog/checkpoint';
import { FaultyDirectory, isMutation, type DiskOperation } from 'cairnlog/testing';
import { expect } from 'chai';
import { edit } from '../support/directory-contents.js';
import { directoryOf, flipped, imageOf, put } from '../support/image.js';
import { markOf, publisherOf, recoverLedger, type Ledger } from '../support/ledger.js';
import { recorded } from '../support/recorded.js';
import { rejects, throws } from '../support/rejects.js';
import { randomOf, seeded } from '../support/seed.js';
import { textCodec as codec } from '../support/text-codec.js';
import { quiet } from '../support/until.js';

const SEGMENT_BYTES = 80;

interface Ledgered {
  readonly wal: WalWriter<string>;
  readonly ledger: Ledger;
  append(count: number): void;
  publish(retain?: number): ReturnType<CheckpointPublisher<string, string>['publish']>;
}

async function open(directory: Directory): Promise<Ledgered> {
  const ledger: Ledger = [];
  const wal = await WalWriter.open(directory, { codec, segmentBytes: SEGMENT_BYTES });
  const makeEntry = (_: string, id: number): string => {
    const mark = markOf(id);
    ledger[wal.lastEntryId] = mark;
    return mark;
  };
  return {
    wal,
    ledger,
    append(count) {
      for (let index = 0; index < count; index++) ledger[wal.append(`e${wal.nextEntryId}`) - 1] = `e${wal.lastEntryId}`;
    },
    publish: (retain = 2) => publisherOf(wal, retain, makeEntry).publish([...ledger], wal.lastEntryId),
  };
}

const checkpoints = async (directory: Directory): Promise<number[]> =>
  (await listCheckpoints(directory)).map(({ lastAppliedId }) => lastAppliedId);

const firstId = async (directory: Directory): Promise<number> =>
  (await new WalMaintenance(directory).segmentRanges())[0]!.startEntryId;

describe('CheckpointPublisher', () => {
  it('publishes one after the other where another one is asked for while the first is written', async () => {
    let second: ReturnType<Ledgered['publish']> | undefined;
    const directory = new FaultyDirectory(new MemoryDirectory(), ({ kind, path }) => {
      if (second !== undefined || kind !== 'datasync' || !path.endsWith('.tmp')) return undefined;
      append(6);
      second = publish();
      return { kind: 'wait', until: quiet() };
    });
    const { wal, append, publish } = await open(directory);
    append(6);
    expect((await publish()).lastAppliedId).to.equal(6);
    expect((await second!).lastAppliedId).to.equal(12);
    expect(await checkpoints(directory)).to.deep.equal([12, 6]);
    await wal.close();
  });

  it('syncs the log, writes the file, reads it back, marks it, and only then removes and truncates', async () => {
    const { directory, operations } = recorded(new MemoryDirectory());
    const { wal, append, publish } = await open(directory);
    append(6);
    await publish();
    append(6);
    operations.length = 0;
    const result = await publish(1);
    const steps = operations
      .filter((op) => isMutation(op) || op.kind === 'read')
      .map(({ kind, path }) => `${kind} ${path.replace(/\.[0-9a-f]{12}\.tmp/, '.tmp')}`);
    const at = (step: string): number => steps.indexOf(step);
    const order = [
      steps.findIndex((step) => step.startsWith('datasync wal/')),
      at('create checkpoints/ckpt_13.ckpt.tmp'),
      at('datasync checkpoints/ckpt_13.ckpt.tmp'),
      at('rename checkpoints/ckpt_13.ckpt.tmp'),
      steps.lastIndexOf('syncDirectory checkpoints', at('remove checkpoints/ckpt_6.ckpt')),
      at('read checkpoints/ckpt_13.ckpt'),
      steps.findLastIndex((step) => step.startsWith('datasync wal/')),
      at('remove checkpoints/ckpt_6.ckpt'),
      at('remove wal/wal_1.log'),
    ];
    expect(
      order.every((index) => index >= 0),
      steps.join('\n'),
    ).to.equal(true);
    expect(order).to.deep.equal([...order].sort((a, b) => a - b));
    expect(result).to.deep.include({
      checkpointPath: 'checkpoints/ckpt_13.ckpt',
      lastAppliedId: 13,
      markEntryId: 14,
      removedCheckpoints: ['checkpoints/ckpt_6.ckpt'],
      coveredId: 13,
      bytes: (await directory.stat('checkpoints/ckpt_13.ckpt'))!.size,
    });
    expect(result.truncation.removed.length).to.be.greaterThan(4);
    await wal.close();
  });

  it('keeps the newest two by default, and the log as far back as the older of them', async () => {
    const directory = new MemoryDirectory();
    const { wal, ledger, append, publish } = await open(directory);
    const covered: number[] = [];
    for (let round = 0; round < 5; round++) {
      append(6);
      const { coveredId, removedCheckpoints } = await publish();
      covered.push(coveredId);
      expect(removedCheckpoints.length).to.equal(round < 2 ? 0 : 1);
      expect((await recoverLedger(directory)).state).to.deep.equal(ledger);
    }
    expect(await checkpoints(directory)).to.deep.equal([34, 27]);
    expect(covered).to.deep.equal([0, 6, 13, 20, 27]);
    expect(await firstId(directory)).to.be.within(24, 28);
    await wal.close();
  });

  it('does not truncate before as many checkpoints exist as are to be kept', async () => {
    const directory = new MemoryDirectory();
    const { wal, append, publish } = await open(directory);
    for (let round = 1; round <= 3; round++) {
      append(10);
      const { truncation, coveredId } = await publish(4);
      expect([truncation.removed.length, coveredId]).to.deep.equal([0, 0]);
    }
    append(10);
    expect((await publish(4)).coveredId).to.equal(10);
    expect(await firstId(directory)).to.be.within(9, 11);
    await wal.close();
  });

  it('marks the checkpoint in the log with the WalEntry of that name unless told otherwise', async () => {
    const directory = new MemoryDirectory();
    const wal = await WalWriter.open(directory, { codec: walEntryCodec });
    wal.append({ type: 'AddSegment', segmentId: 1, docCount: 2 });
    const publisher = new CheckpointPublisher<WalEntry, string>({ wal, codec });
    const result = await publisher.publish(['state'], 1);
    const records = await new WalReader(directory, { codec: walEntryCodec }).replayBestEffort();
    expect(records[1]).to.deep.equal({
      entryId: result.markEntryId,
      entry: { type: 'Checkpoint', checkpointPath: 'checkpoints/ckpt_1.ckpt', lastEntryId: 1 },
    });
    expect(wal.durableId).to.equal(2);
    expect(await CheckpointFile.inspect(directory, result.checkpointPath)).to.deep.include({ logId: wal.logId });
    await wal.close();
  });

  it('of an older position than the last entry leaves the later ones to the log', async () => {
    const directory = new MemoryDirectory();
    const { wal, ledger, append } = await open(directory);
    append(9);
    await publisherOf(wal, 1, (_, id) => (ledger[wal.lastEntryId] = markOf(id))).publish(ledger.slice(0, 5), 5);
    expect(await firstId(directory)).to.equal(5);
    const { state, report } = await recoverLedger(directory);
    expect(state).to.deep.equal(ledger);
    expect(report.checkpoint?.lastAppliedId).to.equal(5);
    await wal.close();
  });

  it('may be taken again at the same position', async () => {
    const directory = new MemoryDirectory();
    const { wal, ledger, append, publish } = await open(directory);
    append(4);
    await publish();
    await publisherOf(wal, 2, (_, id) => (ledger[wal.lastEntryId] = markOf(id))).publish(ledger.slice(0, 4), 4);
    expect(await checkpoints(directory)).to.deep.equal([4]);
    expect((await recoverLedger(directory)).state).to.deep.equal(ledger);
    await wal.close();
  });

  it('refuses positions that the log has not reached, that are older than the newest, and that cannot be meant', async () => {
    const { directory, mutations } = recorded(new MemoryDirectory());
    const { wal, ledger, append, publish } = await open(directory);
    append(6);
    await publish();
    append(3);
    const before = await imageOf(directory);
    const count = mutations().length;
    for (const id of [11, Number.MAX_SAFE_INTEGER, 5, 1, 0, -1, 1.5])
      await rejects(publisherOf(wal).publish(ledger, id), InvalidArgumentError);
    expect(await imageOf(directory)).to.deep.equal(before);
    expect(
      mutations()
        .slice(count)
        .every(({ kind }) => kind === 'syncDirectory'),
    ).to.equal(true);
    for (const retain of [0, -1, 1.5, Number.NaN])
      throws(
        () => new CheckpointPublisher<string, string>({ wal, codec, retain, makeEntry: markOf as never }),
        InvalidArgumentError,
      );
    await wal.close();
  });

  it('clears away what interrupted checkpoints left, and nothing else', async () => {
    const directory = new MemoryDirectory();
    const { wal, append, publish } = await open(directory);
    for (const name of ['ckpt_3.ckpt.0123456789ab.tmp', 'notes.txt', 'other.tmp', 'ckpt_x.ckpt'])
      await put(directory, `checkpoints/${name}`, Uint8Array.of(1));
    append(2);
    await publish();
    expect(await directory.list('checkpoints')).to.deep.equal(['ckpt_2.ckpt', 'ckpt_x.ckpt', 'notes.txt', 'other.tmp']);
    await wal.close();
  });

  it('neither counts nor removes checkpoints of another log or damaged ones', async () => {
    const directory = new MemoryDirectory();
    const { wal, ledger, append, publish } = await open(directory);
    append(6);
    await publish();
    await CheckpointFile.write(directory, checkpointPath(3), {
      lastAppliedId: 3,
      logId: wal.logId + 1,
      codec,
      items: [],
    });
    await CheckpointFile.write(directory, checkpointPath(900), {
      lastAppliedId: 900,
      logId: wal.logId + 1,
      codec,
      items: [],
    });
    await put(directory, checkpointPath(5), new Uint8Array(100));
    append(6);
    const { coveredId } = await publish();
    expect(coveredId).to.equal(6);
    append(1);
    await publish();
    expect(await checkpoints(directory)).to.deep.equal([900, 15, 13, 5, 3]);
    expect((await recoverLedger(directory)).state).to.deep.equal(ledger);
    await wal.close();
  });

  it('does not count one that is damaged in its middle among those that are kept', async () => {
    const directory = new MemoryDirectory();
    const { wal, ledger, append, publish } = await open(directory);
    const damage = (position: number): Promise<void> =>
      edit(directory, checkpointPath(position), (bytes) => {
        bytes[bytes.length >> 1]! ^= 1;
      });
    append(6);
    await publish();
    append(6);
    await publish();
    const [newest, older] = await checkpoints(directory);
    await damage(newest!);
    append(6);
    const { removedCheckpoints, coveredId, lastAppliedId } = await publish();
    expect(removedCheckpoints).to.deep.equal([]);
    expect(coveredId, 'what the log may lose').to.equal(older);
    // So that this one may be damaged as well.
    await damage(lastAppliedId);
    const { state, report } = await recoverLedger(directory);
    expect(report.checkpoint?.lastAppliedId).to.equal(older);
    expect(state).to.deep.equal(ledger);
    await wal.close();
  });

  it('that does not read back as it was written is taken away again, and nothing else happens', async () => {
    const inner = new MemoryDirectory();
    const directory = new FaultyDirectory(inner);
    const { wal, ledger, append, publish } = await open(directory);
    append(6);
    await publish(1);
    append(6);
    await wal.flush();
    const before = await imageOf(inner);
    const lastEntryId = wal.lastEntryId;
    directory.decide = (operation) => {
      if (operation.kind === 'open' && operation.path === checkpointPath(13)) {
        // A bit rots between writing and reading back.
        const rot = async (): Promise<void> => {
          const file = await inner.open(operation.path, 'update');
          const byte = new Uint8Array(1);
          await file.read(byte, 50);
          await file.write(flipped(byte, 0, 3), 50);
          await file.close();
        };
        void rot();
      }
      return undefined;
    };
    await rejects(publish(1), CorruptionError);
    directory.decide = () => undefined;
    expect(wal.lastEntryId).to.equal(lastEntryId);
    expect(await imageOf(inner)).to.deep.equal(before);
    append(1);
    await publish(1);
    expect((await recoverLedger(inner)).state).to.deep.equal(ledger);
    await wal.close();
  });

  it('whose items fail harms neither the log nor the older checkpoints', async () => {
    const directory = new MemoryDirectory();
    const { wal, ledger, append, publish } = await open(directory);
    append(6);
    await publish();
    append(2);
    const failing = function* (): Generator<string> {
      yield 'one';
      throw new RangeError('state is broken');
    };
    const error: unknown = await publisherOf(wal)
      .publish(failing(), wal.lastEntryId)
      .catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(RangeError);
    expect(await directory.list('checkpoints')).to.deep.equal(['ckpt_6.ckpt']);
    append(2);
    await wal.flush();
    expect((await recoverLedger(directory)).state).to.deep.equal(ledger);
    await wal.close();
  });

  it('listens to the veto of an observer, and archives, as its truncate option says', async () => {
    const directory = new MemoryDirectory();
    const { wal, append } = await open(directory);
    append(10);
    const publisher = new CheckpointPublisher<string, string>({
      wal,
      codec,
      retain: 1,
      makeEntry: (_, id) => markOf(id),
      truncate: { archive: 'archive', observer: { onBeforeTruncate: (segmentId) => segmentId < 3 } },
    });
    const { truncation } = await publisher.publish([], 10);
    expect(truncation.removed.map(({ segmentId }) => segmentId)).to.deep.equal([1, 2]);
    expect(truncation.kept[0]?.reason).to.equal('vetoed');
    expect(await directory.list('archive')).to.deep.equal(['wal_1.log', 'wal_2.log']);
    await wal.close();
  });

  it('fails with the writer when the writer has failed, and removes nothing', async () => {
    const inner = new MemoryDirectory();
    const directory = new FaultyDirectory(inner);
    const { wal, append, publish } = await open(directory);
    append(6);
    await publish(1);
    append(6);
    directory.decide = ({ kind, path }) =>
      kind === 'datasync' && path.startsWith('wal/') ? { kind: 'error', errno: 'EIO' } : undefined;
    await rejects(publish(1), PoisonedError);
    directory.decide = () => undefined;
    await rejects(publish(1), PoisonedError);
    expect(await checkpoints(inner)).to.deep.equal([6]);
    await wal.close();
  });
});

describe('A checkpoint that fails at any single operation', () => {
  it('removes nothing before the mark is durable, harms no writer but by its own syncs, and state is whole', async () => {
    let refused = 0;
    let poisoned = 0;
    for (let at = 1; ; at++) {
      const inner = new MemoryDirectory();
      const directory = new FaultyDirectory(inner);
      const { wal, ledger, append, publish } = await open(directory);
      append(6);
      await publish(1);
      append(6);
      const operations: DiskOperation[] = [];
      const begin = directory.operations;
      let marked = false;
      directory.decide = (operation) => {
        operations.push(operation);
        if (wal.durableId >= 14) marked = true;
        if (operation.kind === 'remove' && !operation.path.endsWith('.tmp') && operation.path !== checkpointPath(13))
          expect(marked, `fault at ${at}: ${operation.path} removed before the mark`).to.equal(true);
        return operation.number === begin + at ? { kind: 'error', errno: 'EIO' } : undefined;
      };
      const outcome: unknown = await publish(1).catch((error: unknown) => error);
      const fired = operations.length >= at;
      directory.decide = () => undefined;
      if (outcome instanceof PoisonedError) poisoned++;
      else if (outcome instanceof StorageError) refused++;
      else if (fired) expect(outcome).to.have.property('markEntryId', 14);
      if (!(outcome instanceof PoisonedError)) {
        append(1);
        await wal.flushAndSync();
      }
      // A mark that was not durable is not part of what was promised.
      const { state } = await recoverLedger(inner);
      expect(state).to.deep.equal(ledger.slice(0, state.length));
      expect(state.length).to.be.at.least(wal.durableId);
      await wal.close().catch(() => undefined);
      const again = await open(inner);
      again.ledger.push(...(await recoverLedger(inner)).state);
      again.append(3);
      await again.publish(1);
      expect((await recoverLedger(inner)).state).to.deep.equal(again.ledger);
      expect((await inner.list('checkpoints')).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
      await again.wal.close();
      if (!fired) break;
    }
    expect(refused).to.be.greaterThan(20);
    expect(poisoned).to.be.greaterThan(0);
  });
});

describe('Checkpoints over a long life', () => {
  it('give the state of a plain list after every publication, and keep log and folder small', async () =>
    seeded(async () => {
      const random = randomOf('soak');
      let directory = new MemoryDirectory();
      let current = await open(directory);
      let ledger = current.ledger;
      for (let step = 1; step <= 400; step++) {
        current.append(1);
        if (step % 50 !== 0) continue;
        await current.publish();
        expect((await recoverLedger(directory)).state).to.deep.equal(ledger);
        expect((await directory.list('wal')).length).to.be.at.most(60);
        expect((await directory.list('checkpoints')).length).to.be.at.most(2);
        if (!random.chance(60)) continue;
        // The process dies; the next one finds the files as they are.
        const dead = current.wal;
        directory = await directoryOf(await imageOf(directory));
        current = await open(directory);
        current.ledger.push(...ledger);
        ({ ledger } = current);
        expect(current.wal.lastEntryId).to.equal(ledger.length);
        await dead.close();
      }
      await current.wal.close();
    }));

  it('never lose a step to the pace of checkpoints: any pace gives the same state', async () => {
    for (const [pace, retain] of [
      [1, 1],
      [3, 2],
      [7, 1],
      [10, 3],
      [1000, 2],
    ] as const) {
      const directory = new MemoryDirectory();
      const wal = await WalWriter.open(directory, { codec, segmentBytes: 100 });
      let sum = 0;
      for (let step = 1; step <= 60; step++) {
        wal.append(String(step));
        sum += step;
        if (step % pace === 0)
          await new CheckpointPublisher<string, string>({ wal, codec, retain, makeEntry: () => '0' }).publish(
            [String(sum)],
            wal.lastEntryId,
          );
      }
      await wal.flush();
      const { state } = await recoverLedger(directory, {
        apply: (list, { entry }) => [String(Number(list[0] ?? 0) + Number(entry))],
      });
      expect(state).to.deep.equal([String((60 * 61) / 2)]);
      await wal.close();
    }
  });
});
