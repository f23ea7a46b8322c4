import { LockError, MemoryDirectory, PoisonedError, StorageError, WalReader, WalWriter } from 'cairnlog';
import { FaultyDirectory, isMutation, type DiskOperation } from 'cairnlog/testing';
import { expect } from 'chai';
import { rejects, throws } from '../support/rejects.js';
import { textCodec as codec } from '../support/text-codec.js';

interface Failing {
  readonly inner: MemoryDirectory;
  readonly directory: FaultyDirectory;
  readonly wal: WalWriter<string>;
  /** Operations since the fault, itself included. */
  readonly after: DiskOperation[];
  readonly failures: Error[];
}

/** A writer with an entry on stable storage, whose first operation that `hits` fails. */
async function failing(hits: (operation: DiskOperation) => boolean): Promise<Failing> {
  const inner = new MemoryDirectory();
  const directory = new FaultyDirectory(inner);
  const failures: Error[] = [];
  const wal = await WalWriter.open(directory, {
    codec,
    segmentBytes: 200,
    observer: { onFailure: (error) => void failures.push(error) },
  });
  await wal.appendDurable('good');
  const after: DiskOperation[] = [];
  directory.decide = (operation) => {
    if (after.length > 0) {
      after.push(operation);
      return undefined;
    }
    if (!hits(operation)) return undefined;
    after.push(operation);
    return { kind: 'error', errno: 'EIO' };
  };
  return { inner, directory, wal, after, failures };
}

const faults: [what: string, hits: (operation: DiskOperation) => boolean][] = [
  ['a write fails', ({ kind }) => kind === 'write'],
  ['a sync fails', ({ kind }) => kind === 'datasync'],
  ['the last sync of a full segment fails', ({ kind, path }) => kind === 'datasync' && path === 'wal/wal_1.log'],
  ['closing a full segment fails', ({ kind, path }) => kind === 'close' && path === 'wal/wal_1.log'],
  ['a new segment cannot be created', ({ kind }) => kind === 'create'],
  ['the header of a new segment cannot be written', ({ kind, path }) => kind === 'write' && path === 'wal/wal_2.log'],
  ['the header of a new segment cannot be synced', ({ kind, path }) => kind === 'datasync' && path === 'wal/wal_2.log'],
  ['the name of a new segment cannot be synced', ({ kind }) => kind === 'syncDirectory'],
];

for (const [what, hits] of faults)
  describe(`When ${what}`, () => {
    it('everybody who waits is rejected once, nothing more is done to the disk, and close gives the log up', async () => {
      const { inner, wal, after, failures } = await failing(hits);
      const settled: string[] = [];
      const watch = (name: string, promise: Promise<unknown>): Promise<void> =>
        promise.then(
          () => void settled.push(`${name} resolved`),
          (error: unknown) => {
            expect(error).to.be.instanceOf(PoisonedError);
            expect((error as PoisonedError).cause).to.be.instanceOf(StorageError);
            settled.push(name);
          },
        );
      const waiting: Promise<void>[] = [];
      wal.append('unsynced in the first segment');
      for (let round = 0; round < 4; round++) {
        waiting.push(watch(`append ${round}`, wal.appendDurable('x'.repeat(150))));
        waiting.push(watch(`batch ${round}`, wal.appendBatchDurable(['a', 'b'])));
        waiting.push(watch(`flush ${round}`, wal.flush()));
      }
      waiting.push(watch('drain', wal.drain()));
      await Promise.all(waiting);
      await new Promise((resolve) => setImmediate(resolve));
      expect(after.length, 'the fault fired').to.be.greaterThan(0);
      expect(settled.filter((name) => !name.includes('resolved')).length).to.be.greaterThan(8);
      expect(new Set(settled).size).to.equal(settled.length);
      expect(failures.length).to.equal(1);

      const frozen = [wal.flushedId, wal.durableId];
      throws(() => wal.append('after'), PoisonedError);
      throws(() => wal.appendBatch(['after']), PoisonedError);
      await rejects(wal.appendDurable('after'), PoisonedError);
      await rejects(wal.flush(), PoisonedError);
      await rejects(wal.flushAndSync(), PoisonedError);
      await rejects(wal.drain(), PoisonedError);
      expect([wal.flushedId, wal.durableId]).to.deep.equal(frozen);
      expect(failures.length).to.equal(1);

      await rejects(WalWriter.open(inner, { codec }), LockError);
      // Everybody has been told; close has nothing to add.
      await wal.close();
      expect(after.slice(1).filter(isMutation)).to.deep.equal([]);

      const next = await WalWriter.open(inner, { codec });
      expect(next.opened.lastEntryId).to.be.at.least(wal.durableId);
      expect(await next.appendDurable('goes on')).to.equal(next.opened.lastEntryId + 1);
      await next.close();
      expect((await new WalReader(inner, { codec }).replay())[0]).to.deep.equal({ entryId: 1, entry: 'good' });
    });
  });

