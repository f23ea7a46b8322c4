import { CorruptionError, MemoryDirectory, WalWriter, type Directory } from 'cairnlog';
import { FaultyDirectory } from 'cairnlog/testing';
import { expect } from 'chai';
import { Counted } from '../support/counted.js';
import { patch } from '../support/raw-files.js';
import { rejects } from '../support/rejects.js';
import { textCodec as codec } from '../support/text-codec.js';

const pathOf = (segmentId: number): string => `wal/wal_${segmentId}.log`;

/** A closed log of one entry to each segment. */
async function logOf(segments: number): Promise<MemoryDirectory> {
  const disk = new MemoryDirectory();
  const wal = await WalWriter.open(disk, { codec, segmentBytes: 60 });
  for (let id = 1; id <= segments; id++) wal.append(`entry ${id}`);
  await wal.close();
  expect(await disk.list('wal')).to.include(`wal_${segments}.log`);
  return disk;
}

const open = (directory: Directory): Promise<WalWriter<string>> => WalWriter.open(directory, { codec });

/** How many segments are open at the same time, at most, and whether one is still open. */
function openSegments(inner: Directory): { directory: Directory; counts: { now: number; most: number } } {
  const counts = { now: 0, most: 0 };
  const directory = new FaultyDirectory(inner, ({ kind, path }) => {
    if (!path.endsWith('.log')) return undefined;
    if (kind === 'open') counts.most = Math.max(counts.most, ++counts.now);
    if (kind === 'close') counts.now--;
    // Those behind are still being read when the first answers.
    if (kind === 'read' && path !== pathOf(9)) return { kind: 'wait', until: new Promise(setImmediate) };
    return undefined;
  });
  return { directory, counts };
}

describe('The chain of segments', () => {
  it('reads headers several at a time, so that a long log is opened quickly, but not all at once', async () => {
    for (const segments of [3, 100]) {
      const { directory, counts } = openSegments(await logOf(segments));
      const wal = await open(directory);
      expect(wal.opened.segments).to.equal(segments);
      expect(counts.most).to.be.within(Math.min(segments, 8), 32);
      await wal.close();
    }
  });

  it('asks three things of the disk for the header of a segment that is not the last', async () => {
    const counted = new Counted(await logOf(40));
    const wal = await open(counted.directory);
    for (let id = 1; id < 40; id++) {
      const kinds = counted.operations.filter(({ path }) => path === pathOf(id)).map(({ kind }) => kind);
      expect(kinds).to.deep.equal(['open', 'read', 'close']);
    }
    await wal.close();
  });

  it('names the first segment that is wrong, whatever is wrong behind it, and leaves no file open', async () => {
    const disk = await logOf(30);
    for (const id of [20, 9, 14])
      await patch(disk, pathOf(id), (bytes) => {
        bytes[9]! ^= 1;
      });
    await disk.remove(pathOf(17));
    const { directory, counts } = openSegments(disk);
    const error = await rejects(open(directory), CorruptionError);
    expect(error.path).to.equal(pathOf(9));
    expect(counts.now).to.equal(0);
    for (const id of [9, 14])
      await patch(disk, pathOf(id), (bytes) => {
        bytes[9]! ^= 1;
      });
    expect((await rejects(open(directory), CorruptionError)).path).to.equal(pathOf(17));
    expect(counts.now).to.equal(0);
  });

  it('finds a segment of another log among many', async () => {
    const disk = await logOf(40);
    const other = await logOf(40);
    const stranger = await other.open(pathOf(23), 'read');
    const bytes = new Uint8Array(await stranger.size());
    await stranger.read(bytes, 0);
    await stranger.close();
    await patch(disk, pathOf(23), () => bytes);
    expect((await rejects(open(disk), CorruptionError)).path).to.equal(pathOf(23));
  });
});
