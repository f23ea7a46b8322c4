// What the simulated disk does with what was not synced, and after a sync that failed: each case is one that a real
// file system was seen to leave.

import { StorageError } from 'cairnlog';
import { loseEverything, loseNothing, SimulatedDisk, type PowerCut } from 'cairnlog/testing';
import { readBytes, renameDurable } from 'cairnlog/storage';
import { expect } from 'chai';
import { rejects } from '../support/rejects.js';

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();
const bytes = (value: string): Uint8Array => Buffer.from(value);

/** A durable file of these contents, still open. */
async function durableFile(disk: SimulatedDisk, path: string, contents: string) {
  const file = await disk.open(path, 'create');
  await file.write(bytes(contents), 0);
  await file.datasync();
  await disk.syncDirectory('');
  return file;
}

describe('A simulated disk', () => {
  it('loses pages, sizes and names that were not synced, each as it is asked', async () => {
    const disk = new SimulatedDisk();
    const file = await durableFile(disk, 'a', 'x'.repeat(600));
    await file.write(bytes('y'.repeat(1000)), 100);
    const cut = (page: PowerCut['page'], size: boolean): string | undefined =>
      text(disk.afterPowerCut({ page, size: () => size, name: () => true }).peek('a'));
    expect(cut(() => 'old', false)).to.equal('x'.repeat(600));
    expect(cut(() => 'new', true)).to.equal(`${'x'.repeat(100)}${'y'.repeat(1000)}`);
    expect(cut((_, page) => (page === 0 ? 'new' : 'old'), false)).to.equal(
      `${'x'.repeat(100)}${'y'.repeat(412)}${'x'.repeat(88)}`,
    );
    const zeros = cut((_, page) => (page === 2 ? 'zero' : 'new'), true)!;
    expect(zeros.slice(1024)).to.equal('\0'.repeat(76));
    expect(cut((_, page) => (page === 1 ? 30 : 'new'), true)!.slice(512, 600)).to.equal(
      `${'y'.repeat(30)}${'x'.repeat(58)}`,
    );
    const whole: PowerCut = { ...loseEverything, pageBytes: 4096, page: () => 'new', size: () => true };
    expect(text(disk.afterPowerCut(whole).peek('a'))).to.have.lengthOf(1100);
  });

  it('shows as garbage what lay there before', async () => {
    const disk = new SimulatedDisk();
    const file = await disk.open('a', 'create');
    await file.write(bytes('new'), 0);
    const left = disk.afterPowerCut({ ...loseNothing, page: () => 'garbage', garbage: () => bytes('old and more') });
    expect(text(left.peek('a'))).to.equal('old');
  });

  it('keeps a renamed file under the old name, the new one or both', async () => {
    const disk = new SimulatedDisk();
    await durableFile(disk, 'a', 'first');
    await disk.rename('a', 'b');
    const names = (name: boolean | 'both'): string[] =>
      disk.afterPowerCut({ ...loseEverything, name: () => name }).files();
    expect(names(false)).to.deep.equal(['a']);
    expect(names(true)).to.deep.equal(['b']);
    expect(names('both')).to.deep.equal(['a', 'b']);
    await disk.syncDirectory('');
    expect(names(false)).to.deep.equal(['b']);
    await renameDurable(disk, 'b', 'c');
    expect(names(false)).to.deep.equal(['c']);
  });

  it('lets a write arrive in part', async () => {
    const disk = new SimulatedDisk();
    await durableFile(disk, 'a', 'durable');
    const left = disk.afterPowerCut({ ...loseEverything, arriving: { path: 'a', offset: 7, bytes: bytes(' and') } });
    expect(text(left.peek('a'))).to.equal('durable and');
    expect(text(await readBytes(disk, 'a'))).to.equal('durable');
  });

  describe('after a sync that failed', () => {
    it('reads as new and is not on the platter', async () => {
      const disk = new SimulatedDisk();
      const file = await durableFile(disk, 'a', 'old');
      await file.write(bytes('new'), 0);
      disk.failSync = () => true;
      await rejects(file.datasync(), StorageError);
      disk.failSync = () => false;
      await file.datasync();
      expect(text(disk.peek('a'))).to.equal('new');
      expect(text(disk.afterPowerCut(loseEverything).peek('a'))).to.equal('old');
    });

    it('reads as before where the file system reverts it', async () => {
      const disk = new SimulatedDisk();
      const file = await durableFile(disk, 'a', 'old');
      await file.write(bytes('newer'), 0);
      disk.failSync = () => ({ leaves: 'reverted' });
      await rejects(file.datasync(), StorageError);
      expect(text(disk.peek('a'))).to.equal('old');
    });

    it('may have some of its sectors written', async () => {
      const disk = new SimulatedDisk();
      const file = await durableFile(disk, 'a', 'x'.repeat(1024));
      await file.write(bytes('y'.repeat(1024)), 0);
      disk.failSync = () => ({ wrote: (sector) => sector === 1 });
      await rejects(file.datasync(), StorageError);
      const left = text(disk.afterPowerCut(loseEverything).peek('a'));
      expect(left).to.equal(`${'x'.repeat(512)}${'y'.repeat(512)}`);
      expect(text(disk.peek('a'))).to.equal('y'.repeat(1024));
    });

    it('that failed in the background tells whoever had the file open, once, and nobody who opens it later', async () => {
      const disk = new SimulatedDisk();
      const file = await durableFile(disk, 'a', 'old');
      await file.write(bytes('new'), 0);
      disk.failWriteback('a');
      const later = await disk.open('a', 'update');
      await later.datasync();
      await rejects(file.datasync(), StorageError);
      await file.datasync();
      expect(text(disk.afterPowerCut(loseEverything).peek('a'))).to.equal('old');
    });
  });

  it('is copied, and neither of the two sees what happens to the other', async () => {
    const disk = new SimulatedDisk();
    const file = await durableFile(disk, 'a', 'old');
    await file.write(bytes('new'), 0);
    await disk.rename('a', 'b');
    const copy = disk.copy();
    expect(copy.hash()).to.equal(disk.hash());
    expect(copy.unsyncedItems()).to.deep.equal(disk.unsyncedItems());
    await file.write(bytes('changed'), 0);
    await copy.syncDirectory('');
    expect(text(copy.peek('b'))).to.equal('new');
    expect(copy.hash()).not.to.equal(disk.hash());
    expect(disk.afterPowerCut(loseEverything).files()).to.deep.equal(['a']);
    expect(copy.afterPowerCut(loseEverything).files()).to.deep.equal(['b']);
    expect(text(copy.afterPowerCut(loseEverything).peek('b'))).to.equal('old');
  });
});
