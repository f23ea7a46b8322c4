import { expect } from 'chai';
import { ClosedError, StorageError } from 'cairnlog';
import { writeFullyDurably } from 'cairnlog/storage';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { rejects } from '../support/rejects.js';
import { systemCallsOf, whileFailing, type SystemCall } from '../support/system-calls.js';
import { temporaryDirectory } from '../support/temporary-folder.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

function isSynced({ flags }: SystemCall): boolean {
  return (flags & fs.constants.O_DSYNC) !== 0;
}

describe('A durable write to the file system', () => {
  before(function () {
    const type = process.platform === 'linux' ? fs.statfsSync(os.tmpdir()).type >>> 0 : 0;
    // ext4, XFS, Btrfs, tmpfs.
    if ([0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994].includes(type)) return;
    console.log('      skipped: this system or file system is not asked for synced writes');
    this.skip();
  });

  it('is one call, through a second descriptor that is opened once and closed with the first', async () => {
    const directory = await temporaryDirectory();
    const calls = await systemCallsOf(async () => {
      const file = await directory.open('log', 'create');
      await writeFullyDurably(file, bytes('one'), 0);
      await writeFullyDurably(file, bytes('two'), 3);
      await file.write(bytes('plain'), 6);
      await file.datasync();
      await file.close();
      await rejects(file.writeDurably!(bytes('x'), 0), ClosedError);
    });
    expect(calls.map((call) => `${call.name}${isSynced(call) ? ' synced' : ''}`)).to.deep.equal([
      'open',
      'open synced',
      'write synced',
      'write synced',
      'write',
      'fdatasync',
      'close synced',
      'close',
    ]);
    expect(fs.readFileSync(path.join(directory.root, 'log'), 'utf8')).to.equal('onetwoplain');
  });

  it('is a write and a sync where the second descriptor cannot be had', async () => {
    const directory = await temporaryDirectory();
    const calls = await systemCallsOf(async () => {
      const file = await directory.open('log', 'create');
      await whileFailing('open', 'EMFILE', () => writeFullyDurably(file, bytes('one'), 0));
      await writeFullyDurably(file, bytes('two'), 3);
      await file.close();
    });
    const each = ['write', 'fdatasync'];
    expect(calls.map(({ name }) => name)).to.deep.equal(['open', ...each, ...each, 'close']);
  });

  it('never goes to another file that has taken the name', async () => {
    const directory = await temporaryDirectory();
    const calls = await systemCallsOf(async () => {
      const file = await directory.open('log', 'create');
      fs.renameSync(path.join(directory.root, 'log'), path.join(directory.root, 'moved'));
      fs.writeFileSync(path.join(directory.root, 'log'), 'a stranger');
      await writeFullyDurably(file, bytes('mine'), 0);
      await file.close();
    });
    expect(fs.readFileSync(path.join(directory.root, 'log'), 'utf8')).to.equal('a stranger');
    expect(fs.readFileSync(path.join(directory.root, 'moved'), 'utf8')).to.equal('mine');
    const names = calls.map(({ name }) => name);
    expect(names.filter((name) => name === 'open')).to.have.length(names.filter((name) => name === 'close').length);
  });

  it('reports what the system says, with path and offset', async () => {
    const directory = await temporaryDirectory();
    const file = await directory.open('log', 'create');
    await writeFullyDurably(file, bytes('one'), 0);
    await whileFailing('write', 'EIO', async () => {
      const error = await rejects(writeFullyDurably(file, bytes('two'), 3), StorageError);
      expect([error.errno, error.path, error.offset]).to.deep.equal(['EIO', 'log', 3]);
    });
    await file.close();
  });
});
