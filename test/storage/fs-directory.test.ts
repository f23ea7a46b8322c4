import { expect } from 'chai';
import {
  AlreadyExistsError,
  FsDirectory,
  NotFoundError,
  PathError,
  StorageError,
  WalReader,
  WalWriter,
} from 'cairnlog';
import type { Directory } from 'cairnlog';
import { makeDirectoryDurable, readBytes, writeBytesAtomically } from 'cairnlog/storage';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { rejects } from '../support/rejects.js';
import { systemCallsOf, whileFailing } from '../support/system-calls.js';
import { temporaryDirectory, temporaryFolder } from '../support/temporary-folder.js';
import { textCodec } from '../support/text-codec.js';

/** Every operation of a directory on a path. */
function operations(directory: Directory, name: string): [string, () => Promise<unknown>][] {
  return [
    ['open to read', () => directory.open(name, 'read')],
    ['open to update', () => directory.open(name, 'update')],
    ['open to create', () => directory.open(name, 'create')],
    ['stat', () => directory.stat(name)],
    ['list', () => directory.list(name)],
    ['makeDirectory', () => directory.makeDirectory(name)],
    ['rename from', () => directory.rename(name, 'elsewhere')],
    ['rename to', () => directory.rename('here', name)],
    ['remove', () => directory.remove(name)],
    ['syncDirectory', () => directory.syncDirectory(name)],
    ['lock', () => directory.lock(name)],
  ];
}

/** Names and contents below a folder. */
function snapshot(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((name) => (fs.lstatSync(name).isFile() ? `${name}: ${fs.readFileSync(name, 'utf8')}` : name))
    .sort();
}

async function withFile(): Promise<FsDirectory> {
  const directory = await temporaryDirectory();
  await writeBytesAtomically(directory, 'here', Buffer.from('here'));
  return directory;
}

describe('FsDirectory and symlinks', () => {
  it('refuses a symlinked file, even to a file inside', async () => {
    const directory = await withFile();
    fs.symlinkSync('here', path.join(directory.root, 'link'));
    for (const mode of ['read', 'update'] as const) await rejects(directory.open('link', mode), PathError);
    await rejects(directory.open('link', 'create'), AlreadyExistsError);
    await rejects(directory.lock('link'), PathError);
    expect((await directory.stat('link'))?.kind).to.equal('other');
    expect(Buffer.from(await readBytes(directory, 'here')).toString()).to.equal('here');
  });

  it('refuses a symlink to nowhere, and makes nothing behind it', async () => {
    const directory = await withFile();
    const outside = temporaryFolder();
    fs.symlinkSync(path.join(outside, 'missing'), path.join(directory.root, 'link'));
    for (const [, operation] of operations(directory, 'link').filter(([name]) =>
      /open to|lock|makeDirectory/.test(name),
    ))
      await operation().then(
        () => expect.fail('a symlink to nowhere was followed'),
        (error: unknown) => expect(error).to.be.instanceOf(error instanceof PathError ? PathError : AlreadyExistsError),
      );
    expect(fs.readdirSync(outside)).to.deep.equal([]);
  });

  it('refuses every operation on and below a symlink that leads out, and touches nothing there', async () => {
    const directory = await withFile();
    const outside = temporaryFolder();
    fs.writeFileSync(path.join(outside, 'file'), 'untouched');
    fs.mkdirSync(path.join(outside, 'folder'));
    fs.symlinkSync(outside, path.join(directory.root, 'folder'));
    fs.symlinkSync(path.join(outside, 'file'), path.join(directory.root, 'file'));
    fs.mkdirSync(path.join(directory.root, 'inner'));
    fs.symlinkSync('../..', path.join(directory.root, 'inner', 'up'));
    const before = [snapshot(directory.root), snapshot(outside)];
    for (const name of [
      'folder',
      'folder/file',
      'folder/new',
      'folder/folder',
      'folder/folder/new',
      'file',
      'inner/up/x',
    ])
      for (const [what, operation] of operations(directory, name)) {
        const error = await rejects(operation(), PathError).catch((other: unknown) => {
          throw new Error(`${what} of ${name}: ${String(other)}`);
        });
        expect(error.message, `${what} of ${name}`).to.include('leads out').and.to.include('move the data in');
      }
    expect([snapshot(directory.root), snapshot(outside)]).to.deep.equal(before);
  });

  it('is not misled by a root that is itself a symlink, nor by a folder whose name begins like the root', async () => {
    const parent = temporaryFolder();
    for (const name of ['root', 'root-2']) fs.mkdirSync(path.join(parent, name));
    fs.symlinkSync('root', path.join(parent, 'link'));
    fs.symlinkSync('../root-2', path.join(parent, 'root', 'sibling'));
    const directory = await FsDirectory.open(path.join(parent, 'link'));
    expect(directory.root).to.equal(fs.realpathSync(path.join(parent, 'root')));
    await writeBytesAtomically(directory, 'file', Buffer.from('x'));
    expect(fs.readdirSync(path.join(parent, 'root'))).to.deep.equal(['file', 'sibling']);
    await rejects(directory.open('sibling/file', 'create'), PathError);
  });

  it('follows a symlinked folder that stays inside, so a log may lie behind one', async () => {
    const directory = await temporaryDirectory();
    await makeDirectoryDurable(directory, 'disks/fast');
    fs.symlinkSync('disks/fast', path.join(directory.root, 'wal'));
    expect((await directory.stat('wal'))?.kind).to.equal('directory');
    const wal = await WalWriter.open(directory, { codec: textCodec });
    await wal.appendDurable('entry 1');
    await wal.close();
    expect(await directory.list('disks/fast')).to.deep.equal(['.lock', 'wal_1.log']);
    expect(await new WalReader(directory, { codec: textCodec }).replay()).to.have.length(1);
  });
});

