import { expect } from 'chai';
import { MemoryDirectory, NotFoundError, StorageError } from 'cairnlog';
import type { Directory } from 'cairnlog';
import {
  makeDirectoryDurable,
  readBytes,
  removeDurable,
  renameDurable,
  writeBytesAtomically,
  writeFileAtomically,
  writeFully,
} from 'cairnlog/storage';
import { FaultyDirectory, loseEverything, SimulatedDisk } from 'cairnlog/testing';
import type { DiskOperation, Fault } from 'cairnlog/testing';
import { Counted } from '../support/counted.js';
import { CutEverywhere, everySubsetOfNames, extremes } from '../support/power-cuts.js';
import { contents, copyFiles } from '../support/raw-files.js';
import { rejects } from '../support/rejects.js';

const text = (value: string): Uint8Array => Buffer.from(value);

async function read(directory: Directory, path: string): Promise<string> {
  return Buffer.from(await readBytes(directory, path)).toString();
}

/** What is at the path, or nothing. */
async function found(disk: SimulatedDisk, path: string): Promise<string | undefined> {
  return (await disk.stat(path)) === undefined ? undefined : read(disk, path);
}

/** What changed on the disk, as one line each. */
function changes(counted: Counted): string[] {
  return counted.mutations().map(({ kind, path }) => `${kind} ${path.replace(/\.[0-9a-f]+\.tmp$/, '.*.tmp')}`);
}

/** A disk with the files, all of them durable. */
async function diskWith(files: Record<string, string>): Promise<SimulatedDisk> {
  const source = new MemoryDirectory();
  for (const [path, value] of Object.entries(files)) {
    await makeDirectoryDurable(source, path.split('/').slice(0, -1).join('/'));
    await writeBytesAtomically(source, path, text(value));
  }
  const disk = new SimulatedDisk();
  await copyFiles(source, disk);
  return disk.afterPowerCut(loseEverything);
}