describe('A writer that fails', () => {
  it('says in its error which entries are in doubt, where, and what to do', async () => {
    const { wal } = await failing(({ kind }) => kind === 'datasync');
    wal.append('two');
    const error = await rejects(wal.appendDurable('three'), PoisonedError);
    expect([error.path, error.entryId]).to.deep.equal(['wal/wal_1.log', 2]);
    expect(error.message).to.include('entries 2 to 3').and.include('Close the writer and open it again');
    await wal.close();
  });

  it('without anybody waiting tells the next one who asks', async () => {
    const { wal, failures } = await failing(({ kind }) => kind === 'write');
    for (let id = 0; id < 64; id++) wal.append('x');
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures.length).to.equal(1);
    throws(() => wal.append('y'), PoisonedError);
    await wal.close();
  });

  it('and tells nobody rejects its close, so that the loss is not silent', async () => {
    const { inner, wal } = await failing(({ kind }) => kind === 'write');
    for (let id = 0; id < 64; id++) wal.append('x');
    await new Promise((resolve) => setImmediate(resolve));
    await rejects(wal.close(), PoisonedError);
    await rejects(wal.close(), PoisonedError);
    const next = await WalWriter.open(inner, { codec });
    await next.close();
  });

  for (const kind of ['write', 'datasync'] as const)
    it(`while it closes (${kind}) rejects the close, and gives the lock up`, async () => {
      let armed = false;
      const { inner, wal, after } = await failing((operation) => armed && operation.kind === kind);
      wal.append('two');
      await wal.flushAndSync();
      armed = true;
      const error = await rejects(wal.close(), PoisonedError);
      expect(error.cause).to.be.instanceOf(StorageError);
      expect(after.slice(1).filter(isMutation)).to.deep.equal([]);
      const next = await WalWriter.open(inner, { codec });
      expect(next.opened.lastEntryId).to.equal(2);
      await next.close();
    });

  it('whose file cannot be closed says so, and gives the lock up', async () => {
    const { inner, wal } = await failing(({ kind }) => kind === 'close');
    await rejects(wal.close(), StorageError);
    const next = await WalWriter.open(inner, { codec });
    await next.close();
  });

  it('acknowledges nothing twice: who was answered before the failure stays answered', async () => {
    let armed = false;
    const { wal } = await failing((operation) => armed && operation.kind === 'datasync');
    const second = wal.appendDurable('two');
    expect(await second).to.equal(2);
    armed = true;
    await rejects(wal.appendDurable('three'), PoisonedError);
    expect(await second).to.equal(2);
    expect(wal.durableId).to.equal(2);
    await wal.close();
  });

  it('goes on when a write is only short', async () => {
    const inner = new MemoryDirectory();
    const directory = new FaultyDirectory(inner, ({ kind, bytes = 0 }) =>
      kind === 'write' && bytes > 1 ? { kind: 'short', bytes: 1 + Math.floor(bytes / 3) } : undefined,
    );
    const wal = await WalWriter.open(directory, { codec, segmentBytes: 200, preallocateBytes: 150 });
    for (let id = 1; id <= 20; id++) await wal.appendDurable(`entry ${id}`);
    await wal.close();
    expect(directory.faults).to.be.greaterThan(40);
    expect((await new WalReader(inner, { codec }).replay()).map(({ entry }) => entry)).to.deep.equal(
      Array.from({ length: 20 }, (_, index) => `entry ${index + 1}`),
    );
  });

  it('fails when a write makes no progress at all', async () => {
    const { wal, directory } = await failing(() => false);
    directory.decide = ({ kind }) => (kind === 'write' ? { kind: 'short', bytes: 0 } : undefined);
    const error = await rejects(wal.appendDurable('x'), PoisonedError);
    expect(error.message).to.include('no progress');
    await wal.close();
  });
});