describe('FsDirectory and files that are none', () => {
  let segment = '';

  // Whoever hangs on it after all goes on once its other end is open, and it stays open: else nobody could report it.
  afterEach(() => {
    if (fs.statSync(segment, { throwIfNoEntry: false })?.isFIFO() === true)
      fs.openSync(segment, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  });

  it('does not hang on a fifo planted as a segment', async function () {
    const directory = await temporaryDirectory();
    await (await WalWriter.open(directory, { codec: textCodec })).close();
    segment = path.join(directory.root, 'wal/wal_1.log');
    fs.unlinkSync(segment);
    if (process.platform === 'win32' || spawnSync('mkfifo', [segment]).status !== 0) {
      console.log('      skipped: no mkfifo program');
      return this.skip();
    }
    for (const mode of ['read', 'update'] as const) await rejects(directory.open('wal/wal_1.log', mode), PathError);
    expect((await directory.stat('wal/wal_1.log'))?.kind).to.equal('other');
    await rejects(WalWriter.open(directory, { codec: textCodec }), PathError);
    await rejects(new WalReader(directory, { codec: textCodec }).replay(), PathError);
  });

  it('refuses a folder planted as a segment', async () => {
    const directory = await temporaryDirectory();
    await makeDirectoryDurable(directory, 'wal/wal_1.log');
    await rejects(WalWriter.open(directory, { codec: textCodec }), PathError);
    await rejects(new WalReader(directory, { codec: textCodec }).replay(), PathError);
  });
});

describe('FsDirectory and errors of the system', () => {
  it('says that a file is where a folder should be', async () => {
    const directory = await withFile();
    const below = operations(directory, 'here/below').filter(([name]) => name !== 'rename from');
    for (const [what, operation] of [...below, ['list', () => directory.list('here')] as const]) {
      const error = await rejects(operation(), StorageError);
      expect(error.errno, what).to.equal('ENOTDIR');
      expect(error.message, what).to.include('A file is where a folder should be').and.to.include('here');
    }
    const error = await rejects(FsDirectory.open(path.join(directory.root, 'here/below')), StorageError);
    expect(error.errno).to.equal('ENOTDIR');
  });

  it('says that permission is missing, and whom to ask', async function () {
    if (process.platform === 'win32' || process.getuid?.() === 0) {
      console.log('      skipped: the superuser may do everything');
      return this.skip();
    }
    const directory = await withFile();
    await directory.makeDirectory('closed');
    fs.chmodSync(path.join(directory.root, 'here'), 0);
    fs.chmodSync(path.join(directory.root, 'closed'), 0);
    try {
      for (const [name, operation] of [
        ['here', () => directory.open('here', 'read')],
        ['closed', () => directory.list('closed')],
        ['closed/file', () => directory.open('closed/file', 'create')],
        ['closed/file', () => directory.stat('closed/file')],
      ] as const) {
        const error = await rejects<StorageError>(operation(), StorageError);
        expect([error.errno, error.path]).to.deep.equal(['EACCES', name]);
        expect(error.message).to.include('check who owns');
      }
    } finally {
      fs.chmodSync(path.join(directory.root, 'closed'), 0o700);
    }
  });

  it('names the system error, the file and the place in it, and says what to do', async () => {
    const advice: Record<string, string> = {
      ENOSPC: 'free some space',
      EDQUOT: 'free some space',
      EFBIG: 'raise it',
      EROFS: 'remount it for writing',
      EACCES: 'check who owns the folder',
      EPERM: 'check who owns the folder',
      EMFILE: 'ulimit -n',
      ENFILE: 'Too many open files in the system',
      EIO: 'check its health',
      EXDEV: 'The system refused',
    };
    const directory = await withFile();
    for (const [errno, words] of Object.entries(advice)) {
      const file = await directory.open('here', 'update');
      await whileFailing('write', errno, async () => {
        const error = await rejects(file.write(new Uint8Array(3), 7), StorageError);
        expect([error.errno, error.path, error.offset]).to.deep.equal([errno, 'here', 7]);
        expect(error.message).to.include(words).and.to.include(errno).and.to.include('[here, byte 7]');
        expect((error.cause as NodeJS.ErrnoException).code).to.equal(errno);
      });
      await whileFailing('fdatasync', errno, async () => {
        expect((await rejects(file.datasync(), StorageError)).errno).to.equal(errno);
      });
      await file.close();
      await whileFailing('open', errno, async () => {
        expect((await rejects(directory.open('here', 'read'), StorageError)).errno).to.equal(errno);
        expect((await rejects(directory.syncDirectory(''), StorageError)).errno).to.equal(errno);
      });
    }
  });

  it('keeps missing, existing and misplaced apart from everything else', async () => {
    const directory = await withFile();
    await directory.makeDirectory('folder');
    expect((await rejects(directory.open('nothing', 'read'), NotFoundError)).path).to.equal('nothing');
    expect((await rejects(directory.remove('nothing'), NotFoundError)).path).to.equal('nothing');
    expect((await rejects(directory.open('here', 'create'), AlreadyExistsError)).path).to.equal('here');
    for (const operation of [() => directory.remove('folder'), () => directory.rename('here', 'folder')])
      expect((await rejects(operation(), StorageError)).errno).to.match(/^(EISDIR|EPERM)$/);
    const long = 'x'.repeat(300);
    expect((await rejects(directory.open(long, 'create'), StorageError)).errno).to.equal('ENAMETOOLONG');
    for (const root of ['', 'a\0b', 7 as never]) await rejects(FsDirectory.open(root), PathError);
  });
});

describe('FsDirectory makes its root', () => {
  it('durably, with all the folders on the way to it', async function () {
    if (process.platform === 'win32') {
      console.log('      skipped: Windows cannot sync a folder');
      return this.skip();
    }
    const top = fs.realpathSync(temporaryFolder());
    const calls = await systemCallsOf(async () => {
      await FsDirectory.open(path.join(top, 'a/b/c'));
    });
    expect(fs.statSync(path.join(top, 'a/b/c')).isDirectory()).to.equal(true);
    const synced = calls.filter(({ name }) => name === 'fsync').map((call) => call.path);
    expect(synced).to.include.members([top, path.join(top, 'a'), path.join(top, 'a/b')]);
    // Nothing stays open.
    expect(calls.filter(({ name }) => name === 'open')).to.have.length(
      calls.filter(({ name }) => name === 'close').length,
    );
  });

  it('and makes sure of one that it finds: who made it may have ended before the name was synced', async function () {
    if (process.platform === 'win32') {
      console.log('      skipped: Windows cannot sync a folder');
      return this.skip();
    }
    const top = fs.realpathSync(temporaryFolder());
    fs.mkdirSync(path.join(top, 'root'));
    const open = async (): Promise<void> => void (await FsDirectory.open(path.join(top, 'root')));
    const calls = await systemCallsOf(open);
    expect(calls.filter(({ name }) => name === 'fsync').map((call) => call.path)).to.deep.equal([top]);
    // A parent that others own, or that is read-only, is taken as it is; a disk that fails is not.
    for (const errno of ['EACCES', 'EPERM', 'EROFS', 'EINVAL']) await whileFailing('fsync', errno, open);
    await whileFailing('open', 'EACCES', open);
    await whileFailing('fsync', 'EIO', async () => {
      expect((await rejects(open(), StorageError)).errno).to.equal('EIO');
    });
  });
});
