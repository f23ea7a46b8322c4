import { CheckpointFile, CorruptionError, FormatError, MemoryDirectory, StorageError } from 'cairnlog';
import { checkpointPath, listCheckpoints } from 'cairnlog/checkpoint';
import { FaultyDirectory } from 'cairnlog/testing';
import { expect } from 'chai';
import { put } from '../support/image.js';
import { rejects } from '../support/rejects.js';
import { textCodec as codec } from '../support/text-codec.js';

async function folder(...positions: number[]): Promise<MemoryDirectory> {
  const directory = new MemoryDirectory();
  await directory.makeDirectory('checkpoints');
  for (const lastAppliedId of positions)
    await CheckpointFile.write(directory, checkpointPath(lastAppliedId), { lastAppliedId, logId: 5, codec, items: [] });
  return directory;
}

describe('listCheckpoints', () => {
  it('gives them newest first, by number and not by name', async () => {
    const listed = await listCheckpoints(await folder(9, 10, 100, 2, 0));
    expect(listed.map(({ lastAppliedId }) => lastAppliedId)).to.deep.equal([100, 10, 9, 2, 0]);
    expect(listed.every(({ info, problem }) => info?.logId === 5 && problem === undefined)).to.equal(true);
    expect(await listCheckpoints(new MemoryDirectory())).to.deep.equal([]);
  });

  it('passes over other names', async () => {
    const directory = await folder(3);
    for (const name of ['ckpt_.ckpt', 'ckpt_03.ckpt', 'ckpt_3.ckpt.a.tmp', 'ckpt_-1.ckpt', 'ckpt_3.chk', 'x'])
      await put(directory, `checkpoints/${name}`, Uint8Array.of(1));
    expect((await listCheckpoints(directory)).length).to.equal(1);
    await put(directory, 'checkpoints/ckpt_9007199254740992.ckpt', Uint8Array.of(1));
    await rejects(listCheckpoints(directory), FormatError);
  });

  it('says what is wrong with a file that is damaged, cut or not what its name says', async () => {
    const directory = await folder(3);
    await put(directory, checkpointPath(4), new Uint8Array(0));
    await put(directory, checkpointPath(5), new TextEncoder().encode('not a checkpoint, but long enough to be one'));
    await CheckpointFile.write(directory, checkpointPath(6), { lastAppliedId: 7, codec, items: [] });
    const listed = await listCheckpoints(directory);
    expect(listed.map(({ lastAppliedId }) => lastAppliedId)).to.deep.equal([6, 5, 4, 3]);
    expect(listed[0]?.problem).to.be.instanceOf(FormatError);
    expect(listed[1]?.problem).to.be.instanceOf(FormatError);
    expect(listed[2]?.problem).to.be.instanceOf(CorruptionError);
    expect(listed[3]?.problem).to.equal(undefined);
  });

  it('does not take a disk that cannot be read for damage', async () => {
    const directory = new FaultyDirectory(await folder(3), ({ kind }) =>
      kind === 'read' ? { kind: 'error', errno: 'EIO' } : undefined,
    );
    await rejects(listCheckpoints(directory), StorageError);
  });

  it('lists another folder', async () => {
    const directory = await folder(3);
    await directory.makeDirectory('other');
    await CheckpointFile.write(directory, checkpointPath(8, 'other'), { lastAppliedId: 8, codec, items: [] });
    expect((await listCheckpoints(directory, 'other')).map(({ path }) => path)).to.deep.equal(['other/ckpt_8.ckpt']);
  });
});