describe('writeFileAtomically', () => {
  const write = (directory: Directory): Promise<void> =>
    writeFileAtomically(directory, 'd/file', async (file) => {
      await writeFully(file, text('new '), 0);
      await writeFully(file, text('contents'), 4);
    });

  it('writes, syncs, closes, renames and syncs the folder, in this order', async () => {
    const counted = new Counted(await diskWith({ 'd/file': 'old' }));
    await write(counted.directory);
    const kinds = counted.operations.map(({ kind }) => kind);
    expect(kinds).to.deep.equal(['create', 'write', 'write', 'datasync', 'close', 'rename', 'syncDirectory']);
    expect(changes(counted).at(-1)).to.equal('syncDirectory d');
    expect(await read(counted.directory, 'd/file')).to.equal('new contents');
  });

  it('leaves the old contents or the new, whole, wherever the power is cut, and the new ones at the end', async () => {
    const disk = await diskWith({ 'd/file': 'old' });
    const log = new CutEverywhere(
      disk,
      (now) => [...extremes(now), ...everySubsetOfNames(now)],
      () => false,
    );
    await write(log.directory);
    const seen = new Set<string | undefined>();
    for (const { disk: after } of log.points) seen.add(await found(after, 'd/file'));
    expect([...seen]).to.have.members(['old', 'new contents']);
    for (const cut of [...extremes(disk), ...everySubsetOfNames(disk)])
      expect(await found(disk.afterPowerCut(cut), 'd/file')).to.equal('new contents');
  });

  it('leaves the target untouched and no temporary file behind, whichever single operation fails', async () => {
    const faults: Fault[] = [
      { kind: 'error', errno: 'EIO' },
      { kind: 'error', errno: 'ENOSPC' },
    ];
    const failed: string[] = [];
    for (const fault of faults)
      for (let failing = 1; ; failing++) {
        const disk = await diskWith({ 'd/file': 'old', 'd/other': 'other' });
        let met: DiskOperation | undefined;
        const directory = new FaultyDirectory(disk, (operation) => {
          if (operation.number !== failing) return undefined;
          met = operation;
          return fault;
        });
        const outcome = write(directory);
        if (
          await outcome.then(
            () => true,
            () => false,
          )
        )
          break;
        expect(await rejects(outcome, StorageError)).to.have.property('errno', (fault as { errno: string }).errno);
        failed.push(met!.kind);
        expect(await disk.list('d'), met!.kind).to.deep.equal(['file', 'other']);
        // Behind the rename the file is there, and only whether it stays is unknown.
        expect(await read(disk, 'd/file'), met!.kind).to.equal(met!.kind === 'syncDirectory' ? 'new contents' : 'old');
        // And a power cut that follows brings nothing half-written to light.
        for (const cut of [...extremes(disk), ...everySubsetOfNames(disk)])
          expect(['old', 'new contents'], met!.kind).to.include(await found(disk.afterPowerCut(cut), 'd/file'));
      }
    const each = ['create', 'write', 'write', 'datasync', 'close', 'rename', 'syncDirectory'];
    expect(failed).to.deep.equal([...each, ...each]);
  });

  it('leaves the target untouched when the writing function throws, and hands on what it threw', async () => {
    const disk = await diskWith({ 'd/file': 'old' });
    const refusal = new RangeError('changed my mind');
    let thrown: unknown;
    await writeFileAtomically(disk, 'd/file', async (file) => {
      await writeFully(file, text('half'), 0);
      throw refusal;
    }).catch((error: unknown) => (thrown = error));
    expect(thrown).to.equal(refusal);
    expect(await contents(disk)).to.deep.equal({ 'd/file': Buffer.from('old').toString('hex') });
  });

  it('reports the first failure even if the temporary file cannot be removed either', async () => {
    const disk = await diskWith({ 'd/file': 'old' });
    const directory = new FaultyDirectory(disk, ({ kind }) =>
      kind === 'datasync'
        ? { kind: 'error', errno: 'EIO' }
        : kind === 'remove'
          ? { kind: 'error', errno: 'EROFS' }
          : undefined,
    );
    expect(await rejects(write(directory), StorageError)).to.have.property('errno', 'EIO');
    expect(directory.faults).to.equal(2);
    expect(await read(disk, 'd/file')).to.equal('old');
    // The next one does not stumble over it.
    await write(disk);
    expect(await read(disk, 'd/file')).to.equal('new contents');
  });

  it('gives every temporary file a name of its own, next to the target', async () => {
    const counted = new Counted(new SimulatedDisk());
    for (let round = 0; round < 20; round++) await writeBytesAtomically(counted.directory, 'file', text(`${round}`));
    const names = counted.of('create').map(({ path }) => path);
    expect(new Set(names).size).to.equal(20);
    for (const name of names) expect(name).to.match(/^file\.[0-9a-f]{12}\.tmp$/);
    expect(await counted.directory.list('')).to.deep.equal(['file']);
  });

  it('makes no folder', async () => {
    await rejects(writeBytesAtomically(new SimulatedDisk(), 'missing/file', text('x')), NotFoundError);
  });
});

describe('renameDurable', () => {
  it('survives a power cut, within one folder and between two', async () => {
    for (const [from, to] of [
      ['a/file', 'a/renamed'],
      ['a/file', 'b/file'],
      ['a/file', 'a/target'],
      ['a/file', 'b/target'],
      ['file', 'b/file'],
      ['a/file', 'file'],
    ] as const) {
      const disk = await diskWith({ [from]: 'contents', 'a/target': 'old', 'b/target': 'old' });
      await renameDurable(disk, from, to);
      expect(disk.unsynced().names, `${from} to ${to}`).to.equal(0);
      const after = disk.afterPowerCut(loseEverything);
      expect(await found(after, to), `${from} to ${to}`).to.equal('contents');
      expect(await found(after, from), `${from} to ${to}`).to.equal(undefined);
    }
  });

  it('syncs the folder that the file goes to first, so that it is never in neither', async () => {
    const counted = new Counted(await diskWith({ 'a/file': 'contents', 'b/other': '' }));
    await renameDurable(counted.directory, 'a/file', 'b/file');
    expect(changes(counted)).to.deep.equal(['rename a/file', 'syncDirectory b', 'syncDirectory a']);
    counted.clear();
    await renameDurable(counted.directory, 'b/file', 'b/again');
    expect(changes(counted)).to.deep.equal(['rename b/file', 'syncDirectory b']);
  });

  it('leaves the file under one name or the other wherever the power is cut', async () => {
    const disk = await diskWith({ 'a/file': 'contents', 'b/other': '' });
    const log = new CutEverywhere(disk, everySubsetOfNames, () => undefined);
    await renameDurable(log.directory, 'a/file', 'b/file');
    log.cut('the end');
    for (const { before, disk: after } of log.points)
      expect([await found(after, 'a/file'), await found(after, 'b/file')], before).to.include('contents');
  });
});

describe('removeDurable', () => {
  it('survives a power cut', async () => {
    for (const path of ['file', 'a/file', 'a/b/file']) {
      const disk = await diskWith({ [path]: 'contents' });
      await removeDurable(disk, path);
      expect(await found(disk.afterPowerCut(loseEverything), path)).to.equal(undefined);
    }
  });

  it('makes sure of a file that is gone already: its removal may not have been durable', async () => {
    const disk = await diskWith({ 'a/file': 'contents' });
    await disk.remove('a/file');
    expect(await found(disk.afterPowerCut(loseEverything), 'a/file')).to.equal('contents');
    await removeDurable(disk, 'a/file');
    expect(await found(disk.afterPowerCut(loseEverything), 'a/file')).to.equal(undefined);
  });

  it('hides no other failure', async () => {
    for (const kind of ['remove', 'syncDirectory'] as const) {
      const directory = new FaultyDirectory(await diskWith({ 'a/file': 'contents' }), (operation) =>
        operation.kind === kind ? { kind: 'error', errno: 'EIO' } : undefined,
      );
      await rejects(removeDurable(directory, 'a/file'), StorageError);
    }
  });
});

describe('makeDirectoryDurable', () => {
  it('survives a power cut, with every folder on the way', async () => {
    const disk = new SimulatedDisk();
    await makeDirectoryDurable(disk, 'a/b/c');
    const after = disk.afterPowerCut(loseEverything);
    for (const path of ['a', 'a/b', 'a/b/c']) expect((await after.stat(path))?.kind, path).to.equal('directory');
  });

  it('makes sure of folders that are there already: who made them may have ended before they were durable', async () => {
    const disk = new SimulatedDisk();
    for (const path of ['a', 'a/b', 'a/b/c']) await disk.makeDirectory(path);
    const next = disk.afterProcessEnd();
    expect(await next.afterPowerCut(loseEverything).stat('a')).to.equal(undefined);
    const counted = new Counted(next);
    await makeDirectoryDurable(counted.directory, 'a/b/c');
    expect(changes(counted)).to.deep.equal(['syncDirectory ', 'syncDirectory a', 'syncDirectory a/b']);
    expect((await next.afterPowerCut(loseEverything).stat('a/b/c'))?.kind).to.equal('directory');
  });

  it('does not mind that another was quicker', async () => {
    const disk = new SimulatedDisk();
    // Both see that it is missing before either makes it.
    await Promise.all([makeDirectoryDurable(disk, 'a/b'), makeDirectoryDurable(disk, 'a/b')]);
    expect((await disk.afterPowerCut(loseEverything).stat('a/b'))?.kind).to.equal('directory');
  });

  it('takes no file for a folder', async () => {
    const disk = await diskWith({ a: 'a file' });
    for (const path of ['a', 'a/b'])
      expect(await makeDirectoryDurable(disk, path).catch((error: Error) => error)).to.be.instanceOf(Error);
    expect(await read(disk, 'a')).to.equal('a file');
  });

  it('has nothing to do for the root', async () => {
    const counted = new Counted(new SimulatedDisk());
    await makeDirectoryDurable(counted.directory, '');
    await makeDirectoryDurable(counted.directory, './/.');
    expect(counted.operations).to.deep.equal([]);
  });
});
